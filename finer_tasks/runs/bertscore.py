"""BERTScore of logged attribute lists, an optional extra (`pip install finer-tasks[bertscore]`)."""

from __future__ import annotations

from finer_tasks.attributes.knowledge import load_knowledge
from finer_tasks.errors import ResultsError, in_one_line
from finer_tasks.runs.reading import Run, TaskRun
from finer_tasks.scoring.attributes import linearise


def bertscore(run: Run, model: str, layers: int | None = None) -> dict[str, float]:
    """Mean BERTScore F1 by task of a run's attribute tasks (Zhang et al. 2020), lists linearised as for ROUGE.

    `model` is a name or path for transformers; `layers` which layer's states to take, needed where
    bert-score does not know the model. Raises ResultsError if the package is not installed, or no task makes lists.
    """
    try:
        from bert_score import score
    except ImportError as error:
        raise ResultsError(f"BERTScore needs a package that is not installed ({error}). pip install bert-score") from error
    tasks = [task for task in run.tasks if task.lists_attributes]
    if not tasks:
        raise ResultsError(f"BERTScore compares attribute lists, and no task of {run.path} makes any")
    found = {}
    for task in tasks:
        generated, references = _texts(task)
        try:
            _, _, f1 = score(generated, references, model_type=model, num_layers=layers, verbose=False)
        except KeyError as problem:  # of its table of models
            raise ResultsError(
                f"BERTScore with {model}: bert-score does not know which layer of it to take. Give it as MODEL:LAYERS, "
                "in the middle of the model or after it"
            ) from problem
        except (OSError, ValueError, AssertionError) as problem:
            raise ResultsError(f"BERTScore with {model}: {in_one_line(problem)}") from problem
        found[task.name] = float(f1.mean())
    return found


def _texts(task: TaskRun) -> tuple[list[str], list[str]]:
    knowledge = load_knowledge(task.identity["dataset"])
    generated, references = [], []
    for sample in task.samples:
        lists, truth = sample.items["attr_f1"], knowledge[sample.record["concept_id"]]
        generated.append(linearise(lists["required"], lists["likely"]) or "none")
        references.append(linearise(truth.required, truth.likely) or "none")
    return generated, references
