"""Rendering every format, mode, orientation and colour space, and what is refused."""

import hashlib
import io
import struct
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageOps, TiffImagePlugin

from imagehub.errors import PictureTooLargeError, UnreadablePictureError
from imagehub.imaging import colour
from imagehub.imaging.kinds import recognize
from imagehub.imaging.render import (
    OpenedPicture,
    RenderedPicture,
    RenderOptions,
    RenditionSpec,
)
from imagehub.imaging.thumbhash import make_thumbhash
from tests.imaging.support import (
    ADOBE_RGB,
    DISPLAY_P3,
    GREEN,
    QUARTERS,
    RED,
    differ,
    encode,
    make_scene,
    read_quarters,
    render_bytes,
    show,
)
from tests.support import find_photos

pillow_heif.register_heif_opener()


def render(path: Path, options: RenderOptions | None = None) -> RenderedPicture:
    with open(path, "rb") as file:
        return OpenedPicture(file, options).render()


def with_orientation(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def read_webp_chunks(data: bytes) -> list[bytes]:
    """Names of the chunks of a WebP file, walked by hand as the container specification says."""
    assert data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    assert struct.unpack("<I", data[4:8])[0] + 8 == len(data)
    names, at = [], 12
    while at < len(data):
        names.append(data[at : at + 4])
        (length,) = struct.unpack("<I", data[at + 4 : at + 8])
        at += 8 + length + length % 2
    return names


# --- Formats --------------------------------------------------------------------------------------

WAYS = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"quality": 95},
    "GIF": {},
    "TIFF": {},
    "BMP": {},
    "AVIF": {"quality": 90},
    "HEIF": {"quality": 90},
}


@pytest.mark.parametrize("format", WAYS)
def test_every_format_becomes_the_same_webp_pictures(format: str) -> None:
    made = render_bytes(encode(make_scene((1200, 800)), format, **WAYS[format]))

    assert made.format in (format, "HEIC")
    assert made.mime == ("image/heic" if format == "HEIF" else f"image/{format.lower()}")
    assert (made.width_px, made.height_px) == (1200, 800)
    assert [(r.label_px, r.width_px, r.height_px) for r in made.renditions] == [
        (480, 480, 320),
        (720, 720, 480),
        (960, 960, 640),
        (1920, 1200, 800),
    ]
    for rendition in made.renditions:
        shown = show(rendition)
        assert (shown.format, shown.mode) == ("WEBP", "RGB")
        assert shown.size == (rendition.width_px, rendition.height_px)
        assert differ(read_quarters(shown), QUARTERS) <= 12


def test_the_name_of_a_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "holiday.txt"
    path.write_bytes(encode(make_scene(), "PNG").getvalue())
    assert render(path).format == "PNG"


def test_of_several_pictures_in_a_file_the_first_is_shown() -> None:
    second = make_scene().transpose(Image.Transpose.ROTATE_180)
    for format in ("GIF", "TIFF", "WEBP", "MPO"):
        file = encode(make_scene(), format, save_all=True, append_images=[second])
        shown = show(render_bytes(file).renditions[0])
        assert differ(read_quarters(shown), QUARTERS) <= 12, format


def test_a_stereo_photo_counts_as_the_jpeg_it_starts_with() -> None:
    file = encode(make_scene(), "MPO", save_all=True, append_images=[make_scene()])
    assert render_bytes(file).mime == "image/jpeg"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7\n...", "a PDF document"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "a video or audio file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a raw photo (Canon)"),
        (b"RIFF\x10\0\0\0AVI LIST", "a video or audio file"),
        (b"II*\0\x10\0\0\0CR\2\0", "a raw photo (Canon)"),
        (b"FUJIFILMCCD-RAW 0201", "a raw photo (Fujifilm)"),
        (b"PK\x03\x04\x14\0", "a ZIP archive or an office document"),
        ("Grüße aus den Bergen\n".encode() * 90, "a text file"),
        (b"BMW and other cars", "a text file"),
    ],
)
def test_what_is_no_picture_is_named(content: bytes, what: str) -> None:
    with pytest.raises(UnreadablePictureError) as caught:
        render_bytes(io.BytesIO(content))
    assert str(caught.value).startswith(f"This is {what}, ")


