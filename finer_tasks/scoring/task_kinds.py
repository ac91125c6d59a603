"""What sets the kinds of tasks apart once they are scored: the one list that reading, exporting and comparing runs go by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from finer_tasks.scoring import CLOSED_SCORES, LIST_SCORES, NAMING_SCORES, OPEN_SCORES, YES_NO_SCORES, multiple_choice
from finer_tasks.scoring.closed import DETAIL, FIGURES


@dataclass(frozen=True)
class TaskKind:
    """One kind of task.

    Attributes:
        detail: the figure that no other kind has; beside it stand the level and the record, which lmms-eval's sample files
            leave out.
        figures: those that every document has.
        main: the scores that are shown where few are; a gate compares the first where no rule names another.
        texts: lists of texts beside the record.
        asked: those of them that tell what was asked where the first question alone does not.
        replies: whether the model's replies are scored; likelihoods are not.
    """

    detail: str
    figures: frozenset[str]
    main: tuple[str, ...]
    texts: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    replies: bool = True


NAMING = TaskKind(
    "em_strict",
    frozenset(("em", "em_macro", "f1", "em_strict", "depth", "lca_distance", "named", "corrupt_images")),
    NAMING_SCORES,
    ("named",),
)
LISTS = TaskKind(
    "attr_f1",
    frozenset(("attr_f1", "attr_precision", "attr_recall", "attr_unparsed", "corrupt_images")),
    LIST_SCORES,
    ("required", "likely"),
)
CLOSED = TaskKind(
    DETAIL, frozenset((*(f"closed_{figure}_norm" for figure in FIGURES), "corrupt_images")), CLOSED_SCORES, replies=False
)
_RATES = ("open_named", "open_unlisted", "true_refusal", "false_refusal", "refusal_balanced", "refusal_f1")
OPEN = TaskKind("open_right", frozenset(("open_right", *_RATES, "corrupt_images")), OPEN_SCORES, ("offered", "named"))
YES_NO = TaskKind(
    "yesno_both",
    frozenset(("yesno_true", "yesno_false", "yesno_yes", "yesno_neither", "yesno_dprime", "corrupt_images", *YES_NO_SCORES)),
    YES_NO_SCORES,
    ("claims", "said"),
    asked=("claims",),
)
OPTIONS = TaskKind(
    multiple_choice.DETAIL,
    frozenset((multiple_choice.DETAIL, "mc_macro", "mc_chance", "mc_chose", *multiple_choice.RULES, "corrupt_images")),
    (multiple_choice.DETAIL, "mc_chose"),
)
OPTIONS_BY_LIKELIHOOD = TaskKind(
    multiple_choice.LIKELIHOOD_DETAIL,
    frozenset((multiple_choice.LIKELIHOOD_DETAIL, "mc_name_norm", "mc_letter_chance", "mc_name_chance", "corrupt_images")),
    (multiple_choice.LIKELIHOOD_DETAIL, "mc_name_norm"),
    replies=False,
)
TASK_KINDS = (NAMING, LISTS, CLOSED, OPEN, YES_NO, OPTIONS, OPTIONS_BY_LIKELIHOOD)


def kind_of(figures: Collection[str]) -> TaskKind:
    """The kind of task that a document's figures are of; attribute lists where they are of none, and then lack theirs."""
    return next((kind for kind in TASK_KINDS if kind.detail in figures), LISTS)
