"""Works made of shapes: tiles, nested squares, suprematist, cut paper, linocuts, waves, houses."""

import math
from random import Random

from PIL import Image, ImageChops

from imagehub.emulators.samples.paint import (
    Colour,
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
    leaf,
    mix,
    paste,
    ramp,
    rectangle,
    shade,
    slope,
    smoothstep,
    spline,
    tone,
    turned,
    wash,
)


def _printed(image: Image.Image, rng: Random, paper: Colour, wear: float = 0.5) -> Image.Image:
    """Let specks of paper show through, as in a worn print."""
    specks = field(image.size, rng, 90, 4, 0.8)
    patches = field(image.size, rng, 4, 3)
    thin = combine(lambda p: p["s"] * 0.8 + p["p"] * 0.2, s=specks, p=patches)
    paste(image, paper, tone(thin, lambda t: wear * smoothstep(0.62, 0.85)(t)))
    return image


def tiles(size: Size, rng: Random, colours: Palette, across: int = 5) -> Image.Image:
    """Draw quarter circles, half circles and bars on a grid; first colour: paper."""
    width, height = size
    down = max(1, round(across * height / width))
    side = min(width / (across + 0.8), height / (down + 0.8))
    left, top = (width - side * across) / 2, (height - side * down) / 2
    sheet = Sheet(size, colours[0])
    last = -1
    for row in range(down):
        for column in range(across):
            x, y = left + column * side, top + row * side
            ground, figure, extra = rng.sample(list(colours), 3)
            kind = rng.choice([k for k in range(8) if k != last])
            last = kind
            sheet.polygon(rectangle(x, y, side, side), ground)
            corner = rng.randrange(4)
            cx, cy = x + side * (corner in (1, 2)), y + side * (corner in (2, 3))
            start = (0, 90, 180, 270)[corner]
            middle = (x + side / 2, y + side / 2)
            if kind in (0, 1):
                sheet.pie((cx, cy), side, start, start + 90, figure)
                if kind == 1:
                    sheet.pie((cx, cy), side * 0.5, start, start + 90, extra)
            elif kind == 2:
                for ring, ink in ((1.0, figure), (0.75, ground), (0.5, figure), (0.25, extra)):
                    sheet.pie((cx, cy), side * ring, start, start + 90, ink)
            elif kind == 3:
                turn = rng.choice((0, 90, 180, 270))
                sheet.pie(
                    _along(middle, turn + 180, side / 2), side / 2, turn - 90, turn + 90, figure
                )
                sheet.pie(middle, side / 2, turn - 90, turn + 90, extra)
            elif kind == 4:
                sheet.disc(middle, side * 0.5, figure)
                sheet.disc(middle, side * 0.22, extra)
            elif kind == 5:
                for bar in range(0, 6, 2):
                    box = (
                        rectangle(x, y + bar * side / 6, side, side / 6)
                        if corner % 2
                        else rectangle(x + bar * side / 6, y, side / 6, side)
                    )
                    sheet.polygon(box, figure)
            elif kind == 6:
                corners = rectangle(x, y, side, side)
                sheet.polygon([corners[(corner + k) % 4] for k in range(3)], figure)
                sheet.disc(middle, side * 0.18, extra)
            else:
                sheet.pie((x, y), side, 0, 90, figure)
                sheet.pie((x + side, y + side), side, 180, 270, figure)
                lens = leaf((x, y + side), -math.pi / 4, side * 1.4142, side * 0.42)
                sheet.polygon(lens, extra)
    return _printed(sheet.finish(), rng, colours[0], 0.4)


def _along(place: Point, degrees: float, far: float) -> Point:
    return (
        place[0] + math.cos(math.radians(degrees)) * far,
        place[1] + math.sin(math.radians(degrees)) * far,
    )


