"""Works from nature: mountains, nights, birches, dunes, plant prints, bamboo in ink."""

import math
from collections.abc import Iterator
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from imagehub.emulators.samples.paint import (
    Colour,
    Palette,
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
    paste,
    profile,
    ramp,
    rectangle,
    shade,
    slope,
    smoothstep,
    spline,
    tone,
    wash,
)

# --- Landscapes -----------------------------------------------------------------------------------


def mountains(
    size: Size,
    rng: Random,
    colours: Palette,
    ridges: int = 7,
    sun: Point | None = (0.66, 0.34),
    pines: bool = True,
    horizon: float = 0.42,
) -> Image.Image:
    """Draw ridges in mist. Colours: sky above and low, mist, far and near ridge, sun."""
    width, height = size
    high, low, mist, far, near, disc = colours
    unit = min(width, height * 1.4)
    image = colour_map(
        combine(
            lambda p: p["y"] * 0.94 + (p["n"] - 0.5) * 0.16,
            y=ramp(size, lambda t: min(1.0, t / (horizon + 0.2))),
            n=field(size, rng, (2, 14), 4),
        ),
        even([high, mix(high, low, 0.6), low]),
    )
    if sun:
        centre = (sun[0] * width, sun[1] * height)
        halo = distance(size, centre, unit * 0.42)
        paste(
            image, mix(disc, low, 0.3), tone(halo, lambda t: 0.55 * (1 - smoothstep(0, 1)(t)) ** 2)
        )
        ball = distance(size, centre, unit * 0.062)
        paste(image, disc, tone(ball, lambda t: 1 - smoothstep(0.97, 1.0)(t)))
    for number in range(ridges):
        near_by = number / max(ridges - 1, 1)
        base = height * (horizon + (1.02 - horizon) * near_by**1.25)
        swing = height * (0.12 + 0.06 * near_by) * (1.0 if number < ridges - 1 else 0.6)
        waves = (1.3 + near_by * 1.6) * width / unit
        outline = profile(rng, 260, waves, 6, 0.47, ridged=number % 2 == 0)
        points = [
            (i / 259 * width, base - swing * (value + 0.25)) for i, value in enumerate(outline)
        ]
        mask = Sheet(size)
        mask.polygon([(0, height), *points, (width, height)])
        if pines and number >= ridges - 2:
            _pines(mask, rng, points, unit * (0.028 if number < ridges - 1 else 0.062))
        colour = mix(far, near, near_by**1.35)
        top = min(y for _, y in points)
        fade = swing * 2.4 + height * 0.05
        haze = combine(
            lambda p: p["y"] + (p["n"] - 0.5) * 0.3,
            y=slope(size, top, fade),
            n=field(size, rng, (3, 9), 3),
        )
        foot = mix(colour, mist, 0.78 - 0.5 * near_by)
        body = colour_map(haze, [(0.1, colour), (0.45, mix(colour, foot, 0.35)), (1, foot)])
        paste(image, body, mask.finish())
    return image


def _pines(mask: Sheet, rng: Random, ground: list[Point], tall: float) -> None:
    for x, y in ground:
        if rng.random() < 0.45:
            continue
        h = tall * rng.uniform(0.45, 1.25)
        x += rng.uniform(-1, 1) * tall * 0.2
        tiers = 5
        points: list[Point] = [(x, y - h)]
        for side in (1, -1):
            edge: list[Point] = []
            for tier in range(tiers):
                t = (tier + 1) / tiers
                edge.append((x + side * h * 0.19 * t * rng.uniform(0.8, 1.15), y - h * (1 - t)))
                edge.append((x + side * h * 0.19 * t * 0.5, y - h * (1 - t) - h * 0.02))
            points += edge if side == 1 else edge[::-1]
        mask.polygon([points[0], *points[1:]])


