"""What a result says of the model that gave it: the weights, how they were run, how long its replies could be, and which
an earlier run had left.

None is known when a task is bound, since lmms-eval builds the model apart. So it is written into the configs of our
tasks at the start of lmms-eval's `evaluate`, which has both.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from accelerate.utils import gather_object

from finer_tasks.models.describing import describe
from finer_tasks.models.fingerprint import weights_fingerprint
from finer_tasks.tasks.contract import require
from finer_tasks.tasks.limits import state_limits

# Where a result file tells of replies that were kept.
REPLIES = "finer_replies"

# What backends of lmms-eval call the model that they load; and the argument of those that ask a server, whose weights
# cannot be seen from here, whatever the model is called.
_NAMES: Mapping[str, str] = dict.fromkeys(("model", "model_path", "model_name", "model_version"), "pretrained")
_SERVER = "base_url"


# The parts of a result's metadata that say so; all others are of the task itself.
OF_MODEL = ("weights", "backend")


def extend_evaluate() -> None:
    """Let lmms-eval's `evaluate` write weights and backend into the metadata of our tasks, and tell of kept replies, once.

    Raises ChangedLmmsEvalError.
    """
    from lmms_eval import evaluator

    require("lmms_eval.evaluator", "evaluate", ("lm", "task_dict"))
    if getattr(evaluator.evaluate, "_finer_recorded", False):
        return
    evaluate = evaluator.evaluate

    @functools.wraps(evaluate)
    def recorded(lm: Any, task_dict: Any, *args: Any, **kwargs: Any) -> Any:
        record(lm, task_dict, kwargs.get("cli_args"))
        state_limits(lm, configs_in(task_dict))
        return tell_replies(lm, evaluate(lm, task_dict, *args, **kwargs))

    recorded._finer_recorded = True  # type: ignore[attr-defined]
    evaluator.evaluate = recorded


def record(model: Any, tasks: Mapping[Any, Any], arguments: Any = None) -> None:
    """Write `weights` and `backend` into the identity of our tasks; `arguments` are those of lmms-eval's command."""
    identities = list(identities_in(tasks))
    if not identities:
        return
    told = dict(zip(OF_MODEL, (_weights(model, arguments), describe(model)), strict=True))
    for identity in identities:
        identity.update({key: value for key, value in told.items() if value})


def tell_replies(model: Any, results: Any) -> Any:
    """The results of lmms-eval with what `finer_hf` took from its journal, counted over all processes.

    The results are None on all processes but the first; every process has to call this.
    """
    journal = getattr(model, "journal", None)
    if journal is None:
        return results
    counts = gather_object([(journal.reused, journal.generated)])
    if results is None:
        return None
    reused, generated = (sum(column) for column in zip(*counts, strict=True))
    return results | {REPLIES: {"folder": str(journal.folder), "reused": reused, "generated": generated}}


def identities_in(tasks: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    """What identifies each task of ours among these and in the groups among them."""
    return (config.metadata["finer"] for config in configs_in(tasks))


def configs_in(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    """lmms-eval's config of each task of ours among these and in the groups among them."""
    for task in tasks.values():
        if isinstance(task, dict):
            yield from configs_in(task)
        elif isinstance(metadata := getattr(getattr(task, "config", None), "metadata", None), dict) and "finer" in metadata:
            yield task.config


def _weights(model: Any, arguments: Any) -> str:
    """Fingerprint of the weights; empty where they are in memory and may be any, or lie on a server.

    The same weights have one, by whichever argument a backend takes them.
    """
    from lmms_eval.utils import simple_parse_args_string

    told = getattr(model, "loaded_from", None)
    if told is None:
        given = getattr(arguments, "model_args", None)
        told = simple_parse_args_string(given) if isinstance(given, str) else given
    if not isinstance(told, Mapping) or _SERVER in told:
        return ""
    return weights_fingerprint({_NAMES.get(str(key), str(key)): value for key, value in told.items()})
