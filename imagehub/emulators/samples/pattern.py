"""Works made by rules: weaving, marbling, flow lines, contours, optical art, terrazzo, quilts."""

import math
from random import Random

from PIL import Image, ImageChops, ImageFilter

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
    field,
    paste,
    ramp,
    shade,
    smoothstep,
    stretched,
    tiled,
    tone,
    warp,
    wash,
    within,
)


def weaving(
    size: Size, rng: Random, colours: Palette, draft: str = "blocks", threads: int = 150
) -> Image.Image:
    """Draw cloth, thread by thread.

    :param draft: ``blocks`` (areas of twill), ``diamonds``, ``stripes`` or ``houndstooth``.
    :param threads: how many threads along the shorter side.
    """
    width, height = size
    pitch = max(6, round(min(size) / threads))
    columns, rows = math.ceil(width / pitch), math.ceil(height / pitch)
    warp_ink = [colours[0]] * columns
    weft_ink = [colours[1]] * rows
    if draft == "houndstooth":
        warp_ink = [colours[(i // 4) % 2] for i in range(columns)]
        weft_ink = [colours[(i // 4) % 2] for i in range(rows)]
    elif draft == "stripes":
        warp_ink = _stripes(rng, colours, columns)
        weft_ink = _stripes(rng, colours, rows)
    blocks = _blocks(rng, columns, rows, colours)
    ink = Image.new("RGB", (columns, rows))
    up: list[int] = []
    inks: list[Colour] = []
    for j in range(rows):
        for i in range(columns):
            weft = weft_ink[j]
            if draft == "blocks":
                area, weft = blocks[j * 16 // rows][i * 12 // columns]
                lifted = ((i + j * (1 if area % 2 else -1)) % 4) < (1, 2, 3)[area % 3]
            elif draft == "diamonds":
                a, b = abs((i % 44) - 22), abs((j % 44) - 22)
                lifted = (a + b) % 4 < 2
                ring = (a + b) // 9
                weft = colours[1 + (ring + (i // 44 + j // 44) % 2) % (len(colours) - 1)]
            else:
                lifted = (i - j) % 4 < 2
            up.append(255 if lifted else 0)
            inks.append(warp_ink[i] if lifted else weft)
    ink.putdata(inks)
    lift = Image.new("L", (columns, rows))
    lift.putdata(up)
    full = (columns * pitch, rows * pitch)
    colour = ink.resize(full, Image.Resampling.NEAREST)
    over = lift.resize(full, Image.Resampling.NEAREST)
    round_ = [0.45 + 0.6 * math.sin(math.pi * (i + 0.5) / pitch) for i in range(pitch)]
    upright, lying = Image.new("L", (pitch, pitch)), Image.new("L", (pitch, pitch))
    bow = [0.86 + 0.14 * math.sin(math.pi * (i + 0.5) / pitch) for i in range(pitch)]
    upright.putdata(
        [min(255, round(255 * round_[x] * bow[y])) for y in range(pitch) for x in range(pitch)]
    )
    lying.putdata(
        [min(255, round(240 * round_[y] * bow[x])) for y in range(pitch) for x in range(pitch)]
    )
    relief = Image.composite(tiled(upright, full), tiled(lying, full), over)
    hair = tone(field(full, rng, (50, 50), 3, 0.9), lambda t: 0.78 + 0.22 * t)
    relief = ImageChops.multiply(relief, hair)
    cloth = ImageChops.multiply(colour, Image.merge("RGB", (relief, relief, relief)))
    cloth = cloth.crop((0, 0, width, height))
    return cloth.point(lambda v: min(255, v * 1.14))


def _stripes(rng: Random, colours: Palette, count: int) -> list[Colour]:
    """Return stripes of different widths, mirrored about the middle like a blanket's."""
    half: list[Colour] = []
    last = colours[0]
    while len(half) < count // 2 + 1:
        last = rng.choice([c for c in colours if c != last])
        half += [last] * rng.choice((2, 4, 4, 8, 12, 18))
    half = half[: count // 2 + 1]
    return (half + half[::-1])[:count]


def _blocks(
    rng: Random, columns: int, rows: int, colours: Palette
) -> list[list[tuple[int, Colour]]]:
    """Return 12 by 16 areas, some joined sideways, each with draft and weft colour."""
    grid: list[list[tuple[int, Colour]]] = []
    for _ in range(16):
        line: list[tuple[int, Colour]] = []
        while len(line) < 12:
            line += [(rng.randrange(6), rng.choice(list(colours[1:])))] * rng.choice((1, 1, 2, 3))
        grid.append(line[:12])
    return grid


def marbling(size: Size, rng: Random, colours: Palette, comb: int = 9) -> Image.Image:
    """Draw marbled paper: paint on water, combed."""
    small = within(size, 1_700_000)
    width, height = small
    unit = min(small)
    strip = Image.new("RGB", (1, height))
    rows: list[Colour] = []
    while len(rows) < height:
        ink = rng.choice([c for c in colours if not rows or c != rows[-1]])
        rows += [ink] * max(2, round(unit * rng.choice((0.006, 0.012, 0.02, 0.034))))
    strip.putdata(rows[:height])
    image = strip.resize(small, Image.Resampling.NEAREST)
    gap = unit / comb
    amp = gap * 1.25
    bend = [rng.uniform(0, math.tau) for _ in range(6)]

    def source(x: float, y: float) -> Point:
        x += unit * 0.05 * math.sin(y / unit * 3.1 + bend[0]) + unit * 0.02 * math.sin(
            y / unit * 9 + bend[1]
        )
        y += unit * 0.05 * math.sin(x / unit * 2.6 + bend[2]) + unit * 0.015 * math.sin(
            x / unit * 8 + bend[3]
        )
        t = abs((y / gap + 0.25 * math.sin(x / unit * 5 + bend[4])) % 2 - 1)
        x += gap * 0.9 * (t * t * (3 - 2 * t))
        t = abs((x / gap) % 2 - 1)
        y += amp * (1 - math.exp(-3.2 * t)) + gap * 0.22 * math.sin(x / gap * 6.3)
        return (x % (width - 1), y % (height - 1))

    image = warp(image, source, 7)
    return image.resize(size, Image.Resampling.BICUBIC)


def ink_rings(size: Size, rng: Random, colours: Palette, drops: int = 5) -> Image.Image:
    """Draw slightly distorted rings of ink. Colours: paper, then inks."""
    width, height = size
    unit = min(size)
    paper, *inks = colours
    image = wash(size, rng, paper, 0.05)
    bend = combine(
        lambda p: p["a"] * 0.62 + p["b"] * 0.38,
        a=field(size, rng, 2.2, 2),
        b=field(size, rng, 5, 2),
    )
    centres = [
        (width * rng.uniform(0.15, 0.85), height * rng.uniform(0.15, 0.85)) for _ in range(drops)
    ]
    near: Image.Image | None = None
    for centre in centres:
        away = distance(size, centre, unit * rng.uniform(0.9, 1.3))
        near = (
            away
            if near is None
            else combine(
                lambda p: (p["a"] * p["b"]) / (p["a"] + p["b"] + 0.02) * 1.55, a=near, b=away
            )
        )
    assert near is not None
    level = combine(lambda p: p["d"] * 0.55 + p["n"] * 0.42, d=near, n=bend)
    level = stretched(level)
    rings = 34
    widths = [rng.uniform(0.12, 0.62) for _ in range(rings + 1)]

    def ring(t: float) -> float:
        k, place = divmod(t * rings, 1)
        half = widths[int(k)] / 2
        off = abs(place - 0.5)
        return 1 - smoothstep(half, half + 0.12)(off)

    thin = tone(field(size, rng, 6, 5, 0.6), lambda t: 0.45 + 0.55 * smoothstep(0.2, 0.7)(t))
    mask = ImageChops.multiply(tone(level, ring, exact=True), thin)
    ink = (
        colour_map(field(size, rng, 1.6, 3), even(inks))
        if len(inks) > 1
        else Image.new("RGB", size, inks[0])
    )
    paste(image, ink, mask)
    return image


def flow_lines(
    size: Size, rng: Random, colours: Palette, lines: int = 5000, bold: float = 1.0
) -> Image.Image:
    """Draw pen lines along a flow field. Colours: paper, then inks."""
    width, height = size
    unit = min(size)
    cols, rows = 90, max(12, round(90 * height / width))
    angles = tone(field((cols, rows), rng, 1.9, 2)).tobytes()
    sheet = Sheet(size, colours[0])
    turn = rng.uniform(0, math.tau)
    margin = unit * 0.07
    taken: set[tuple[int, int]] = set()
    gap = unit * 0.0075 * bold
    step = unit * 0.006
    hues = tone(field((cols, rows), rng, 1.4, 2)).tobytes()
    inks = colours[1:]
    for _ in range(lines):
        x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
        points: list[Point] = []
        own: set[tuple[int, int]] = set()
        length = rng.choice((40, 90, 160))
        for _ in range(length):
            if not (margin < x < width - margin and margin < y < height - margin):
                break
            cell = (int(x / gap), int(y / gap))
            if cell in taken:
                break
            own.add(cell)
            points.append((x, y))
            place = int(y / height * rows) * cols + int(x / width * cols)
            angle = turn + angles[place] / 255 * 2.6 * math.pi
            x += math.cos(angle) * step
            y += math.sin(angle) * step
        if len(points) < 9:
            continue
        for cx, cy in own:
            taken.update(((cx, cy), (cx + 1, cy), (cx, cy + 1), (cx - 1, cy), (cx, cy - 1)))
        x, y = points[0]
        hue = hues[int(y / height * rows) * cols + int(x / width * cols)] / 255
        ink = inks[min(len(inks) - 1, max(0, int(hue * len(inks) + rng.gauss(0, 0.45))))]
        thick = unit * bold * rng.choice((0.0022, 0.003, 0.0042, 0.007))
        sheet.line(points, thick, ink)
        for end in (points[0], points[-1]):
            sheet.disc(end, thick / 2, ink)
    return sheet.finish()


def contours(size: Size, rng: Random, colours: Palette, levels: int = 22) -> Image.Image:
    """Draw a map of invented land. Colours: line, then the land from low to high."""
    line, *land = colours
    ground = combine(
        lambda p: p["a"] * 0.8 + p["b"] * 0.2,
        a=field(size, rng, 2.4, 3, 0.42),
        b=field(size, rng, 6, 3, 0.5),
    )
    twice = (size[0] * 2, size[1] * 2)
    height_map = ground.resize(twice, Image.Resampling.BICUBIC)
    steps = tone(height_map, lambda t: int(t * levels) * 10 / 255, exact=True)
    edge = ImageChops.subtract(steps.filter(ImageFilter.MaxFilter(3)), steps)
    thin = edge.point(lambda v: 255 if v else 0).reduce(2)
    fifth = steps.point(lambda v: v // 50 * 50)
    bold = ImageChops.subtract(fifth.filter(ImageFilter.MaxFilter(3)), fifth)
    bold = bold.point(lambda v: 255 if v else 0).reduce(2).filter(ImageFilter.MaxFilter(3))
    banded = steps.reduce(2).point(lambda v: (v / 10 + 0.5) / levels * 255)
    image = colour_map(banded, even(land))
    grey = tone(ground)
    behind = grey.copy()
    behind.paste(grey, (5, 5))
    tilt = ImageChops.subtract(grey, behind, 0.22, 128)
    tilt = tilt.filter(ImageFilter.GaussianBlur(2))
    shadow = tilt.point(lambda v: max(0, min(255, (128 - v) * 1.1)))
    light = tilt.point(lambda v: max(0, min(255, (v - 128) * 0.9)))
    paste(image, shade(line, -0.2), shadow)
    paste(image, (255, 252, 240), light)
    paste(image, line, thin.point(lambda v: v * 0.85))
    paste(image, line, bold.point(lambda v: v * 0.95))
    return image


def optical(
    size: Size, rng: Random, colours: Palette, kind: str = "bulge", lines: int = 46
) -> Image.Image:
    """Draw op art in two colours: ``bulge``, ``rings``, ``fold`` or ``check``."""
    width, height = size
    unit = min(size)
    dark, light = colours[:2]
    twice = (width * 2, height * 2) if width * height < 3_500_000 else size
    k = twice[0] / width
    if kind == "check":
        side = unit * k / 14
        board = Sheet(twice, dark, scale=1)
        for j in range(round(twice[1] / side) + 1):
            for i in range(round(twice[0] / side) + 1):
                if (i + j) % 2:
                    board.polygon(
                        [
                            (i * side, j * side),
                            ((i + 1) * side, j * side),
                            ((i + 1) * side, (j + 1) * side),
                            (i * side, (j + 1) * side),
                        ],
                        light,
                    )
        balls = [(0.36, 0.4, 0.33), (0.72, 0.73, 0.2)]

        def source(x: float, y: float) -> Point:
            for bx, by, br in balls:
                dx, dy = x - bx * twice[0], y - by * twice[1]
                r = math.hypot(dx, dy) / (br * unit * k)
                if r < 1:
                    pull = 0.38 + 0.62 * (math.asin(r) / (math.pi / 2)) ** 1.2
                    return bx * twice[0] + dx * pull, by * twice[1] + dy * pull
            return x, y

        bent = warp(board.image, source, max(4, round(8 * k)))
        return bent.reduce(2) if k == 2 else bent
    if kind == "rings":
        a = distance(twice, (twice[0] * 0.42, twice[1] * 0.46), unit * k)
        b = distance(twice, (twice[0] * 0.6, twice[1] * 0.55), unit * k)
        one, two = (
            tone(d, lambda t: 1.0 if (t * lines) % 1 < 0.5 else 0.0, exact=True) for d in (a, b)
        )
        stripes = ImageChops.difference(one, two)
    else:
        bump = distance(twice, (twice[0] * 0.5, twice[1] * 0.48), unit * k * 0.36)
        if kind == "fold":
            phase = combine(
                lambda p: p["x"] * 0.82 + p["n"] * 0.16,
                x=ramp(twice, lambda t: t + 0.045 * math.sin(t * 9), "x"),
                n=field(twice, rng, 2.4, 2),
            )
        else:
            phase = combine(
                lambda p: (
                    p["y"] * 0.9 + 0.05 + 0.11 * p["x"] / (1 + p["d"] * p["d"] * p["d"] * p["d"])
                ),
                y=ramp(twice, lambda t: t),
                x=ramp(twice, lambda t: math.sin((t - 0.5) * 6.0), "x"),
                d=bump,
            )
        stripes = tone(phase, lambda t: 1.0 if (t * lines) % 1 < 0.5 else 0.0, exact=True)
    mask = stripes.reduce(2) if k == 2 else stripes
    image = Image.new("RGB", size, dark)
    if len(colours) > 3:
        paste(image, colour_map(field(size, rng, 1.2, 2), even(colours[1:])), mask)
    else:
        paste(image, light, mask)
    return image


def terrazzo(size: Size, rng: Random, colours: Palette, chips: int = 700) -> Image.Image:
    """Draw marble chips in cement; the first colour is the cement's."""
    width, height = size
    unit = min(size)
    cement, *stones = colours
    sheet = Sheet(size, cement)
    placed: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    cell = unit * 0.13
    for number in range(chips * 4):
        share = number / (chips * 4)
        radius = unit * (0.062 * (1 - share) ** 2.2 + 0.0065) * rng.uniform(0.7, 1.2)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        key = (int(x / cell), int(y / cell))
        around = [
            chip
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            for chip in placed.get((key[0] + i, key[1] + j), ())
        ]
        if any(math.hypot(x - a, y - b) < (radius + r) * 0.94 for a, b, r in around):
            continue
        placed.setdefault(key, []).append((x, y, radius))
        corners = rng.choice((4, 5, 5, 6, 7))
        turn = rng.uniform(0, math.tau)
        squeeze = rng.uniform(0.6, 1)
        lean = rng.uniform(0, math.pi)
        outline: list[Point] = []
        for k in range(corners):
            a = turn + math.tau * (k + rng.uniform(-0.3, 0.3)) / corners
            u, v = math.cos(a) * radius, math.sin(a) * radius * squeeze
            outline.append(
                (
                    x + u * math.cos(lean) - v * math.sin(lean),
                    y + u * math.sin(lean) + v * math.cos(lean),
                )
            )
        sheet.polygon(outline, shade(rng.choice(stones), rng.uniform(-0.1, 0.12)))
    image = sheet.finish()
    veins = combine(lambda p: abs(p["n"] - 0.5) * 2, n=field(size, rng, 16, 5, 0.6))
    paste(image, (255, 255, 255), tone(veins, lambda t: 0.14 * (1 - smoothstep(0, 0.16)(t))))
    paste(
        image,
        (60, 50, 44),
        tone(field(size, rng, 60, 4, 0.7), lambda t: 0.1 * smoothstep(0.55, 0.9)(t)),
    )
    return image


def quilt(size: Size, rng: Random, colours: Palette, across: int = 6) -> Image.Image:
    """Draw triangles sewn together, with the stitching in relief."""
    width, height = size
    side = width / across
    down = math.ceil(height / side)
    sheet = Sheet(size, colours[0])
    seams = Sheet(size)
    for row in range(down):
        for column in range(across):
            x, y = column * side, row * side
            corners: list[Point] = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
            middle = (x + side / 2, y + side / 2)
            kind = (row + column) % 2
            one, two = rng.sample(list(colours), 2)
            for k in range(4):
                ink = (
                    (one, two, one, two)[k] if kind else (colours[0], one, two, one)[(k + row) % 4]
                )
                sheet.polygon([corners[k], corners[(k + 1) % 4], middle], ink)
                seams.line([corners[k], middle], side * 0.008, 190)
            seams.line([*corners, corners[0]], side * 0.01, 210)
            for part in (0.42, 0.87):
                r = [
                    (middle[0] + (cx - middle[0]) * part, middle[1] + (cy - middle[1]) * part)
                    for cx, cy in corners
                ]
                seams.line([*r, r[0]], side * 0.006, 120)
    image = sheet.finish()
    relief = seams.finish()
    soft = relief.filter(ImageFilter.GaussianBlur(side * 0.018))
    puff = ImageChops.subtract(
        soft, ImageChops.offset(soft, round(side * 0.02), round(side * 0.025)), 0.6, 128
    )
    grey = Image.merge("RGB", (puff, puff, puff))
    image = ImageChops.add(image, grey, 1, -128)
    paste(image, (26, 20, 18), relief.point(lambda v: v * 0.3))
    hair = tone(field(size, rng, (120, 120), 3, 0.9), lambda t: 0.86 + 0.14 * t)
    return ImageChops.multiply(image, Image.merge("RGB", (hair, hair, hair)))
