"""Numbers as they stand in tables."""

from __future__ import annotations

import math


def number(value: float, digits: int = 3) -> str:
    """The number, a dash for nan."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def with_error(value: float, error: float) -> str:
    """The number and its standard error where that is known."""
    return number(value) if math.isnan(error) else f"{number(value)} ±{error:.3f}"