def nested(
    size: Size, rng: Random, colours: Palette, grid: tuple[int, int] = (1, 1)
) -> Image.Image:
    """Draw nested squares; with a grid, each cell mixes its own four colours."""
    width, height = size
    columns, rows = grid
    image = wash(size, rng, colours[0], 0.05)
    cell_w, cell_h = width / columns, height / rows
    knife = field(size, rng, (60, 9), 4, 0.7)
    grey = tone(knife, lambda t: 0.86 + 0.14 * t)
    sheet = Sheet(size, colours[0])
    for row in range(rows):
        for column in range(columns):
            inks = list(colours) if columns * rows == 1 else rng.sample(list(colours), 4)
            x, y, w, h = column * cell_w, row * cell_h, cell_w, cell_h
            sink = (
                rng.choice((0.62, 0.72)) if columns * rows == 1 else rng.choice((0.25, 0.5, 0.75))
            )
            lean = 0.5 if columns * rows == 1 else rng.choice((0.25, 0.5, 0.75))
            for number, ink in enumerate(inks):
                wobble = 0 if number == 0 else min(cell_w, cell_h) * 0.0018
                box = [
                    (a + rng.gauss(0, wobble), b + rng.gauss(0, wobble))
                    for a, b in rectangle(x, y, w, h)
                ]
                sheet.polygon(box, ink)
                step_x, step_y = cell_w / (len(inks) + 0.35), cell_h / (len(inks) + 0.35)
                x, y, w, h = x + step_x * lean, y + step_y * sink, w - step_x, h - step_y
    image = ImageChops.multiply(sheet.finish(), Image.merge("RGB", (grey, grey, grey)))
    return _printed(image, rng, mix(colours[0], (255, 255, 255), 0.3), 0.25)


def suprematist(
    size: Size, rng: Random, colours: Palette, tilt: float = -28, count: int = 15
) -> Image.Image:
    """Draw floating planes. Colours: ground, then planes; the first plane dominates."""
    width, height = size
    unit = min(size)
    image = wash(size, rng, colours[0], 0.06, 3)
    centre = (width / 2, height / 2)
    paints = {ink: wash(size, rng, ink, 0.2, (5, 26)) for ink in colours[1:]}

    def plane(points: list[Point], ink: Colour) -> None:
        shape = Sheet(size)
        shape.polygon(points)
        mask = shape.finish()
        drop_shadow(image, mask, (unit * 0.003, unit * 0.004), unit * 0.004, 0.3)
        paste(image, paints[ink], mask)

    heavy = rectangle(width * 0.3, height * 0.27, unit * 0.36, unit * 0.33)
    plane(turned(heavy, tilt * 0.4, centre), colours[1])
    long_ = rectangle(width * 0.08, height * 0.56, unit * 0.95, unit * 0.055)
    plane(turned(long_, tilt, centre), colours[2])
    axis = math.radians(tilt)
    for number in range(count):
        ink = colours[1 + number % (len(colours) - 1)]
        t = (number + 0.5) / count * 2 - 1
        off = rng.gauss(0, 0.17) * unit
        x = width / 2 + math.cos(axis) * t * width * 0.36 - math.sin(axis) * off
        y = height / 2 + math.sin(axis) * t * width * 0.36 + math.cos(axis) * off + unit * 0.06 * t
        long_side = unit * rng.choice((0.05, 0.09, 0.16, 0.26))
        short = unit * rng.choice((0.008, 0.014, 0.03, 0.05))
        turn = tilt + rng.choice((0, 0, 0, 90, 12))
        plane(
            turned(rectangle(x - long_side / 2, y - short / 2, long_side, short), turn, (x, y)), ink
        )
    x, y = width * 0.73, height * 0.27
    ring = [
        (x + math.cos(a) * unit * 0.1, y + math.sin(a) * unit * 0.1)
        for a in (math.tau * i / 90 for i in range(90))
    ]
    plane(ring, colours[3 % len(colours)])
    x, y = width * 0.27, height * 0.8
    wedge: list[Point] = [
        (x, y - unit * 0.09),
        (x + unit * 0.1, y + unit * 0.07),
        (x - unit * 0.09, y + unit * 0.06),
    ]
    plane(turned(wedge, tilt, (x, y)), colours[1 + count % (len(colours) - 1)])
    return image


