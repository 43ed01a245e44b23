"""The sample pictures, drawn by the program at a fifth of their size."""

import itertools
import json
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageOps, ImageStat

from imagehub.emulators.samples import main
from imagehub.emulators.samples.catalogue import CATALOGUE, SHOTS, Work, list_works
from imagehub.emulators.samples.records import describe_work
from imagehub.emulators.samples.studio import QUICK, draw_front, draw_work
from imagehub.imaging.sources import FileSource
from imagehub.imaging.video import VideoFacts, look_at_video

SEED = 7
SUFFIXES = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".heic": "HEIF"}


@pytest.fixture(scope="module")
def heif() -> None:
    pillow_heif.register_heif_opener()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, heif: None) -> tuple[Path, str]:
    """Return the folder and the output of one quick run with two processes."""
    out = tmp_path_factory.mktemp("samples")
    options = ["--quick", "--processes", "2", "--seed", str(SEED)]
    done = subprocess.run(
        [sys.executable, "-m", "imagehub.emulators.samples", "--out", str(out), *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out / "Works", done.stdout


@pytest.fixture
def home(run: tuple[Path, str]) -> Path:
    return run[0]


def open_shot(home: Path, work: Work, shot: str = "front") -> Image.Image:
    image = Image.open(home / work.folder / work.file_name(shot))
    image.load()
    return image


def find_works(**wanted: object) -> list[Work]:
    return [w for w in CATALOGUE if all(getattr(w, key) == value for key, value in wanted.items())]


def difference(a: Image.Image, b: Image.Image) -> float:
    """Return the mean difference of two pictures (0 to 255), reduced to ignore grain."""
    small = [picture.convert("RGB").resize((24, 24), Image.Resampling.BOX) for picture in (a, b)]
    return sum(ImageStat.Stat(ImageChops.difference(*small)).mean) / 3


def snapshot(home: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(home)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in home.rglob("*")
        if path.is_file()
    }


def test_each_work_has_one_folder_with_all_its_shots_and_nothing_else(home: Path) -> None:
    promised = {
        f"{work.folder}/{work.file_name(shot)}" for work in CATALOGUE for shot in work.shots
    }
    found = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    assert found == promised | {"notes.txt"}
    assert len(CATALOGUE) == 44
    assert (home / "In progress").is_dir()


def test_one_line_is_printed_for_each_work(run: tuple[Path, str]) -> None:
    lines = run[1].splitlines()
    numbers = [line.split("]")[0] for line in lines]
    assert numbers == [f"[{number}/44" for number in range(1, 45)]
    assert sorted(line.split("] ", 1)[1] for line in lines) == sorted(w.title for w in CATALOGUE)


def test_every_file_has_the_format_and_size_of_the_catalogue(home: Path) -> None:
    for work in CATALOGUE:
        for shot in work.shots:
            path = home / work.folder / work.file_name(shot)
            with Image.open(path) as image:
                assert image.format == SUFFIXES[path.suffix], path
                upright = ImageOps.exif_transpose(image)
                if shot == "front":
                    assert upright.size == tuple(side // QUICK for side in work.size), path


def test_the_sizes_range_from_one_to_twenty_four_megapixels_in_all_shapes() -> None:
    megapixels = sorted(work.size[0] * work.size[1] / 1e6 for work in CATALOGUE)
    assert megapixels[0] >= 1 and megapixels[-1] == 24
    assert megapixels[len(megapixels) // 2] < 6
    shapes = {work.size[0] / work.size[1] for work in CATALOGUE}
    assert {5.0, 1.0, 0.25} <= shapes


def test_a_front_at_full_size_has_the_pixels_the_catalogue_promises(tmp_path: Path) -> None:
    smallest = min(CATALOGUE, key=lambda work: work.size[0] * work.size[1])
    draw_work(smallest, tmp_path, SEED, quick=False)
    with Image.open(tmp_path / smallest.folder / smallest.file_name("front")) as image:
        assert image.size == smallest.size


def test_formats_are_mixed_and_most_files_are_jpeg(home: Path) -> None:
    suffixes = [path.suffix for path in home.rglob("*.*") if path.suffix in SUFFIXES]
    assert set(suffixes) == set(SUFFIXES)
    assert suffixes.count(".jpg") > len(suffixes) / 2


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_exif_tag_turns_pictures_upright(home: Path, orientation: int) -> None:
    turned = [(w, shot) for w in CATALOGUE for shot, tag in w.turned.items() if tag == orientation]
    assert turned
    for work, shot in turned:
        image = open_shot(home, work, shot)
        assert image.getexif()[ExifTags.Base.Orientation] == orientation
        upright = ImageOps.exif_transpose(image)
        if orientation in (6, 8):
            assert upright.size == image.size[::-1]
        if shot == "front":
            assert difference(upright, draw_front(work, SEED, quick=True)) < 3


def test_camera_data_names_camera_lens_exposure_and_time(home: Path) -> None:
    work = next(work for work in CATALOGUE if work.has_camera and work.surface == "film")
    exif = open_shot(home, work).getexif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    base = ExifTags.Base
    assert exif[base.Make] and exif[base.Model] and details[base.LensModel]
    assert 0 < details[base.ExposureTime] < 1 and details[base.FNumber] > 1
    assert details[base.DateTimeOriginal].startswith(str(work.year))


def test_one_picture_has_gps_data(home: Path) -> None:
    (work,) = [work for work in CATALOGUE if work.gps]
    assert work.gps is not None
    place = open_shot(home, work).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    degrees, minutes, seconds = (float(part) for part in place[ExifTags.GPS.GPSLatitude])
    assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(work.gps[0], abs=1e-5)
    assert place[ExifTags.GPS.GPSLongitudeRef] == "E"


def test_a_wide_gamut_picture_looks_right_through_its_profile(home: Path) -> None:
    (work,) = find_works(is_wide_gamut=True)
    image = open_shot(home, work)
    drawn = draw_front(work, SEED, quick=True)
    profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
    assert "Display P3" in ImageCms.getProfileDescription(profile)
    seen = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))
    assert seen is not None
    assert difference(seen, drawn) < 2
    assert difference(image, drawn) > 5


def test_one_png_has_transparent_edges(home: Path) -> None:
    (work,) = find_works(has_torn_edge=True)
    image = open_shot(home, work)
    assert image.format == "PNG" and image.mode == "RGBA"
    alpha = image.getchannel("A")
    assert alpha.getpixel((0, 0)) == 0
    assert alpha.getpixel((image.width // 2, image.height // 2)) == 255


def test_no_two_works_look_alike_and_none_is_empty(home: Path) -> None:
    fronts = {work.title: open_shot(home, work).convert("RGB") for work in CATALOGUE}
    for title, image in fronts.items():
        assert max(ImageStat.Stat(image.resize((64, 64))).stddev) > 4, title
    for (one, a), (two, b) in itertools.combinations(fronts.items(), 2):
        assert difference(a, b) > 8, (one, two)


def test_there_are_many_ways_of_drawing_and_many_kinds_of_shots() -> None:
    assert len({work.art for work in CATALOGUE}) >= 12
    assert {shot for work in CATALOGUE for shot in work.shots} == set(SHOTS)
    assert {len(work.shots) for work in CATALOGUE} == {1, 2, 3, 4, 5}


def test_the_front_comes_first_by_name() -> None:
    for work in CATALOGUE:
        names = [work.file_name(shot) for shot in work.shots]
        assert min(names, key=str.casefold) == work.file_name("front"), work.title


def test_names_are_those_of_a_real_drive_and_legal_on_onedrive() -> None:
    names = [work.title for work in CATALOGUE]
    names += [work.file_name(shot) for work in CATALOGUE for shot in work.shots]
    for name in names:
        assert not set(name) & set('"*:<>?/\\|'), name
        assert name == name.strip() and not name.endswith(".") and not name.startswith("~"), name
    everything = "".join(names)
    for sign in "#%+' üß":
        assert sign in everything
    for low, high in (("α", "ω"), ("а", "я"), ("ا", "ي"), ("ぁ", "ん")):
        assert any(low <= letter <= high for letter in everything), (low, high)


def test_a_second_run_changes_and_prints_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(home)
    assert main(["--out", str(home.parent), "--quick", "--seed", str(SEED)]) == 0
    assert snapshot(home) == before
    assert capsys.readouterr().out == ""


def test_only_missing_files_are_redrawn_and_identical(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = next(work for work in CATALOGUE if len(work.shots) == 5)
    path = home / work.folder / work.file_name("room")
    lost = path.read_bytes()
    path.unlink()
    leftover = path.with_name(".half.part")
    leftover.write_bytes(b"half a picture")
    before = snapshot(home)
    main(["--out", str(home.parent), "--quick", "--seed", str(SEED)])
    assert path.read_bytes() == lost
    assert not leftover.exists()
    after = snapshot(home)
    assert {name for name in after if after[name] != before.get(name)} == {
        path.relative_to(home).as_posix()
    }
    assert capsys.readouterr().out == f"[44/44] {work.title}\n"


def test_the_same_seed_gives_the_same_files_in_one_process_or_two(
    home: Path, tmp_path: Path
) -> None:
    main(["--out", str(tmp_path), "--quick", "--works", "4", "--seed", "7", "--processes", "1"])
    drawn = [path for path in (tmp_path / "Works").rglob("*.*") if path.suffix in SUFFIXES]
    assert len(drawn) == sum(len(work.shots) for work in CATALOGUE[:4])
    for path in drawn:
        twin = home / path.relative_to(tmp_path / "Works")
        assert path.read_bytes() == twin.read_bytes(), path.name


def test_another_seed_gives_another_picture() -> None:
    work = CATALOGUE[2]
    assert difference(draw_front(work, 7, quick=True), draw_front(work, 8, quick=True)) > 5


def test_further_editions_follow_the_catalogue() -> None:
    works = list_works(100)
    assert len({work.folder for work in works}) == 100
    first, again = works[2], works[2 + len(CATALOGUE)]
    assert again.title == f"{first.title} 2"
    assert difference(draw_front(first, 7, quick=True), draw_front(again, 7, quick=True)) > 5


def test_a_failure_while_drawing_leaves_no_partial_file(tmp_path: Path) -> None:
    """A folder is in the picture's place, so the last step, the rename, must fail."""
    work = CATALOGUE[-1]
    (tmp_path / work.folder / work.file_name("front")).mkdir(parents=True)
    with pytest.raises(OSError):
        draw_work(work, tmp_path, SEED, quick=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_invalid_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--works", "-1"])


# --- Records --------------------------------------------------------------------------------------


def test_each_work_has_a_record_that_fits_its_files(tmp_path: Path) -> None:
    records = tmp_path / "records.json"
    assert main(["--out", str(tmp_path), "--works", "0", "--records", str(records)]) == 0
    assert json.loads(records.read_text()) == []
    # Works past the end of the catalogue are further editions.
    for work in list_works(len(CATALOGUE) + 6):
        record = describe_work(work)
        assert record["title"] == work.title
        assert (record["year"], record["medium"]) == (str(work.year), work.medium)
        assert re.fullmatch(r"\d+ × \d+ cm", record["dimensions"])
        assert record["availability"] in {"", "available", "reserved", "sold", "not_for_sale"}
        assert set(record["alts"]) in ({work.file_name(shot) for shot in work.shots}, set())


def test_a_film_is_one_more_work(tmp_path: Path) -> None:
    records = tmp_path / "records.json"
    command = ["--out", str(tmp_path), "--works", "0", "--film", "--records", str(records)]
    assert main(command) == 0
    [record] = json.loads(records.read_text())
    [film] = (tmp_path / "Works" / record["year"] / record["title"]).iterdir()
    assert set(record["alts"]) == {film.name}
    with film.open("rb") as file:
        facts = look_at_video(FileSource(file))
    assert facts == VideoFacts("video/webm", "VP9", 960, 540, 8000, has_sound=False)
    assert film.stat().st_size < 300_000
    # An edited film is kept.
    film.write_bytes(b"mine")
    assert main(command) == 0
    assert film.read_bytes() == b"mine"


def test_some_works_have_editions_texts_and_alt_texts_and_some_have_not() -> None:
    records = [describe_work(work) for work in CATALOGUE]
    for field in ("edition", "availability", "text", "alts"):
        told = sum(bool(record[field]) for record in records)
        assert len(records) / 4 < told < len(records), field