def dunes(size: Size, rng: Random, colours: Palette, layers: int = 5) -> Image.Image:
    """Draw sand dunes. Colours: sky above, sky low, sand in light, sand in shadow."""
    width, height = size
    high, low, light, dark = colours
    image = colour_map(ramp(size, lambda t: min(1.0, t / 0.45)), even([high, low]))
    grit = field(size, rng, (40, 220), 3, 0.8)
    for number in range(layers):
        near_by = number / (layers - 1)
        base = height * (0.36 + 0.5 * near_by**1.1)
        swing = height * (0.045 + 0.12 * near_by)
        knots = [(-0.1 * width, base + rng.uniform(-1, 1) * swing)]
        peak = rng.uniform(0.25, 0.75)
        for step in (0.12, 0.35, 0.55, 0.8, 1.1):
            lift = math.exp(-(((step - peak) / 0.22) ** 2))
            knots.append((step * width, base - lift * swing * 1.7 + rng.uniform(-0.3, 0.3) * swing))
        crest = spline(knots, closed=False, steps=24)
        mask = Sheet(size)
        mask.polygon([(0, height), *crest, (width, height)])
        air = 0.62 * (1 - near_by)
        sand = colour_map(
            combine(
                lambda p: p["y"] * 0.7 + (p["g"] - 0.5) * 0.28 + 0.12,
                y=slope(size, base - swing, height * 0.5),
                g=grit,
            ),
            even(
                [
                    mix(shade(light, 0.2), low, air),
                    mix(light, low, air),
                    mix(mix(light, dark, 0.45), low, air),
                ]
            ),
        )
        paste(image, sand, mask.finish())
        top = min(crest, key=lambda q: q[1])
        start = crest.index(top)
        reach = height * (0.16 + 0.5 * near_by)
        fall = [
            (
                top[0] + width * (0.05 * math.sin(t * 5.2) + 0.1 * t) * (0.5 + near_by),
                top[1] + reach * t,
            )
            for t in (i / 30 for i in range(31))
        ]
        lee = Sheet(size)
        lee.polygon(
            [*crest[start:], (width * 1.1, height * 1.1), (fall[-1][0], height * 1.1), *fall[::-1]]
        )
        shadow = ImageChops.multiply(lee.finish(), mask.finish())
        depth = tone(slope(size, top[1], reach * 1.6), lambda t: 0.92 - 0.55 * t)
        deep = colour_map(
            grit,
            even([mix(shade(dark, -0.12), low, air), mix(dark, low, air)]),
        )
        paste(image, deep, ImageChops.multiply(shadow, depth))
    return image