def cut_paper(size: Size, rng: Random, colours: Palette, across: int = 3) -> Image.Image:
    """Draw seaweed and leaves cut from painted paper, pasted on coloured sheets."""
    width, height = size
    down = max(1, round(across * height / width))
    cell_w, cell_h = width / across, height / down
    image = Image.new("RGB", size, colours[0])
    before: Colour | None = None
    for row in range(down):
        for column in range(across):
            ground, figure = rng.sample([c for c in colours if c != before], 2)
            before = ground
            box = (round(cell_w * 1.06), round(cell_h * 1.06))
            sheet = Sheet(box)
            j = [rng.uniform(-0.012, 0.012) * cell_w for _ in range(8)]
            m = cell_w * 0.035
            sheet.polygon(
                [
                    (m + j[0], m + j[1]),
                    (box[0] - m + j[2], m + j[3]),
                    (box[0] - m + j[4], box[1] - m + j[5]),
                    (m + j[6], box[1] - m + j[7]),
                ]
            )
            spot = (round(column * cell_w - cell_w * 0.03), round(row * cell_h - cell_h * 0.03))
            _glue(image, rng, spot, sheet.finish(), ground)
            shape = Sheet(box)
            centre = (box[0] / 2, box[1] / 2)
            reach = min(cell_w, cell_h) * 0.43
            kind = rng.randrange(4)
            if kind == 0:
                shape.polygon(_algae(rng, centre, reach, rng.choice((5, 6, 7))))
            elif kind == 1:
                shape.polygon(_frond(rng, centre, reach * 1.05))
            elif kind == 2:
                for k in range(3):
                    y = centre[1] + (k - 1) * reach * 0.62
                    shape.polygon(
                        _algae(
                            rng, (centre[0] + rng.uniform(-0.3, 0.3) * reach, y), reach * 0.45, 4
                        )
                    )
            else:
                shape.polygon(_bean(rng, centre, reach))
                shape.polygon(
                    _bean(rng, (centre[0] + reach * 0.1, centre[1] - reach * 0.05), reach * 0.42), 0
                )
            _glue(image, rng, spot, shape.finish(), figure)
    return image


def _glue(
    image: Image.Image, rng: Random, spot: tuple[int, int], mask: Image.Image, ink: Colour
) -> None:
    under = image.crop((*spot, spot[0] + mask.width, spot[1] + mask.height))
    unit = min(mask.size)
    drop_shadow(under, mask, (unit * 0.006, unit * 0.01), unit * 0.009, 0.42)
    paste(under, wash(mask.size, rng, ink, 0.16, (2, 12)), mask)
    image.paste(under, spot)


def _algae(rng: Random, centre: Point, reach: float, lobes: int) -> list[Point]:
    """Return a round seaweed: arms with round ends and deep bays between."""
    points: list[Point] = []
    turn = rng.uniform(0, math.tau)
    for arm in range(lobes):
        length = reach * rng.uniform(0.78, 1.08)
        for offset, far in (
            (-0.5, 0.3),
            (-0.2, 0.62),
            (-0.2, 0.93),
            (0.0, 1.04),
            (0.22, 0.9),
            (0.2, 0.6),
        ):
            thin = 1.0 if far < 0.4 else 0.85
            a = turn + (arm + offset * thin + rng.uniform(-0.04, 0.04)) * math.tau / lobes
            points.append(
                (centre[0] + math.cos(a) * length * far, centre[1] + math.sin(a) * length * far)
            )
    return spline(points, steps=8)


def _frond(rng: Random, centre: Point, reach: float) -> list[Point]:
    """Return a leaf with fingers on both sides."""
    right: list[Point] = []
    left: list[Point] = []
    fingers = 6
    for k in range(fingers):
        t = k / (fingers - 1)
        y = centre[1] + reach * (0.85 - 1.6 * t)
        far = reach * (0.34 + 0.5 * math.sin(math.pi * (0.2 + 0.75 * t)))
        step = reach * 1.6 / fingers
        for points, side in ((right, 1), (left, -1)):
            f = far * rng.uniform(0.85, 1.1)
            points.append((centre[0] + side * reach * 0.1, y))
            points.append((centre[0] + side * f * 0.8, y - step * 0.62))
            points.append((centre[0] + side * f, y - step * 0.95))
            points.append((centre[0] + side * f * 0.72, y - step * 1.12))
    tip = (centre[0], centre[1] - reach * 1.12)
    return spline([(centre[0], centre[1] + reach), *right, tip, *left[::-1]], steps=7)


def _bean(rng: Random, centre: Point, reach: float) -> list[Point]:
    turn = rng.uniform(0, math.tau)
    return spline(
        [
            (
                centre[0] + math.cos(turn + a) * reach * r * rng.uniform(0.92, 1.06),
                centre[1] + math.sin(turn + a) * reach * r * rng.uniform(0.92, 1.06),
            )
            for a, r in (
                (0, 1),
                (0.8, 0.85),
                (1.6, 0.55),
                (2.4, 0.85),
                (3.2, 1),
                (4.0, 0.9),
                (4.8, 0.85),
                (5.6, 0.95),
            )
        ],
        steps=14,
    )


