"""Scoring: pure functions of text and labels, loaded without torch or lmms-eval."""

# Raised whenever the same answer could get another score; results of different versions are not compared.
SCORING_VERSION = "2"

# The scores that are shown where few are: of tasks that ask for a name, that ask for attribute lists, that score all names,
# that offer names of which the right one may be missing, and that ask for yes or no.
NAMING_SCORES = ("em", "em_strict", "f1")
LIST_SCORES = ("attr_f1",)
CLOSED_SCORES = ("closed_top1_norm", "closed_top5_norm")
OPEN_SCORES = ("open_right",)
YES_NO_SCORES = ("yesno_both", "yesno_accuracy")
