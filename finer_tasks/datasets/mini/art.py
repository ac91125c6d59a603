"""Pictures of mini: a shape in a pose before a background, under some light, now and then behind grass.

The picture is shrunk by an integer box average, so that a seed gives the same bytes on any machine.
"""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from finer_tasks.datasets.boxes import Box
from finer_tasks.datasets.mini.pen import Pen, Pose
from finer_tasks.datasets.mini.shapes import SHAPES, Parts

OVERSAMPLING = 4
IN_THE_AIR = {"jetliner", "biplane", "glider"}
ON_WATER = {"duck", "seaplane"}


def render(shape: str, parts: Parts, rng: random.Random, size: int) -> Image.Image:
    """One picture of `size` x `size` RGB pixels, with pose, scale, background, light and occlusion drawn from rng."""
    image, draw, _ = _drawn(shape, parts, rng, size)
    if rng.random() < 0.35:
        _occlude(draw, rng, image.width)
    return _light(image.reduce(OVERSAMPLING), rng)


def extent(shape: str, parts: Parts, rng: random.Random, size: int) -> Box:
    """Where the object is in the picture that `render` gives for an rng in the same state."""
    canvas = size * OVERSAMPLING
    drawn = _drawn(shape, parts, rng, size)[2].drawn
    across, down = ([min(max(value, 0), canvas) / OVERSAMPLING for value in values] for values in zip(*drawn, strict=True))
    return Box(min(across), min(down), max(across), max(down))


def _drawn(shape: str, parts: Parts, rng: random.Random, size: int) -> tuple[Image.Image, ImageDraw.ImageDraw, Pen]:
    """The object before its background, and the pen that drew it."""
    canvas = size * OVERSAMPLING
    image = Image.new("RGB", (canvas, canvas))
    draw = ImageDraw.Draw(image)
    _background(draw, shape, rng, canvas)
    scale = canvas / 128 * rng.uniform(0.82, 1.06)
    shift = canvas * 0.06
    pose = Pose(
        x=canvas / 2 + rng.uniform(-shift, shift),
        y=canvas / 2 + rng.uniform(-shift, shift),
        scale=scale,
        angle=rng.uniform(-0.16, 0.16),
        flip=rng.random() < 0.5,
    )
    pen = Pen(draw, pose)
    SHAPES[shape](pen, parts)
    return image, draw, pen


def _background(draw: ImageDraw.ImageDraw, shape: str, rng: random.Random, canvas: int) -> None:
    skies = [(196, 224, 246), (232, 214, 196), (176, 192, 214), (222, 232, 236)]
    grounds = [(150, 186, 110), (206, 188, 146), (160, 160, 156), (228, 232, 238)]
    sky = rng.choice(skies)
    draw.rectangle((0, 0, canvas, canvas), fill=sky)
    for _ in range(rng.randrange(3)):
        x, y, r = rng.randrange(canvas), rng.randrange(canvas // 2), canvas // 14
        cloud = tuple(min(255, channel + 16) for channel in sky)
        draw.ellipse((x - 2 * r, y - r, x + 2 * r, y + r), fill=cloud)
    if shape in IN_THE_AIR:
        return
    ground = (112, 168, 206) if shape in ON_WATER else rng.choice(grounds)
    horizon = canvas * (64 + rng.randrange(20)) // 100
    draw.rectangle((0, horizon, canvas, canvas), fill=ground)


def _occlude(draw: ImageDraw.ImageDraw, rng: random.Random, canvas: int) -> None:
    """A few blades of grass or a branch across an edge, over at most about a tenth of the picture."""
    color = rng.choice([(86, 128, 58), (104, 80, 52)])
    for _ in range(3 + rng.randrange(4)):
        x = rng.randrange(canvas)
        top = canvas - canvas * (10 + rng.randrange(22)) // 100
        draw.polygon([(x - canvas // 64, canvas), (x + canvas // 64, canvas), (x + rng.randrange(-9, 10), top)], fill=color)


def _light(image: Image.Image, rng: random.Random) -> Image.Image:
    """Brightness and a slight colour cast, in integer thousandths."""
    brightness = rng.randrange(800, 1081)
    gains = [brightness * rng.randrange(950, 1051) // 1000 for _ in range(3)]
    return image.point([min(255, value * gain // 1000) for gain in gains for value in range(256)])