# --- Prints ---------------------------------------------------------------------------------------


def linocut(size: Size, rng: Random, colours: Palette, sun: Point = (0.5, 0.4)) -> Image.Image:
    """Draw a linocut of a sun over fields. Colours: paper, ink, sun."""
    width, height = size
    paper, ink, disc = colours
    unit = min(size)
    m = unit * 0.075
    plate = Sheet(size)
    plate.polygon(
        [
            (x + rng.uniform(-1, 1) * m * 0.05, y + rng.uniform(-1, 1) * m * 0.05)
            for x, y in rectangle(m, m, width - 2 * m, height - 2 * m)
        ]
    )
    cx, cy = width * sun[0], height * sun[1]
    radius = unit * 0.17
    horizon = height * 0.66
    count = 92
    for ray in range(count):
        a = math.tau * (ray + rng.uniform(-0.2, 0.2)) / count
        near = radius * (1.13 + 0.05 * rng.random())
        r = near
        while r < max(size):
            length = radius * rng.uniform(0.22, 0.85) * (0.5 + r / radius * 0.35)
            far = r + length
            x, y = cx + math.cos(a) * far, cy + math.sin(a) * far
            if y > horizon or not (m * 1.15 < x < width - m * 1.15 and m * 1.15 < y):
                break
            thick = unit * 0.0032 * (0.8 + r / radius * 0.42) * rng.uniform(0.8, 1.2)
            _gouge(plate, (cx + math.cos(a) * r, cy + math.sin(a) * r), (x, y), thick)
            r = far + radius * rng.uniform(0.05, 0.16)
    plate.disc((cx, cy), radius * 1.05, 0)
    rows = 6
    land = Sheet(size)
    top = horizon
    for row in range(rows):
        edge = spline(
            [
                (
                    i / 5 * (width - 2 * m) + m,
                    top + unit * 0.018 * math.sin(i * 1.7 + row * 2) * (row + 0.6),
                )
                for i in range(6)
            ],
            closed=False,
        )
        land.polygon([(m, height - m), *edge, (width - m, height - m)])
        land.line(edge, unit * 0.007, 0)
        tall = (height - m - horizon) / rows * (0.55 + row * 0.19)
        lean = rng.choice((-1.1, 1.1, 0.3))
        step = unit * (0.011 + 0.004 * row)
        x = m
        while x < width - m:
            t = (x - m) / (width - 2 * m)
            y = edge[min(len(edge) - 1, int(t * (len(edge) - 1)))][1]
            reach = tall * rng.uniform(0.45, 0.92)
            end = (x + lean * reach * 0.6, y + unit * 0.012 + reach)
            if m * 1.1 < end[0] < width - m * 1.1 and end[1] < height - m * 1.15:
                _gouge(land, (x, y + unit * 0.012), end, step * 0.3)
            x += step * rng.uniform(0.85, 1.15)
        top += tall
    ground = Sheet(size)
    ground.polygon(rectangle(0, horizon + unit * 0.03, width, height))
    block = ImageChops.darker(plate.finish(), ImageChops.invert(ground.finish()))
    block = ImageChops.lighter(block, land.finish())
    image = wash(size, rng, paper, 0.05)
    round_ = Sheet(size)
    round_.disc((cx + unit * 0.004, cy - unit * 0.003), radius)
    worn = tone(field(size, rng, 80, 4, 0.75), lambda t: 1 - 0.75 * smoothstep(0.62, 0.8)(t))
    paste(image, disc, ImageChops.multiply(round_.finish(), worn))
    paste(image, ink, ImageChops.multiply(block, worn))
    return image


def _gouge(sheet: Sheet, a: Point, b: Point, thick: float) -> None:
    """Draw a gouge cut: pointed at the start, round at the end."""
    angle = math.atan2(b[1] - a[1], b[0] - a[0])
    sheet.polygon(leaf(a, angle, math.dist(a, b), thick * 2), 0)


