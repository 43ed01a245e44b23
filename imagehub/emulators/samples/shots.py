"""The other shots of a work: close-up, at an angle, in a room, from behind."""

import math
from collections.abc import Sequence
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageStat

from imagehub.emulators.samples.colour import throw_shadow, vessel
from imagehub.emulators.samples.paint import (
    Colour,
    Point,
    Sheet,
    Size,
    colour_map,
    combine,
    distance,
    even,
    faint,
    field,
    leaf,
    mix,
    palette,
    paste,
    ramp,
    rectangle,
    rgb,
    shade,
    spline,
    surfaced,
    wash,
)

# Colours of wall, floor, wood, leaves and pot.
ROOMS = [
    palette("#e9e5dc #b99a76 #8a6544 #4f6b4a #c9785a"),
    palette("#d8dcd8 #8f8a82 #2d2a28 #3f5d4f #e5dfd3"),
    palette("#c9b8a4 #7a5c45 #3a2a22 #5c6b3f #efe6d8"),
    palette("#8fa09a #b7a48c #d9c7a6 #34503f #2d3b40"),
    palette("#efeae3 #d8cbb8 #b08d62 #6c8560 #4a5a68"),
    palette("#3d4a52 #9b8062 #c8a77b #7d9469 #d9cbb4"),
]


