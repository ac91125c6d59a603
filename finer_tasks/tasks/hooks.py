"""The functions that the task YAMLs name. Thin: prompts, scoring and data live in their own modules.

lmms-eval calls some of them from threads and retries those that raise, so none raises for a bad
document: a corrupt image or an odd output is counted and scored as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loguru import logger
from PIL import Image

from finer_tasks.datasets.images import image_of
from finer_tasks.datasets.prepared import load_prepared
from finer_tasks.datasets.record import accepted_labels, dataset_of
from finer_tasks.errors import DatasetContentError
from finer_tasks.models.similarity import similarity_named
from finer_tasks.options.choosing import active_options
from finer_tasks.replies import as_text, pack_rounds, rounds_of
from finer_tasks.scoring.abstaining import (
    abstaining_items,
    balanced_refusals,  # noqa: F401 (named by YAMLs)
    open_items,
    refusal_f1,  # noqa: F401 (named by YAMLs)
)
from finer_tasks.scoring.aggregate import macro_mean, mean, mean_of_known, total  # noqa: F401 (named by YAMLs)
from finer_tasks.scoring.candidates import candidates_of
from finer_tasks.scoring.closed import calibration_error, judge_closed  # noqa: F401 (named by YAMLs)
from finer_tasks.scoring.judge import list_items, naming_items, seek_items
from finer_tasks.scoring.multiple_choice import (
    choice_items,
    corrected_for_chance,  # noqa: F401 (named by YAMLs)
    likelihood_items,
    replies_to_score,
)
from finer_tasks.scoring.yesno import d_prime, yesno_items  # noqa: F401 (named by YAMLs)
from finer_tasks.tasks import questions

Doc = Mapping[str, Any]
_PLACEHOLDER_SIZE = (336, 336)
_readable: dict[str, bool] = {}


def doc_to_visual(doc: Doc) -> list[Image.Image]:
    """The document's image; a gray one, counted and scored as wrong, where the file is corrupt."""
    dataset = dataset_of(doc["id"])
    try:
        image = image_of(load_prepared(dataset), doc)
        _readable[doc["id"]] = True
    except DatasetContentError as error:
        if _readable.get(doc["id"], True):
            logger.error(f"{doc['id']}: {error}. Scored as wrong; `finer doctor {dataset}` lists all such files")
        _readable[doc["id"]] = False
        image = Image.new("RGB", _PLACEHOLDER_SIZE, (127, 127, 127))
    return [image]


def is_readable(doc: Doc) -> bool:
    """Whether the document's image could be decoded; opens it if this process has not yet (cached answers)."""
    if doc["id"] not in _readable:
        doc_to_visual(doc)
    return _readable[doc["id"]]


def doc_to_text(doc: Doc, lmms_eval_specific_kwargs: Mapping[str, Any]) -> str:
    """The question of a single-turn task: its variant, level and parent as in the YAML."""
    kwargs = lmms_eval_specific_kwargs
    return questions.ask(doc, kwargs.get("variant", "direct"), kwargs["level"], kwargs["parent"])


def doc_to_text_predicted(
    doc: Doc,
    lmms_eval_specific_kwargs: Mapping[str, Any],
    previous_output: Sequence[Any] = (),
    round_idx: int | None = None,
    previous_round_info: Any = None,
) -> Any:
    """The chain of questions from superordinate down, each a fresh turn that names the model's own answer one level up."""
    replies = [as_text(reply) for reply in previous_output] if round_idx else []
    return _fresh_turn(doc, questions.next_in_chain(doc, lmms_eval_specific_kwargs["level"], replies), replies)


def doc_to_text_attrseek(
    doc: Doc,
    lmms_eval_specific_kwargs: Mapping[str, Any],
    previous_output: Sequence[Any] = (),
    round_idx: int | None = None,
    previous_round_info: Any = None,
) -> Any:
    """AttrSeek for backends without chat turns: the second question repeats the first one and its reply."""
    replies = [as_text(reply) for reply in previous_output] if round_idx else []
    turns = questions.seek_turns(doc, lmms_eval_specific_kwargs["level"], replies)
    return _fresh_turn(doc, "\n".join(turns) if turns else None, replies)