def waves(
    size: Size, rng: Random, colours: Palette, rows: int = 9, sun: bool = True
) -> Image.Image:
    """Draw waves. Colours: sky above, sky low, deep water, light water, foam, sun."""
    width, height = size
    high, low, deep, light, foam, disc = colours
    unit = min(size)
    bokashi = combine(
        lambda p: p["y"] + (p["n"] - 0.5) * 0.08,
        y=ramp(size, lambda t: t / 0.5),
        n=field(size, rng, (3, 20), 3),
    )
    image = colour_map(bokashi, [(0, high), (0.35, mix(high, low, 0.85)), (1, low)])
    if sun:
        ball = Sheet(size)
        ball.disc((width * 0.68, height * 0.27), unit * 0.125)
        paste(image, disc, ball.finish())
    grain = field(size, rng, (2, 90), 3, 0.8)
    start = height * 0.36
    for row in range(rows):
        t = row / (rows - 1)
        base = start + (height * 1.02 - start) * t**1.12
        lift = unit * (0.035 + 0.075 * t)
        length = unit * (0.3 + 0.42 * t)
        phase = rng.uniform(0, math.tau)
        crest = _crest(width, base, lift, length, phase)
        mask = Sheet(size)
        mask.polygon([(-10, height + 10), *crest, (width + 10, height + 10)])
        shape = mask.finish()
        top = base - lift * 1.3
        body = colour_map(
            combine(
                lambda p: p["y"] * 0.84 + p["g"] * 0.16,
                y=slope(size, top, lift * 2.8),
                g=grain,
            ),
            even([mix(light, foam, 0.25 * (1 - t)), mix(light, deep, 0.45), deep]),
        )
        paste(image, body, shape)
        cuts = Sheet(size)
        for k in range(1, 6):
            shifted = [
                (x + lift * 0.16 * k, y + lift * (0.05 + 0.24 * k * (1 + 0.06 * k)))
                for x, y in crest
            ]
            cuts.line(shifted, unit * (0.0034 - 0.0004 * k) * (0.6 + 0.7 * t), 225 - k * 28)
        for k in range(len(crest) // 2):
            x, y = crest[k * 2]
            if y < base - lift * 0.45:
                for _ in range(2):
                    r = unit * rng.uniform(0.0014, 0.0048) * (0.5 + t)
                    cuts.disc(
                        (x + rng.gauss(0, lift * 0.22), y - abs(rng.gauss(0, lift * 0.14))), r, 235
                    )
        cuts.line(crest, unit * 0.0075 * (0.5 + 0.8 * t))
        paste(image, foam, cuts.finish())
    return _printed(image, rng, foam, 0.18)


def _crest(width: int, base: float, lift: float, length: float, phase: float) -> list[Point]:
    """Return a line of breakers: steep at the front, with overhanging tips."""
    points: list[Point] = []
    for i in range(-20, 420):
        s = i / 400 * width / length * math.tau + phase
        lean = 0.36 * lift * (1 + math.cos(s)) * 1.25
        swell = 0.25 * lift * math.sin(s * 0.31 + phase)
        points.append(
            (i / 400 * width - lean, base - lift * (0.5 + 0.5 * math.cos(s)) ** 1.6 - swell)
        )
    return points


def houses(size: Size, rng: Random, colours: Palette, rows: int = 6) -> Image.Image:
    """Draw a town. Colours: sky, light (windows, moon), dark (doors), then walls."""
    width, height = size
    sky, glow, dark, *walls = colours
    unit = min(size)
    image = colour_map(
        combine(
            lambda p: p["y"] * 0.8 + p["n"] * 0.2,
            y=ramp(size, lambda t: t),
            n=field(size, rng, 5, 5, 0.6),
        ),
        even([shade(sky, -0.2), sky, mix(sky, glow, 0.5)]),
    )
    plaster = field((unit, unit), rng, 24, 5, 0.65)
    moon = Sheet(size)
    moon.disc((width * 0.76, height * 0.16), unit * 0.07)
    paste(image, glow, moon.finish())
    for row in range(rows):
        t = row / (rows - 1)
        base = height * (0.42 + 0.62 * t)
        x = -unit * rng.uniform(0, 0.1)
        while x < width:
            w = unit * rng.uniform(0.1, 0.19) * (0.8 + 0.35 * t)
            hill = 1 - abs((x + w / 2) / width - 0.46) * 1.15
            tall = unit * rng.uniform(0.17, 0.36) * (0.62 + 0.55 * hill)
            top = base - tall - height * 0.09 * hill * (1 - t)
            _house(image, rng, (x, top, w, height - top), rng.choice(walls), glow, dark, plaster)
            x += w * rng.uniform(0.9, 1.0)
    return image


def _house(
    image: Image.Image,
    rng: Random,
    place: tuple[float, float, float, float],
    wall: Colour,
    glow: Colour,
    dark: Colour,
    plaster: Image.Image,
) -> None:
    unit = plaster.width
    x, top, w, h = place
    roof = w * rng.choice((0, 0, 0.35, 0.5, 0.7))
    box = (round(w * 1.3), round(min(h, unit * 0.62) + roof * 1.2))
    px = w * 0.15
    py = roof * 1.1
    body = Sheet(box)
    body.polygon(rectangle(px, py, w, box[1]))
    spot = (round(x - px), round(top - py))
    corner = (rng.randint(0, plaster.width - box[0]), rng.randint(0, plaster.height - box[1]))
    light = combine(
        lambda p: p["x"] * 0.35 + p["n"] * 0.5 + 0.05,
        x=ramp(box, lambda t: t, "x"),
        n=plaster.crop((*corner, corner[0] + box[0], corner[1] + box[1])),
    )
    paint = colour_map(light, even([shade(wall, 0.22), wall, shade(wall, -0.3)]))
    image.paste(paint, spot, body.finish())
    if roof:
        gable = Sheet(box)
        gable.polygon([(px - w * 0.06, py + 1), (px + w / 2, py - roof), (px + w * 1.06, py + 1)])
        cap = colour_map(
            light, even([mix(dark, wall, 0.6), mix(dark, wall, 0.4), mix(dark, wall, 0.2)])
        )
        image.paste(cap, spot, gable.finish())
    holes, lamps = Sheet(box), Sheet(box)
    columns = rng.choice((2, 2, 3))
    arch = rng.random() < 0.5
    step = w / columns
    y = py + step * 0.45
    while y < box[1] - step:
        for column in range(columns):
            if rng.random() < 0.16:
                continue
            wx, ww, wh = px + step * (column + 0.28), step * 0.44, step * 0.66
            for sheet in (lamps,) if rng.random() < 0.3 else (holes,):
                sheet.polygon(rectangle(wx, y, ww, wh))
                if arch:
                    sheet.disc((wx + ww / 2, y), ww / 2)
        y += step * 1.3
    image.paste(mix(dark, wall, 0.18), (*spot, spot[0] + box[0], spot[1] + box[1]), holes.finish())
    image.paste(glow, (*spot, spot[0] + box[0], spot[1] + box[1]), lamps.finish())


def moons(size: Size, rng: Random, colours: Palette, count: int = 7) -> Image.Image:
    """Draw the moon's phases in a row or column. Colours: night, moon, shadow side."""
    width, height = size
    dark, bright, dim = colours
    unit = min(width, height)
    image = wash(size, rng, dark, 0.12, 5)
    long_ = max(size)
    radius = min(unit * 0.3, long_ / count * 0.4)
    for number in range(count):
        along = long_ * (number + 0.5) / count
        centre = (along, height / 2) if width > height else (width / 2, along)
        side = round(radius * 2.2)
        box = (side, side)
        ball = distance(box, (side / 2, side / 2), radius)
        phase = (number + 0.5) / count * 2 - 1
        edge = math.cos(math.pi * (1 - abs(phase))) * radius
        lit = Sheet(box)
        arc = [(-math.pi / 2 + math.pi * i / 40) for i in range(41)]
        outer = [(side / 2 + math.cos(a) * radius, side / 2 + math.sin(a) * radius) for a in arc]
        inner = [(side / 2 + math.cos(a) * edge, side / 2 + math.sin(a) * radius) for a in arc]
        lit.polygon(outer + inner[::-1])
        crescent = lit.finish()
        if phase > 0:
            crescent = crescent.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        seas = combine(
            lambda p: p["a"] * 0.6 + p["b"] * 0.4,
            a=field(box, rng, 3, 5, 0.55),
            b=field(box, rng, 14, 3, 0.6),
        )
        disc = colour_map(
            seas, [(0.25, mix(bright, dim, 0.75)), (0.5, mix(bright, dim, 0.2)), (0.8, bright)]
        )
        night = Image.new("RGB", box, mix(dark, dim, 0.22))
        night.paste(disc, (0, 0), crescent)
        spot = (round(centre[0] - side / 2), round(centre[1] - side / 2))
        image.paste(night, spot, tone(ball, lambda t: 1 - smoothstep(0.985, 1.0)(t)))
    return image
