"""Outlined polygons in the coordinates of the object that is drawn.

Every point is rounded to an integer before it is drawn, so that a seed gives the same bytes on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageDraw

PALETTE = {
    "red": (204, 44, 44),
    "orange": (238, 138, 34),
    "yellow": (240, 214, 60),
    "green": (48, 140, 66),
    "blue": (48, 96, 200),
    "purple": (134, 66, 172),
    "pink": (236, 140, 170),
    "brown": (122, 78, 42),
    "tan": (206, 172, 122),
    "black": (36, 36, 40),
    "gray": (142, 146, 152),
    "white": (244, 244, 240),
}
OUTLINE = (30, 28, 32)
Point = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """Where and how the object stands; lengths in canvas pixels, the angle in radians."""

    x: float
    y: float
    scale: float
    angle: float
    flip: bool

    def place(self, point: Point) -> tuple[int, int]:
        px, py = (-point[0] if self.flip else point[0]), point[1]
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return round(self.x + self.scale * (px * cos - py * sin)), round(self.y + self.scale * (px * sin + py * cos))


class Pen:
    """Draws outlined polygons in the object's own coordinates, about -50…50 each way, y down."""

    def __init__(self, draw: ImageDraw.ImageDraw, pose: Pose) -> None:
        self.draw, self.pose = draw, pose
        self.line_width = max(2, round(1.6 * pose.scale))
        self.drawn: list[tuple[int, int]] = []

    def polygon(self, points: Sequence[Point], color: str | tuple[int, int, int], outlined: bool = True) -> None:
        placed = self._place(points)
        self.draw.polygon(placed, fill=_rgb(color))
        if outlined:
            self.draw.line([*placed, placed[0]], fill=OUTLINE, width=self.line_width, joint="curve")

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, color: str | tuple[int, int, int], outlined: bool = True
    ) -> None:
        steps = [2 * math.pi * step / 28 for step in range(28)]
        self.polygon([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in steps], color, outlined)

    def line(self, points: Sequence[Point], color: str | tuple[int, int, int], width: float) -> None:
        placed = self._place(points)
        self.draw.line(placed, fill=_rgb(color), width=max(2, round(width * self.pose.scale)), joint="curve")

    def _place(self, points: Sequence[Point]) -> list[tuple[int, int]]:
        placed = [self.pose.place(point) for point in points]
        self.drawn += placed
        return placed

    def eye(self, x: float, y: float, r: float) -> None:
        self.ellipse(x, y, r, r, "white", outlined=False)
        self.ellipse(x, y, r * 0.6, r * 0.6, OUTLINE, outlined=False)


def _rgb(color: str | tuple[int, int, int]) -> tuple[int, int, int]:
    return PALETTE[color] if isinstance(color, str) else color
