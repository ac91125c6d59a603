"""Where the documents go, as a picture: what is lost at each stage bends down, what is named runs through."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from finer_tasks.diagnose.diagnosis import Diagnosis
from finer_tasks.diagnose.verdict import FATES
from finer_tasks.runs.pages import page_environment
from finer_tasks.statistics.bootstrap import Estimate

_WIDTH, _FLOW, _TOP, _DROP, _BLOCK, _LEFT = 1080, 200, 24, 36, 12, 60
_LINE = 16


@dataclass(frozen=True)
class Band:
    """A share of the documents that leaves the path.

    Attributes:
        number: which of the fates it is, for its colour.
        path: outline of what bends down; x, y, height: the block where it ends; label_y: where its name stands.
        through_x, through_width, through_height: what goes on beside it.
    """

    fate: str
    number: int
    share: Estimate
    path: str
    x: float
    y: float
    height: float
    label_y: float
    through_x: float
    through_width: float
    through_height: float


def draw(one: Diagnosis) -> str:
    """The picture as SVG that needs nothing else."""
    source = (resources.files("finer_tasks.diagnose") / "path.svg.j2").read_text(encoding="utf-8")
    found = bands(one)
    height = max(band.label_y for band in found) + 2 * _LINE
    return (
        page_environment()
        .from_string(source)
        .render(one=one, bands=found, width=_WIDTH, height=height, flow=_FLOW, top=_TOP, block=_BLOCK, left=_LEFT, line=_LINE)
    )


def bands(one: Diagnosis) -> list[Band]:
    """The fates from left to right; shares below zero, which chance may give, have no width."""
    shares = [(fate, max(0.0, share.value), share) for fate, share in one.overall.shares.items()]
    total = sum(value for _, value, _ in shares) or 1.0
    step, left = (_WIDTH - _LEFT) / len(shares), 1.0
    made = []
    for number, (fate, value, share) in enumerate(shares):
        start, height, is_last = _LEFT + number * step, _FLOW * value / total, number == len(shares) - 1
        bottom, end, y = _TOP + _FLOW * left, start + step - _BLOCK, float(_TOP if is_last else _TOP + _FLOW + _DROP)
        left -= value / total
        outline = _outline(start, bottom - height, end, y, height)
        label_y = y + height + _LINE
        made.append(
            Band(fate, colour(fate), share, outline, end, y, height, label_y, start, step, _FLOW * max(0.0, left))
        )  # fmt: skip
    return made


def colour(fate: str) -> int:
    """The number of a fate's colour; of fates that cannot be told apart, that of the last."""
    return FATES.index(fate.split(" or ")[-1])


def _outline(x: float, y: float, end: float, end_y: float, height: float) -> str:
    """A ribbon of one height from a point to another."""
    middle = (x + end) / 2
    there = f"M{x:.1f},{y:.1f} C{middle:.1f},{y:.1f} {middle:.1f},{end_y:.1f} {end:.1f},{end_y:.1f}"
    low, end_low = y + height, end_y + height
    back = f"L{end:.1f},{end_low:.1f} C{middle:.1f},{end_low:.1f} {middle:.1f},{low:.1f} {x:.1f},{low:.1f} Z"
    return f"{there} {back}"