def test_an_empty_file_and_a_file_of_noise_are_refused() -> None:
    with pytest.raises(UnreadablePictureError, match="empty"):
        render_bytes(io.BytesIO())
    with pytest.raises(UnreadablePictureError, match="not an image"):
        render_bytes(io.BytesIO(b"\x00\x93\xff\xfe\x01" * 400))


def test_a_raw_photo_is_not_shown_as_its_little_thumbnail() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\x01\x04\x00\x00"
    tags.tagtype[50706] = 1
    with pytest.raises(UnreadablePictureError, match=r"raw photo \(DNG\)"):
        render_bytes(encode(make_scene((160, 120)), "TIFF", tiffinfo=tags))


@given(st.binary(max_size=2000))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_recognized_or_refused(content: bytes) -> None:
    try:
        format, mime = recognize(io.BytesIO(content))
    except UnreadablePictureError as error:
        assert str(error).endswith(".")
    else:
        assert mime.startswith("image/") and format


# --- Sizes ----------------------------------------------------------------------------------------


def test_a_small_picture_is_never_enlarged_and_serves_larger_labels_with_the_same_bytes() -> None:
    small, *others = render_bytes(encode(make_scene((700, 500)), "PNG")).renditions
    assert (small.width_px, small.height_px) == (480, 343)
    assert [one.label_px for one in others] == [720, 960, 1920]
    assert {(one.width_px, one.height_px) for one in others} == {(700, 500)}
    assert len({one.data for one in others}) == 1
    assert {one.object_key for one in others}.isdisjoint({small.object_key})


def test_an_object_key_is_made_from_the_sha256_of_the_bytes() -> None:
    made = render_bytes(encode(make_scene(), "PNG")).renditions[0]
    digest = hashlib.sha256(made.data).hexdigest()
    assert made.object_key == f"renditions/{digest[:2]}/{digest[2:4]}/{digest}.webp"


def test_the_same_original_always_makes_the_same_keys() -> None:
    file = encode(make_scene((2000, 900)), "JPEG")
    keys = [r.object_key for r in render_bytes(file).renditions]
    file.seek(0)
    assert [r.object_key for r in render_bytes(file).renditions] == keys


