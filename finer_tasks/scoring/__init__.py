"""Scoring: pure functions of text and labels, loaded without torch or lmms-eval."""

# Raised whenever the same answer could get another score; results of different versions are not compared.
SCORING_VERSION = "2"
