"""The shapes of mini: a function draws each, with colours given by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from finer_tasks.datasets.mini.pen import OUTLINE, Pen, Point

GLASS = (170, 214, 232)
TIRE = (40, 40, 44)
Parts = dict[str, str]


def finch(pen: Pen, parts: Parts) -> None:
    pen.line([(-4, 26), (-6, 44)], OUTLINE, 3)
    pen.line([(8, 26), (8, 44)], OUTLINE, 3)
    pen.polygon([(-20, 8), (-52, 18), (-48, 32), (-16, 22)], parts["tail"])
    pen.ellipse(0, 8, 28, 22, parts["body"])
    pen.ellipse(6, 16, 17, 12, parts["belly"], outlined=False)
    pen.polygon([(-16, 0), (8, -4), (-2, 14), (-26, 18)], parts["wing"])
    if parts["crest"] != "none":
        pen.polygon([(10, -30), (8, -48), (20, -40), (28, -48), (32, -28)], parts["crest"])
    pen.ellipse(22, -16, 16, 15, parts["body"])
    pen.polygon([(35, -22), (52, -14), (35, -8)], parts["beak"])
    pen.eye(26, -19, 5)


def heron(pen: Pen, parts: Parts) -> None:
    pen.line([(-6, 16), (-8, 50)], OUTLINE, 3)
    pen.line([(6, 16), (10, 50)], OUTLINE, 3)
    pen.polygon([(-24, 2), (-50, 10), (-46, 22), (-20, 14)], parts["tail"])
    pen.ellipse(-4, 6, 27, 15, parts["body"])
    pen.polygon([(-20, -4), (10, -2), (0, 12), (-34, 16)], parts["wing"])
    pen.polygon([(12, 6), (28, -18), (20, -34), (32, -38), (40, -16), (24, 14)], parts["belly"])
    if parts["crest"] != "none":
        pen.polygon([(26, -46), (4, -50), (22, -38)], parts["crest"])
    pen.ellipse(29, -40, 11, 9, parts["body"])
    pen.polygon([(37, -45), (64, -37), (37, -34)], parts["beak"])
    pen.eye(31, -42, 4)


def duck(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-34, 6), (-54, -10), (-48, 14)], parts["tail"])
    pen.ellipse(-4, 16, 38, 21, parts["belly"])
    pen.polygon([(-28, 8), (10, 4), (2, 24), (-34, 22)], parts["wing"])
    pen.polygon([(16, 6), (18, -16), (36, -16), (34, 14)], parts["body"])
    pen.ellipse(28, -24, 16, 15, parts["body"])
    pen.polygon([(40, -28), (60, -22), (60, -15), (40, -16)], parts["beak"])
    pen.eye(32, -28, 5)
    for x in (-44, -14, 16, 46):
        pen.line([(x - 12, 36), (x, 32), (x + 12, 36)], (80, 150, 210), 3)


def owl(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-12, 34), (-16, 54), (16, 54), (12, 34)], parts["tail"])
    pen.ellipse(0, 12, 28, 32, parts["body"])
    pen.ellipse(0, 18, 16, 22, parts["belly"])
    pen.polygon([(-24, -8), (-36, 18), (-22, 36), (-18, 8)], parts["wing"])
    pen.polygon([(24, -8), (36, 18), (22, 36), (18, 8)], parts["wing"])
    if parts["crest"] != "none":
        pen.polygon([(-26, -30), (-28, -54), (-8, -40)], parts["crest"])
        pen.polygon([(26, -30), (28, -54), (8, -40)], parts["crest"])
    pen.ellipse(0, -24, 27, 20, parts["body"])
    pen.eye(-11, -25, 9)
    pen.eye(11, -25, 9)
    pen.polygon([(-5, -19), (5, -19), (0, -8)], parts["beak"])


def jetliner(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-40, -4), (-56, -36), (-40, -36), (-20, -6)], parts["tail"])
    pen.polygon([(-52, -6), (40, -8), (56, 2), (40, 12), (-36, 12)], parts["body"])
    if parts["stripe"] != "none":
        pen.polygon([(-46, 3), (52, 3), (46, 9), (-40, 9)], parts["stripe"], outlined=False)
    pen.polygon([(8, 6), (-30, 36), (-14, 36), (26, 6)], parts["wing"])
    pen.ellipse(2, 20, 10, 6, "gray")
    _windows(pen, parts, range(-28, 36, 10), -2)
    pen.polygon([(42, -7), (50, -3), (42, -1)], GLASS, outlined=False)


def biplane(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-40, 2), (-54, -20), (-38, -22), (-28, 0)], parts["tail"])
    pen.polygon([(-50, 0), (30, -8), (38, 4), (30, 16), (-20, 12)], parts["body"])
    pen.line([(-2, -30), (-2, 20)], OUTLINE, 3)
    pen.line([(22, -30), (22, 20)], OUTLINE, 3)
    pen.polygon([(-14, -36), (34, -36), (34, -26), (-14, -26)], parts["wing"])
    pen.polygon([(-14, 16), (34, 16), (34, 26), (-14, 26)], parts["wing"])
    pen.line([(42, -22), (42, 30)], "brown", 4)
    pen.ellipse(10, 38, 8, 8, TIRE)


def glider(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-48, 2), (-58, -22), (-46, -22), (-36, 2)], parts["tail"])
    pen.polygon([(-56, 0), (20, -6), (46, 6), (20, 14), (-30, 8)], parts["body"])
    if parts["stripe"] != "none":
        pen.polygon([(-44, 2), (40, 5), (34, 10), (-34, 7)], parts["stripe"], outlined=False)
    pen.polygon([(4, 0), (-14, -50), (-2, -50), (18, 0)], parts["wing"])
    pen.polygon([(4, 8), (-18, 46), (-6, 46), (18, 8)], parts["wing"])
    pen.polygon([(20, -5), (36, 2), (22, 4)], GLASS)


def seaplane(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-38, 0), (-52, -28), (-36, -30), (-22, -2)], parts["tail"])
    pen.line([(-10, 10), (-14, 32)], OUTLINE, 3)
    pen.line([(16, 10), (20, 32)], OUTLINE, 3)
    pen.polygon([(-50, -4), (30, -10), (44, 2), (32, 14), (-20, 12)], parts["body"])
    pen.polygon([(-8, -22), (28, -22), (28, -14), (-8, -14)], parts["wing"])
    pen.polygon([(-34, 30), (34, 30), (48, 36), (34, 44), (-30, 44)], "white")
    _windows(pen, parts, range(-14, 34, 12), 0)
    pen.line([(46, -16), (46, 18)], "brown", 4)


def _windows(pen: Pen, parts: Parts, xs: range, y: float) -> None:
    if parts["windows"] == "round":
        for x in xs:
            pen.ellipse(x, y, 3.4, 3.4, OUTLINE, outlined=False)


def _dog(pen: Pen, parts: Parts, leg: float, length: float, tail: Sequence[Point], ear: Sequence[Point]) -> None:
    """`leg` and `length` are the proportions; tail and ear are polygons near rump and head."""
    back = 10 - leg * 0.3
    for x in (-length + 6, -length + 18, length - 18, length - 6):
        pen.polygon([(x - 5, back + 8), (x + 5, back + 8), (x + 5, back + 14 + leg), (x - 5, back + 14 + leg)], parts["body"])
    pen.polygon([(x - length, y + back) for x, y in tail], parts["tail"])
    pen.ellipse(0, back, length + 4, 17, parts["body"])
    pen.ellipse(length - 6, back + 4, 11, 12, parts["chest"], outlined=False)
    if parts["spots"] != "none":
        for x, y, r in ((-length * 0.6, -6, 6), (-length * 0.1, 2, 7), (length * 0.35, -7, 6)):
            pen.ellipse(x, back + y, r, r * 0.85, parts["spots"], outlined=False)
    hx, hy = length + 6, back - 26
    pen.polygon([(hx - 12, hy + 2), (hx + 6, hy + 8), (hx - 2, back + 6), (hx - 22, back - 2)], parts["body"])
    if parts["collar"] != "none":
        pen.polygon([(hx - 16, hy + 14), (hx + 4, hy + 19), (hx + 1, hy + 26), (hx - 20, hy + 20)], parts["collar"])
    pen.ellipse(hx, hy, 15, 13, parts["body"])
    pen.polygon([(hx + 8, hy - 4), (hx + 26, hy + 2), (hx + 26, hy + 9), (hx + 8, hy + 11)], parts["body"])
    pen.ellipse(hx + 26, hy + 3, 4, 4, OUTLINE, outlined=False)
    pen.polygon([(hx + x, hy + y) for x, y in ear], parts["ears"])
    pen.eye(hx + 6, hy - 3, 4)


def hound(pen: Pen, parts: Parts) -> None:
    tail = [(0, -4), (-18, -26), (-11, -30), (8, -8)]
    _dog(pen, parts, 30, 27, tail, [(-14, -8), (-2, -10), (-2, 18), (-14, 20), (-18, 6)])


def terrier(pen: Pen, parts: Parts) -> None:
    tail = [(0, -8), (-4, -30), (5, -30), (9, -10)]
    _dog(pen, parts, 20, 21, tail, [(-12, -8), (-10, -28), (2, -11)])


def spitz(pen: Pen, parts: Parts) -> None:
    tail = [(4, -12), (-14, -22), (-10, -38), (8, -40), (18, -26), (12, -14)]
    _dog(pen, parts, 24, 25, tail, [(-13, -6), (-9, -30), (3, -11)])


def basset(pen: Pen, parts: Parts) -> None:
    tail = [(0, -6), (-20, -20), (-16, -25), (6, -10)]
    _dog(pen, parts, 8, 34, tail, [(-15, -8), (0, -8), (2, 26), (-12, 32), (-20, 16)])


def _wheels(pen: Pen, parts: Parts, xs: Sequence[float], y: float = 20) -> None:
    for x in xs:
        pen.ellipse(x, y, 12, 12, TIRE)
        pen.ellipse(x, y, 7, 7, parts["rims"])


def _bumpers(pen: Pen, parts: Parts, half: float) -> None:
    for x in (-half, half - 8):
        pen.polygon([(x, 10), (x + 8, 10), (x + 8, 18), (x, 18)], parts["bumper"])


def sedan(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-30, -6), (-18, -28), (16, -28), (30, -6)], parts["roof"])
    pen.polygon([(-23, -7), (-14, -22), (-2, -22), (-2, -7)], GLASS)
    pen.polygon([(3, -7), (3, -22), (14, -22), (23, -7)], GLASS)
    pen.polygon([(-54, 18), (-54, -2), (-30, -7), (30, -7), (54, 0), (54, 18)], parts["body"])
    _bumpers(pen, parts, 56)
    _wheels(pen, parts, (-30, 30))


def pickup(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-4, -6), (0, -30), (24, -30), (34, -6)], parts["roof"])
    pen.polygon([(4, -7), (7, -24), (21, -24), (28, -7)], GLASS)
    pen.polygon([(-56, 18), (-56, -12), (-8, -12), (-8, -7), (36, -7), (54, 0), (54, 18)], parts["body"])
    pen.polygon([(-50, -11), (-12, -11), (-12, -5), (-50, -5)], OUTLINE, outlined=False)
    _bumpers(pen, parts, 58)
    _wheels(pen, parts, (-34, 32))


def van(pen: Pen, parts: Parts) -> None:
    pen.polygon([(-54, 18), (-54, -26), (36, -26), (54, 0), (54, 18)], parts["body"])
    pen.polygon([(-54, -20), (-54, -38), (26, -38), (38, -20)], parts["roof"])
    pen.polygon([(16, -4), (16, -18), (34, -18), (44, -4)], GLASS)
    pen.polygon([(-46, -4), (-46, -18), (-26, -18), (-26, -4)], GLASS)
    if parts["stripe"] != "none":
        pen.polygon([(-53, 3), (53, 3), (53, 11), (-53, 11)], parts["stripe"], outlined=False)
    _bumpers(pen, parts, 56)
    _wheels(pen, parts, (-30, 30))


def convertible(pen: Pen, parts: Parts) -> None:
    pen.line([(14, -4), (4, -26)], OUTLINE, 4)
    pen.polygon([(-26, -2), (-28, -18), (-18, -18), (-14, -2)], "brown")
    pen.polygon([(-4, -2), (-6, -16), (2, -16), (6, -2)], "brown")
    pen.polygon([(-54, 18), (-54, 0), (-26, -5), (24, -5), (54, 4), (54, 18)], parts["body"])
    _bumpers(pen, parts, 56)
    _wheels(pen, parts, (-30, 30))


SHAPES: dict[str, Callable[[Pen, Parts], None]] = {
    draw.__name__: draw
    for draw in (
        finch, heron, duck, owl, jetliner, biplane, glider, seaplane,
        hound, terrier, spitz, basset, sedan, pickup, van, convertible,
    )
}  # fmt: skip
