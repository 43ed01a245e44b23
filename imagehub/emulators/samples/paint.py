"""Drawing primitives on Pillow: noise, gradients, masks, curves, warps and surfaces.

A *field* is an ``F`` picture with values from 0 to 1. Fields are computed at low resolution and
enlarged, which is fast and gives soft transitions like paint. Randomness always comes from the
``random.Random`` argument, so the same seed gives the same picture everywhere.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from random import Random
from typing import Any, cast

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageMath

Size = tuple[int, int]
Colour = tuple[int, int, int]
Point = tuple[float, float]
Palette = Sequence[Colour]
Stops = Sequence[tuple[float, Colour]]


def within(size: Size, pixels: int) -> Size:
    """Return a size of the same shape with at most ``pixels`` pixels."""
    factor = math.sqrt(pixels / (size[0] * size[1]))
    return size if factor >= 1 else (round(size[0] * factor), round(size[1] * factor))


# --- Colours --------------------------------------------------------------------------------------


def rgb(code: str) -> Colour:
    """Parse ``"#c8553d"`` or ``"c8553d"`` to three numbers from 0 to 255."""
    code = code.lstrip("#")
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


def palette(codes: str) -> list[Colour]:
    """Parse hexadecimal colours, separated by spaces."""
    return [rgb(code) for code in codes.split()]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Mix two colours: ``a`` at share 0, ``b`` at share 1."""
    return cast(Colour, tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True)))


def shade(colour: Colour, by: float) -> Colour:
    """Make a colour darker (down to -1, black) or lighter (up to 1, white)."""
    return mix(colour, (255, 255, 255) if by > 0 else (0, 0, 0), abs(by))


# --- Fields ---------------------------------------------------------------------------------------


def combine(rule: Callable[[dict[str, Any]], Any], **images: Image.Image) -> Image.Image:
    """Do arithmetic on pictures: ``combine(lambda p: p["a"] * 2, a=picture)``."""
    return cast(Image.Image, ImageMath.lambda_eval(rule, **images))


def ramp(size: Size, value: Callable[[float], float], axis: str = "y") -> Image.Image:
    """Return a field that varies along one axis: ``value`` of a position (0 to 1)."""
    length = size[0] if axis == "x" else size[1]
    line = Image.new("F", (length, 1) if axis == "x" else (1, length))
    line.putdata([value((i + 0.5) / length) for i in range(length)])
    return line.resize(size, Image.Resampling.NEAREST)


def field(
    size: Size,
    rng: Random,
    cells: float | tuple[float, float] = 4.0,
    octaves: int = 4,
    gain: float = 0.5,
) -> Image.Image:
    """Return smooth noise, stretched to the range 0 to 1.

    :param cells: bumps along the longer side, or (across, down) for stretched noise.
    :param octaves: number of layers of finer noise, each ``gain`` times as strong as the last.
    """
    width, height = size
    longest = max(size)
    if isinstance(cells, tuple):
        across, down = cells
    else:
        across, down = cells * width / longest, cells * height / longest
    finest = 2.0 ** (octaves - 1)
    work = (
        min(width, max(16, round(across * finest * 4))),
        min(height, max(16, round(down * finest * 4))),
    )
    total = Image.new("F", work, 0)
    for octave in range(octaves):
        lattice = (math.ceil(across * 2**octave) + 3, math.ceil(down * 2**octave) + 3)
        layer = Image.frombytes("L", lattice, rng.randbytes(lattice[0] * lattice[1]))
        box = (1.0, 1.0, 1 + across * 2**octave, 1 + down * 2**octave)
        layer = layer.convert("F").resize(work, Image.Resampling.BICUBIC, box)
        # Adding the finer noise to a stronger sum is the same as adding weaker noise.
        total = combine(lambda p: p["t"] / gain + p["n"], t=total, n=layer)
    total = stretched(total)
    return total if work == size else total.resize(size, Image.Resampling.BILINEAR)


def stretched(values: Image.Image) -> Image.Image:
    """Return the field scaled so that its lowest value is 0 and its highest 1."""
    low, high = cast(tuple[float, float], values.getextrema())
    scale = 1 / max(high - low, 1e-6)
    return combine(lambda p: (p["v"] - low) * scale, v=values)


def slope(size: Size, start: float, reach: float, axis: str = "y") -> Image.Image:
    """Return a linear field: 0 at ``start``, 1 at ``start + reach`` (pixels)."""
    length = size[0] if axis == "x" else size[1]
    return ramp(size, lambda t: (t * length - start) / reach, axis)


