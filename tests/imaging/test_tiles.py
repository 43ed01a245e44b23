"""Tiles have the colours and the orientation of the renditions; making them takes little memory."""

import io
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw

from imagehub.domain.library.tiles import TILE_PX, TileService
from imagehub.errors import IncompletePictureError, PictureTooLargeError, UnreadablePictureError
from imagehub.imaging import tiles
from imagehub.imaging.tiles import Tile, TiledPicture, TileMaker
from tests.fixtures.programs import is_alive, wait_until
from tests.imaging.test_render import render

pytest.importorskip("pyvips", reason="tiles need the extra imagehub[tiles]")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
pillow_heif.register_heif_opener()

# Four tiles of the full size, and one of half of it.
SIZE = (700, 600)


def draw(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Draw a picture without any symmetry."""
    picture = Image.linear_gradient("L").resize(size)
    red, green = picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(0)
    across = Image.linear_gradient("L").rotate(90).resize(size)
    picture = Image.merge("RGB", (red, across, ImageChops.invert(green)))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((40, 60, 400, 200), fill=(220, 30, 40))
    pen.ellipse((420, 330, 660, 570), fill=(20, 90, 200))
    return picture.convert(mode)


def make(folder: Path, path: Path) -> tuple[TiledPicture, dict[str, bytes]]:
    first, *made = TileMaker(folder).iter_tiles(path)
    assert isinstance(first, TiledPicture)
    found = {one.name: one.data for one in made if isinstance(one, Tile)}
    assert len(found) == len(made) == first.tile_count
    return first, found


def join(picture: TiledPicture, found: dict[str, bytes]) -> Image.Image:
    """Put the tiles of the full size together."""
    whole = Image.new("RGB", (picture.width_px, picture.height_px))
    for top in range(0, picture.height_px, TILE_PX):
        for left in range(0, picture.width_px, TILE_PX):
            width = min(TILE_PX, picture.width_px - left)
            height = min(TILE_PX, picture.height_px - top)
            with Image.open(
                io.BytesIO(found[f"{left},{top},{width},{height}_{width},{height}"])
            ) as tile:
                assert tile.format == "WEBP" and not tile.info.keys() & {"exif", "icc_profile"}
                whole.paste(tile.convert("RGB"), (left, top))
    return whole


def measure_difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures, in steps of 256."""
    small = [part.convert("RGB").resize((130, 90), Image.Resampling.BOX) for part in (one, other)]
    data = ImageChops.difference(*small).tobytes()
    return sum(data) / len(data)


def make_wide_profile() -> bytes:
    """Return the profile of a file in another colour space than sRGB: LAB will not do for RGB."""
    from imagehub.imaging.colour_spaces import ADOBE_RGB_PRIMARIES, ColorSpace, make_profile

    return make_profile(ColorSpace(ADOBE_RGB_PRIMARIES, 2.2))


def save_grey16(path: Path) -> None:
    grey = draw("L")
    data = bytes(value for pixel in grey.tobytes() for value in (17, pixel))
    Image.frombytes("I;16", SIZE, data).save(path, "PNG")


KINDS: dict[str, Callable[[Path], None]] = {
    "jpeg": lambda path: draw().save(path, "JPEG", quality=95),
    "jpeg-grey": lambda path: draw("L").save(path, "JPEG", quality=95),
    "jpeg-adobe-rgb": lambda path: draw().save(path, "JPEG", icc_profile=make_wide_profile()),
    "jpeg-grey-with-rgb-profile": lambda path: draw("L").save(
        path, "JPEG", icc_profile=make_wide_profile()
    ),
    "jpeg-cmyk": lambda path: draw("CMYK").save(path, "JPEG", quality=95),
    "jpeg-progressive": lambda path: draw().save(path, "JPEG", quality=95, progressive=True),
    "tiff": lambda path: draw().save(path, "TIFF", compression="tiff_lzw"),
    "tiff-cmyk": lambda path: draw("CMYK").save(path, "TIFF"),
    "tiff-lab": lambda path: ImageCms.applyTransform(
        draw(),
        ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        ),
    ).save(path, "TIFF"),  # type: ignore[union-attr]
    "png-palette": lambda path: draw().quantize(64).save(path, "PNG"),
    "png-16-bit-grey": save_grey16,
    "webp": lambda path: draw().save(path, "WEBP", quality=95),
    "bmp": lambda path: draw().save(path, "BMP"),
    "heic": lambda path: draw().save(path, "HEIF", quality=90),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_have_the_colours_of_the_renditions(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "original"
    KINDS[kind](path)
    picture, found = make(tmp_path, path)
    assert (picture.width_px, picture.height_px) == SIZE
    rendition = render(path).renditions[-1]
    with Image.open(io.BytesIO(rendition.data)) as expected:
        assert measure_difference(join(picture, found), expected) < 2.0


@pytest.mark.parametrize(
    ("kind", "orientation"), [*(("JPEG", number) for number in range(2, 9)), ("TIFF", 6)]
)
def test_tiles_are_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / "original"
    exif = Image.Exif()
    exif[0x0112] = orientation
    draw(size=(700, 500)).save(path, kind, exif=exif)
    picture, found = make(tmp_path, path)
    rendered = render(path)
    assert (picture.width_px, picture.height_px) == (rendered.width_px, rendered.height_px)
    with Image.open(io.BytesIO(rendered.renditions[-1].data)) as expected:
        assert measure_difference(join(picture, found), expected) < 2.0


def test_transparency_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "original"
    picture = draw("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(SIZE))
    picture.save(path, "PNG")
    _, found = make(tmp_path, path)
    with Image.open(io.BytesIO(found["0,0,512,512_512,512"])) as tile:
        assert tile.mode == "RGBA" and tile.getpixel((5, 0))[3] < 10  # type: ignore[index]


@pytest.mark.parametrize("size", [(1300, 900), (2100, 900), (1, 1537)])
def test_every_tile_has_an_address_of_the_standard(tmp_path: Path, size: tuple[int, int]) -> None:
    """Other viewers compute addresses from the sizes alone: IIIF Image API 3, section 4."""
    path = tmp_path / "original"
    Image.new("RGB", size, "teal").save(path, "PNG")
    _, found = make(tmp_path, path)
    service = TileService(7, "tiles/7/", *size)
    keys = set()
    for scale in service.scale_factors:
        step = TILE_PX * scale
        for left in range(0, size[0], step):
            for top in range(0, size[1], step):
                width, height = min(step, size[0] - left), min(step, size[1] - top)
                region = f"{left},{top},{width},{height}"
                wanted = f"{-(-width // scale)},{-(-height // scale)}"
                key = service.find_key(region, wanted)
                assert key is not None, (region, wanted)
                keys.add(key)
                if (width, height) == size:
                    assert service.find_key("full", wanted) == key
    assert keys == {f"tiles/7/{name}.webp" for name in found}


@pytest.mark.parametrize(
    ("region", "size"),
    [
        ("0,0,512,512", "256,256"),
        ("0,0,511,512", "511,512"),
        ("1,0,512,512", "512,512"),
        ("0,0,0,0", "0,0"),
        ("1024,0,512,512", "512,512"),
        ("full", "1300,900"),
        ("full", "max"),
        ("../../x", "512,512"),
        ("0,0,512,512", "512,512/../x"),
        ("999999999999,0,512,512", "512,512"),
    ],
)
def test_other_addresses_have_no_object(region: str, size: str) -> None:
    assert TileService(7, "tiles/7/", 1300, 900).find_key(region, size) is None


def test_refused_files_say_why(tmp_path: Path) -> None:
    path = tmp_path / "original"
    maker = TileMaker(tmp_path, max_pixels=400_000)
    path.write_bytes(b"%PDF-1.7")
    with pytest.raises(UnreadablePictureError, match="PDF"):
        list(maker.iter_tiles(path))
    draw().save(path, "JPEG")
    with pytest.raises(PictureTooLargeError, match="megapixels"):
        list(maker.iter_tiles(path))
    small = draw(size=(700, 500))
    small.save(path, "JPEG", quality=95)
    path.write_bytes(path.read_bytes()[:-8_000])
    with pytest.raises((UnreadablePictureError, IncompletePictureError)):
        list(maker.iter_tiles(path))
    # The maker goes on with the next picture.
    small.save(path, "JPEG")
    assert len(list(maker.iter_tiles(path))) > 1


def test_a_picture_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    draw().save(tmp_path / "original", "JPEG")
    maker = TileMaker(tmp_path, timeout_seconds=0.01)
    with pytest.raises(PictureTooLargeError, match="longer"):
        list(maker.iter_tiles(tmp_path / "original"))


def test_a_child_ends_with_the_iteration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw().save(tmp_path / "original", "JPEG")
    numbers: list[int] = []

    class Watched(tiles.Child):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            numbers.append(self.process_id)

    monkeypatch.setattr(tiles, "Child", Watched)
    with closing(TileMaker(tmp_path).iter_tiles(tmp_path / "original")) as made:
        next(made)
        assert is_alive(numbers[0])
    wait_until(lambda: not is_alive(numbers[0]), what="the child has not ended")


def test_a_picture_of_many_rows_takes_no_more_memory(tmp_path: Path) -> None:
    """It is read from top to bottom. ``benchmarks/tiles.py`` measures 200 megapixels."""
    width, low, high = 1024, 1024, 8192
    peaks = []
    for height in (low, high):
        path = tmp_path / "original"
        row = Image.linear_gradient("L").resize((width, height))
        Image.merge("RGB", (row, row, row)).save(path, "TIFF")
        maker = TileMaker(tmp_path)
        count = sum(isinstance(one, Tile) for one in maker.iter_tiles(path))
        assert count >= width * height / TILE_PX**2
        peaks.append(maker.peak_bytes)
    decoded = 3 * width * (high - low)
    assert 0 < peaks[0] < 100_000_000
    assert peaks[1] - peaks[0] < decoded / 2
