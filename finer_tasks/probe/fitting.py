"""Fitting probes: a linear one whose weight decay is chosen on a part of train, the paper's MLP, and the nearest neighbour.

All take standardised features of shape (documents, width) and give scores of shape (test documents, labels).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# CLIP's search (Radford et al. 2021, appendix A.3): a coarse grid, then halved steps around its best, down to 8 a decade.
_GRID = (2.0, 0.0, -2.0, -4.0, -6.0)
_STEPS = (1.0, 0.5, 0.25, 0.125)
FITS = len(_GRID) + 2 * len(_STEPS) + 1
_ITERATIONS, _HISTORY = 1000, 20
# Largest entry of the gradient where a fit ends, while choosing and at last; or a hundredth of it as change of the loss.
_LOOSE, _TIGHT = 1e-4, 1e-5
MLP_EPOCHS, MLP_WIDTH, _MLP_BATCH, _MLP_RATE = 10, 512, 64, 1e-3
_BLOCK = 1024


@dataclass(frozen=True)
class Fold:
    """Features and labels to fit on, features to score; `held` marks the documents on which the weight decay is chosen."""

    train: Tensor
    labels: Tensor
    held: Tensor
    test: Tensor
    classes: int


@dataclass(frozen=True)
class Linear:
    """A linear probe: weights of shape (width, labels) and biases."""

    weights: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return torch.addmm(self.bias, features, self.weights)


def fit_linear(
    features: Tensor, labels: Tensor, classes: int, decay: float, tolerance: float, start: Linear | None = None
) -> Linear:
    """Multinomial logistic regression by L-BFGS, from a solution at another weight decay where there is one.

    The least of mean cross-entropy plus half the weight decay times the sum of squared weights; biases are free.
    """
    zero = features.new_zeros(features.shape[1] + 1, classes)
    weights = (zero[:-1] if start is None else start.weights).clone().requires_grad_()
    bias = (zero[-1] if start is None else start.bias).clone().requires_grad_()
    descent = torch.optim.LBFGS(
        [weights, bias], max_iter=_ITERATIONS, history_size=_HISTORY, line_search_fn="strong_wolfe",
        tolerance_grad=tolerance, tolerance_change=tolerance / 100,
    )  # fmt: skip

    def loss() -> Tensor:
        descent.zero_grad()
        value = functional.cross_entropy(features @ weights + bias, labels) + decay / 2 * (weights**2).sum()
        value.backward()
        return value

    descent.step(loss)
    return Linear(weights.detach(), bias.detach())


def linear_choice(train: Tensor, labels: Tensor, held: Tensor, test: Tensor) -> tuple[Tensor, float]:
    """The label that a linear probe gives each row of test, and its weight decay.

    Features of shape (documents, width) are standardised here by those of train; labels are 0, 1, …; `held` as in Fold.
    """
    mean, spread = train.mean(0), train.std(0).clamp_min(1e-6)
    fold = Fold((train - mean) / spread, labels, held, (test - mean) / spread, int(labels.max()) + 1)
    scores, decay = linear_scores(fold)
    return scores.argmax(1), decay


def linear_scores(fold: Fold) -> tuple[Tensor, float]:
    """Scores of test by a linear probe on all of train, and the weight decay that was best on its held-out part.

    Of equally many right there, the one with the lower loss. Every call makes the same number of fits, FITS.
    """
    fitted, labels = fold.train[~fold.held], fold.labels[~fold.held]
    shown, wanted = fold.train[fold.held], fold.labels[fold.held]
    solutions: dict[float, Linear] = {}
    quality: dict[float, tuple[float, float]] = {}

    def look_at(exponent: float) -> None:
        nearest = min(solutions, key=lambda other: abs(other - exponent), default=None)
        start = None if nearest is None else solutions[nearest]
        solutions[exponent] = fit_linear(fitted, labels, fold.classes, 10.0**exponent, _LOOSE, start)
        scores = solutions[exponent](shown)
        right = (scores.argmax(1) == wanted).float().mean()
        quality[exponent] = (float(right), -float(functional.cross_entropy(scores, wanted)))

    def best() -> float:
        return max(quality, key=lambda exponent: quality[exponent])

    for exponent in _GRID:
        look_at(exponent)
    for step in _STEPS:
        middle = best()
        look_at(middle + step)
        look_at(middle - step)
    decay = 10.0 ** best()
    return fit_linear(fold.train, fold.labels, fold.classes, decay, _TIGHT, solutions[best()])(fold.test), decay


def mlp_scores(fold: Fold, seed: int) -> Tensor:
    """Scores of test by a perceptron with one hidden layer, trained for 10 epochs as in the paper."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        width = fold.train.shape[1]
        probe = nn.Sequential(nn.Linear(width, MLP_WIDTH), nn.ReLU(), nn.Linear(MLP_WIDTH, fold.classes)).to(fold.train.device)
        steps = torch.optim.AdamW(probe.parameters(), lr=_MLP_RATE)
        for _ in range(MLP_EPOCHS):
            for batch in torch.randperm(len(fold.train)).split(_MLP_BATCH):
                steps.zero_grad()
                functional.cross_entropy(probe(fold.train[batch]), fold.labels[batch]).backward()
                steps.step()
    with torch.inference_mode():
        scores: Tensor = probe(fold.test)
    return scores


def neighbour_scores(fold: Fold) -> Tensor:
    """For each label the cosine of the nearest document of train that has it; nothing is trained."""
    known = functional.normalize(fold.train, dim=1)
    found = torch.full((len(fold.test), fold.classes), -torch.inf, device=fold.train.device)
    for start in range(0, len(fold.test), _BLOCK):
        cosines = functional.normalize(fold.test[start : start + _BLOCK], dim=1) @ known.T
        labels = fold.labels.expand(len(cosines), -1)
        found[start : start + _BLOCK].scatter_reduce_(1, labels, cosines, "amax")
    return found