def distance(size: Size, centre: Point, unit: float, stretch: float = 1.0) -> Image.Image:
    """Return each pixel's distance from ``centre``, in multiples of ``unit`` pixels.

    :param stretch: above 1, the lines of equal distance are wide ellipses.
    """
    width, height = size
    across = ramp(size, lambda t: ((t * width - centre[0]) / unit / stretch) ** 2, "x")
    down = ramp(size, lambda t: ((t * height - centre[1]) / unit) ** 2)
    return combine(lambda p: (p["x"] + p["y"]) ** 0.5, x=across, y=down)


def tone(
    values: Image.Image, curve: Callable[[float], float] = lambda t: t, exact: bool = False
) -> Image.Image:
    """Return a field as an ``L`` picture after applying a curve (0 to 1 → 0 to 1).

    :param exact: the curve has jumps, so compute each of the 65,536 steps, not every 64th.
    """
    each = 1 if exact else 64
    table: list[int] = []
    for i in range(0, 65536, each):
        table += [min(255, max(0, round(curve(i / (65536 - each)) * 255)))] * each
    whole = combine(lambda p: p["convert"](p["v"] * 65535, "I"), v=values)
    return whole.point(table, "L")


def smoothstep(low: float, high: float) -> Callable[[float], float]:
    """Return a smooth curve that rises from 0 at ``low`` to 1 at ``high``."""

    def curve(value: float) -> float:
        t = min(1.0, max(0.0, (value - low) / (high - low)))
        return t * t * (3 - 2 * t)

    return curve


def colour_map(values: Image.Image, stops: Stops) -> Image.Image:
    """Colour a field (or an ``L`` picture) by interpolating between stops."""
    grey = values if values.mode == "L" else tone(values)
    tables: list[list[int]] = [[], [], []]
    for step in range(256):
        t = step / 255
        colour = stops[-1][1]
        if t <= stops[0][0]:
            colour = stops[0][1]
        else:
            for (low, a), (high, b) in pairwise(stops):
                if low <= t < high:
                    colour = mix(a, b, (t - low) / (high - low))
                    break
        for table, value in zip(tables, colour, strict=True):
            table.append(value)
    return Image.merge("RGB", [grey.point(table) for table in tables])


def even(colours: Palette) -> Stops:
    """Return colours as equidistant stops."""
    return [(i / (len(colours) - 1), colour) for i, colour in enumerate(colours)]


def wash(
    size: Size,
    rng: Random,
    colour: Colour,
    depth: float = 0.12,
    cells: float | tuple[float, float] = 4.0,
) -> Image.Image:
    """Return one colour as if painted by hand, unevenly lighter and darker."""
    clouds = field(size, rng, cells, 5, 0.55)
    return colour_map(
        clouds, [(0, shade(colour, -depth)), (0.5, colour), (1, shade(colour, depth * 0.8))]
    )


# --- Masks and curves -----------------------------------------------------------------------------


class Sheet:
    """Shapes with smooth edges: drawn at double size, then reduced.

    A number as ``ground`` gives a mask (``L``), a colour gives a picture (``RGB``); inks must be of
    the same kind. Points are in pixels of the finished sheet.
    """

    def __init__(self, size: Size, ground: int | Colour = 0, scale: int = 2) -> None:
        mode = "L" if isinstance(ground, int) else "RGB"
        self.size = size
        self.scale = scale
        self.image = Image.new(mode, (size[0] * scale, size[1] * scale), ground)
        self.draw = ImageDraw.Draw(self.image)

    def _up(self, points: Iterable[Point]) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def polygon(self, points: Iterable[Point], ink: int | Colour = 255) -> None:
        self.draw.polygon(self._up(points), fill=ink)

    def line(self, points: Iterable[Point], width: float, ink: int | Colour = 255) -> None:
        stroke = max(1, round(width * self.scale))
        self.draw.line(self._up(points), fill=ink, width=stroke, joint="curve")

    def disc(self, centre: Point, radius: float, ink: int | Colour = 255) -> None:
        self.draw.ellipse(self._circle(centre, radius), fill=ink)

    def pie(
        self, centre: Point, radius: float, start: float, end: float, ink: int | Colour = 255
    ) -> None:
        """Draw a slice from ``start`` to ``end``, in degrees clockwise from 3 o'clock."""
        self.draw.pieslice(self._circle(centre, radius), start, end, fill=ink)

    def _circle(self, centre: Point, radius: float) -> tuple[float, float, float, float]:
        x, y, r = centre[0] * self.scale, centre[1] * self.scale, radius * self.scale
        return (x - r, y - r, x + r, y + r)

    def finish(self) -> Image.Image:
        return self.image.reduce(self.scale)


