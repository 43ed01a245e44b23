"""Works about colour and light: colour fields, glows, washes, still lifes, bowls."""

import math
from itertools import pairwise
from random import Random

from PIL import Image, ImageChops, ImageFilter

from imagehub.emulators.samples.paint import (
    Palette,
    Point,
    Sheet,
    Size,
    colour_map,
    combine,
    distance,
    drop_shadow,
    even,
    field,
    mix,
    paste,
    ramp,
    rectangle,
    shade,
    smoothstep,
    spline,
    tone,
    wash,
)


def colour_field(
    size: Size, rng: Random, colours: Palette, shares: tuple[float, ...] = (0.36, 0.5)
) -> Image.Image:
    """Draw soft-edged fields floating on a ground; the first colour is the ground's.

    :param shares: heights of the fields from the top, as fractions of the available height.
    """
    width, height = size
    image = wash(size, rng, colours[0], 0.16, (3, 3))
    side, gap = width * 0.075, height * 0.035
    room = height - 2 * side * 0.85 - gap * (len(shares) - 1)
    y = side * 0.85
    for share, colour in zip(shares, colours[1:], strict=False):
        tall = room * share / sum(shares)
        inset = side * rng.uniform(0.85, 1.2)
        mask = _torn_box(size, rng, (inset, y, width - inset, y + tall))
        glow = mask.reduce(8).filter(ImageFilter.GaussianBlur(width * 0.004))
        paste(image, mix(colours[0], colour, 0.5), glow.resize(size).point(lambda v: v // 2))
        paint = Image.blend(
            wash(size, rng, colour, 0.26, (2.5, 4)), wash(size, rng, colour, 0.12, (4, 34)), 0.35
        )
        paste(image, paint, mask)
        y += tall + gap
    return image


def _torn_box(size: Size, rng: Random, box: tuple[float, float, float, float]) -> Image.Image:
    """Return a rectangle with brushed edges, thin in places to show the ground."""
    width, height = size
    small = (max(8, width // 4), max(8, height // 4))
    sharp = Sheet(small, scale=1)
    left, top, right, bottom = (v / 4 for v in box)
    sharp.polygon(rectangle(left, top, right - left, bottom - top))
    soft = sharp.image.filter(ImageFilter.GaussianBlur(min(small) * 0.02))
    soft = soft.resize(size, Image.Resampling.BICUBIC).convert("F")
    edge = combine(
        lambda p: p["m"] / 255 + (p["a"] - 0.5) * 0.34 + (p["b"] - 0.5) * 0.14,
        m=soft,
        a=field(size, rng, 14, 4, 0.6),
        b=field(size, rng, (40, 130), 3, 0.7),
    )
    thin = field(size, rng, (4, 6), 5, 0.6)
    cover = tone(edge, smoothstep(0.2, 0.8))
    return ImageChops.multiply(cover, tone(thin, lambda t: 0.8 + 0.2 * smoothstep(0.15, 0.6)(t)))


def light_room(size: Size, rng: Random, colours: Palette, shape: str = "oval") -> Image.Image:
    """Draw a glow, from the outermost colour to the innermost."""
    width, height = size
    unit = min(size) * 0.62
    centre = (width / 2, height * 0.49)
    if shape == "oval":
        away = distance(size, centre, unit, max(0.8, min(1.35, width / height)))
    elif shape == "horizon":
        away = ramp(size, lambda t: abs(t - 0.56) * (1.5 if t < 0.56 else 2.3))
    else:
        across = ramp(size, lambda t: abs(t * width - centre[0]) / unit / (width / height), "x")
        down = ramp(size, lambda t: abs(t * height - centre[1]) / unit)
        away = combine(lambda p: (p["x"] ** 5 + p["y"] ** 5) ** 0.2, x=across, y=down)
    breath = field(size, rng, 2, 2)
    away = combine(lambda p: (p["d"] * 0.9) ** 1.35 + (p["n"] - 0.5) * 0.05, d=away, n=breath)
    return colour_map(away, even(colours[::-1]))


def watercolour(size: Size, rng: Random, colours: Palette, drops: int = 14) -> Image.Image:
    """Draw transparent washes on cream paper, darker where the water dried last."""
    width, height = size
    small = (width // 2, height // 2)
    unit = min(small)
    image = Image.new("RGB", small, colours[0])
    placed: list[tuple[float, float, float]] = []
    for number in range(drops * 30):
        radius = unit * rng.uniform(0.07, 0.2) * (1.5 if len(placed) < 4 else 1)
        x = rng.uniform(radius * 1.15, small[0] - radius * 1.15)
        y = rng.uniform(radius * 1.15, small[1] - radius * 1.15)
        if len(placed) >= drops or number > drops * 28:
            break
        if any(math.hypot(x - a, y - b) < (radius + r) * 0.74 for a, b, r in placed):
            continue
        placed.append((x, y, radius))
        box = (round(radius * 2.9),) * 2
        round_ = combine(
            lambda p: p["d"] + (p["n"] - 0.5) * 0.34,
            d=distance(box, (box[0] / 2, box[1] / 2), radius),
            n=field(box, rng, 2.6, 5, 0.45),
        )
        pigment = field(box, rng, 2.2, 5, 0.6)
        rim = tone(
            round_,
            lambda t: smoothstep(0.78, 0.965)(t) if t < 0.965 else 1 - smoothstep(0.965, 0.99)(t),
        )
        body = tone(round_, lambda t: 1 - smoothstep(0.965, 0.99)(t))
        body = ImageChops.multiply(body, tone(pigment, lambda t: 0.34 + 0.5 * t))
        ink = ImageChops.lighter(body, rim.point(lambda v: v * 0.8))
        one, two = rng.sample(list(colours[1:]), 2)
        bleed = colour_map(field(box, rng, 1.5, 3), [(0.35, one), (0.75, mix(one, two, 0.75))])
        layer = Image.composite(bleed, Image.new("RGB", box, "white"), ink)
        spot = (round(x - box[0] / 2), round(y - box[1] / 2))
        under = image.crop((*spot, spot[0] + box[0], spot[1] + box[1]))
        image.paste(ImageChops.multiply(under, layer), spot)
    return image.resize(size, Image.Resampling.BICUBIC)


# --- Things on a table ----------------------------------------------------------------------------

# Outlines of vessels: (height from the foot, radius), both as fractions of the vessel's height.
VESSELS: dict[str, list[Point]] = {
    "bottle": [
        (0, 0.17),
        (0.1, 0.2),
        (0.45, 0.2),
        (0.6, 0.15),
        (0.68, 0.06),
        (0.95, 0.05),
        (1, 0.065),
    ],
    "vase": [
        (0, 0.15),
        (0.15, 0.26),
        (0.38, 0.34),
        (0.62, 0.27),
        (0.8, 0.12),
        (0.92, 0.11),
        (1, 0.17),
    ],
    "jar": [(0, 0.3), (0.1, 0.36), (0.5, 0.41), (0.8, 0.36), (0.9, 0.3), (1, 0.33)],
    "bowl": [(0, 0.3), (0.1, 0.34), (0.35, 0.66), (0.7, 0.85), (1, 0.92)],
    "flask": [
        (0, 0.1),
        (0.12, 0.25),
        (0.3, 0.3),
        (0.48, 0.23),
        (0.6, 0.08),
        (0.9, 0.06),
        (1, 0.09),
    ],
    "cup": [(0, 0.3), (0.08, 0.36), (0.5, 0.42), (1, 0.45)],
    "beaker": [(0, 0.2), (0.05, 0.235), (0.6, 0.25), (1, 0.27)],
}


def still_life(
    size: Size,
    rng: Random,
    colours: Palette,
    vessels: str = "bottle vase jar cup",
    flowers: bool = False,
) -> Image.Image:
    """Draw vessels on a table. Colours: wall, table, then one for each vessel."""
    width, height = size
    unit = min(width * 0.92, height * 0.8)
    line = height * 0.66
    wall = colour_map(
        combine(
            lambda p: p["d"] * 0.5 + p["n"] * 0.12,
            d=distance(size, (width * 0.24, height * 0.3), max(size) * 0.62),
            n=field(size, rng, 5, 5, 0.6),
        ),
        [(0, shade(colours[0], 0.16)), (0.5, colours[0]), (1, shade(colours[0], -0.45))],
    )
    table = colour_map(
        combine(
            lambda p: p["x"] * 0.55 + p["n"] * 0.32,
            x=ramp(size, lambda t: t, "x"),
            n=field(size, rng, (3, 26), 4, 0.55),
        ),
        [(0, shade(colours[1], 0.12)), (0.5, colours[1]), (1, shade(colours[1], -0.3))],
    )
    below = Sheet(size)
    below.polygon(rectangle(0, line, width, height))
    image = wall
    paste(image, table, below.finish().filter(ImageFilter.GaussianBlur(unit * 0.002)))
    kinds = vessels.split()
    heights = {
        "bottle": 0.66,
        "vase": 0.56,
        "jar": 0.36,
        "bowl": 0.17,
        "flask": 0.5,
        "cup": 0.2,
        "beaker": 0.42,
    }
    talls = [unit * heights[kind] * rng.uniform(0.92, 1.08) for kind in kinds]
    radii = [
        tall * max(r for _, r in VESSELS[kind]) for kind, tall in zip(kinds, talls, strict=True)
    ]
    overlap = 0.86
    total = sum(radii) * 2 * overlap
    x = (width - total) / 2
    places: list[tuple[float, float]] = []
    for number, radius in enumerate(radii):
        depth = (
            (0.045, 0.12, 0.075, 0.15)[number % 4] if kinds[number] not in ("cup", "bowl") else 0.17
        )
        places.append((x + radius * overlap, line + unit * depth))
        x += radius * 2 * overlap
    order = sorted(range(len(kinds)), key=lambda i: places[i][1])
    for i in order:
        throw_shadow(image, places[i], radii[i], talls[i], unit)
    for i in order:
        if flowers and kinds[i] in ("vase", "flask", "bottle"):
            _bouquet(image, rng, (places[i][0], places[i][1] - talls[i]), unit, colours[2:])
        vessel(image, rng, kinds[i], places[i], talls[i], colours[2 + i % (len(colours) - 2)])
    return image


def throw_shadow(image: Image.Image, foot: Point, radius: float, tall: float, unit: float) -> None:
    """Draw the long soft shadow to the right, on the table."""
    mask = Image.new("L", (image.width // 4, image.height // 4), 0)
    sheet = Sheet(mask.size, scale=1)
    x, y = foot[0] / 4, foot[1] / 4
    r, reach = radius / 4 * 0.62, tall / 4 * 0.85
    sheet.polygon(
        spline(
            [
                (x - r, y),
                (x, y + r * 0.3),
                (x + reach, y - reach * 0.1),
                (x + reach, y - reach * 0.17),
                (x, y - r * 0.28),
            ]
        )
    )
    soft = sheet.image.filter(ImageFilter.GaussianBlur(unit * 0.0035)).point(lambda v: v * 0.5)
    paste(image, (30, 22, 22), soft.resize(image.size, Image.Resampling.BICUBIC))


def vessel(
    image: Image.Image,
    rng: Random,
    kind: str,
    foot: Point,
    tall: float,
    colour: tuple[int, int, int],
) -> None:
    outline = spline([(r * tall, h * tall) for h, r in VESSELS[kind]], closed=False, steps=8)
    widest = max(r for r, _ in outline)
    box = (round(widest * 2.1), round(tall * 1.1))
    middle = box[0] / 2
    base = box[1] - widest * 0.12
    # One strip of light, fitted to the outline row by row, like a turned vessel.
    strip = combine(
        lambda p: p["x"] * 0.9 + (p["n"] - 0.5) * 0.1,
        x=ramp((256, box[1]), lambda t: 0.2 + 0.8 * abs(t - 0.3) ** 1.15 / 0.6, "x"),
        n=field((256, box[1]), rng, (3, 24), 4, 0.6),
    )
    lit = colour_map(
        strip,
        [
            (0.12, shade(colour, 0.34)),
            (0.34, shade(colour, 0.08)),
            (0.56, shade(colour, -0.14)),
            (1, shade(colour, -0.62)),
        ],
    )
    mesh = []
    mask = Sheet(box)
    sides: list[Point] = []
    for (r0, h0), (r1, h1) in pairwise(outline):
        top, bottom = round(base - h1), round(base - h0)
        if bottom > top:
            r = max(r0, r1) + 2
            left, right = round(middle - r), round(middle + r)
            mesh.append(((left, top, right, bottom), (0, top, 0, bottom, 256, bottom, 256, top)))
        sides.append((r0, h0))
    sides.append(outline[-1])
    left, right = round(middle - outline[0][0] - 2), round(middle + outline[0][0] + 2)
    last = round(base)
    mesh.append(((left, last, right, box[1]), (0, last, 0, box[1], 256, box[1], 256, last)))
    body = lit.transform(box, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
    rim, foot_radius = outline[-1][0], outline[0][0]
    curve = [(middle + r, base - h) for r, h in sides]
    under = [
        (middle + foot_radius * math.cos(a), base + foot_radius * 0.16 * math.sin(a))
        for a in (math.pi * i / 24 for i in range(1, 24))
    ]
    mask.polygon([*curve[::-1], *under, *[(2 * middle - x, y) for x, y in curve]])
    spot = (round(foot[0] - middle), round(foot[1] - base))
    shape = mask.finish()
    image.paste(body, spot, shape)
    opening = Sheet(box, 0)
    lip = [
        (middle + rim * math.cos(a), base - tall + rim * 0.17 * math.sin(a))
        for a in (math.tau * i / 48 for i in range(48))
    ]
    opening.polygon(lip)
    image.paste(shade(colour, 0.22), spot, opening.finish())
    inner = Sheet(box, 0)
    inner.polygon(
        [(middle + (x - middle) * 0.9, (y - base + tall) * 0.82 + base - tall) for x, y in lip]
    )
    dark = colour_map(
        ramp(box, lambda t: t, "x"), even([shade(colour, -0.72), shade(colour, -0.25)])
    )
    image.paste(dark, spot, inner.finish())


def _bouquet(image: Image.Image, rng: Random, mouth: Point, unit: float, colours: Palette) -> None:
    """Draw dry stems with round heads."""
    sheet = Sheet(image.size)
    heads: list[tuple[Point, float]] = []
    for number in range(9):
        lean = (number - 4) * 0.13 + rng.uniform(-0.05, 0.05)
        reach = unit * rng.uniform(0.16, 0.36) * (1 - abs(lean) * 0.35)
        tip = (mouth[0] + math.sin(lean) * reach, mouth[1] - math.cos(lean) * reach)
        bend = (mouth[0] + math.sin(lean) * reach * 0.35, mouth[1] - reach * 0.55)
        sheet.line(
            spline([(mouth[0] + lean * 8, mouth[1] + 4), bend, tip], closed=False), unit * 0.0035
        )
        heads.append((tip, unit * rng.uniform(0.018, 0.04)))
    paste(image, mix(colours[0], (70, 66, 40), 0.75), sheet.finish())
    for (x, y), radius in heads:
        side = round(radius * 3)
        ball = combine(
            lambda p: p["d"] * 0.8 + (p["n"] - 0.5) * 0.45,
            d=distance((side, side), (side * 0.4, side * 0.38), radius * 1.5),
            n=field((side, side), rng, 7, 3, 0.8),
        )
        colour = rng.choice(list(colours))
        lit = colour_map(ball, even([shade(colour, 0.45), colour, shade(colour, -0.4)]))
        shape = combine(
            lambda p: p["d"] + (p["n"] - 0.5) * 0.3,
            d=distance((side, side), (side / 2, side / 2), radius),
            n=field((side, side), rng, 9, 2),
        )
        image.paste(
            lit,
            (round(x - side / 2), round(y - side / 2)),
            tone(shape, lambda t: 1 - smoothstep(0.9, 0.99)(t)),
        )


def bowls(
    size: Size, rng: Random, colours: Palette, layout: tuple[int, int] = (3, 3)
) -> Image.Image:
    """Draw bowls from above. Colours: cloth, then glazes in threes (rim, wall, pool)."""
    width, height = size
    threads = field(size, rng, (3, 150), 3, 0.8)
    crossed = field(size, rng, (150, 3), 3, 0.8)
    cloth = combine(
        lambda p: (p["a"] + p["b"]) * 0.28 + p["c"] * 0.44,
        a=threads,
        b=crossed,
        c=distance(size, (width * 0.15, height * 0.1), math.hypot(*size)),
    )
    image = colour_map(cloth, even([shade(colours[0], 0.25), colours[0], shade(colours[0], -0.4)]))
    glazes = [list(colours[i : i + 3]) for i in range(1, len(colours) - 2, 3)]
    columns, rows = layout
    cell = min(width / (columns + 0.35), height / (rows + 0.35))
    for row in range(rows):
        for column in range(columns):
            radius = cell * rng.uniform(0.37, 0.45)
            x = width / 2 + (column - (columns - 1) / 2) * cell + cell * rng.uniform(-0.03, 0.03)
            y = height / 2 + (row - (rows - 1) / 2) * cell + cell * rng.uniform(-0.03, 0.03)
            glaze = glazes[(row * columns + column + row) % len(glazes)]
            _bowl(image, rng, (x, y), radius, glaze)
    return image


def _bowl(image: Image.Image, rng: Random, centre: Point, radius: float, glaze: Palette) -> None:
    rim, wall, pool = glaze
    side = round(radius * 2.9)
    box, middle = (side, side), (side / 2, side / 2)
    away = distance(box, middle, radius)
    wobble = field(box, rng, 3, 2)
    away = combine(lambda p: p["d"] + (p["n"] - 0.5) * 0.025, d=away, n=wobble)
    spot = (round(centre[0] - side / 2), round(centre[1] - side / 2))
    shape = tone(away, lambda t: 1 - smoothstep(0.985, 0.997)(t))
    under = image.crop((*spot, spot[0] + side, spot[1] + side))
    drop_shadow(under, shape, (radius * 0.11, radius * 0.14), radius * 0.1, 0.75)
    running = combine(
        lambda p: p["d"] * 0.9 + (p["n"] - 0.5) * 0.24 + (p["f"] - 0.5) * 0.1,
        d=away,
        n=field(box, rng, 5, 5, 0.6),
        f=field(box, rng, 60, 2),
    )
    glazed = colour_map(
        running,
        [
            (0, shade(pool, -0.18)),
            (0.3, pool),
            (0.52, mix(pool, wall, 0.6)),
            (0.66, wall),
            (0.82, shade(wall, 0.1)),
            (0.88, rim),
        ],
    )
    # The wall that faces the light is bright, the opposite one is in shadow.
    slope = combine(
        lambda p: 0.5 + (p["x"] + p["y"]) * p["d"] * 0.5,
        x=ramp(box, lambda t: t - 0.5, "x"),
        y=ramp(box, lambda t: t - 0.5),
        d=away,
    )
    light = tone(slope, lambda t: 0.46 + 0.54 * smoothstep(0.15, 0.85)(t))
    bright = ImageChops.multiply(glazed, Image.merge("RGB", (light, light, light)))
    edge = tone(away, lambda t: smoothstep(0.935, 0.945)(t))
    back = tone(slope, lambda t: 1 - 0.4 * t)
    lip = ImageChops.multiply(
        Image.new("RGB", box, shade(rim, 0.12)), Image.merge("RGB", (back, back, back))
    )
    paste(bright, lip, edge)
    line = tone(away, lambda t: 0.5 if 0.925 < t < 0.94 else 0)
    paste(bright, shade(rim, -0.6), line)
    gleam = distance(box, (side * 0.62, side * 0.63), radius * 0.16, 1.0)
    paste(bright, (255, 252, 244), tone(gleam, lambda t: 0.3 * (1 - smoothstep(0.1, 0.95)(t))))
    specks = Sheet(box)
    for _ in range(70):
        a, r = rng.uniform(0, math.tau), radius * rng.uniform(0, 0.97)
        specks.disc(
            (middle[0] + math.cos(a) * r, middle[1] + math.sin(a) * r),
            radius * rng.uniform(0.002, 0.008),
            150,
        )
    paste(bright, shade(rim, -0.65), specks.finish())
    paste(under, bright, shape)
    image.paste(under, spot)
