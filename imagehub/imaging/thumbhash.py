"""ThumbHash: a blurred picture in about 25 bytes, shown until the real one is loaded.

Written here because the package on PyPI fails on every picture with transparency and is much
slower: it sums each cosine term over all pixels instead of row by row.
"""

import math

# Browsers scale it up smoothly; a ThumbHash has at most seven waves along its longer side, and
# three of its colours along the shorter.
_LONGEST_PX, _SHORTEST_PX = 9, 3
_LEAST_BYTES = 5


def make_thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """Encode a tiny picture as a ThumbHash of about 25 bytes.

    :param rgba: four bytes a pixel, not premultiplied, row by row; at most 100 × 100.

    Source: the format as published at https://github.com/evanw/thumbhash. Brightness and two
    colour differences are each written as a mean and the first cosine terms, four bits a term.
    """
    count = width * height
    alphas = [value / 255 for value in rgba[3::4]]
    total_alpha = math.fsum(alphas)
    has_alpha = total_alpha < count
    average = [
        math.fsum(map(float.__mul__, alphas, map(float, rgba[band::4]))) / 255 / (total_alpha or 1)
        for band in range(3)
    ]
    # Transparent parts are filled with the mean colour.
    red, green, blue = (
        [mean * (1 - a) + a * v / 255 for a, v in zip(alphas, rgba[band::4], strict=True)]
        for band, mean in enumerate(average)
    )
    rgb = list(zip(red, green, blue, strict=True))
    luma = _cosine_terms([(r + g + b) / 3 for r, g, b in rgb], width, height, 5 if has_alpha else 7)
    yellow_blue = _cosine_terms([(r + g) / 2 - b for r, g, b in rgb], width, height, 0)
    red_green = _cosine_terms([r - g for r, g, b in rgb], width, height, 0)
    longest = max(width, height)
    limit = 5 if has_alpha else 7
    terms_x, terms_y = (max(1, _round(limit * side / longest)) for side in (width, height))

    first = (
        _round(63 * luma[0])
        | _round(31.5 + 31.5 * yellow_blue[0]) << 6
        | _round(31.5 + 31.5 * red_green[0]) << 12
        | _round(31 * luma[2]) << 18
        | has_alpha << 23
    )
    second = (
        (terms_y if width > height else terms_x)
        | _round(63 * yellow_blue[2]) << 3
        | _round(63 * red_green[2]) << 9
        | (width > height) << 15
    )
    nibbles = [*luma[1], *yellow_blue[1], *red_green[1]]
    result = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    if has_alpha:
        alpha = _cosine_terms(alphas, width, height, -5)
        result += bytes([_round(15 * alpha[0]) | _round(15 * alpha[2]) << 4])
        nibbles += alpha[1]
    if len(nibbles) % 2:
        nibbles.append(0)
    return result + bytes(
        low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True)
    )


def _round(value: float) -> int:
    """Round to the nearest integer, halves up, as the reference implementation does."""
    return math.floor(value + 0.5)


def _cosine_terms(
    channel: list[float], width: int, height: int, limit: int
) -> tuple[float, list[int], float]:
    """Return the mean, the other terms scaled to 0…15, and the scale of one channel.

    :param limit: number of terms along the longer side (for brightness); 0 means 3 × 3 terms (for
        colours), a negative number that many in both directions (for transparency).
    """
    if limit > 0:
        longest = max(width, height)
        terms_x, terms_y = (max(3, _round(limit * side / longest)) for side in (width, height))
    else:
        terms_x = terms_y = -limit or 3
    rows = [channel[at : at + width] for at in range(0, width * height, width)]
    columns = []  # Along x first: one sum for each row and term, shared by all terms along y.
    for cx in range(terms_x):
        wave = [math.cos(math.pi / width * cx * (x + 0.5)) for x in range(width)]
        columns.append([sum(map(float.__mul__, row, wave)) for row in rows])
    mean, terms = 0.0, []
    for cy in range(terms_y):
        wave = [math.cos(math.pi / height * cy * (y + 0.5)) for y in range(height)]
        for cx in range(terms_x):
            if cx * terms_y >= terms_x * (terms_y - cy):
                break
            term = sum(map(float.__mul__, columns[cx], wave)) / (width * height)
            if cx or cy:
                terms.append(term)
            else:
                mean = term
    scale = max(map(abs, terms), default=0.0)
    return mean, [_round(15 * (0.5 + 0.5 / scale * t)) if scale else 0 for t in terms], scale


