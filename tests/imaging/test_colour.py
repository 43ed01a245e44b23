"""What a file says of its colours, and how they look in sRGB."""

import io
import math
import struct
import zlib
from pathlib import Path

import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms

from imagehub.imaging import colour
from tests.imaging.support import (
    ADOBE_RGB,
    QUARTERS,
    differ,
    encode,
    make_png,
    make_profile,
    make_scene,
    read_quarters,
    render_bytes,
    show,
)

pillow_heif.register_heif_opener()

SRGB_PRIMARIES = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
LINEAR = make_profile(SRGB_PRIMARIES, 1.0, "sRGB IEC61966-2.1 (Linear RGB Profile)")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def make_grey_profile(gamma: float) -> bytes:
    """Turn a monitor profile into one of its grey axis (ICC.1:2001-04, section 6.3.1.1)."""
    data = make_profile(SRGB_PRIMARIES, gamma)
    assert data.count(b"rTRC") == 1
    return data[:16] + b"GRAY" + data[20:].replace(b"rTRC", b"kTRC", 1)


def read_spot(image: Image.Image) -> tuple[int, ...]:
    return image.getpixel((image.width // 2, image.height // 2))


def render_spot(file: io.BytesIO) -> tuple[int, ...]:
    return read_spot(show(render_bytes(file).renditions[0]))


# --- ICC profiles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_linear_profile_is_followed_even_if_its_name_begins_with_srgb(format: str) -> None:
    how = {"quality": 95} if format == "JPEG" else {}
    linear = Image.new("RGB", (64, 64), (55, 55, 55))
    # 55/255 of the light is 128 in sRGB: 255 * (1.055 * (55/255)**(1/2.4) - 0.055).
    spot = render_spot(encode(linear, format, icc_profile=LINEAR, **how))
    assert differ([spot], [(128, 128, 128)]) <= 2


def test_adobe_rgb_under_the_name_of_srgb_is_converted() -> None:
    named = make_profile(((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), 2.2, "sRGB")
    scene = make_scene()
    as_srgb, as_adobe = (
        read_quarters(show(render_bytes(encode(scene, "PNG", icc_profile=p)).renditions[0]))
        for p in (named, ADOBE_RGB)
    )
    assert as_srgb == as_adobe
    assert differ(as_srgb, QUARTERS) > 15


def test_srgb_under_any_name_changes_nothing() -> None:
    plain = render_bytes(encode(make_scene(), "PNG")).renditions[0]
    other = SRGB.replace("sRGB built-in".encode("utf-16-be"), "Adobe RGB 98!".encode("utf-16-be"))
    assert other != SRGB
    for profile in (SRGB, other):
        made = render_bytes(encode(make_scene(), "PNG", icc_profile=profile)).renditions[0]
        assert made.data == plain.data


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_grey_profile_is_followed_with_and_without_transparency(mode: str) -> None:
    grey = Image.new("L", (64, 64), 55)
    if mode == "LA":
        grey = grey.convert("LA")
        grey.putpixel((0, 0), (55, 0))
    elif mode == "I;16":
        grey = Image.frombytes("I;16", (64, 64), b"\x37\x37" * 64 * 64)
    file = encode(grey, "PNG", icc_profile=make_grey_profile(1.0))
    shown = show(render_bytes(file).renditions[0])
    assert shown.mode == ("RGBA" if mode == "LA" else "RGB")
    assert differ([read_spot(shown)[:3]], [(128, 128, 128)]) <= 2
    if mode == "LA":
        assert shown.getpixel((0, 0))[3] < 128 and read_spot(shown)[3] == 255


def test_a_grey_profile_on_a_colour_picture_is_ignored() -> None:
    scene = make_scene()
    scene.putalpha(254)
    file = encode(scene, "PNG", icc_profile=make_grey_profile(1.0))
    assert differ(read_quarters(show(render_bytes(file).renditions[0])), QUARTERS) <= 12


# --- CMYK -----------------------------------------------------------------------------------------

INKS = {
    # Inks in percent, and their colour on coated paper in sRGB (FOGRA39, relative colorimetric).
    (0, 0, 0, 0): (255, 255, 255),
    (100, 0, 0, 0): (0, 158, 226),
    (0, 100, 0, 0): (230, 0, 126),
    (0, 0, 100, 0): (255, 237, 0),
    (100, 100, 0, 0): (49, 39, 131),
    (0, 100, 100, 0): (227, 6, 19),
    (100, 0, 100, 0): (0, 150, 64),
    (0, 0, 0, 100): (29, 29, 27),
    (0, 0, 0, 50): (157, 157, 156),
}


def make_print(inks: tuple[int, ...]) -> Image.Image:
    return Image.new("CMYK", (64, 64), tuple(round(2.55 * ink) for ink in inks))


@pytest.mark.parametrize("inks", INKS)
@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile_looks_as_if_printed(format: str, inks: tuple[int, ...]) -> None:
    how = {"quality": 95} if format == "JPEG" else {}
    made = render_bytes(encode(make_print(inks), format, **how))
    assert made.assumed_profile == "FOGRA39"
    assert differ([read_spot(show(made.renditions[0]))], [INKS[inks]]) <= 8


def test_cmyk_with_an_unusable_profile_is_treated_as_without() -> None:
    for profile in (b"nonsense", ADOBE_RGB, bytes(16) + b"CMYK" + bytes(200)):
        made = render_bytes(encode(make_print((100, 0, 0, 0)), "TIFF", icc_profile=profile))
        assert made.assumed_profile == "FOGRA39"
        assert differ([read_spot(show(made.renditions[0]))], [(0, 158, 226)]) <= 8


def test_cmyk_with_a_profile_follows_it_and_nothing_is_assumed() -> None:
    press = Path(colour.__file__).parent / "press" / "fogra39.icc"
    picture = make_print((100, 0, 0, 0))
    made = render_bytes(encode(picture, "TIFF", icc_profile=press.read_bytes()))
    assert made.assumed_profile == ""
    assert differ([read_spot(show(made.renditions[0]))], [(0, 158, 226)]) <= 8
    assert render_bytes(encode(make_scene(), "JPEG")).assumed_profile == ""


# --- Codings of H.273 -----------------------------------------------------------------------------

# Display P3 and the same colour in sRGB.
P3, P3_IN_SRGB = (200, 61, 60), (217, 41, 52)
SRGB_CODES, P3_CODES, PQ_CODES, HLG_CODES = (1, 13), (12, 13), (9, 16), (9, 18)
CODED_FORMATS = ["PNG", "AVIF", "HEIF"]


def make_coded(
    image: Image.Image, format: str, codes: tuple[int, int], **how: object
) -> io.BytesIO:
    """A file that names colour primaries and transfer function by their codes."""
    if format == "PNG":
        return make_png(image, (b"cICP", bytes((*codes, 0, 1))))
    if format == "HEIF":
        primaries, transfer = codes
        return encode(
            image,
            format,
            quality=95,
            color_primaries=primaries,
            transfer_characteristics=transfer,
            matrix_coefficients=6,
            full_range_flag=1,
            **how,
        )
    data = encode(image, format, quality=100, subsampling="4:4:4", **how).getvalue()
    before, box, after = data.partition(b"colrnclx")
    assert box and box not in after
    return io.BytesIO(before + box + struct.pack(">HH", *codes) + after[4:])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("format", CODED_FORMATS)
def test_display_p3_by_its_code_is_converted(format: str, mode: str) -> None:
    picture = Image.new("RGB", (64, 64), P3).convert(mode)
    if mode == "RGBA":
        picture.paste((0, 0, 0, 0), (0, 0, 8, 8))
    shown = show(render_bytes(make_coded(picture, format, P3_CODES)).renditions[0])
    assert shown.mode == mode
    assert differ([read_spot(shown)[:3]], [P3_IN_SRGB]) <= 5
    assert differ([render_spot(make_coded(picture, format, SRGB_CODES))[:3]], [P3]) <= 5


def to_light(value: int) -> float:
    """The light of a value of sRGB, 0 to 1 (IEC 61966-2-1)."""
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def to_bt2020(color: tuple[int, ...]) -> list[float]:
    """The light of a colour in cd/m², white at 203, with the primaries of BT.2020 (BT.2087-0)."""
    matrix = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))
    light = [203 * to_light(value) for value in color]
    return [sum(a * b for a, b in zip(row, light, strict=True)) for row in matrix]


def to_pq(light: list[float]) -> tuple[int, ...]:
    powers = [(nits / 10_000) ** 0.1593017578125 for nits in light]
    return tuple(
        round(255 * ((0.8359375 + 18.8515625 * p) / (1 + 18.6875 * p)) ** 78.84375) for p in powers
    )


def to_hlg(light: list[float]) -> tuple[int, ...]:
    """As on a display of 1000 cd/m² (BT.2100-2, table 5)."""
    luminance = sum(a * b for a, b in zip((0.2627, 0.6780, 0.0593), light, strict=True)) / 1000
    scene = [nits / 1000 * luminance ** (1 / 1.2 - 1) for nits in light]
    values = [
        math.sqrt(3 * e) if e <= 1 / 12 else 0.17883277 * math.log(12 * e - 0.28466892) + 0.55991073
        for e in scene
    ]
    return tuple(round(255 * value) for value in values)


@pytest.mark.parametrize("format", CODED_FORMATS)
@pytest.mark.parametrize("codes", [PQ_CODES, HLG_CODES], ids=["PQ", "HLG"])
def test_a_picture_of_high_dynamic_range_looks_as_it_should(
    codes: tuple[int, int], format: str
) -> None:
    encode_light = to_pq if codes == PQ_CODES else to_hlg
    # Not too bright: 8 bits of BT.2020 are coarse, most of all for the smallest of the channels.
    colors = ((190, 90, 80), (90, 150, 100), (90, 100, 170), (210, 195, 120))
    scene = Image.new("RGB", (128, 128))
    places = ((0, 0), (64, 0), (0, 64), (64, 64))
    for (left, top), color in zip(places, colors, strict=True):
        scene.paste(encode_light(to_bt2020(color)), (left, top, left + 64, top + 64))
    assert differ(read_quarters(scene), colors) > 30  # Grey and dull.
    shown = show(render_bytes(make_coded(scene, format, codes)).renditions[0])
    assert differ(read_quarters(shown), colors) <= 12


def test_bright_light_is_compressed_in_all_sizes_alike() -> None:
    # 100, 203 and 1000 cd/m²; with 1000 as the peak they become 99, 159 and 203 (BT.2408-7).
    picture = Image.new("RGB", (1500, 500))
    for index, value in enumerate((130, 148, 192)):
        picture.paste((value,) * 3, (500 * index, 0, 500 * (index + 1), 500))
    for rendition in render_bytes(make_coded(picture, "PNG", PQ_CODES)).renditions:
        shown = show(rendition)
        spots = [shown.getpixel((shown.width * at // 6, shown.height // 2)) for at in (1, 3, 5)]
        assert differ(spots, [(186,) * 3, (229,) * 3, (255,) * 3]) <= 3


def test_a_grey_picture_in_pq_and_one_with_16_bits_are_toned() -> None:
    grey = Image.new("L", (64, 64), 130)
    assert differ([render_spot(make_coded(grey, "PNG", PQ_CODES))], [(187,) * 3]) <= 3
    grey = Image.frombytes("I;16", (64, 64), b"\x82\x82" * 64 * 64)
    assert differ([render_spot(make_coded(grey, "PNG", PQ_CODES))], [(187,) * 3]) <= 3


def test_a_narrow_range_png_is_widened() -> None:
    picture = Image.new("RGB", (64, 64), (16, 125, 235))
    file = make_png(picture, (b"cICP", bytes((1, 13, 0, 0))))
    assert differ([render_spot(file)], [(0, 127, 255)]) <= 4


def test_a_png_follows_the_first_of_its_statements() -> None:
    picture = Image.new("RGB", (64, 64), P3)
    adobe = (b"iCCP", b"Adobe\0\0" + zlib.compress(ADOBE_RGB))
    p3, srgb = (b"cICP", bytes((12, 13, 0, 1))), (b"sRGB", b"\0")
    linear = (b"gAMA", struct.pack(">I", 100_000))
    unknown = (b"cICP", bytes((2, 2, 0, 1)))
    assert differ([render_spot(make_png(picture, p3, adobe, linear))], [P3_IN_SRGB]) <= 4
    as_adobe = render_spot(make_png(picture, adobe))
    assert differ([as_adobe], [P3]) > 15
    assert render_spot(make_png(picture, adobe, srgb, linear)) == as_adobe
    assert render_spot(make_png(picture, unknown, adobe)) == as_adobe
    assert differ([render_spot(make_png(picture, srgb, linear))], [P3]) <= 4


def test_a_profile_counts_more_than_a_code_unless_that_means_high_dynamic_range() -> None:
    # Both in one file; only Pillow's encoder of AVIF writes such.
    p3 = make_coded(Image.new("RGB", (64, 64), P3), "AVIF", P3_CODES, icc_profile=SRGB)
    assert differ([render_spot(p3)], [P3]) <= 5
    grey = Image.new("RGB", (64, 64), (130, 130, 130))
    pq = make_coded(grey, "AVIF", PQ_CODES, icc_profile=LINEAR)
    assert differ([render_spot(pq)], [(187, 187, 187)]) <= 4


# --- gAMA and cHRM --------------------------------------------------------------------------------


def make_gamma_chunks(gamma: int | None, points: tuple[int, ...] = ()) -> list[tuple[bytes, bytes]]:
    chunks = [(b"gAMA", struct.pack(">I", gamma))] if gamma is not None else []
    return chunks + ([(b"cHRM", struct.pack(">8I", *points))] if points else [])


SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
PLAIN = (200, 61, 60)


@pytest.mark.parametrize(
    ("gamma", "points", "color", "expected"),
    [
        (100_000, (), (55, 55, 55), (128, 128, 128)),
        (100_000, SRGB_POINTS, (55, 55, 55), (128, 128, 128)),
        # (128/255)**1.8 of the light, in sRGB.
        (55_556, (), (128, 128, 128), (147, 147, 147)),
        (45_455, P3_POINTS, P3, P3_IN_SRGB),
        (None, P3_POINTS, P3, P3_IN_SRGB),
        (45_455, (), PLAIN, PLAIN),
        (45_455, SRGB_POINTS, PLAIN, PLAIN),
        (47_000, (), PLAIN, PLAIN),
        # Nonsense is ignored.
        (0, (), PLAIN, PLAIN),
        (1, (), PLAIN, PLAIN),
        (2**32 - 1, (), PLAIN, PLAIN),
        (None, (0,) * 8, PLAIN, PLAIN),
        (None, (2**32 - 1,) * 8, PLAIN, PLAIN),
        (None, (31270, 32900) * 4, PLAIN, PLAIN),
        (None, (31270, 32900, 64000, 33000, 64000, 33000, 15000, 6000), PLAIN, PLAIN),
        (None, (90000, 5000, *SRGB_POINTS[2:]), PLAIN, PLAIN),
    ],
)
def test_gamma_and_chromaticities_of_a_png_are_followed(
    gamma: int | None,
    points: tuple[int, ...],
    color: tuple[int, ...],
    expected: tuple[int, ...],
) -> None:
    picture = Image.new("RGB", (64, 64), color)
    spot = render_spot(make_png(picture, *make_gamma_chunks(gamma, points)))
    assert differ([spot], [expected]) <= 4


def test_gamma_holds_for_grey_and_palette_pictures() -> None:
    chunks = make_gamma_chunks(100_000)
    for mode in ("L", "P", "LA"):
        picture = Image.new("L", (64, 64), 55).convert(mode)
        shown = show(render_bytes(make_png(picture, *chunks)).renditions[0])
        assert differ([read_spot(shown)[:3]], [(128, 128, 128)]) <= 3, mode


# --- Adobe RGB by its sign in Exif ----------------------------------------------------------------


@pytest.mark.parametrize("sign", ["R03", "R98"])
def test_adobe_rgb_as_cameras_mark_it_is_converted(sign: str) -> None:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ColorSpace] = 0xFFFF
    details[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: sign}
    picture = Image.new("RGB", (64, 64), PLAIN)
    marked = render_spot(encode(picture, "JPEG", quality=95, exif=exif.tobytes()))
    expected = render_spot(encode(picture, "JPEG", quality=95, icc_profile=ADOBE_RGB))
    assert differ([marked], [expected if sign == "R03" else PLAIN]) <= 3
    assert differ([expected], [PLAIN]) > 15


# --- Gain maps ------------------------------------------------------------------------------------


def test_a_jpeg_with_a_gain_map_shows_its_base_picture() -> None:
    gain_map = Image.new("L", (300, 200), 90)
    file = encode(make_scene(), "MPO", save_all=True, append_images=[gain_map], quality=95)
    made = render_bytes(file)
    assert (made.format, made.width_px, made.height_px) == ("JPEG", 600, 400)
    assert differ(read_quarters(show(made.renditions[0])), QUARTERS) <= 12


def make_heic_with_gain_map(base: Image.Image, gain_map: Image.Image, first: str) -> io.BytesIO:
    """A HEIC file whose other item is an auxiliary picture, as iPhones write gain maps."""
    pictures = [base, gain_map] if first == "base" else [gain_map, base]
    data = encode(
        pictures[0],
        "HEIF",
        quality=95,
        save_all=True,
        append_images=pictures[1:],
        primary_index=pictures.index(base),
    ).getvalue()
    base_id = pictures.index(base) + 1
    name = b"urn:com:apple:photo:2020:aux:hdrgainmap\0"
    property_box = struct.pack(">I4s4x", 12 + len(name), b"auxC") + name
    reference = struct.pack(">HHH", 3 - base_id, 1, base_id)
    reference = struct.pack(">I4s", 8 + len(reference), b"auxl") + reference
    reference = struct.pack(">I4s4x", 12 + len(reference), b"iref") + reference

    def grow(data: bytes, at: int, count: int) -> bytes:
        (size,) = struct.unpack_from(">I", data, at)
        return data[:at] + struct.pack(">I", size + count) + data[at + 4 :]

    def find(kind: bytes) -> int:
        return data.index(kind) - 4

    # The property goes to the end of the list, its number to the end of the item's numbers.
    ipco, ipma = find(b"ipco"), find(b"ipma")
    number, at = 0, ipco + 8
    while at < ipma:
        at += struct.unpack_from(">I", data, at)[0]
        number += 1
    entry = ipma + 16
    while struct.unpack_from(">H", data, entry)[0] == base_id:
        entry += 3 + data[entry + 2]
    end = entry + 3 + data[entry + 2]
    data = data[: entry + 2] + bytes((data[entry + 2] + 1,)) + data[entry + 3 :]
    data = data[:end] + bytes((number + 1,)) + data[end:]
    data = data[:ipma] + property_box + data[ipma:]
    data = grow(data, ipma + len(property_box), 1)
    data = grow(data, ipco, len(property_box))
    iprp, meta = find(b"iprp"), find(b"meta")
    data = grow(data, iprp, len(property_box) + 1)
    data = data[:iprp] + reference + data[iprp:]
    added = len(property_box) + len(reference) + 1
    data = grow(data, meta, added)
    # Version 0 with four bytes each for base, offset and length.
    iloc = find(b"iloc")
    for item in range(2):
        data = grow(data, iloc + 16 + 18 * item + 10, added)
    return io.BytesIO(data)


@pytest.mark.parametrize("first", ["base", "map"])
def test_a_heic_with_a_gain_map_shows_its_base_picture(first: str) -> None:
    base, gain_map = make_scene(), Image.new("L", (304, 200), 90)
    file = make_heic_with_gain_map(base, gain_map, first)
    # As an auxiliary picture, it is none of the pictures of the file.
    assert len(pillow_heif.open_heif(io.BytesIO(file.getvalue()))) == 1
    made = render_bytes(file)
    assert (made.format, made.width_px, made.height_px) == ("HEIC", 600, 400)
    assert differ(read_quarters(show(made.renditions[0])), QUARTERS) <= 12