def night(
    size: Size, rng: Random, colours: Palette, lines: bool = True, water: bool = False
) -> Image.Image:
    """Draw stars over dark land. Colours: zenith, horizon, band of stars, land."""
    width, height = size
    zenith, low, band, land = colours
    unit = min(size)
    image = colour_map(
        combine(
            lambda p: p["y"] * 0.9 + (p["n"] - 0.5) * 0.2,
            y=ramp(size, lambda t: (t / 0.86) ** 1.7),
            n=field(size, rng, 3, 4),
        ),
        even([zenith, mix(zenith, low, 0.35), low]),
    )
    slope, start = rng.choice((-0.9, 0.9)), 0.5
    across = combine(
        lambda p: (p["x"] * slope + p["y"]) * (p["x"] * slope + p["y"]),
        x=ramp(size, lambda t: (t - start) * width / unit, "x"),
        y=ramp(size, lambda t: (t - 0.42) * height / unit),
    )
    clouds = field(size, rng, 7, 6, 0.6)
    milk = combine(
        lambda p: (
            (p["n"] * 1.5 - 0.25) * (1 / (1 + p["a"] * 22))
            - (p["d"] - 0.4) * 0.55 / (1 + p["a"] * 60)
        ),
        n=clouds,
        d=field(size, rng, 10, 5, 0.6),
        a=across,
    )
    paste(image, band, tone(milk, lambda t: 0.85 * smoothstep(0.05, 1.0)(t)))
    stars = Image.new("L", size)
    draw = ImageDraw.Draw(stars)
    glow = Sheet((width // 4, height // 4), scale=1)
    bright: list[tuple[float, Point]] = []
    for _ in range(2600):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        if rng.random() < 0.45:
            y = height * 0.42 - slope * (x - width * start) + rng.gauss(0, unit * 0.12)
        power = rng.paretovariate(1.9) - 1
        value = min(255, round(70 + 110 * power))
        if power > 2.2 and 0 < y < height * 0.7:
            bright.append((power, (x, y)))
        r = unit * 0.0006 * (1 + min(power, 6) * 0.62)
        if r < 0.9:
            draw.point((x, y), fill=value)
        else:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=value)
        if power > 2:
            glow.disc((x / 4, y / 4), r * 0.55, min(255, value // 2 + 20))
    soft = glow.image.filter(ImageFilter.GaussianBlur(unit * 0.0016))
    paste(image, mix(band, (255, 255, 255), 0.5), soft.resize(size, Image.Resampling.BICUBIC))
    paste(image, (255, 250, 240), stars)
    if lines and len(bright) > 5:
        _constellations(image, [place for _, place in sorted(bright, reverse=True)[:22]], unit)
    if water:
        shore = round(height * 0.74)
        mirror = image.crop((0, 2 * shore - height, width, shore)).transpose(
            Image.Transpose.FLIP_TOP_BOTTOM
        )
        rows = mirror.resize((width, max(1, mirror.height // 10))).resize(
            mirror.size, Image.Resampling.BICUBIC
        )
        image.paste(Image.blend(rows, Image.new("RGB", mirror.size, land), 0.3), (0, shore))
    far = profile(rng, 200, 3, 5)
    shift = height * (0.74 if water else 0.88)
    hills = Sheet(size)
    lift = height * 0.05
    points = [(i / 199 * width, shift - lift * (v + 0.7)) for i, v in enumerate(far)]
    hills.polygon(
        [(0, shift), *points, (width, shift)] if water else [(0, height), *points, (width, height)]
    )
    paste(image, mix(land, low, 0.25), hills.finish())
    front = Sheet(size)
    edge = [
        (i / 199 * width, height * 0.955 - lift * 0.8 * v)
        for i, v in enumerate(profile(rng, 200, 2, 5))
    ]
    if not water:
        front.polygon([(0, height), *edge, (width, height)])
        _pines(front, rng, edge, unit * 0.09)
    paste(image, land, front.finish())
    return image


def _constellations(image: Image.Image, stars: list[Point], unit: float) -> None:
    """Draw thin lines between neighbouring stars, in figures of five."""
    net = Sheet(image.size)
    left = list(stars)
    while len(left) >= 5:
        here = left.pop(0)
        for _ in range(4):
            there = min(left, key=lambda q: math.dist(q, here))
            far = math.dist(here, there)
            if far > unit * 0.4:
                break
            gap = unit * 0.012 / max(far, 1)
            a = (here[0] + (there[0] - here[0]) * gap, here[1] + (there[1] - here[1]) * gap)
            b = (there[0] + (here[0] - there[0]) * gap, there[1] + (here[1] - there[1]) * gap)
            net.line([a, b], unit * 0.0011, 130)
            left.remove(there)
            here = there
    paste(image, (235, 230, 215), net.finish())


def birches(size: Size, rng: Random, colours: Palette, trunks: int = 15) -> Image.Image:
    """Draw white trunks. Colours: bark, depth of the wood, ground, then leaves."""
    width, height = size
    bark, deep, ground, *leaves = colours
    unit = min(size)
    image = colour_map(
        combine(
            lambda p: p["y"] * 0.7 + p["n"] * 0.45 - 0.08,
            y=ramp(size, lambda t: abs(t - 0.62) * 1.5),
            n=field(size, rng, (16, 4), 5, 0.6),
        ),
        even(
            [
                mix(deep, leaves[1], 0.95),
                mix(deep, leaves[0], 0.55),
                mix(deep, leaves[0], 0.18),
                deep,
            ]
        ),
    )
    floor = Sheet(size)
    line = [
        (i / 60 * width, height * 0.8 + unit * 0.02 * v) for i, v in enumerate(profile(rng, 61, 5))
    ]
    floor.polygon([(0, height), *line, (width, height)])
    paste(image, wash(size, rng, ground, 0.3, (5, 30)), floor.finish())
    for layer in range(3):
        count = round(trunks * (0.5, 0.32, 0.24)[layer])
        feet: list[tuple[float, float, float]] = []
        for number in range(count):
            thick = unit * (0.018, 0.036, 0.066)[layer] * rng.uniform(0.75, 1.25)
            x = width * (number + rng.uniform(0.15, 0.85)) / count
            foot = height * (0.815, 0.87, 0.97)[layer] + rng.uniform(-1, 1) * unit * 0.02
            _trunk(image, rng, x, thick, foot, mix(bark, deep, (0.55, 0.25, 0)[layer]), deep)
            feet.append((x, foot, thick))
        for _ in range((1500, 1100, 700)[layer]):
            # Most leaves are in the crowns, some are falling, the others are on the ground.
            high = rng.random() < 0.74
            y = abs(rng.gauss(0, 0.3)) - 0.02 if high else rng.uniform(0.8, 1) ** 0.9
            r = unit * rng.uniform(0.002, 0.0052) * (0.7 + 0.35 * layer)
            _dab(image, (rng.uniform(0, width), height * y), r, rng.choice(leaves), rng)
        for x, y, thick in feet:
            for _ in range(16):
                place = (x + rng.gauss(0, thick * 0.75), y + abs(rng.gauss(0, thick * 0.1)))
                ink = mix(ground, rng.choice(leaves), rng.choice((0.1, 0.4, 0.8)))
                _dab(image, place, thick * rng.uniform(0.04, 0.11), ink, rng)
    return image


def _dab(image: Image.Image, place: Point, radius: float, colour: Colour, rng: Random) -> None:
    x, y = place
    wide = radius * rng.uniform(0.8, 1.7)
    fill = shade(colour, rng.uniform(-0.15, 0.15))
    ImageDraw.Draw(image).ellipse((x - wide, y - radius, x + wide, y + radius), fill=fill)


def _trunk(
    image: Image.Image, rng: Random, x: float, thick: float, foot: float, bark: Colour, dark: Colour
) -> None:
    box = (max(8, round(thick * 1.5)), round(foot))
    lean = rng.uniform(-0.2, 0.2) * thick
    light = combine(
        lambda p: p["x"] + (p["n"] - 0.5) * 0.3,
        x=ramp(box, lambda t: abs(t - 0.36) * 1.5, "x"),
        n=field(box, rng, (1.5, 60), 3, 0.7),
    )
    body = colour_map(light, even([shade(bark, 0.35), bark, mix(bark, dark, 0.55)]))
    marks = Sheet(box)
    for _ in range(round(box[1] / thick * 1.5)):
        y, side = rng.uniform(0, box[1]), rng.choice((0.0, 1.0))
        reach = box[0] * rng.uniform(0.12, 0.6)
        h = thick * rng.uniform(0.015, 0.06)
        a = box[0] * side
        b = a + reach * (1 - 2 * side)
        marks.polygon([(a, y - h), (b, y), (a, y + h)], rng.randint(140, 240))
    paste(body, mix(dark, (20, 18, 16), 0.6), marks.finish())
    shape = Sheet(box)
    left, right = box[0] / 2 - thick / 2, box[0] / 2 + thick / 2
    shape.polygon(
        [
            (left + thick * 0.14 + lean, 0),
            (right - thick * 0.14 + lean, 0),
            (right, box[1]),
            (left, box[1]),
        ]
    )
    image.paste(body, (round(x - box[0] / 2), 0), shape.finish())


# --- Plants ---------------------------------------------------------------------------------------

# A piece of a plant: outline of a leaf, or the line and width of a stem, and how dense it is.
Piece = tuple[list[Point], float, float]


def _fern(foot: Point, tall: float, lean: float, rng: Random) -> Iterator[Piece]:
    stem = [
        (foot[0] + lean * tall * 0.4 * t**2, foot[1] - tall * t * (1 - 0.1 * abs(lean) * t))
        for t in (i / 40 for i in range(41))
    ]
    yield stem, tall * 0.007, 1.0
    for i in range(5, 40):
        t = i / 40
        length = tall * 0.27 * math.sin(math.pi * (0.12 + 0.88 * t) ** 0.9) + tall * 0.006
        heading = math.atan2(stem[i][1] - stem[i - 1][1], stem[i][0] - stem[i - 1][0])
        for side in (-1, 1):
            angle = heading + side * (1.22 - 0.45 * t) + rng.uniform(-0.04, 0.04)
            count = max(3, round(15 * length / (tall * 0.27)))
            x, y = stem[i]
            for k in range(count):
                s = k / count
                x += math.cos(angle) * length / count
                y += math.sin(angle) * length / count
                small = length * 0.16 * (1 - s * 0.85)
                for turn in (-1, 1):
                    yield (
                        leaf((x, y), angle + turn * 1.05, small, small * 0.44),
                        0,
                        rng.uniform(0.72, 0.95),
                    )
            yield [stem[i], (x, y)], tall * 0.0022, 0.9


def _sprig(
    foot: Point, tall: float, lean: float, rng: Random, round_: bool = False
) -> Iterator[Piece]:
    stem = [
        (foot[0] + t**1.6 * lean * tall * 0.42, foot[1] - tall * t * (1 - 0.12 * abs(lean) * t))
        for t in (i / 30 for i in range(31))
    ]
    yield stem, tall * 0.008, 1.0
    for i in range(5, 31, 3 if round_ else 2):
        t = i / 30
        heading = math.atan2(stem[i][1] - stem[i - 1][1], stem[i][0] - stem[i - 1][0])
        length = tall * (0.17 - 0.1 * t) if round_ else tall * (0.21 - 0.11 * t)
        for side in (-1, 1):
            angle = heading + side * rng.uniform(0.7, 1.05)
            blade = leaf(stem[i], angle, length, length * (0.78 if round_ else 0.3), side * -0.3)
            yield blade, 0, rng.uniform(0.6, 0.92)
            middle = [
                stem[i],
                ((blade[9][0] + stem[i][0]) / 2, (blade[9][1] + stem[i][1]) / 2),
                blade[9],
            ]
            yield middle, tall * 0.0022, 1.0
    yield leaf(stem[-1], -math.pi / 2, tall * 0.1, tall * 0.04), 0, 0.85


def _umbel(foot: Point, tall: float, lean: float, rng: Random) -> Iterator[Piece]:
    head = (foot[0] + lean * tall * 0.2, foot[1] - tall * 0.72)
    yield (
        spline([foot, (foot[0] + lean * tall * 0.02, foot[1] - tall * 0.4), head], closed=False),
        tall * 0.008,
        1.0,
    )
    for ray in range(19):
        angle = -math.pi / 2 + (ray - 9) * 0.135 + rng.uniform(-0.04, 0.04)
        reach = tall * (0.28 - 0.05 * abs(ray - 9) / 9)
        tip = (head[0] + math.cos(angle) * reach, head[1] + math.sin(angle) * reach * 0.95)
        bend = (head[0] + math.cos(angle) * reach * 0.6, head[1] + math.sin(angle) * reach * 0.5)
        yield spline([head, bend, tip], closed=False), tall * 0.003, 0.9
        for _ in range(15):
            a, r = rng.uniform(0, math.tau), tall * 0.034 * rng.random() ** 0.5
            bud = (tip[0] + math.cos(a) * r, tip[1] + math.sin(a) * r * 0.8)
            yield [tip, bud], tall * 0.0014, 0.7
            size = tall * rng.uniform(0.007, 0.012)
            yield (
                [
                    (bud[0] + math.cos(b) * size, bud[1] + math.sin(b) * size)
                    for b in (0, 1.05, 2.1, 3.14, 4.2, 5.2)
                ],
                0,
                0.95,
            )
    for side in (-1, 1):
        base = (foot[0] + lean * tall * 0.01, foot[1] - tall * rng.uniform(0.2, 0.35))
        for k in range(7):
            angle = -math.pi / 2 + side * (0.5 + k * 0.16)
            yield leaf(base, angle, tall * (0.24 - k * 0.018), tall * 0.016, side * 0.35), 0, 0.75


def _grass(foot: Point, tall: float, lean: float, rng: Random) -> Iterator[Piece]:
    for _ in range(7):
        swing = lean + rng.uniform(-0.7, 0.7)
        h = tall * rng.uniform(0.5, 1)
        tip = (foot[0] + swing * h * 0.5, foot[1] - h * (1 - 0.16 * abs(swing)))
        blade = spline(
            [foot, (foot[0] + swing * h * 0.08, foot[1] - h * 0.55), tip], closed=False, steps=14
        )
        yield blade, tall * 0.004, 0.85
        for k in range(18):
            x, y = blade[-1 - k // 2]
            a = -math.pi / 2 + swing * 0.9 + (-1) ** k * 0.45
            x, y = x - (swing * h * 0.012) * (k / 2), y + h * 0.013 * (k / 2)
            yield leaf((x, y), a, tall * 0.05, tall * 0.012), 0, rng.uniform(0.7, 0.95)


def _ginkgo(foot: Point, tall: float, lean: float, rng: Random) -> Iterator[Piece]:
    stem = [
        (foot[0] + lean * tall * 0.35 * t + math.sin(t * 5) * tall * 0.02, foot[1] - tall * t)
        for t in (i / 20 for i in range(21))
    ]
    yield stem, tall * 0.012, 1.0
    for i in range(3, 21, 2):
        for side in (-1, 1):
            angle = -math.pi / 2 + side * rng.uniform(0.55, 1.25)
            stalk = tall * rng.uniform(0.07, 0.11)
            base = (stem[i][0] + math.cos(angle) * stalk, stem[i][1] + math.sin(angle) * stalk)
            yield [stem[i], base], tall * 0.004, 0.95
            r = tall * rng.uniform(0.085, 0.125)
            fan: list[Point] = [base]
            for k in range(-14, 15):
                a = angle + k / 14 * 0.98
                notch = 0.72 if k == 0 else 0.9 if abs(k) == 1 else 1 + 0.035 * math.sin(k * 2.2)
                fan.append((base[0] + math.cos(a) * r * notch, base[1] + math.sin(a) * r * notch))
            yield fan, 0, rng.uniform(0.62, 0.85)
            for k in range(-12, 13, 3):
                a = angle + k / 14 * 0.95
                far = (base[0] + math.cos(a) * r * 0.93, base[1] + math.sin(a) * r * 0.93)
                yield [base, far], tall * 0.0016, 0.98


_PLANTS = {"fern": _fern, "sprig": _sprig, "umbel": _umbel, "grass": _grass, "ginkgo": _ginkgo}


def _plant(kind: str, foot: Point, tall: float, lean: float, rng: Random) -> list[Piece]:
    if kind == "eucalyptus":
        return list(_sprig(foot, tall, lean, rng, round_=True))
    return list(_PLANTS[kind](foot, tall, lean, rng))


def cyanotype(size: Size, rng: Random, colours: Palette, plants: str = "fern fern") -> Image.Image:
    """Draw a plant cyanotype. Colours: paper, blue in full sun, blue in the shade."""
    width, height = size
    paper, blue, pale = colours
    kinds = plants.split()
    shadow = Image.new("L", size)
    for number, kind in enumerate(kinds):
        x = width * (0.5 + (number - (len(kinds) - 1) / 2) * 0.62 / max(len(kinds), 1))
        tall = height * 0.76 * (1 if number % 2 == 0 else rng.uniform(0.72, 0.88))
        lean = (0.25 if len(kinds) == 1 else 0) + (number - (len(kinds) - 1) / 2) * 0.5
        layer = Sheet(size)
        for points, stroke, dense in _plant(kind, (x, height * 0.9), tall, lean, rng):
            value = round(255 * dense)
            if stroke:
                layer.line(points, stroke, value)
            else:
                layer.polygon(points, value)
        shadow = ImageChops.screen(shadow, layer.finish().point(lambda v: v * 0.92))
    # The edge is soft where light reached under a plant that did not touch the paper.
    near = tone(field(size, rng, 4, 3), smoothstep(0.3, 0.55))
    small = shadow.reduce(4).filter(ImageFilter.GaussianBlur(min(size) * 0.0016))
    shadow = Image.composite(shadow, small.resize(size, Image.Resampling.BICUBIC), near)
    ground = combine(
        lambda p: p["n"] * 0.3 + p["b"] * 0.12,
        n=field(size, rng, 4, 6, 0.6),
        b=field(size, rng, (3, 50), 3, 0.7),
    )
    exposed = ImageChops.lighter(tone(ground), shadow)
    print_ = colour_map(
        exposed,
        [
            (0, shade(blue, -0.3)),
            (0.2, blue),
            (0.55, pale),
            (0.9, mix(pale, paper, 0.88)),
            (1, paper),
        ],
    )
    image = wash(size, rng, paper, 0.05)
    paste(image, print_, _brushed_sheet(size, rng, 0.055))
    return image


def _brushed_sheet(size: Size, rng: Random, margin: float) -> Image.Image:
    """Return the area covered by a wide brush, with dry ends."""
    width, height = size
    m = margin * min(size)
    edge = combine(
        lambda p: p["e"] + (p["a"] - 0.5) * 0.5 + (p["b"] - 0.5) * 0.25,
        e=combine(
            lambda p: p["min"](p["x"], p["y"]),
            x=ramp(size, lambda t: (min(t, 1 - t) * width / m - 1) * 0.7 + 0.5, "x"),
            y=ramp(size, lambda t: (min(t, 1 - t) * height / m - 1) * 0.7 + 0.5),
        ),
        a=field(size, rng, (5, 70), 4, 0.75),
        b=field(size, rng, (60, 6), 4, 0.75),
    )
    return tone(edge, smoothstep(0.44, 0.56))


def herbarium(size: Size, rng: Random, colours: Palette, plants: str = "eucalyptus") -> Image.Image:
    """Draw pressed plants in watercolour. Colours: paper, then greens (or autumn)."""
    width, height = size
    paper, *greens = colours
    kinds = plants.split()
    image = wash(size, rng, paper, 0.05, 2)
    for number, kind in enumerate(kinds):
        lean = (number - (len(kinds) - 1) / 2) * (1.5 / len(kinds)) if len(kinds) > 1 else 0.3
        x = width * (0.5 + lean * 0.03)
        tall = height * (0.7 if number % 2 == 0 else 0.78)
        sheet = Sheet(size, paper)
        for points, stroke, dense in _plant(kind, (x, height * 0.9), tall, lean, rng):
            colour = shade(rng.choice(greens), (0.85 - dense) * 0.9)
            if stroke:
                sheet.line(
                    points,
                    stroke,
                    mix(greens[0], (60, 48, 30), 0.45)
                    if dense < 0.99 or stroke > tall * 0.006
                    else shade(paper, -0.12),
                )
            else:
                sheet.polygon(points, colour)
        mottled = combine(lambda p: p["n"] * 0.36 + 0.72, n=field(size, rng, 16, 5, 0.65))
        light = tone(mottled)
        ink = ImageChops.screen(sheet.finish(), Image.new("RGB", size, (0, 0, 0)))
        pale = ImageChops.subtract(
            Image.new("RGB", size, (255, 255, 255)), Image.merge("RGB", (light, light, light))
        )
        pressed = ImageChops.screen(ink, pale.point(lambda v: v * 0.55))
        image = ImageChops.darker(image, pressed)
    return image


def bamboo(size: Size, rng: Random, colours: Palette, culms: int = 3) -> Image.Image:
    """Draw bamboo in ink on a long scroll. Colours: paper, ink, seal."""
    width, height = size
    paper, ink, seal = colours
    unit = min(width, height * 0.5)
    image = wash(size, rng, paper, 0.07, (3, 5))
    mist = field(size, rng, 3, 4)
    paste(image, mix(paper, ink, 0.35), tone(mist, lambda t: 0.4 * smoothstep(0.5, 1)(t)))
    for number in range(culms):
        strength = (0.34, 0.62, 0.95)[(number + 3 - culms) % 3]
        thick = unit * (0.05, 0.07, 0.095)[(number + 3 - culms) % 3]
        x = width * (0.3, 0.72, 0.5)[number % 3]
        lean = rng.uniform(-0.05, 0.05)
        plane = Image.new("L", size)
        y = height * 1.02
        joints: list[Point] = []
        while y > -height * 0.05:
            length = unit * rng.uniform(0.5, 0.7)
            box = (max(6, round(thick * 1.4)), max(8, round(length)))
            body = combine(
                lambda p: 0.42 + p["x"] * 0.75 + p["e"] * 0.4 + (p["n"] - 0.5) * 0.5,
                x=ramp(box, lambda t: abs(t - 0.42) * 0.9, "x"),
                e=ramp(box, lambda t: abs(t - 0.5) ** 3 * 8 * 0.6),
                n=field(box, rng, (9, 2), 4, 0.7),
            )
            shape = Sheet(box)
            mid, half = box[0] / 2, thick / 2
            shape.polygon(
                spline(
                    [
                        (mid - half, 2),
                        (mid + half, 2),
                        (mid + half * 0.86, length / 2),
                        (mid + half, length - 2),
                        (mid - half, length - 2),
                        (mid - half * 0.86, length / 2),
                    ],
                    steps=5,
                )
            )
            spot = (round(x - mid), round(y - length))
            plane.paste(tone(body), spot, shape.finish())
            y -= length + unit * 0.012
            x += lean * length
            joints.append((x, y))
        leaves = Sheet(size)
        for joint in joints[1:]:
            if rng.random() < 0.75:
                _bamboo_twig(leaves, rng, joint, unit * rng.uniform(0.26, 0.42))
        plane = ImageChops.lighter(plane, leaves.finish())
        dry = tone(
            field(size, rng, (30, 60), 3, 0.7), lambda t: 0.72 + 0.28 * smoothstep(0.2, 0.5)(t)
        )
        plane = faint(ImageChops.multiply(plane, dry), strength)
        paste(image, ink, plane)
    stamp = Sheet(size)
    s = unit * 0.12
    x, y = width * 0.78, height * 0.9
    stamp.polygon(rectangle(x, y, s, s))
    stamp.line([(x + s * 0.25, y + s * 0.2), (x + s * 0.25, y + s * 0.8)], s * 0.09, 0)
    stamp.line([(x + s * 0.25, y + s * 0.5), (x + s * 0.75, y + s * 0.5)], s * 0.09, 0)
    stamp.line([(x + s * 0.5, y + s * 0.22), (x + s * 0.78, y + s * 0.78)], s * 0.09, 0)
    worn = tone(field(size, rng, 60, 3, 0.7), lambda t: 0.5 + 0.5 * smoothstep(0.2, 0.45)(t))
    paste(image, seal, ImageChops.multiply(stamp.finish(), worn))
    return image


def _bamboo_twig(sheet: Sheet, rng: Random, joint: Point, reach: float) -> None:
    side = rng.choice((-1, 1))
    angle = -math.pi / 2 + side * rng.uniform(0.7, 1.2)
    tip = (joint[0] + math.cos(angle) * reach, joint[1] + math.sin(angle) * reach * 0.7)
    sheet.line(
        spline([joint, ((joint[0] + tip[0]) / 2, tip[1] - reach * 0.03), tip], closed=False),
        reach * 0.02,
        200,
    )
    for place, count in ((tip, 4), (((joint[0] + tip[0]) / 2, (joint[1] + tip[1]) / 2), 3)):
        for k in range(count):
            hang = math.pi / 2 - side * 0.5 + (k - count / 2) * 0.42 + rng.uniform(-0.12, 0.12)
            blade = leaf(
                place, hang, reach * rng.uniform(0.75, 1.15), reach * 0.14, rng.uniform(-0.2, 0.2)
            )
            sheet.polygon(blade, rng.randint(150, 255))