@pytest.mark.parametrize(
    "size", [(1, 10_000), (10_000, 1), (1, 1), (5000, 1000), (3, 2), (961, 480)]
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_extreme_shapes_keep_at_least_one_pixel(size: tuple[int, int], format: str) -> None:
    made = render_bytes(encode(make_scene(size), format))
    for rendition in made.renditions:
        assert min(rendition.width_px, rendition.height_px) >= 1
        assert max(rendition.width_px, rendition.height_px) == min(rendition.label_px, max(size))
        assert show(rendition).size == (rendition.width_px, rendition.height_px)
    assert made.thumbhash


def test_one_rendition_can_be_made_alone() -> None:
    options = RenderOptions(specs=(RenditionSpec(300, quality=80),))
    (made,) = render_bytes(encode(make_scene((1000, 500)), "JPEG"), options).renditions
    assert (made.label_px, made.width_px, made.height_px) == (300, 300, 150)
    assert made.mime == "image/webp"


def test_avif_is_made_as_well_where_it_is_switched_on() -> None:
    made = render_bytes(encode(make_scene((1000, 700)), "JPEG"), RenderOptions(avif=True))
    assert [(r.label_px, r.mime) for r in made.renditions] == [
        (label, f"image/{kind}") for kind in ("webp", "avif") for label in (480, 720, 960, 1920)
    ]
    for rendition in made.renditions[4:]:
        assert rendition.object_key.endswith(".avif")
        shown = show(rendition)
        assert shown.format == "AVIF"
        assert differ(read_quarters(shown), QUARTERS) <= 12


@pytest.mark.parametrize("size", [(4000, 3000), (7700, 5776), (2000, 1500)])
def test_a_photo_decoded_at_less_detail_keeps_its_place_and_brightness(
    size: tuple[int, int],
) -> None:
    made = render_bytes(encode(make_scene(size), "JPEG"))
    assert (made.width_px, made.height_px) == size
    shown = show(made.renditions[-1])
    assert max(shown.size) == 1920
    assert differ(read_quarters(shown), QUARTERS) <= 8
    # The border between the quarters stays in the middle.
    x, y = shown.width // 2, shown.height // 4
    assert differ([shown.getpixel((x - 6, y)), shown.getpixel((x + 6, y))], [RED, GREEN]) <= 40


# --- Orientation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_all_eight_orientations_come_out_upright(format: str, orientation: int) -> None:
    exif = with_orientation(orientation)
    stored = make_scene((600, 400))
    # What a viewer that knows the tag shows is the truth; Pillow's own is such a viewer.
    turned = stored.copy()
    turned.info["exif"] = exif
    expected = ImageOps.exif_transpose(turned)

    made = render_bytes(encode(stored, format, exif=exif, **WAYS[format]))

    assert (made.width_px, made.height_px) == expected.size
    shown = show(made.renditions[1])
    assert shown.size == expected.size
    assert differ(read_quarters(shown), read_quarters(expected)) <= 12


@pytest.mark.parametrize("nonsense", [0, 9, 255])
def test_an_orientation_that_does_not_exist_means_upright(nonsense: int) -> None:
    made = render_bytes(encode(make_scene(), "JPEG", exif=with_orientation(nonsense)))
    assert differ(read_quarters(show(made.renditions[0])), QUARTERS) <= 12


# --- Modes ----------------------------------------------------------------------------------------


def to_grey(color: tuple[int, ...]) -> tuple[int, int, int]:
    level = Image.new("RGB", (1, 1), color).convert("L").getpixel((0, 0))
    return (level, level, level)


GREYS = [to_grey(color) for color in QUARTERS]


def make_16_bit(order: str = "<") -> Image.Image:
    """Grey, 16 bits; the low byte is noise that must not matter."""
    values = make_scene(mode="L").tobytes()
    data = struct.pack(f"{order}{len(values)}H", *(v << 8 | 0xE7 for v in values))
    return Image.frombytes("I;16" if order == "<" else "I;16B", (600, 400), data)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(format: str) -> None:
    shown = show(render_bytes(encode(make_16_bit(), format)).renditions[0])
    assert differ(read_quarters(shown), GREYS) <= 6


def test_big_endian_16_bit_grey_tiff_is_scaled() -> None:
    shown = show(render_bytes(encode(make_16_bit(">"), "TIFF")).renditions[0])
    assert differ(read_quarters(shown), GREYS) <= 6


def test_16_bit_colour_png_is_scaled_and_not_clipped() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    scene = make_scene((300, 200))
    rows = b"".join(
        b"\0" + b"".join(bytes((v, 0x5A)) for v in scene.crop((0, y, 300, y + 1)).tobytes())
        for y in range(200)
    )
    file = io.BytesIO(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 300, 200, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert differ(read_quarters(show(render_bytes(file).renditions[0])), QUARTERS) <= 8


@pytest.mark.parametrize(
    ("mode", "factor"), [("I", 1), ("I", 257), ("F", 1 / 255), ("F", 1), ("F", 1000)]
)
def test_32_bit_grey_tiff_keeps_its_tones(mode: str, factor: float) -> None:
    image = make_scene(mode="L")
    # Black and white in the corners, so that the range is the whole one.
    image.paste(0, (0, 0, 20, 20))
    image.paste(255, (580, 0, 600, 20))
    image = image.convert(mode).point(lambda value: value * factor + 0)
    shown = show(render_bytes(encode(image, "TIFF")).renditions[1])
    assert differ(read_quarters(shown), GREYS) <= 8


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA"])
def test_grey_black_and_white_and_palette_pictures_keep_their_look(mode: str) -> None:
    scene = make_scene()
    if mode == "1":
        scene = scene.convert("L").point(lambda level: 255 if level > 100 else 0)
    stored = scene.quantize(8) if mode == "P" else scene.convert(mode)
    shown = show(render_bytes(encode(stored, "PNG")).renditions[1])
    assert shown.mode == "RGB"  # Opaque all over: no alpha is carried along.
    assert differ(read_quarters(shown), read_quarters(stored)) <= 8


def print_on_paper(cmyk: Image.Image) -> Image.Image:
    """What the profile that is assumed for CMYK makes of a picture."""
    press, srgb = (
        Path(colour.__file__).parent / "press" / "fogra39.icc",
        ImageCms.createProfile("sRGB"),
    )
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(press.read_bytes())),
        srgb,
        "CMYK",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags,
    )
    return transform.apply(cmyk)


