"""PQ and HLG, toned to standard range."""

import pytest
from PIL import Image

from imagehub.imaging.colour_spaces import HLG, PQ
from imagehub.imaging.tone import compress, decode_hlg, decode_pq, encode_pq, find_peak, tone


@pytest.mark.parametrize(
    # ITU-R BT.2408-7, table 1, and the ends of the scale.
    ("value", "nits"),
    [(0.0, 0.0), (0.58, 203.0), (0.7518, 1000.0), (1.0, 10_000.0)],
)
def test_pq_values_stand_for_light(value: float, nits: float) -> None:
    assert decode_pq(value) == pytest.approx(nits, rel=0.01)
    assert encode_pq(nits) == pytest.approx(value, abs=0.001)


def test_three_quarters_of_hlg_are_the_white_of_graphics() -> None:
    # ITU-R BT.2408-7, table 1: 203 of 1000 cd/m² are 75 % HLG.
    assert 1000 * decode_hlg(0.75) ** 1.2 == pytest.approx(203, rel=0.005)
    assert (decode_hlg(0), decode_hlg(1)) == (0, pytest.approx(1, abs=1e-6))


@pytest.mark.parametrize("peak", [203, 400, 1000, 4000, 10_000])
def test_compression_keeps_dark_tones_and_the_order_and_ends_at_white(peak: float) -> None:
    assert compress(0, peak) == pytest.approx(0, abs=1e-6)
    assert compress(10, peak) == pytest.approx(10, rel=1e-6)
    assert compress(peak, peak) == pytest.approx(203, rel=1e-6)
    assert compress(2 * peak, peak) == pytest.approx(203, rel=1e-6)
    toned = [compress(peak * step / 200, peak) for step in range(201)]
    assert toned == sorted(toned)


def test_the_knee_lies_where_the_recommendation_puts_it() -> None:
    # BT.2408-7, annex 5: KS = 1.5 * maxLum - 0.5; with a peak of 1000 cd/m² about 88 cd/m².
    knee = 1.5 * encode_pq(203) / encode_pq(1000) - 0.5
    nits = decode_pq(knee * encode_pq(1000))
    assert nits == pytest.approx(88, abs=1)
    assert compress(nits - 1, 1000) == pytest.approx(nits - 1, rel=1e-6)
    assert compress(nits + 20, 1000) < nits + 20


def make_grey(value: int, mode: str = "RGB") -> Image.Image:
    return Image.new("L", (40, 40), value).convert(mode)


def test_the_peak_is_that_of_the_picture_without_single_bright_pixels() -> None:
    picture = make_grey(130)
    assert find_peak(picture, PQ) == 203
    picture.putpixel((3, 3), (255, 255, 255))
    assert find_peak(picture, PQ) == 203
    picture.paste((192, 0, 0), (0, 0, 5, 5))
    assert find_peak(picture, PQ) == 1000
    picture.paste((255, 255, 255), (0, 0, 5, 5))
    assert find_peak(picture, PQ) == 10_000
    assert find_peak(make_grey(130), HLG) == 1000


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize(
    ("transfer", "peak", "value", "expected"),
    [
        # 130 is 100 cd/m² in PQ, about half of the white: 255 * (1.055 * 0.493**(1/2.4) - 0.055).
        (PQ, 203, 130, 187),
        (PQ, 203, 148, 255),
        # 203 cd/m² of 1000 become 159.
        (PQ, 1000, 148, 229),
        (PQ, 1000, 192, 255),
        (HLG, 1000, 191, 229),
        (HLG, 1000, 255, 255),
        (HLG, 1000, 120, 128),
    ],
)
def test_greys_are_toned(mode: str, transfer: int, peak: float, value: int, expected: int) -> None:
    toned = tone(make_grey(value, mode), transfer, peak)
    assert toned.mode == mode
    pixel = toned.convert("RGBA").getpixel((20, 20))
    assert max(abs(v - expected) for v in pixel[:3]) <= 2
    assert pixel[3] == 255