def doc_to_text_yesno(
    doc: Doc,
    lmms_eval_specific_kwargs: Mapping[str, Any],
    previous_output: Sequence[Any] = (),
    round_idx: int | None = None,
    previous_round_info: Any = None,
) -> Any:
    """Whether it is the true name, then whether it is a wrong one, each as a fresh turn that knows nothing of the other."""
    replies = [as_text(reply) for reply in previous_output] if round_idx else []
    return _fresh_turn(doc, questions.next_claim(doc, lmms_eval_specific_kwargs["level"], replies), replies)


def _fresh_turn(doc: Doc, question: str | None, replies: list[str]) -> Any:
    """As lmms-eval asks for it: the first question alone, then (images, question, whether it is over, replies, info)."""
    if question is None:
        return None, None, True, [pack_rounds(replies)], None
    return (doc_to_visual(doc), question, False, replies, None) if replies else question


def attrseek_messages(
    doc: Doc,
    lmms_eval_specific_kwargs: Mapping[str, Any],
    round_idx: int | None = None,
    previous_output: Sequence[Any] = (),
    previous_round_info: Any = None,
) -> Any:
    """AttrSeek as two true turns: the reply stays in the conversation when the name is asked for.

    Messages of the first turn, then lmms-eval's tuple (messages, whether the rounds are over,
    replies, info).
    """
    replies = [as_text(reply) for reply in previous_output] if round_idx else []
    turns = questions.seek_turns(doc, lmms_eval_specific_kwargs["level"], replies)
    if turns is None:
        return None, True, previous_output, None
    roles = ("user", "assistant", "user")
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in zip(roles, turns, strict=False)]
    messages[0]["content"] = [*({"type": "image", "url": image} for image in doc_to_visual(doc)), *messages[0]["content"]]
    return (messages, False, previous_output, None) if replies else messages


def superordinate_target(doc: Doc) -> list[str]:
    return accepted_labels(doc, "superordinate")


def coarse_target(doc: Doc) -> list[str]:
    return accepted_labels(doc, "coarse")


def fine_target(doc: Doc) -> list[str]:
    return accepted_labels(doc, "fine")


def superordinate_names(doc: Doc) -> list[str]:
    """All names of the level, to be scored; see `scoring.candidates`."""
    return list(candidates_of(dataset_of(doc["id"]), "superordinate").names)


def coarse_names(doc: Doc) -> list[str]:
    """As superordinate_names, at coarse level."""
    return list(candidates_of(dataset_of(doc["id"]), "coarse").names)


def fine_names(doc: Doc) -> list[str]:
    """As superordinate_names, at fine level."""
    return list(candidates_of(dataset_of(doc["id"]), "fine").names)