@pytest.mark.parametrize("inverted", [True, False])
def test_cmyk_jpegs_with_and_without_adobes_mark_look_alike(inverted: bool) -> None:
    stored = make_scene(mode="CMYK")
    expected = read_quarters(print_on_paper(stored))
    if inverted:
        file = encode(stored, "JPEG", quality=95)
        assert b"Adobe" in file.getvalue()[:100]
    else:
        data = encode(ImageChops.invert(stored), "JPEG", quality=95).getvalue()
        at = data.index(b"\xff\xee")
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        file = io.BytesIO(data[:at] + data[at + 2 + length :])
    shown = show(render_bytes(file).renditions[1])
    assert differ(read_quarters(shown), expected) <= 10


def test_cmyk_tiff_and_lab_tiff_come_out_in_their_colours() -> None:
    cmyk = make_scene(mode="CMYK")
    shown = show(render_bytes(encode(cmyk, "TIFF")).renditions[1])
    assert differ(read_quarters(shown), read_quarters(print_on_paper(cmyk))) <= 10

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    file = encode(to_lab.apply(make_scene()), "TIFF")
    assert differ(read_quarters(show(render_bytes(file).renditions[1])), QUARTERS) <= 10


# --- Transparency ---------------------------------------------------------------------------------


def make_disc(size: int = 1000) -> Image.Image:
    """A white disc on nothing; the hidden colour of the nothing is black."""
    disc = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    mask = Image.radial_gradient("L").resize((size, size)).point(lambda v: 255 if v < 128 else 0)
    disc.paste((255, 255, 255, 255), mask=mask)
    return disc


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_transparency_is_kept_and_edges_do_not_darken(format: str) -> None:
    how = {"lossless": True} if format == "WEBP" else {"quality": 95} if format != "PNG" else {}
    made = render_bytes(encode(make_disc(), format, **how))
    shown = show(made.renditions[0])
    assert shown.mode == "RGBA"
    assert shown.getpixel((2, 2))[3] <= 3
    assert shown.getpixel((240, 240))[3] >= 252
    # Half transparent pixels of the rim are still white, not grey.
    rim = [p for p in struct.iter_unpack("4B", shown.tobytes()) if 90 < p[3] < 170]
    assert len(rim) > 50
    assert sorted(min(p[:3]) for p in rim)[len(rim) // 10] > 225


def test_a_transparent_palette_and_a_transparent_colour_are_kept() -> None:
    palette = make_disc(400).quantize(16)
    shown = show(render_bytes(encode(palette, "PNG")).renditions[0])
    assert shown.mode == "RGBA" and shown.getpixel((2, 2))[3] == 0

    gif = encode(make_disc(400), "GIF")
    assert show(render_bytes(gif).renditions[0]).getpixel((2, 2))[3] == 0

    keyed = encode(make_scene(), "PNG", transparency=RED)
    shown = show(render_bytes(keyed).renditions[1])
    assert shown.getpixel((20, 20))[3] == 0
    assert shown.getpixel((580, 20))[3] == 255


def test_grey_with_alpha_keeps_both() -> None:
    stored = make_disc(600).convert("LA")
    shown = show(render_bytes(encode(stored, "PNG")).renditions[0])
    assert shown.getpixel((2, 2))[3] == 0
    assert min(shown.getpixel((240, 240))) >= 250


def test_a_large_transparent_picture_is_reduced_in_strips_without_seams() -> None:
    """Large enough to be box-reduced, in many strips, by a factor that does not divide it."""
    stored = make_disc(1000).resize((6001, 5003), Image.Resampling.NEAREST)
    made = render_bytes(encode(stored, "PNG", compress_level=1))
    expected = stored.resize((480, 400), Image.Resampling.BOX)
    shown = show(made.renditions[0])
    assert shown.size == expected.size
    pairs = zip(shown.getchannel("A").tobytes(), expected.getchannel("A").tobytes(), strict=True)
    off = [abs(a - b) for a, b in pairs]
    assert sum(off) / len(off) < 2
    assert shown.getpixel((240, 200))[3] >= 252


# --- Colour profiles ------------------------------------------------------------------------------


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@pytest.mark.parametrize("profile", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_wide_colour_space_keeps_its_look_in_srgb(format: str, profile: bytes) -> None:
    wide = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    stored = ImageCms.buildTransform(SRGB, wide, "RGB", "RGB").apply(make_scene())
    assert differ(read_quarters(stored), QUARTERS) > 15  # The numbers alone would look wrong.

    made = render_bytes(encode(stored, format, icc_profile=profile, **WAYS[format]))

    assert differ(read_quarters(show(made.renditions[1])), QUARTERS) <= 12


def test_a_transparent_picture_with_a_profile_is_converted_and_stays_transparent() -> None:
    wide = ImageCms.ImageCmsProfile(io.BytesIO(ADOBE_RGB))
    stored = ImageCms.buildTransform(SRGB, wide, "RGB", "RGB").apply(make_scene())
    stored.putalpha(make_disc(600).resize((600, 400)).getchannel("A"))
    shown = show(render_bytes(encode(stored, "PNG", icc_profile=ADOBE_RGB)).renditions[1])
    assert shown.getpixel((2, 2))[3] == 0
    assert differ([shown.getpixel((270, 180))[:3]], [RED]) <= 10


def test_a_grey_profile_and_a_colour_profile_on_grey_are_both_followed() -> None:
    stored = make_scene(mode="L")
    file = encode(stored, "JPEG", icc_profile=ADOBE_RGB, quality=95)
    assert differ(read_quarters(show(render_bytes(file).renditions[1])), GREYS) <= 12


@pytest.mark.parametrize(
    "profile",
    [b"nonsense", ADOBE_RGB[:200], ADOBE_RGB[:16] + b"CMYK" + ADOBE_RGB[20:], b"\0" * 5_000],
    ids=["noise", "incomplete", "of another colour space", "zeros"],
)
def test_a_broken_or_wrong_profile_is_ignored(profile: bytes) -> None:
    made = render_bytes(encode(make_scene(), "JPEG", icc_profile=profile, quality=95))
    assert differ(read_quarters(show(made.renditions[1])), QUARTERS) <= 10


# --- What must not be in a rendition --------------------------------------------------------------


def make_full_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Model] = "Canon EOS 5D Mark III\0\0"
    exif[ExifTags.Base.Software] = "SECRETSOFTWARE"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2019:07:21 18:04:09"
    details[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    details[ExifTags.Base.ExposureTime] = TiffImagePlugin.IFDRational(1, 250)
    details[ExifTags.Base.FNumber] = TiffImagePlugin.IFDRational(56, 10)
    details[ExifTags.Base.ISOSpeedRatings] = 400
    details[ExifTags.Base.FocalLength] = TiffImagePlugin.IFDRational(35, 1)
    details[ExifTags.Base.LensModel] = "EF 35mm  f/1.4L "
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[1], place[2] = "S", (33.0, 51.0, 24.84)
    place[3], place[4] = "E", (151.0, 12.0, 55.08)
    return exif


@pytest.mark.parametrize("kept", [True, False])
def test_no_metadata_reaches_a_rendition_even_if_the_place_is_kept_apart(kept: bool) -> None:
    exif = make_full_exif()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRETXMP</x:xmpmeta>"
    options = RenderOptions(keep_gps=kept, avif=True)
    for scene in (make_scene(), make_disc()):
        format = "JPEG" if scene.mode == "RGB" else "WEBP"
        file = encode(
            scene, format, exif=exif, xmp=xmp, icc_profile=ADOBE_RGB, comment=b"SECRETCOMMENT"
        )
        assert b"SECRETSOFTWARE" in file.getvalue() and b"SECRETXMP" in file.getvalue()
        for rendition in render_bytes(file, options).renditions:
            for secret in (b"SECRET", b"Exif", b"EXIF", b"xmp", b"Canon", b"acsp", b"ICC"):
                assert secret not in rendition.data
            if rendition.mime == "image/webp":
                names = read_webp_chunks(rendition.data)
                assert set(names) <= {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"}
            shown = show(rendition)
            assert not shown.getexif()
            assert not {"exif", "xmp", "icc_profile", "comment"} & set(shown.info)


# --- Metadata -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_what_the_camera_wrote_is_read_from_every_format(format: str) -> None:
    file = encode(make_scene(), format, exif=make_full_exif().tobytes(), **WAYS[format])
    metadata = render_bytes(file).metadata
    assert metadata.taken_at == datetime(2019, 7, 21, 18, 4, 9, tzinfo=timezone(timedelta(hours=2)))
    assert metadata.camera == "Canon EOS 5D Mark III"
    assert metadata.lens == "EF 35mm f/1.4L"
    assert metadata.exposure_seconds == pytest.approx(1 / 250)
    assert metadata.f_number == pytest.approx(5.6)
    assert metadata.iso == 400
    assert metadata.focal_length_mm == 35
    assert metadata.gps is None


def test_the_place_is_read_only_where_it_is_asked_for() -> None:
    file = encode(make_scene(), "JPEG", exif=make_full_exif())
    metadata = render_bytes(file, RenderOptions(keep_gps=True)).metadata
    assert metadata.gps == pytest.approx((-33.8569, 151.2153))
    assert "33.8" not in repr(metadata)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 6", "Apple iPhone 6"),
        ("OLYMPUS IMAGING CORP.", "E-M5", "OLYMPUS E-M5"),
        ("Jolla", "Jolla", "Jolla"),
        ("", "X100", "X100"),
        ("SONY", "", "SONY"),
        ("  Leica Camera AG \0junk", "LEICA Q2", "Leica Q2"),
    ],
)
def test_maker_and_model_become_one_name(make: str, model: str, camera: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = make, model
    assert render_bytes(encode(make_scene(), "JPEG", exif=exif)).metadata.camera == camera


def test_nonsense_in_the_tags_is_left_out() -> None:
    exif = make_full_exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "0000:00:00 00:00:00"
    details[ExifTags.Base.ExposureTime] = TiffImagePlugin.IFDRational(1, 0)
    details[ExifTags.Base.FNumber] = TiffImagePlugin.IFDRational(0, 0)
    details[ExifTags.Base.ISOSpeedRatings] = 0
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[2] = (133.0, 0.0, 0.0)
    file = encode(make_scene(), "JPEG", exif=exif)
    metadata = render_bytes(file, RenderOptions(keep_gps=True)).metadata
    assert metadata.taken_at is None and metadata.exposure_seconds is None
    assert metadata.f_number is None and metadata.iso is None and metadata.gps is None
    assert metadata.camera == "Canon EOS 5D Mark III"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about just this Exif.
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0nonsense",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\1\0\0\0\6\0\0\0" * 3,
        make_full_exif().tobytes()[:60],
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\0\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x0e\x01\2\0\xff\xff\xff\x7f\x1a\0\0\0\0\0\0\0",
    ],
    ids=["noise", "too many entries", "incomplete", "a circle", "an absurd length"],
)
def test_broken_exif_does_no_harm(format: str, exif: bytes) -> None:
    made = render_bytes(encode(make_scene(), format, exif=exif))
    assert (made.width_px, made.height_px) in ((600, 400), (400, 600))


