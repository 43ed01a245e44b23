"""Oklab: colours at distances as people see them.

Source: https://bottosson.github.io/posts/oklab/ (2020), sRGB by IEC 61966-2-1.
"""

Oklab = tuple[float, float, float]


def make_oklab(red: float, green: float, blue: float) -> Oklab:
    """Return lightness (0 to 1), a and b of an sRGB colour, whose parts are from 0 to 1."""
    r, g, b = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (red, green, blue)
    )
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )
