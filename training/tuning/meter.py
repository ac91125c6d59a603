"""Speed of a run: samples and tokens per second, memory, model FLOPs utilisation, and time spent waiting for data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from finer_tasks.training.tuning.packing import lengths_of

# Dense bfloat16 tensor-core peaks in FLOP/s, from the vendors' data sheets.
PEAK_FLOPS = {
    "H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "A40": 150e12, "A10": 125e12, "L4": 121e12,
    "RTX 4090": 165e12, "RTX 3090": 71e12, "V100": 125e12,
}  # fmt: skip


def peak_flops() -> float | None:
    """Peak of the GPU in use, None where it is not known or there is none."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((peak for known, peak in PEAK_FLOPS.items() if known in name), None)


@dataclass(frozen=True)
class Cost:
    """FLOPs of training with frozen weights.

    A token costs 2 N forward and 2 N backward for the activations, N being the frozen weights of the
    language model; its trained weights T cost 6 T (forward, activations, weights). Attention adds
    12 L d s / 2 a token for causal sequences of length s (Chowdhery et al. 2022, appendix B).
    Recomputation under gradient checkpointing and the vision encoder are not counted, so this is
    the language model's share.
    """

    frozen: int
    trained: int
    layers: int
    width: int

    def flops(self, tokens: int, squared: int) -> float:
        """Of a batch with this many tokens, and this sum of squared lengths."""
        return (4.0 * self.frozen + 6.0 * self.trained) * tokens + 6.0 * self.layers * self.width * squared


class Meter:
    """Counts what goes through, and reports it since the last report."""

    def __init__(self, cost: Cost, processes: int = 1) -> None:
        self.cost, self.processes, self.peak = cost, processes, peak_flops()
        self.reset()

    def reset(self) -> None:
        self.started = time.perf_counter()
        self.samples = self.tokens = self.squared = 0
        self.waited = 0.0

    def count(self, inputs: Mapping[str, Any]) -> None:
        """Count a batch by the tokens of its conversations; padding is no work that counts."""
        lengths = lengths_of(inputs)
        self.samples += len(lengths)
        self.tokens += int(lengths.sum())
        self.squared += int((lengths.long() ** 2).sum())

    def wait(self, seconds: float) -> None:
        """Add time in which the step waited for its data."""
        self.waited += seconds

    def report(self) -> dict[str, float]:
        """Figures since the last report, which they end; samples and tokens over all processes, taken as equally fast."""
        elapsed = max(1e-9, time.perf_counter() - self.started)
        found = {
            "samples_per_second": self.samples * self.processes / elapsed,
            "tokens_per_second": self.tokens * self.processes / elapsed,
            "data_wait_share": self.waited / elapsed,
        }
        if self.peak:
            found["mfu"] = self.cost.flops(self.tokens, self.squared) / elapsed / self.peak
        if torch.cuda.is_available():
            found["memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
        self.reset()
        return {name: float(f"{value:.4g}") for name, value in found.items()}