def test_exif_of_absurd_size_is_not_read() -> None:
    exif = make_full_exif().tobytes() + b"\0" * 3_000_000
    made = render_bytes(encode(make_scene(), "WEBP", exif=exif))
    assert made.metadata.camera == ""
    assert made.width_px == 600


# --- Placeholder and colour -----------------------------------------------------------------------


def test_the_thumbhash_tells_shape_and_mean_colour() -> None:
    # Bit layout as published by the format's author.
    def read(code: bytes) -> tuple[float, float, float, bool, bool]:
        header = int.from_bytes(code[:3], "little")
        return (
            (header & 63) / 63,
            (header >> 6 & 63) / 31.5 - 1,
            (header >> 12 & 63) / 31.5 - 1,
            bool(header >> 23),
            bool(int.from_bytes(code[3:5], "little") >> 15),
        )

    made = render_bytes(encode(Image.new("RGB", (900, 600), (220, 60, 30)), "PNG"))
    luma, yellow_blue, red_green, has_alpha, is_landscape = read(made.thumbhash)
    assert luma == pytest.approx((220 + 60 + 30) / 3 / 255, abs=0.02)
    assert yellow_blue == pytest.approx(((220 + 60) / 2 - 30) / 255, abs=0.04)
    assert red_green == pytest.approx((220 - 60) / 255, abs=0.04)
    assert not has_alpha and is_landscape

    tall = render_bytes(encode(make_disc().resize((300, 700)), "PNG"))
    *_, has_alpha, is_landscape = read(tall.thumbhash)
    assert has_alpha and not is_landscape


