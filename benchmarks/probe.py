"""Time of the probes of one point at the size of CUB: 5,994 documents to fit, 5,794 to test, 200 labels, 1,024 features.

    OMP_NUM_THREADS=2 python benchmarks/probe.py [--per-class 30] [--width 1024]

Features are clouds around a centre for each label, on axes of very different spread, mixed by a rotation. Beside it, the
fit of the same objective by scikit-learn at the chosen weight decay, and whether both name the same labels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from record import save
from sklearn.linear_model import LogisticRegression

from finer_tasks.probe.controls import held_out, shuffled
from finer_tasks.probe.fitting import FITS, Fold, fit_linear, linear_scores, mlp_scores, neighbour_scores

LABELS = 200


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--per-class", type=int, default=30)
    parser.add_argument("--width", type=int, default=1024)
    arguments = parser.parse_args()
    fold, wanted = clouds(arguments.per_class, arguments.width)
    random = Fold(fold.train, torch.from_numpy(shuffled(fold.labels.numpy(), 0)), fold.held, fold.test, LABELS)
    seconds: dict[str, dict[str, float]] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        started, worked = time.perf_counter(), time.process_time()
        found = call()
        # The processor's time of all threads tells more than the clock where a machine has other work.
        seconds[name] = {
            "clock": round(time.perf_counter() - started, 1),
            "processor": round(time.process_time() - worked, 1),
        }
        print(name, seconds[name], flush=True)
        return found

    scores, decay = timed("linear", lambda: linear_scores(fold))
    timed("linear_shuffled", lambda: linear_scores(random))
    timed("mlp", lambda: mlp_scores(fold, 0))
    timed("neighbour", lambda: neighbour_scores(fold))
    ours = timed("one_linear_fit", lambda: fit_linear(fold.train, fold.labels, LABELS, decay, 1e-5))(fold.test).argmax(1)
    model = LogisticRegression(C=1 / (decay * len(fold.labels)), max_iter=1000, tol=1e-5)
    theirs = timed("one_fit_of_scikit_learn", lambda: model.fit(fold.train.numpy(), fold.labels.numpy())).predict(
        fold.test.numpy()
    )
    save(
        "probe",
        {
            "documents": [len(fold.train), len(fold.test)],
            "width": arguments.width,
            "labels": LABELS,
            "threads": torch.get_num_threads(),
            "fits_of_a_linear_probe": FITS,
            "seconds": seconds,
            "weight_decay": decay,
            "top1": round(float((scores.argmax(1) == wanted).float().mean()), 4),
            "same_label_as_scikit_learn": round(float((ours.numpy() == theirs).mean()), 4),
        },
    )


def clouds(each: int, width: int) -> tuple[Fold, torch.Tensor]:
    """Standardised features, and the labels of those to test."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.arange(1, width + 1).float() ** -0.5
    centres = torch.randn(LABELS, width, generator=generator) * spread * 0.45
    turn = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
    labels = torch.arange(LABELS).repeat(each)
    parts = [(centres[labels] + torch.randn(len(labels), width, generator=generator) * spread) @ turn for _ in range(2)]
    mean, deviation = parts[0].mean(0), parts[0].std(0)
    train, test = ((part - mean) / deviation for part in parts)
    held = torch.from_numpy(held_out([str(label) for label in labels.tolist()], 0))
    return Fold(train, labels, held, test, LABELS), labels


if __name__ == "__main__":
    main()
