"""Causes that a user of the training commands can mend."""

from __future__ import annotations

from finer_tasks.errors import FinerError


class RecipeError(FinerError):
    """A recipe is unreadable, has an unknown key or a value that does not fit."""


class MixtureError(FinerError):
    """A mixture cannot be built, read, or used with a model."""


class TrainingError(FinerError):
    """A run cannot be started, or cannot go on."""