def test_the_thumbhash_of_an_opaque_picture_is_that_of_the_package_on_pypi() -> None:
    other = pytest.importorskip("thumbhash", reason="the package to compare with is not installed")
    noise = [Image.effect_noise((30, 20), 90 + band) for band in range(3)]
    for size in ((30, 20), (13, 29), (32, 2)):
        tiny = Image.merge("RGB", noise).resize(size).convert("RGBA")
        expected = bytes(other.rgba_to_thumb_hash(*size, list(tiny.tobytes())))
        assert make_thumbhash(*size, tiny.tobytes()) == expected


@given(st.integers(1, 12), st.integers(1, 12), st.data())
@settings(max_examples=60, deadline=None)
def test_a_thumbhash_can_be_made_of_any_pixels(
    width: int, height: int, data: st.DataObject
) -> None:
    size = width * height * 4
    code = make_thumbhash(width, height, data.draw(st.binary(min_size=size, max_size=size)))
    assert 5 <= len(code) <= 30


def test_the_dominant_colour_is_a_colour_of_the_picture_and_no_muddy_mean() -> None:
    scene = Image.new("RGB", (600, 400), (128, 128, 128))
    scene.paste((210, 50, 40), (0, 0, 600, 180))
    color = render_bytes(encode(scene, "PNG")).dominant_color
    assert differ([bytes.fromhex(color[1:])], [(210, 50, 40)]) <= 12


