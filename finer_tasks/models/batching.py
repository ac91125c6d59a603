"""Ordering requests, preparing batches in the background, and backing off when memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, takewhile
from typing import Any, TypeVar

import torch
from loguru import logger

from finer_tasks.errors import ModelError
from finer_tasks.models.memory import is_out_of_memory

AUTO_BATCH_SIZE = {"cuda": 64, "cpu": 16}
Job = TypeVar("Job")
Result = TypeVar("Result")


def batch_size_of(wanted: int | str, device: torch.device) -> int:
    """The batch size that a model argument states, or the one that `auto` starts with. Raises ModelError."""
    if str(wanted).startswith("auto"):
        size = AUTO_BATCH_SIZE.get(device.type, 16)
        logger.info(f"Automatic batch size: starting with {size}")
        return size
    size = _number(wanted)
    if size < 1:
        raise ModelError(f"batch_size={wanted}: give a positive number or auto")
    return size


def workers_of(wanted: Any) -> int:
    """The number of threads that a model argument states. Raises ModelError."""
    count = _number(wanted)
    if count < 1:
        raise ModelError(f"workers={wanted}: give a number of threads, at least 1")
    return count


def by_length(jobs: Sequence[Job], length: Callable[[Job], int], key: Callable[[Job], str]) -> list[list[Job]]:
    """Jobs grouped by `key` (equal generation arguments), each group longest first.

    Neighbours of similar length waste little padding, and the largest batch comes first, so that
    a batch size that does not fit shows at once.
    """
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(key(job), []).append(job)
    return [sorted(group, key=length, reverse=True) for group in groups.values()]


class BatchRunner:
    """Runs `run(jobs, prepare(jobs))` over batches, `prepare` in background threads.

    When a batch does not fit in memory the batch size is halved for the rest of the run, and every
    batch from there on has the new size. Until a batch has fitted, none is prepared ahead: it would
    have to be prepared once more.
    """

    def __init__(self, batch_size: int, workers: int) -> None:
        self.batch_size = batch_size
        self.workers = workers
        self._fitted = False

    def map(
        self,
        jobs: Sequence[Job],
        prepare: Callable[[list[Job]], Any],
        run: Callable[[list[Job], Any], list[Result]],
        together: Callable[[Job], Hashable] = id,
    ) -> Iterator[tuple[list[Job], list[Result]]]:
        """Yield each batch with its results, in the order of `jobs`; at most a few batches are prepared ahead.

        Neighbours with the same `together` are in one batch where it has room for all of them.
        """
        waiting = deque(jobs)
        ahead: deque[tuple[list[Job], Future[Any]]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="finer-prepare") as pool:
            try:
                while waiting or ahead:
                    while waiting and len(ahead) <= (self.workers if self._fitted else 0):
                        batch = _next_batch(waiting, self.batch_size, together)
                        ahead.append((batch, pool.submit(prepare, batch)))
                    batch, prepared = ahead.popleft()
                    results = self._try(batch, prepared.result(), run)
                    if results is None:
                        waiting.extendleft(reversed(batch + _taken_back(ahead)))
                    else:
                        yield batch, results
            finally:
                _taken_back(ahead)

    def _try(self, batch: list[Job], prepared: Any, run: Callable[[list[Job], Any], list[Result]]) -> list[Result] | None:
        """The results of a batch; None, with the batch size halved, where it does not fit."""
        try:
            results = run(batch, prepared)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            self._fitted = True
            return results
        # Outside the handler, where the error and its traceback would keep the batch's tensors in memory.
        self._back_off(len(batch))
        return None

    def _back_off(self, failed: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if failed == 1:
            raise ModelError("out of memory with a batch of one. Use a smaller dtype, load_in_4bit=True, or a larger device")
        self.batch_size, self._fitted = failed // 2, False
        logger.warning(f"Out of memory with batches of {failed}; going on with {self.batch_size}")


def _next_batch(waiting: deque[Job], size: int, together: Callable[[Job], Hashable]) -> list[Job]:
    batch = [waiting.popleft()]
    while waiting and len(batch) < size:
        key = together(waiting[0])
        if key != together(batch[-1]):
            group = takewhile(lambda job: together(job) == key, islice(waiting, size))  # noqa: B023 (used at once)
            if len(batch) + sum(1 for _ in group) > size:
                break
        batch.append(waiting.popleft())
    return batch


def _taken_back(ahead: deque[tuple[list[Job], Future[Any]]]) -> list[Job]:
    """The jobs of the batches that were prepared ahead, in order; what has not begun is not prepared."""
    jobs = []
    while ahead:
        batch, prepared = ahead.popleft()
        prepared.cancel()
        jobs += batch
    return jobs


def _number(value: Any) -> int:
    """The whole number that a model argument states, 0 if it states none."""
    try:
        return 0 if isinstance(value, bool) else int(value)
    except (ValueError, TypeError):
        return 0
