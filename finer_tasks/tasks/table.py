"""Every task as data: ways of asking x levels x datasets.

The one place that knows the tasks. `generate` writes task_yamls/ from it; listings, submissions and
recipes read it. A new dataset is a row of datasets/registry.py, a new way of asking a row of VARIANTS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from finer_tasks.datasets.record import LEVELS
from finer_tasks.datasets.registry import READERS, dataset_names
from finer_tasks.scoring.closed import KINDS
from finer_tasks.tasks.versions import version_of

# The module of the functions that tasks name.
HOOKS = "finer_tasks.tasks.hooks"
_WITH_PARENT = LEVELS[1:]


@dataclass(frozen=True)
class Metric:
    """A figure of a task: the key that scoring returns, and the function of hooks.py that aggregates it."""

    name: str
    aggregation: str = "mean"
    higher_is_better: bool = True


@dataclass(frozen=True)
class Variant:
    """One way of asking: a template for each of its levels, and a task for each of those and each dataset.

    Functions are named as in hooks.py; "{level}" in a text stands for the level.

    Attributes:
        name: the end of the names of its tasks, but of direct ones.
        note: heads its templates.
        scorer: process_results, where it is not that of the level.
        levels: those it is asked at.
        prompt: its name in prompt sets and results, where it is not its own.
        asks: whose question of prompt sets it puts, where it is not that of `prompt`.
        choices: doc_to_choice, for those that score names and generate none.
        parent: where the label one level up in the question comes from: gold, predicted or none.
        image: whether the image is shown.
        attributes: whether it needs the knowledge base.
        long: whether answers take more room than a name.
        similarity: that of attribute lists, for those that are scored by one.
        next_question: doc_to_text of tasks that ask in several rounds.
        conversation: doc_to_messages, where rounds are turns of one conversation.
        metrics: where they are not those of a name.
        includes: the template it starts from, where it is not that of the level.
        submitted: whether submissions may hold its answers.
    """

    name: str
    note: str
    scorer: str = ""
    levels: tuple[str, ...] = _WITH_PARENT
    prompt: str = ""
    asks: str = ""
    choices: str = ""
    parent: str = "gold"
    image: bool = True
    attributes: bool = False
    long: bool = False
    similarity: str = ""
    next_question: str = ""
    conversation: str = ""
    metrics: tuple[Metric, ...] = ()
    includes: str = ""
    submitted: bool = True

    def settings(self, level: str) -> Mapping[str, str | bool]:
        """lmms_eval_specific_kwargs of a task: what its functions are told."""
        found: dict[str, str | bool] = {"level": level, "parent": self.parent_at(level)}
        if self.prompt_name != "direct":
            found["variant"] = self.prompt_name
        if self.attributes:
            found["attributes"] = True
        if self.similarity:
            found["similarity"] = self.similarity
        return found

    @property
    def prompt_name(self) -> str:
        """What prompt sets and results call it."""
        return self.prompt or self.name

    def parent_at(self, level: str) -> str:
        """Where the parent in the question comes from; above superordinate there is none."""
        return "none" if level == LEVELS[0] else self.parent

    def template(self, level: str) -> str:
        """The name of its template, which is that of its tasks without `finer_<dataset>_`."""
        if self.name == "direct":
            return level
        return self.name if len(self.levels) == 1 else f"{level}_{self.name}"


COUNTS = (
    Metric("corrupt_images", "total", False),
    Metric("failed_requests", "total", False),
    Metric("unfinished_thoughts", "total", False),
)
NAMING = (
    Metric("em"),
    Metric("em_macro", "macro_mean"),
    Metric("f1"),
    Metric("f1_macro", "macro_mean"),
    Metric("em_strict"),
    Metric("em_strict_macro", "macro_mean"),
    Metric("depth"),
    Metric("lca_distance", "mean_of_known", False),
    Metric("named"),
    Metric("echo", "mean", False),
    Metric("em_no_echo", "mean_of_known"),
    Metric("em_strict_no_echo", "mean_of_known"),
    *COUNTS,
)
SEEKING = (
    *NAMING,
    Metric("seek_empty", "total", False),
    Metric("seek_endless", "total", False),
    Metric("seek_named", "total", False),
)
CLOSED = (
    *(
        Metric(f"closed_{figure}_{kind}", aggregation, better)
        for kind in KINDS
        for figure, aggregation, better in (
            ("top1", "mean", True),
            ("top5", "mean", True),
            ("rank", "mean_of_known", False),
            ("ece", "calibration_error", False),
        )
    ),
    *COUNTS,
)
LISTS = (
    Metric("attr_precision"),
    Metric("attr_recall"),
    Metric("attr_f1"),
    Metric("attr_recall_required"),
    Metric("attr_contradiction", "mean", False),
    Metric("attr_hallucination", "mean", False),
    Metric("attr_discriminability"),
    Metric("attr_discriminability_rank", "mean", False),
    Metric("rouge1"),
    Metric("rouge2"),
    Metric("rougeL"),
    Metric("attr_unparsed", "total", False),
    *COUNTS,
)

CHOOSING = (
    Metric("mc"),
    Metric("mc_macro", "macro_mean"),
    Metric("mc_chance", "corrected_for_chance"),
    Metric("mc_chose"),
    Metric("mc_foci_rule"),
    Metric("mc_tara_rule"),
    *COUNTS,
)
CHOOSING_BY_LIKELIHOOD = (
    Metric("mc_letter"),
    Metric("mc_letter_chance", "corrected_for_chance"),
    Metric("mc_name_sum"),
    Metric("mc_name_norm"),
    Metric("mc_name_chance", "corrected_for_chance"),
    *COUNTS,
)
ABSTAINING = (
    *NAMING,
    Metric("answered"),
    Metric("declined", "mean", False),
    Metric("em_answered", "mean_of_known"),
    Metric("em_strict_answered", "mean_of_known"),
)
OPEN = (
    Metric("open_right"),
    Metric("open_named", "mean_of_known"),
    Metric("open_unlisted", "mean_of_known", False),
    Metric("true_refusal", "mean_of_known"),
    Metric("false_refusal", "mean_of_known", False),
    Metric("refusal_balanced", "balanced_refusals"),
    Metric("refusal_f1", "refusal_f1"),
    *COUNTS,
)
YES_NO = (
    Metric("yesno_both"),
    Metric("yesno_accuracy"),
    Metric("yesno_true"),
    Metric("yesno_false"),
    Metric("yesno_dprime", "d_prime"),
    Metric("yesno_yes", "mean_of_known"),
    Metric("yesno_neither", "total", False),
    *COUNTS,
)

DIRECT = Variant("direct", "The direct question at {level} level.", "score_{level}", levels=LEVELS)
VARIANTS = (
    DIRECT,
    Variant("parent_none", "The {level} question without the label one level up.", prompt="direct", parent="none"),
    Variant(
        "parent_predicted", "The {level} question naming the model's own answer one level up; errors propagate.",
        prompt="direct", parent="predicted", next_question="doc_to_text_predicted",
    ),
    Variant(
        "attrseek", "AttrSeek: the visible attributes first, then, in the same conversation, the {level} name.",
        "score_{level}_attrseek", long=True, metrics=SEEKING,
        next_question="doc_to_text_attrseek", conversation="attrseek_messages",
    ),
    Variant("attrseek1", "Attributes and name in one turn.", long=True),
    Variant("cot", "Step by step, zero-shot.", long=True),
    Variant("cot_fewshot", "Step by step, after two worked examples.", long=True),
    Variant(
        "text", "The required attributes as text, no image: what the model knows.",
        "score_{level}_text", image=False, attributes=True,
    ),
    Variant("both", "The image and the required attributes as text.", attributes=True),
    Variant(
        "parent_only", "Neither image nor attributes: what guessing from the parent gives.", "score_{level}_text", image=False
    ),
    Variant(
        "attributes", "The lists of required and likely attributes, from the image. FINER_SIMILARITY replaces the similarity.",
        "score_attribute_lists", levels=("fine",), attributes=True, long=True, similarity="lexical", metrics=LISTS,
    ),
    Variant(
        "attributes_text", "The same lists from the concept's name, without the image.",
        "score_attribute_lists_text", levels=("fine",), image=False, attributes=True, similarity="lexical",
        includes="attributes",
    ),
    Variant(
        "closed", "The direct {level} question; all names of the level are scored by likelihood, none is generated.",
        "score_{level}_closed", levels=LEVELS, asks="direct", choices="{level}_names", metrics=CLOSED,
    ),
    Variant(
        "abstain", "The direct {level} question with leave to decline.",
        "score_{level}_abstain", levels=LEVELS, metrics=ABSTAINING, submitted=False,
    ),
    Variant(
        "abstain_names", "A list of {level} names, from which the right one is missing for half of the documents.",
        "score_{level}_abstain_names", parent="none", metrics=OPEN, submitted=False,
    ),
    Variant(
        "yesno", "Whether it is the true {level} name, and, in a question of its own, whether it is a sibling's.",
        "score_{level}_yesno", parent="none", next_question="doc_to_text_yesno", metrics=YES_NO, submitted=False,
    ),
    Variant(
        "mc", "Which of several {level} options it is, told by letter or name. FINER_CHOICES says which are offered.",
        "score_{level}_mc", parent="none", metrics=CHOOSING, submitted=False,
    ),
    Variant(
        "mc_likelihood", "The same question; letters and names of the options are scored by likelihood, none is generated.",
        "score_{level}_mc_likelihood", asks="mc", choices="{level}_replies", parent="none", metrics=CHOOSING_BY_LIKELIHOOD,
        submitted=False,
    ),
)  # fmt: skip

# By what prompt sets and results call them: ways of asking whose question tells the concept's attributes, and those
# that show no image.
TELLS_ATTRIBUTES = frozenset(variant.prompt_name for variant in VARIANTS if variant.attributes and not variant.similarity)
SHOWS_NO_IMAGE = frozenset(variant.prompt_name for variant in VARIANTS if not variant.image)
# Whose question of prompt sets a way of asking puts, where it is not its own; ways of scoring names.
ASKS = {variant.prompt_name: variant.asks for variant in VARIANTS if variant.asks}
SCORES_NAMES = frozenset(variant.prompt_name for variant in VARIANTS if variant.choices)
# Ways of asking that offer options, which FINER_CHOICES chooses.
OFFERS_OPTIONS = frozenset(variant.prompt_name for variant in VARIANTS if "mc" in (variant.name, variant.asks))
# Ways of asking that are none of the benchmark, which submissions leave out.
NOT_SUBMITTED = frozenset(variant.prompt_name for variant in VARIANTS if not variant.submitted)


@dataclass(frozen=True)
class TaskInfo:
    """One task. `variant` is what prompt sets and results call the way of asking, `way` its row in VARIANTS."""

    name: str
    dataset: str
    level: str
    variant: str
    parent: str
    attributes: bool
    way: str
    version: float


def task_name(dataset: str, variant: Variant, level: str) -> str:
    """finer_<dataset>_<level>, with the way of asking at the end if it is not the direct one."""
    return f"finer_{dataset}_{variant.template(level)}"


def list_tasks() -> tuple[TaskInfo, ...]:
    """All single tasks, sorted by name, those of the user's own datasets among them."""
    return _tasks(dataset_names())