def test_the_dominant_colour_of_a_cut_out_is_that_of_the_cut_out() -> None:
    assert render_bytes(encode(make_disc(), "PNG")).dominant_color >= "#f0f0f0"
    nothing = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert render_bytes(encode(nothing, "PNG")).dominant_color == "#ffffff"


# --- Limits and broken files ----------------------------------------------------------------------


def make_png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (body, data)
    )


def test_too_many_pixels_are_refused_before_decoding() -> None:
    with pytest.raises(PictureTooLargeError) as caught:
        render_bytes(io.BytesIO(make_png_header(20_000, 15_600)))
    assert str(caught.value) == "This image has 312 megapixels; the limit is 250."


def test_a_picture_just_over_the_limit_never_reads_like_the_limit() -> None:
    with pytest.raises(PictureTooLargeError, match="has 251 megapixels; the limit is 250"):
        render_bytes(io.BytesIO(make_png_header(25_001, 10_000)))


def test_absurd_sizes_are_refused_in_every_format() -> None:
    gif = (
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0\0\0,\0\0\0\0" + b"\xff" * 4 + b"\0\2"
    )
    webp = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xfe\x3f\0" * 2
    bmp = b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6)
    tags = [(256, 4, 60_000), (257, 4, 60_000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 4, 60_000), (279, 4, 100)]
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    tiff += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    jpeg = bytearray(encode(make_scene(), "JPEG").getvalue())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    for content in (gif, webp, bmp, tiff + b"\0" * 200, bytes(jpeg)):
        with pytest.raises(PictureTooLargeError, match="megapixels"):
            render_bytes(io.BytesIO(content))