def spline(points: Sequence[Point], closed: bool = True, steps: int = 10) -> list[Point]:
    """Return a smooth curve through all points (Catmull-Rom)."""
    count = len(points)
    result: list[Point] = []
    for i in range(count if closed else count - 1):
        if closed:
            p = [points[(i + k) % count] for k in (-1, 0, 1, 2)]
        else:
            p = [points[min(max(i + k, 0), count - 1)] for k in (-1, 0, 1, 2)]
        for step in range(steps):
            t = step / steps
            weights = (
                -0.5 * t**3 + t**2 - 0.5 * t,
                1.5 * t**3 - 2.5 * t**2 + 1,
                -1.5 * t**3 + 2 * t**2 + 0.5 * t,
                0.5 * t**3 - 0.5 * t**2,
            )
            result.append(
                (
                    sum(k * q[0] for k, q in zip(weights, p, strict=True)),
                    sum(k * q[1] for k, q in zip(weights, p, strict=True)),
                )
            )
    if not closed:
        result.append(points[-1])
    return result


def turned(points: Iterable[Point], degrees: float, centre: Point) -> list[Point]:
    """Rotate points clockwise about a centre."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x0, y0 = centre
    return [(x0 + (x - x0) * c - (y - y0) * s, y0 + (x - x0) * s + (y - y0) * c) for x, y in points]


def rectangle(x: float, y: float, width: float, height: float) -> list[Point]:
    """Return four corners, clockwise from the upper left."""
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def leaf(base: Point, angle: float, length: float, width: float, bend: float = 0.0) -> list[Point]:
    """Return a leaf's outline.

    :param angle: in radians, 0 points right.
    :param bend: how much the leaf curves.
    """
    left: list[Point] = []
    right: list[Point] = []
    x, y = base
    steps = 9
    for i in range(steps + 1):
        t = i / steps
        heading = angle + bend * t
        half = width / 2 * math.sin(math.pi * t**0.8) if 0 < i < steps else 0
        left.append((x - math.sin(heading) * half, y + math.cos(heading) * half))
        right.append((x + math.sin(heading) * half, y - math.cos(heading) * half))
        x += math.cos(heading) * length / steps
        y += math.sin(heading) * length / steps
    return left + right[::-1]


def profile(
    rng: Random, count: int, waves: float, octaves: int = 6, gain: float = 0.5, ridged: bool = False
) -> list[float]:
    """Return a mountain's outline as ``count`` heights from about -1 to 1."""
    heights = [0.0] * count
    strength, total = 1.0, 0.0
    for octave in range(octaves):
        frequency = waves * 2**octave
        knots = [rng.uniform(-1, 1) for _ in range(math.ceil(frequency) + 3)]
        for i in range(count):
            place = i / max(count - 1, 1) * frequency
            k = int(place)
            t = (1 - math.cos((place - k) * math.pi)) / 2
            value = knots[k] + (knots[k + 1] - knots[k]) * t
            if ridged:
                value = 1 - 2 * abs(value)
            heights[i] += value * strength
        total += strength
        strength *= gain
    return [value / total for value in heights]


def paste(image: Image.Image, paint: Image.Image | Colour, mask: Image.Image) -> None:
    """Paste paint (a colour, or a picture of the same size) through a mask."""
    box = mask.getbbox()
    if box is None:
        return
    # Most masks are empty except for a small area, and pasting takes time per pixel.
    image.paste(paint if isinstance(paint, tuple) else paint.crop(box), box, mask.crop(box))


