"""What a run has done since its first step: kept in every checkpoint, so that a resumed run reports all of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from finer_tasks.writing import write_text

FILE = "progress.json"


@dataclass
class Progress:
    """The loss of every step and the mean reward where answers earn one, evaluations by step, seconds spent and waited."""

    losses: list[float] = field(default_factory=list)
    evaluations: dict[int, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    waited: float = 0.0
    rewards: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pending: list[torch.Tensor] = []  # on the device: to read each would make the device wait
        self._since = time.monotonic()

    @classmethod
    def load(cls, checkpoint: Path) -> Progress:
        """What a checkpoint holds; raises OSError, ValueError, TypeError or KeyError where it is no such file."""
        values = json.loads((checkpoint / FILE).read_text(encoding="utf-8"))
        values["evaluations"] = {int(step): found for step, found in values["evaluations"].items()}
        return cls(**values)

    def save(self, checkpoint: Path) -> None:
        """Write it into a checkpoint's folder."""
        self.tick()
        write_text(checkpoint / FILE, json.dumps(asdict(self)) + "\n")

    @property
    def steps(self) -> int:
        """Steps whose loss is known."""
        return len(self.losses) + len(self._pending)

    def add(self, loss: torch.Tensor) -> None:
        """Add the loss of a step, as this process sees it."""
        self._pending.append(loss)

    def settle(self, mean_over_processes: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Bring the losses added since the last time from the device; all processes call it together."""
        if self._pending:
            self.losses += mean_over_processes(torch.stack(self._pending)).tolist()
            self._pending.clear()

    def mean(self, since: int = 0) -> float:
        """Mean loss of the settled steps after step `since`; not a number where there is none."""
        losses = self.losses[since:]
        return sum(losses) / len(losses) if losses else float("nan")

    def start(self) -> None:
        """Begin to count seconds."""
        self._since = time.monotonic()

    def tick(self) -> None:
        """Count the seconds since the last time."""
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
