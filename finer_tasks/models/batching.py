"""Ordering requests, preparing batches in the background, and backing off when memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from loguru import logger

from finer_tasks.errors import ModelError

Job = TypeVar("Job")
Result = TypeVar("Result")


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

    When a batch does not fit in memory the batch size is halved for the rest of the run.
    """

    def __init__(self, batch_size: int, workers: int) -> None:
        self.batch_size = batch_size
        self.workers = max(1, workers)

    def map(
        self,
        jobs: Sequence[Job],
        prepare: Callable[[list[Job]], Any],
        run: Callable[[list[Job], Any], list[Result]],
    ) -> Iterator[tuple[list[Job], list[Result]]]:
        """Yield each batch with its results, in the order of `jobs`; at most a few batches are prepared ahead."""
        waiting: deque[list[Job]] = deque(_split(list(jobs), self.batch_size))
        ahead: deque[tuple[list[Job], Future[Any]]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="finer-prepare") as pool:
            try:
                while waiting or ahead:
                    while waiting and len(ahead) <= self.workers:
                        batch = waiting.popleft()
                        ahead.append((batch, pool.submit(prepare, batch)))
                    batch, prepared = ahead.popleft()
                    yield from self._run(batch, prepared.result(), prepare, run)
            finally:
                for _, future in ahead:
                    future.cancel()

    def _run(
        self,
        batch: list[Job],
        prepared: Any,
        prepare: Callable[[list[Job]], Any],
        run: Callable[[list[Job], Any], list[Result]],
    ) -> Iterator[tuple[list[Job], list[Result]]]:
        if len(batch) <= self.batch_size:
            try:
                yield batch, run(batch, prepared)
                return
            except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._back_off(len(batch))
        del prepared
        for part in _split(batch, self.batch_size):
            yield from self._run(part, prepare(part), prepare, run)

    def _back_off(self, failed: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if failed == 1:
            raise ModelError(
                "out of memory with a batch of one. Use a smaller dtype, load_in_4bit=True, or a larger device"
            ) from None
        self.batch_size = max(1, failed // 2)
        logger.warning(f"Out of memory with batches of {failed}; going on with {self.batch_size}")


def _split(jobs: list[Job], size: int) -> list[list[Job]]:
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
