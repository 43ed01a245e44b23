"""Sizes of works, as people write them."""

import pytest

from imagehub.domain.library.dimensions import Size, read_size


@pytest.mark.parametrize(
    ("text", "height", "width", "depth"),
    [
        ("80 × 60 cm", 800, 600, 0),
        ("80x60cm", 800, 600, 0),
        ("80 cm x 60 cm", 800, 600, 0),
        ("29,7 × 21 cm", 297, 210, 0),
        ("29.7\u202f×\u202f21\u00a0cm", 297, 210, 0),
        ("800 by 600 mm", 800, 600, 0),
        ("1,200 × 800 mm", 1200, 800, 0),
        ("1,2 × 0,8 m", 1200, 800, 0),
        ("1.25 × 2 m", 1250, 2000, 0),
        ("100 mal 70 Zentimeter", 1000, 700, 0),
        ("31 1/2 × 23⅝ in", 800.1, 600.075, 0),
        ("31½ x 24 inches", 800.1, 609.6, 0),
        ("24\" × 18\"", 609.6, 457.2, 0),
        ("5' × 3' 6\"", 1524, 1066.8, 0),
        ("6 ft × 4 ft", 1828.8, 1219.2, 0),
        ("40 × 30 × 4 cm", 400, 300, 40),
        ("H 80 cm, W 60 cm", 800, 600, 0),
        ("B 60 × H 80 × T 5 cm", 800, 600, 50),
        ("Höhe: 80 cm, Breite: 60 cm, Tiefe: 3,5 cm", 800, 600, 35),
        ("60 (W) × 80 (H) cm", 800, 600, 0),
        ("80 cm high, 60 cm wide", 800, 600, 0),
        ("80 × 60 cm (H × W)", 800, 600, 0),
        ("60 × 80 cm (B x H), gerahmt 65 × 85 cm", 800, 600, 0),
        ("H × B × T: 80 × 60 × 5 cm", 800, 600, 50),
        ("H 20 cm, Ø 40 cm", 200, 400, 400),
        ("Ø 40 cm", 400, 400, 0),
        ("40 cm diameter", 400, 400, 0),
        ("Durchmesser 40 cm", 400, 400, 0),
        ("40 × 30 cm (framed 55 × 45 cm)", 400, 300, 0),
        ("47 1/4 × 31 1/2 in (120 × 80 cm)", 1200.15, 800.1, 0),
        ("Blatt 50 × 40 cm, Bild 40 × 30 cm", 500, 400, 0),
        ("Two parts, each 50 × 40 cm", 500, 400, 0),
    ],
)  # fmt: skip
def test_a_size_is_read(text: str, height: float, width: float, depth: float) -> None:
    size = read_size(text)
    assert size is not None
    found = (size.height_mm, size.width_mm, size.depth_mm)
    assert found == pytest.approx((height, width, depth))


@pytest.mark.parametrize(
    "text",
    ["", "various", "80 × 60", "80 cm", "Height 80 cm", "0 × 60 cm", "80 × 60 px", "80 × 60 km",
     "Edition of 12", "1 × 1 mm", "400 × 300 m", "1/0 × 3 in", "A4", "×× cm", "9" * 300,
     "1/" * 150, "12 mm film, 3 min", "40 × 30 × 20 × 10 cm"],
)  # fmt: skip
def test_what_is_not_certain_is_no_size(text: str) -> None:
    assert read_size(text) is None


def test_the_picture_says_which_side_is_the_height() -> None:
    size = Size(1200, 800)
    assert size.turn_to(0.7) == size
    assert size.turn_to(1.5) == Size(800, 1200)
    assert size.turn_to(1.0) == size
    sure = read_size("H 120 cm, W 80 cm")
    assert sure is not None and sure.turn_to(1.5) == sure
    sure = read_size("120 × 80 cm (H × W)")
    assert sure is not None and sure.turn_to(1.5) == sure
    assert size.fits(0.7) and not size.fits(1.5)