def warp(image: Image.Image, source: Callable[[float, float], Point], cell: int) -> Image.Image:
    """Distort a picture like wet paint.

    :param source: maps a pixel of the result to its origin in ``image``.
    :param cell: side in pixels of the squares within which the distortion is linear.
    """
    width, height = image.size
    columns, rows = math.ceil(width / cell), math.ceil(height / cell)
    limit_x, limit_y = width - 1, height - 1

    def held(i: int, j: int) -> Point:
        x, y = source(i * cell, j * cell)
        return min(max(x, 0), limit_x), min(max(y, 0), limit_y)

    grid = [[held(i, j) for i in range(columns + 1)] for j in range(rows + 1)]
    mesh = [
        (
            (i * cell, j * cell, (i + 1) * cell, (j + 1) * cell),
            (*grid[j][i], *grid[j + 1][i], *grid[j + 1][i + 1], *grid[j][i + 1]),
        )
        for j in range(rows)
        for i in range(columns)
    ]
    padded = (columns * cell, rows * cell)
    result = image.transform(padded, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
    return result.crop((0, 0, width, height))


def faint(mask: Image.Image, strength: float) -> Image.Image:
    """Return the mask with its values multiplied by ``strength``."""
    return mask.point(lambda v: v * strength)


def drop_shadow(
    image: Image.Image, mask: Image.Image, offset: Point, blur: float, strength: float
) -> None:
    """Darken the picture where a shape would cast its shadow."""
    small = mask.reduce(4) if min(mask.size) >= 64 else mask
    factor = mask.width / small.width
    soft = small.filter(ImageFilter.GaussianBlur(blur / factor)).point(lambda v: v * strength)
    soft = ImageChops.offset(soft, round(offset[0] / factor), round(offset[1] / factor))
    paste(image, (18, 14, 12), soft.resize(mask.size, Image.Resampling.BILINEAR))


# --- Surfaces -------------------------------------------------------------------------------------


def noise_tile(side: int, rng: Random, blur: float = 0.0, spread: float = 1.0) -> Image.Image:
    """Return a square of grey grain around 128; ``spread`` scales its contrast."""
    tile = Image.frombytes("L", (side, side), rng.randbytes(side * side))
    if blur:
        tile = tile.filter(ImageFilter.GaussianBlur(blur))
    return tile.point(lambda v: 128 + (v - 128) * spread)


def tiled(tile: Image.Image, size: Size) -> Image.Image:
    """Repeat the tile to fill ``size``, by doubling, which takes few steps."""
    full = Image.new(tile.mode, size)
    full.paste(tile, (0, 0))
    x, y = tile.size
    while x < size[0]:
        full.paste(full.crop((0, 0, x, y)), (x, 0))
        x *= 2
    while y < size[1]:
        full.paste(full.crop((0, 0, size[0], y)), (0, y))
        y *= 2
    return full


def _relief(tile: Image.Image, strength: float) -> Image.Image:
    """Shade a height map with light from the upper left, around 128."""
    lit = ImageChops.subtract(tile, ImageChops.offset(tile, 1, 1), 1, 128)
    return lit.point(lambda v: 128 + (v - 128) * strength)


def surface_tile(kind: str, rng: Random) -> Image.Image:
    """Return a tile around 128: ``paper``, ``canvas``, ``linen`` or ``film``."""
    side = 768
    if kind == "film":
        return noise_tile(side, rng, 0.6, 0.13)
    if kind == "paper":
        fibres = noise_tile(side, rng, 1.6, 3.0)
        return ImageChops.add(_relief(fibres, 0.32), noise_tile(side, rng, 0.5, 0.10), 1, -128)
    pitch = 6 if kind == "canvas" else 8
    thread = [math.sin(math.pi * (i + 0.5) / pitch) for i in range(pitch)]
    cell = Image.new("L", (2 * pitch, 2 * pitch))
    cell.putdata(
        [
            round(
                128
                + 30
                * (
                    (thread[y % pitch] if (x // pitch + y // pitch) % 2 else thread[x % pitch])
                    - 0.62
                )
            )
            for y in range(2 * pitch)
            for x in range(2 * pitch)
        ]
    )
    weave = tiled(cell, (side, side))
    # Threads are thick in places. Three copies side by side, so that tiles meet without a seam.
    slubs = tiled(Image.frombytes("L", (24, side // 4), rng.randbytes(6 * side)), (72, side // 4))
    slubs = slubs.resize((3 * side, side)).crop((side, 0, 2 * side, side))
    strength = 0.045 if kind == "canvas" else 0.07
    weave = ImageChops.add(weave, slubs.point(lambda v: 128 + (v - 128) * strength), 1, -128)
    return ImageChops.add(weave, noise_tile(side, rng, 0.7, 0.14), 1, -128)


def surfaced(image: Image.Image, rng: Random, kind: str, strength: float = 1.0) -> Image.Image:
    """Apply the surface of paper, canvas, linen or film; ``none`` changes nothing."""
    if kind == "none":
        return image
    tile = surface_tile(kind, rng)
    if strength != 1:
        tile = tile.point(lambda v: 128 + (v - 128) * strength)
    grain = tiled(tile, image.size)
    return ImageChops.add(image, Image.merge("RGB", (grain, grain, grain)), 1, -128)