def test_too_many_bytes_and_too_much_memory_are_refused() -> None:
    file = encode(make_scene(), "PNG")
    with pytest.raises(PictureTooLargeError, match="This file is 1 MB in size; the limit is 0"):
        render_bytes(file, RenderOptions(max_file_bytes=100))
    file.seek(0)
    with pytest.raises(PictureTooLargeError, match="of memory; the limit is"):
        render_bytes(file, RenderOptions(max_memory_bytes=100_000))


def test_pillows_own_guess_at_a_bomb_does_not_interfere(recwarn: pytest.WarningsRecorder) -> None:
    image = Image.new("1", (12_000, 8_000))  # 96 megapixels; Pillow would warn from 89 on.
    made = render_bytes(encode(image, "PNG"))
    assert made.width_px == 12_000
    assert not [w for w in recwarn if "Bomb" in str(w.category)]


@pytest.mark.parametrize("format", WAYS)
@pytest.mark.parametrize("tenths", [1, 4, 7, 9])
def test_a_picture_that_is_cut_short_is_refused(format: str, tenths: int) -> None:
    data = encode(Image.effect_noise((400, 300), 80).convert("RGB"), format, **WAYS[format])
    content = data.getvalue()
    with pytest.raises(UnreadablePictureError) as caught:
        render_bytes(io.BytesIO(content[: len(content) * tenths // 10]))
    assert str(caught.value).endswith(".")


def test_a_progressive_jpeg_that_is_cut_short_is_refused() -> None:
    noise = Image.effect_noise((800, 600), 60).convert("RGB")
    content = encode(noise, "JPEG", progressive=True).getvalue()
    assert render_bytes(io.BytesIO(content)).width_px == 800
    with pytest.raises(UnreadablePictureError, match="incomplete"):
        render_bytes(io.BytesIO(content[: len(content) * 8 // 10]))


# --- Real photos ----------------------------------------------------------------------------------


def get_photos() -> Path:
    photos = find_photos()
    if photos is None:
        pytest.skip("no real photos here (IMAGEHUB_TEST_PHOTOS)")
    return photos


@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_a_real_photo_looks_the_same_in_all_eight_orientations(kind: str) -> None:
    looks = []
    for orientation in range(1, 9):
        path = get_photos() / "orientation" / f"{kind}_{orientation}.jpg"
        only = RenderOptions(specs=(RenditionSpec(480, quality=90, effort=2),))
        made = render(path, only)
        looks.append(show(made.renditions[0]).resize((48, 48), Image.Resampling.BOX))
        assert (made.width_px > made.height_px) == (kind == "Landscape")
    for look in looks[1:]:
        # The photos carry their number in print, so a few places do differ.
        difference = ImageChops.difference(looks[0], look).convert("L").tobytes()
        assert sum(value > 24 for value in difference) < len(difference) * 0.08


def test_a_real_heif_photo_is_shown() -> None:
    made = render(get_photos() / "camera" / "HMD_Nokia_8.3_5G_hdr.heif")
    assert made.mime == "image/heic"
    assert max(made.renditions[-1].width_px, made.renditions[-1].height_px) == 1920
    assert show(made.renditions[0]).convert("L").getextrema()[1] > 100


def test_the_place_of_a_real_photo_stays_out_of_its_renditions() -> None:
    path = get_photos() / "camera" / "DSCN0010.jpg"
    made = render(path, RenderOptions(keep_gps=True))
    assert made.metadata.gps is not None
    assert made.metadata.gps == pytest.approx((43.4674, 11.8851), abs=0.001)
    assert render(path).metadata.gps is None
    for rendition in made.renditions:
        assert read_webp_chunks(rendition.data) == [b"VP8 "]