def score_superordinate_closed(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """Figures of the likelihoods of all names of the level; see `scoring.closed`."""
    return judge_closed(doc, results, "superordinate", is_readable(doc))


def score_coarse_closed(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """As score_superordinate_closed, at coarse level."""
    return judge_closed(doc, results, "coarse", is_readable(doc))


def score_fine_closed(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """As score_superordinate_closed, at fine level."""
    return judge_closed(doc, results, "fine", is_readable(doc))


def score_superordinate(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """Scores of one answer at superordinate level; see `judge.naming_items`. `parent` is bound when the task is loaded."""
    return naming_items(doc, rounds_of(results), "superordinate", is_readable(doc), parent)


def score_coarse(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_superordinate, at coarse level."""
    return naming_items(doc, rounds_of(results), "coarse", is_readable(doc), parent)


def score_fine(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_superordinate, at fine level."""
    return naming_items(doc, rounds_of(results), "fine", is_readable(doc), parent)


def score_coarse_text(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_coarse, for tasks that show no image."""
    return naming_items(doc, rounds_of(results), "coarse", parent=parent)


def score_fine_text(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_fine, for tasks that show no image."""
    return naming_items(doc, rounds_of(results), "fine", parent=parent)


def score_coarse_attrseek(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_coarse, with the state of the first turn."""
    return score_coarse(doc, results, parent) | seek_items(doc, rounds_of(results), "coarse")


def score_fine_attrseek(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_fine, with the state of the first turn."""
    return score_fine(doc, results, parent) | seek_items(doc, rounds_of(results), "fine")


def score_superordinate_abstain(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_superordinate, with what was declined; see `scoring.abstaining`."""
    return abstaining_items(doc, rounds_of(results), "superordinate", is_readable(doc), parent)


def score_coarse_abstain(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_superordinate_abstain, at coarse level."""
    return abstaining_items(doc, rounds_of(results), "coarse", is_readable(doc), parent)


def score_fine_abstain(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_superordinate_abstain, at fine level."""
    return abstaining_items(doc, rounds_of(results), "fine", is_readable(doc), parent)


def score_coarse_abstain_names(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """Figures of an answer to a list of coarse names that may lack the right one; see `abstaining.open_items`."""
    return open_items(doc, rounds_of(results), "coarse", is_readable(doc))


def score_fine_abstain_names(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_coarse_abstain_names, at fine level."""
    return open_items(doc, rounds_of(results), "fine", is_readable(doc))


def score_coarse_yesno(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """Figures of the answers to a true and a wrong coarse name; see `scoring.yesno`."""
    return yesno_items(doc, rounds_of(results), "coarse", is_readable(doc))


def score_fine_yesno(doc: Doc, results: Sequence[Any], parent: str = "none") -> dict[str, Any]:
    """As score_coarse_yesno, at fine level."""
    return yesno_items(doc, rounds_of(results), "fine", is_readable(doc))


def coarse_replies(doc: Doc) -> list[str]:
    """Letters and names of a document's options, to be scored; see `scoring.multiple_choice`."""
    return replies_to_score(active_options(doc, "coarse"))


def fine_replies(doc: Doc) -> list[str]:
    """As coarse_replies, at fine level."""
    return replies_to_score(active_options(doc, "fine"))


def score_coarse_mc(doc: Doc, results: Sequence[Any], literally: bool = False) -> dict[str, Any]:
    """Whether an answer chooses the right option; see `scoring.multiple_choice`. `literally` is bound on loading."""
    return choice_items(doc, rounds_of(results), "coarse", active_options(doc, "coarse"), is_readable(doc), literally)


def score_fine_mc(doc: Doc, results: Sequence[Any], literally: bool = False) -> dict[str, Any]:
    """As score_coarse_mc, at fine level."""
    return choice_items(doc, rounds_of(results), "fine", active_options(doc, "fine"), is_readable(doc), literally)


def score_coarse_mc_likelihood(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """Whether the right option is the most likely, by letter and by name; see `scoring.multiple_choice`."""
    return likelihood_items(doc, results, "coarse", active_options(doc, "coarse"), is_readable(doc))


def score_fine_mc_likelihood(doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    """As score_coarse_mc_likelihood, at fine level."""
    return likelihood_items(doc, results, "fine", active_options(doc, "fine"), is_readable(doc))


def score_attribute_lists(doc: Doc, results: Sequence[Any], similarity: str = "lexical") -> dict[str, Any]:
    """Attribute scores of a reply from the image; see `judge.list_items`.

    `similarity` is bound from the YAML or FINER_SIMILARITY when the task is loaded.
    """
    return list_items(doc, rounds_of(results), similarity_named(similarity), is_readable(doc))


def score_attribute_lists_text(doc: Doc, results: Sequence[Any], similarity: str = "lexical") -> dict[str, Any]:
    """Attribute scores of a reply from the concept's name."""
    return list_items(doc, rounds_of(results), similarity_named(similarity))