def detail(art: Image.Image, rng: Random) -> Image.Image:
    """Return an off-centre close-up, about a third of the work's width, not enlarged."""
    width, height = art.size
    wide = min(width, max(width // 3, min(1500, width)))
    tall = min(height, round(wide * (0.75 if width >= height else 1.2)))
    wide = min(wide, round(width * 0.72))
    tall = min(tall, round(height * 0.72))
    left = round((width - wide) * rng.uniform(0.25, 0.75))
    top = round((height - tall) * rng.uniform(0.2, 0.7))
    return art.crop((left, top, left + wide, top + tall))


def angle(art: Image.Image, rng: Random, size: Size) -> Image.Image:
    """Draw the work on a wall at an angle, with its edge and its shadow."""
    width, height = size
    wall_colour = rng.choice(ROOMS)[0]
    image = _wall(size, rng, wall_colour, (width * 0.05, height * 0.1))
    near_left = rng.random() < 0.5
    ratio = art.width / art.height
    tall = min(height * 0.74, width * (0.66 if ratio < 2 else 0.86) / ratio)
    wide = tall * ratio * 0.84
    left, top = (width - wide) / 2, (height - tall) / 2
    sink = min(tall * 0.13, wide * 0.1)
    corners: list[Point] = [
        (left, top),
        (left + wide, top + sink),
        (left + wide, top + tall - sink * 0.72),
        (left, top + tall),
    ]
    thick = min(width, height) * 0.022
    edge: list[Point] = [
        (left - thick, top + thick * 0.42),
        (left, top),
        (left, top + tall),
        (left - thick, top + tall - thick * 0.3),
    ]
    if not near_left:
        corners = [(width - x, y) for x, y in (corners[1], corners[0], corners[3], corners[2])]
        edge = [(width - x, y) for x, y in edge]
    small = Sheet((width // 4, height // 4), scale=1)
    small.polygon([((x + thick * 1.6) / 4, (y + thick * 1.9) / 4) for x, y in [*corners, *edge]])
    hull = Sheet((width // 4, height // 4), scale=1)
    hull.polygon([((x + thick * 0.5) / 4, (y + thick * 0.6) / 4) for x, y in corners])
    for sheet, blur, strength in ((small, 9, 0.34), (hull, 3, 0.4)):
        soft = sheet.image.filter(ImageFilter.GaussianBlur(blur * width / 2000))
        dark = faint(soft.resize(size, Image.Resampling.BILINEAR), strength)
        paste(image, (24, 20, 18), dark)
    plate = art.resize(within_box(art.size, (1500, 1500)), Image.Resampling.LANCZOS, reducing_gap=2)
    strip = plate.crop((0, 0, max(2, plate.width // 40), plate.height))
    side = shade(_mean(strip), -0.38 if near_left else -0.2)
    flank = Sheet(size)
    flank.polygon(edge)
    paste(image, wash(size, rng, side, 0.1, (4, 20)), flank.finish())
    w, h = plate.size
    x0, y0 = (math.floor(min(point[axis] for point in corners)) for axis in (0, 1))
    x1, y1 = (math.ceil(max(point[axis] for point in corners)) for axis in (0, 1))
    box = (x1 - x0, y1 - y0)
    moved = [(x - x0, y - y0) for x, y in corners]
    numbers = perspective(moved, [(0, 0), (w, 0), (w, h), (0, h)])
    flat = plate.transform(box, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BICUBIC)
    front = Sheet(box)
    front.polygon(moved)
    sheen = ramp(box, lambda t: 15 * t if near_left else 15 * (1 - t), "x").convert("L")
    flat = ImageChops.add(flat, Image.merge("RGB", (sheen, sheen, sheen)))
    image.paste(flat, (x0, y0), front.finish())
    return surfaced(image, rng, "film")


def _mean(image: Image.Image) -> Colour:
    r, g, b = (round(v) for v in ImageStat.Stat(image).mean[:3])
    return r, g, b


def within_box(size: Size, box: Size) -> Size:
    """Return the size scaled down to fit into the box; never enlarged."""
    factor = min(box[0] / size[0], box[1] / size[1], 1.0)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def perspective(to: Sequence[Point], of: Sequence[Point]) -> list[float]:
    """Return the coefficients that map four corners of the result to the source.

    Source: Pillow, ``Image.Transform.PERSPECTIVE``: x' = (ax + by + c) / (gx + hy + 1).
    """
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(to, of, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for i in range(8):
        pivot = max(range(i, 8), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(8):
            if k != i:
                factor = rows[k][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[8] for row in rows]


def _wall(size: Size, rng: Random, colour: Colour, light: Point) -> Image.Image:
    """Draw plaster in window light; drawn small, because it has no sharp edges."""
    small = (max(2, size[0] // 3), max(2, size[1] // 3))
    away = combine(
        lambda p: p["d"] * 0.62 + (p["n"] - 0.5) * 0.05,
        d=distance(small, (light[0] / 3, light[1] / 3), math.hypot(*small)),
        n=field(small, rng, 6, 5, 0.6),
    )
    wall = colour_map(away, even([shade(colour, 0.24), colour, shade(colour, -0.26)]))
    return wall.resize(size, Image.Resampling.BILINEAR)


# --- In a room ------------------------------------------------------------------------------------


def in_room(art: Image.Image, rng: Random, size: Size, framed: bool = True) -> Image.Image:
    """Draw the work on a wall, with a bench, a plant or a vessel beside it."""
    width, height = size
    unit = min(width, height)
    wall, ground, wood, green, pot = rng.choice(ROOMS)
    image = _wall(size, rng, wall, (width * 0.12, height * 0.05))
    floor_y = height * 0.8
    _floor(image, rng, floor_y, ground, planks=rng.random() < 0.65)
    _window_light(image, rng)
    skirting = Sheet(size)
    skirting.polygon(rectangle(0, floor_y - unit * 0.028, width, unit * 0.028))
    paste(image, shade(wall, 0.3), skirting.finish())
    line = Sheet(size)
    line.polygon(rectangle(0, floor_y - unit * 0.001, width, unit * 0.004))
    paste(image, shade(ground, -0.6), line.finish())
    ratio = art.width / art.height
    room = (width * (0.78 if ratio > 2.2 else 0.5), height * 0.54)
    wide, tall = within_box((round(3000 * ratio), 3000), (round(room[0]), round(room[1])))
    centre = (width * rng.uniform(0.46, 0.54), height * 0.4)
    _hang(image, rng, art, (wide, tall), centre, framed, wood)
    prop = 0 if ratio > 1.9 else rng.randrange(3)
    if prop == 0:
        _bench(image, (centre[0] + unit * rng.uniform(-0.1, 0.1), height * 0.93), unit * 0.62, wood)
    if prop == 1:
        x = centre[0] + (wide / 2 + unit * 0.26) * rng.choice((-1, 1))
        x = min(max(x, unit * 0.22), width - unit * 0.22)
        _plant(image, rng, (x, height * 0.9), unit * 0.5, green, pot)
    if prop == 2:
        x = centre[0] + (wide / 2 + unit * 0.2) * rng.choice((-1, 1))
        x = min(max(x, unit * 0.16), width - unit * 0.16)
        _plinth(image, rng, (x, height * 0.9), unit, shade(wall, 0.4), pot)
    return surfaced(image, rng, "film")


def _floor(image: Image.Image, rng: Random, top: float, colour: Colour, planks: bool) -> None:
    width, height = image.size
    size = (width, height - round(top))
    if planks:
        floor = colour_map(
            field(size, rng, (3, 60), 4, 0.65),
            even([shade(colour, -0.16), colour, shade(colour, 0.14)]),
        )
        lines = Sheet(size)
        y, step = 0.0, size[1] * 0.07
        row = 0
        while y < size[1]:
            board = Sheet(size, scale=1)
            board.polygon(rectangle(0, y, width, step))
            paste(
                floor,
                shade(colour, rng.choice((-0.3, 0.25))),
                board.image.point(lambda v: v * 0.16),
            )
            lines.line([(0, y), (width, y)], 1.2, 130)
            joint = rng.uniform(0.1, 0.9) * width
            lines.line([(joint, y), (joint + (joint - width / 2) * 0.05, y + step)], 1.2, 130)
            y += step
            step *= 1.28
            row += 1
        paste(floor, shade(colour, -0.7), lines.finish())
    else:
        floor = wash(size, rng, colour, 0.12, (5, 8))
    glow = ramp(size, lambda t: 0.4 + 0.6 * t)
    light = glow.point(lambda v: v * 255).convert("L")
    dark = Image.new("RGB", size, shade(colour, -0.35))
    image.paste(Image.composite(floor, dark, light), (0, round(top)))


def _window_light(image: Image.Image, rng: Random) -> None:
    """Draw sunlight from a window outside the picture."""
    width, height = image.size
    small = Sheet((width // 4, height // 4), scale=2)
    w, h = small.size
    x = w * rng.uniform(0.02, 0.4)
    pane, tall, lean = w * 0.13, h * 0.3, w * 0.12
    for column in range(2):
        for row in range(2):
            a, b = x + column * pane * 1.1, h * 0.08 + row * tall * 1.06 + column * pane * 0.2
            s = lean * row * 1.02
            small.polygon(
                [
                    (a + s, b),
                    (a + pane + s, b + pane * 0.18),
                    (a + pane + lean + s, b + tall + pane * 0.18),
                    (a + lean + s, b + tall),
                ]
            )
    soft = small.finish().filter(ImageFilter.GaussianBlur(w * 0.006))
    paste(
        image,
        (255, 240, 214),
        soft.resize(image.size, Image.Resampling.BILINEAR).point(lambda v: v * 0.27),
    )


def _hang(
    image: Image.Image,
    rng: Random,
    art: Image.Image,
    size: Size,
    centre: Point,
    framed: bool,
    wood: Colour,
) -> None:
    wide, tall = size
    unit = min(image.size)
    mat = unit * 0.035 if framed and rng.random() < 0.75 else 0
    bar = unit * 0.011 if framed else 0
    inner = (max(2, round(wide - 2 * (mat + bar))), max(2, round(tall - 2 * (mat + bar))))
    picture = art.resize(inner, Image.Resampling.LANCZOS, reducing_gap=2)
    box = (round(inner[0] + 2 * (mat + bar)), round(inner[1] + 2 * (mat + bar)))
    plate = Sheet(box, shade(wood, -0.1), scale=1)
    frame = rng.choice([wood, (24, 22, 21), (238, 234, 226)])
    plate.polygon(rectangle(0, 0, *box), frame)
    if bar:
        plate.line([(bar / 2, box[1]), (bar / 2, 0)], bar * 0.3, shade(frame, 0.2))
        plate.line([(0, 1), (box[0], 1)], bar * 0.3, shade(frame, 0.3))
        plate.polygon(rectangle(bar, bar, box[0] - 2 * bar, box[1] - 2 * bar), (243, 240, 233))
        plate.line([(bar, bar + 1), (box[0] - bar, bar + 1)], bar * 0.35, (205, 200, 192))
    framed_picture = plate.image
    framed_picture.paste(picture, (round((box[0] - inner[0]) / 2), round((box[1] - inner[1]) / 2)))
    left, top = round(centre[0] - box[0] / 2), round(centre[1] - box[1] / 2)
    mask = Sheet((image.width // 4, image.height // 4), scale=1)
    for spread, shift, blur, strength in ((0.0, 0.02, 0.012, 0.34), (0.0, 0.006, 0.003, 0.4)):
        mask.draw.rectangle((0, 0, *mask.size), fill=0)
        mask.polygon(
            rectangle(
                (left + unit * (shift - spread)) / 4,
                (top + unit * shift) / 4,
                box[0] / 4,
                box[1] / 4,
            )
        )
        soft = mask.image.filter(ImageFilter.GaussianBlur(unit * blur / 4))
        soft = faint(soft.resize(image.size, Image.Resampling.BILINEAR), strength)
        paste(image, (26, 22, 20), soft)
    image.paste(framed_picture, (left, top))


def _floor_shadow(image: Image.Image, centre: Point, reach: float, strength: float = 0.5) -> None:
    small = Sheet((image.width // 4, image.height // 4), scale=1)
    x, y = centre[0] / 4, centre[1] / 4
    small.draw.ellipse((x - reach / 4, y - reach / 26, x + reach / 4, y + reach / 26), fill=255)
    soft = small.image.filter(ImageFilter.GaussianBlur(reach / 60)).point(lambda v: v * strength)
    paste(image, (24, 18, 15), soft.resize(image.size, Image.Resampling.BILINEAR))


def _bench(image: Image.Image, foot: Point, wide: float, wood: Colour) -> None:
    x, y = foot
    tall, thick = wide * 0.27, wide * 0.05
    _floor_shadow(image, (x, y), wide * 0.56)
    sheet = image
    draw = Sheet(sheet.size)
    legs = Sheet(sheet.size)
    for side in (-1, 1):
        legs.polygon(rectangle(x + side * wide * 0.4 - wide * 0.025, y - tall, wide * 0.05, tall))
    paste(sheet, shade(wood, -0.4), legs.finish())
    draw.polygon(rectangle(x - wide / 2, y - tall - thick, wide, thick))
    paste(sheet, shade(wood, -0.12), draw.finish())
    top = Sheet(sheet.size)
    top.polygon(
        [
            (x - wide * 0.47, y - tall - thick * 1.8),
            (x + wide * 0.47, y - tall - thick * 1.8),
            (x + wide / 2, y - tall - thick),
            (x - wide / 2, y - tall - thick),
        ]
    )
    paste(sheet, shade(wood, 0.22), top.finish())


def _plant(
    image: Image.Image, rng: Random, foot: Point, tall: float, green: Colour, pot: Colour
) -> None:
    x, y = foot
    _floor_shadow(image, (x + tall * 0.06, y), tall * 0.34)
    mouth = (x, y - tall * 0.27)
    layers: list[tuple[list[Point], Colour]] = []
    for number in range(13):
        lean = (number - 6) / 6 + rng.uniform(-0.1, 0.1)
        reach = tall * rng.uniform(0.34, 0.62) * (1 - 0.25 * abs(lean))
        start = -math.pi / 2 + lean * 0.85
        blade = leaf(mouth, start, reach, tall * rng.uniform(0.075, 0.12), lean * 0.55)
        colour = shade(green, rng.uniform(-0.32, 0.16))
        layers.append((blade, colour))
        half = blade[: len(blade) // 2]
        spine = [
            ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(half, blade[::-1], strict=False)
        ]
        layers.append(([*half, *spine[::-1]], shade(colour, 0.14)))
    for points, colour in layers:
        leaf_mask, spot = _local(points)
        image.paste(
            colour, (*spot, spot[0] + leaf_mask.width, spot[1] + leaf_mask.height), leaf_mask
        )
    vessel(image, rng, "beaker", (x, y), tall * 0.32, pot)


def _local(points: list[Point]) -> tuple[Image.Image, Size]:
    """Return a mask of the shape's bounding box, and its position."""
    left, top = min(p[0] for p in points) - 2, min(p[1] for p in points) - 2
    spot = (math.floor(left), math.floor(top))
    size = (
        math.ceil(max(p[0] for p in points) - left) + 4,
        math.ceil(max(p[1] for p in points) - top) + 4,
    )
    sheet = Sheet(size)
    sheet.polygon([(x - spot[0], y - spot[1]) for x, y in points])
    return sheet.finish(), spot


def _plinth(
    image: Image.Image, rng: Random, foot: Point, unit: float, white: Colour, pot: Colour
) -> None:
    x, y = foot
    wide, tall = unit * 0.17, unit * 0.36
    _floor_shadow(image, (x + wide * 0.2, y), wide * 0.9)
    front, side = Sheet(image.size), Sheet(image.size)
    front.polygon(rectangle(x - wide / 2, y - tall, wide * 0.68, tall))
    side.polygon(
        [
            (x + wide * 0.18, y - tall),
            (x + wide * 0.5, y - tall),
            (x + wide * 0.5, y - wide * 0.04),
            (x + wide * 0.18, y),
        ]
    )
    paste(image, shade(white, -0.02), front.finish())
    paste(image, shade(white, -0.24), side.finish())
    kind = rng.choice(("vase", "jar", "flask"))
    place = (x, y - tall + wide * 0.02)
    lid = Sheet(image.size)
    lid.polygon(
        [
            (x - wide * 0.44, y - tall - wide * 0.07),
            (x + wide * 0.5, y - tall - wide * 0.07),
            (x + wide * 0.5, y - tall + 1),
            (x - wide * 0.5, y - tall + 1),
        ]
    )
    paste(image, shade(white, 0.3), lid.finish())
    throw_shadow(image, place, wide * 0.2, wide * 0.6, unit)
    vessel(image, rng, kind, place, wide * {"vase": 1.25, "jar": 0.9, "flask": 1.3}[kind], pot)


# --- From behind ----------------------------------------------------------------------------------


def back(art: Image.Image, rng: Random, label: Sequence[str], longest: int) -> Image.Image:
    """Draw the back: raw canvas, stretcher bars, tacks and a label with a few words."""
    factor = longest / max(art.size)
    size = (round(art.width * factor), round(art.height * factor))
    width, height = size
    unit = min(size)
    linen = rng.choice([rgb("#c9b799"), rgb("#d6cbb4"), rgb("#b8a684")])
    image = surfaced(wash(size, rng, linen, 0.12, 3), rng, "linen")
    # The colours show through the cloth a little.
    through = art.resize((max(2, width // 50), max(2, height // 50)), reducing_gap=1.5)
    through = through.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize(size)
    image = ImageChops.multiply(image, through.point(lambda v: 226 + v * 29 // 255))
    bar = unit * 0.105
    wood = rng.choice([rgb("#c79f6b"), rgb("#d8b583"), rgb("#b88f5e")])
    grain_across = field(size, rng, (3, 90), 4, 0.7)
    grain_down = field(size, rng, (90, 3), 4, 0.7)
    tints = [shade(wood, -0.24), wood, shade(wood, 0.2)]
    planks = {"x": colour_map(grain_across, even(tints)), "y": colour_map(grain_down, even(tints))}
    pieces: list[tuple[list[Point], str]] = [
        ([(0, 0), (width, 0), (width - bar, bar), (bar, bar)], "x"),
        ([(0, height), (bar, height - bar), (width - bar, height - bar), (width, height)], "x"),
        ([(0, 0), (bar, bar), (bar, height - bar), (0, height)], "y"),
        ([(width, 0), (width, height), (width - bar, height - bar), (width - bar, bar)], "y"),
    ]
    cross = bar * 0.8
    if width >= height:
        pieces.insert(0, (rectangle((width - cross) / 2, bar, cross, height - 2 * bar), "y"))
    else:
        pieces.insert(0, (rectangle(bar, (height - cross) / 2, width - 2 * bar, cross), "x"))
    shadow = Sheet((width // 4, height // 4), scale=1)
    for points, _ in pieces:
        shadow.polygon([(x / 4 + unit * 0.002, y / 4 + unit * 0.003) for x, y in points])
    soft = shadow.image.filter(ImageFilter.GaussianBlur(unit * 0.0022)).point(lambda v: v * 0.6)
    paste(image, (40, 28, 18), soft.resize(size, Image.Resampling.BILINEAR))
    for points, direction in pieces:
        mask = Sheet(size)
        mask.polygon(points)
        paste(image, planks[direction], mask.finish())
    seams = Sheet(size)
    for a, b in (
        ((0, 0), (bar, bar)),
        ((width, 0), (width - bar, bar)),
        ((0, height), (bar, height - bar)),
        ((width, height), (width - bar, height - bar)),
    ):
        seams.line([a, b], unit * 0.002, 170)
    paste(image, shade(wood, -0.65), seams.finish())
    _turnover(image, rng, linen, unit)
    _wire(image, rng, bar, unit)
    _label(image, rng, label, bar, unit)
    return image


def _turnover(image: Image.Image, rng: Random, linen: Colour, unit: float) -> None:
    """Draw the canvas folded round the bars, held by tacks."""
    width, height = image.size
    fold = unit * 0.042
    edge = Sheet(image.size)
    for box in (
        (0, 0, width, fold),
        (0, height - fold, width, fold),
        (0, 0, fold, height),
        (width - fold, 0, fold, height),
    ):
        x, y, w, h = box
        points = [
            (px + rng.uniform(-1, 1) * unit * 0.003, py + rng.uniform(-1, 1) * unit * 0.003)
            for px, py in rectangle(x, y, w, h)
        ]
        edge.polygon(points)
    cloth = surfaced(wash(image.size, rng, shade(linen, 0.22), 0.1, 5), rng, "linen")
    paste(image, cloth, edge.finish())
    tacks = Sheet(image.size)
    step = unit * 0.11
    for k in range(1, int(width / step) + 1):
        for y in (fold * 0.5, height - fold * 0.5):
            tacks.line(
                [((k - 0.5) * step - unit * 0.008, y), ((k - 0.5) * step + unit * 0.008, y)],
                unit * 0.0028,
            )
    for k in range(1, int(height / step) + 1):
        for x in (fold * 0.5, width - fold * 0.5):
            tacks.line(
                [(x, (k - 0.5) * step - unit * 0.008), (x, (k - 0.5) * step + unit * 0.008)],
                unit * 0.0028,
            )
    mask = tacks.finish()
    paste(image, (60, 52, 46), ImageChops.offset(mask, 1, 2).point(lambda v: v * 0.6))
    paste(image, (196, 196, 198), mask)


def _wire(image: Image.Image, rng: Random, bar: float, unit: float) -> None:
    width, height = image.size
    y = height * 0.24
    sag = unit * rng.uniform(0.015, 0.03)
    path = spline(
        [
            (bar * 0.6, y),
            (width * 0.3, y + sag * 0.8),
            (width * 0.5, y + sag),
            (width * 0.7, y + sag * 0.8),
            (width - bar * 0.6, y),
        ],
        closed=False,
    )
    wire = Sheet(image.size)
    wire.line(path, unit * 0.0035)
    for x in (bar * 0.6, width - bar * 0.6):
        wire.disc((x, y), unit * 0.011)
    mask = wire.finish()
    paste(
        image,
        (30, 24, 20),
        ImageChops.offset(mask, round(unit * 0.004), round(unit * 0.009)).point(lambda v: v * 0.35),
    )
    paste(image, (128, 126, 124), mask)


def _label(image: Image.Image, rng: Random, lines: Sequence[str], bar: float, unit: float) -> None:
    size = (round(unit * 0.34), round(unit * 0.2))
    card = surfaced(wash(size, rng, rgb("#f4eedd"), 0.05, 2), rng, "paper")
    draw = ImageDraw.Draw(card)
    inset = size[1] * 0.07
    draw.rectangle(
        (inset, inset, size[0] - inset, size[1] - inset),
        outline=rgb("#7a2f26"),
        width=max(1, round(unit * 0.002)),
    )
    for number, text in enumerate(lines):
        font = ImageFont.load_default(size[1] * (0.17 if number == 0 else 0.125))
        draw.text(
            (size[0] * 0.09, size[1] * (0.16 + 0.22 * number)), text, fill=rgb("#2b2622"), font=font
        )
    turned = card.convert("RGBA").rotate(
        rng.uniform(-2.5, 2.5), Image.Resampling.BICUBIC, expand=True
    )
    spot = (round(bar * 1.35), round(image.height - bar * 1.35 - turned.height))
    paste_at = (min(spot[0], image.width - turned.width), max(spot[1], 0))
    image.paste(
        mix(rgb("#c9b799"), (0, 0, 0), 0.4),
        (paste_at[0] + 2, paste_at[1] + 3),
        turned.getchannel("A").point(lambda v: v * 0.4),
    )
    image.paste(turned.convert("RGB"), paste_at, turned.getchannel("A"))