def tasks_by_name() -> Mapping[str, TaskInfo]:
    """All single tasks by name."""
    return _by_name(dataset_names())


@cache
def tasks_of(dataset: str) -> tuple[TaskInfo, ...]:
    """The tasks of a dataset, sorted by name."""
    found = (_info(dataset, variant, level) for variant in VARIANTS for level in variant.levels)
    return tuple(sorted(found, key=lambda task: task.name))


@cache
def _tasks(datasets: tuple[str, ...]) -> tuple[TaskInfo, ...]:
    return tuple(sorted((task for name in datasets for task in tasks_of(name)), key=lambda task: task.name))


@cache
def _by_name(datasets: tuple[str, ...]) -> Mapping[str, TaskInfo]:
    return {task.name: task for task in _tasks(datasets)}


def _info(dataset: str, variant: Variant, level: str) -> TaskInfo:
    version = version_of(dataset, lists=variant.scorer.startswith("score_attribute_lists"))
    name, parent = task_name(dataset, variant, level), variant.parent_at(level)
    return TaskInfo(name, dataset, level, variant.prompt_name, parent, variant.attributes, variant.name, version)


def list_groups() -> Mapping[str, tuple[str, ...]]:
    """All groups with their members: by dataset, and over the datasets by level and by way of asking; `finer` has the first."""
    return _groups(dataset_names())


@cache
def _groups(datasets: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    official = [name for name, reader in READERS.items() if reader.benchmark]
    groups = {f"finer_{name}": _members([name], DIRECT, LEVELS) for name in datasets}
    groups |= {f"finer_{level}": _members(official, DIRECT, (level,)) for level in LEVELS}
    others = (variant for variant in VARIANTS if variant is not DIRECT)
    groups |= {f"finer_{variant.name}": _members(official, variant, variant.levels) for variant in others}
    return {"finer": tuple(f"finer_{name}" for name in official)} | dict(sorted(groups.items()))


def _members(datasets: list[str], variant: Variant, levels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(task_name(dataset, variant, level) for dataset in datasets for level in levels)