def paint_thumbhash(data: bytes, size: tuple[int, int] | None = None) -> tuple[int, int, bytes]:
    """Return width, height and RGB bytes of a ThumbHash; transparent parts become light grey.

    :param size: width and height in pixels; by default at most 9 × 9, in the picture's shape.
    :raise ValueError, IndexError, ZeroDivisionError: it is no ThumbHash.

    Source: the format as published at https://github.com/evanw/thumbhash.
    """
    if len(data) < _LEAST_BYTES:
        raise ValueError("too short for a ThumbHash")
    first = int.from_bytes(data[:3], "little")
    second = int.from_bytes(data[3:5], "little")
    has_alpha = bool(first >> 23)
    is_wide = bool(second >> 15)
    longest, other = (5 if has_alpha else 7), second & 7
    terms_x, terms_y = (longest, other) if is_wide else (other, longest)
    mean = (first & 63) / 63, (first >> 6 & 63) / 31.5 - 1, (first >> 12 & 63) / 31.5 - 1
    scales = (first >> 18 & 31) / 31, (second >> 3 & 63) / 63, (second >> 9 & 63) / 63
    at = 6 if has_alpha else 5
    mean_alpha = (data[5] & 15) / 15 if has_alpha else 1.0
    scale_alpha = (data[5] >> 4) / 15 if has_alpha else 0.0
    nibbles = iter([part for byte in data[at:] for part in (byte & 15, byte >> 4)])

    def read_terms(nx: int, ny: int, scale: float) -> list[tuple[int, int, float]]:
        return [
            (cx, cy, (next(nibbles, 7.5) / 7.5 - 1) * scale)
            for cy in range(ny)
            for cx in range(0 if cy else 1, nx)
            if cx * ny < nx * (ny - cy)
        ]

    luma = read_terms(max(3, terms_x), max(3, terms_y), scales[0])
    # The reference increases the saturation of the colours by a quarter.
    yellow_blue = read_terms(3, 3, scales[1] * 1.25)
    red_green = read_terms(3, 3, scales[2] * 1.25)
    alpha = read_terms(5, 5, scale_alpha) if has_alpha else []

    ratio = terms_x / terms_y
    width, height = size or (
        max(_SHORTEST_PX, round(_LONGEST_PX * min(1, side))) for side in (ratio, 1 / ratio)
    )
    wave_x = [[math.cos(math.pi / width * (x + 0.5) * c) for c in range(8)] for x in range(width)]
    wave_y = [[math.cos(math.pi / height * (y + 0.5) * c) for c in range(8)] for y in range(height)]
    rgb = bytearray()
    channels = list(zip((*mean, mean_alpha), (luma, yellow_blue, red_green, alpha), strict=True))
    for down in wave_y:
        for across in wave_x:
            light, yb, rg, opaque = (
                start + sum(value * across[cx] * down[cy] for cx, cy, value in terms)
                for start, terms in channels
            )
            blue = light - 2 / 3 * yb
            red = (3 * light - blue + rg) / 2
            opaque = min(1.0, max(0.0, opaque))
            rgb += bytes(
                round(255 * min(1.0, max(0.0, one * opaque + 0.9 * (1 - opaque))))
                for one in (red, red - rg, blue)
            )
    return width, height, bytes(rgb)
