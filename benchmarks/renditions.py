"""Compare processor time and bytes of one photo with two other programs.

    python benchmarks/renditions.py [photo.jpg …]

Without photos, a made-up one of 8 megapixels is used, and the real ones of IMAGEHUB_TEST_PHOTOS if
they are there. sigal (a gallery generator that also uses Pillow) and pyvips (another image library,
known to be quick) take part where they are installed: pip install sigal pyvips pyvips-binary.

What is compared:

- ImageHub: its three WebP files, as the worker makes them (thumbhash, colour, metadata and all).
- sigal: its picture of 1600 px and its thumbnail of 480 px as JPEG, quality 80, optimised and
  progressive. Two files, with 60 % of the pixels of our three.
- pyvips, chained: the same three WebP files at the same quality and effort, each from the next
  larger one, on one thread.
- pyvips, apart: the same, but each from the original, as its manual shows for one thumbnail.

Every contender runs in a process of its own, round by round in turn, and counts its own user and
system time. The first call of each is not counted: it loads codecs. Medians are printed.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
ROUNDS = 7


def get_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def make_imagehub(folder: Path) -> Callable[[str], int]:
    from imagehub.imaging.render import OpenedPicture

    def render(photo: str) -> int:
        with open(photo, "rb") as file:
            return sum(len(made.data) for made in OpenedPicture(file).render().renditions)

    return render


def make_sigal(folder: Path) -> Callable[[str], int]:
    from sigal.image import generate_image, generate_thumbnail
    from sigal.settings import _DEFAULT_CONFIG

    options = {"quality": 80, "optimize": True, "progressive": True}
    settings = {**_DEFAULT_CONFIG, "img_size": (1600, 1200), "jpg_options": options}
    large, small = str(folder / "large.jpg"), str(folder / "small.jpg")

    def run(photo: str) -> int:
        generate_image(photo, large, settings, options=options)
        generate_thumbnail(large, small, (480, 480), fit=False, options=options)
        return os.path.getsize(large) + os.path.getsize(small)

    return run


def make_pyvips(folder: Path, chained: bool) -> Callable[[str], int]:
    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips

    from imagehub.imaging.render import DEFAULT_SPECS

    pyvips.cache_set_max(0)

    def run(photo: str) -> int:
        size_bytes, image = 0, None
        for spec in reversed(DEFAULT_SPECS):
            size = {"height": spec.label_px, "size": "down"}
            if image is None or not chained:
                image = pyvips.Image.thumbnail(photo, spec.label_px, **size)
            else:
                image = image.thumbnail_image(spec.label_px, **size)
            image = image.copy_memory()
            data = image.webpsave_buffer(Q=spec.quality, effort=spec.effort, keep="none")
            size_bytes += len(data)
        return size_bytes

    return run


CONTENDERS: dict[str, Callable[[Path], Callable[[str], int]]] = {
    "ImageHub": make_imagehub,
    "sigal": make_sigal,
    "pyvips, chained": lambda folder: make_pyvips(folder, chained=True),
    "pyvips, apart": lambda folder: make_pyvips(folder, chained=False),
}


def serve(name: str) -> None:
    """Run a program to compare: it reads one path per line and prints seconds and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = CONTENDERS[name](Path(folder))
        except ImportError:
            print("missing", flush=True)
            return
        print("ready", flush=True)
        for line in sys.stdin:
            started = get_cpu_seconds()
            size_bytes = run(line.rstrip("\n"))
            print(json.dumps([get_cpu_seconds() - started, size_bytes]), flush=True)


def make_photo(path: Path) -> Path:
    """Make eight megapixels with soft shapes, fine grain and hard edges, like a photo."""
    from PIL import Image, ImageChops, ImageDraw

    size = (3264, 2448)
    bands = []
    for sigma, cells in ((90, 24), (80, 40), (70, 16)):
        soft = Image.effect_noise((cells, cells * 3 // 4), sigma).resize(
            size, Image.Resampling.BICUBIC
        )
        grain = Image.effect_noise(size, 6)
        bands.append(ImageChops.add(soft, grain, 1, -128))
    photo = Image.merge("RGB", bands)
    draw = ImageDraw.Draw(photo)
    for number in range(60):
        x, y = number * 811 % size[0], number * 577 % size[1]
        draw.line((x, y, (x + 900) % size[0], (y + 350) % size[1]), (40, 35, 30), 5)
    photo.save(path, quality=92)
    return path


def find_photos(folder: Path) -> list[Path]:
    real = Path(os.environ.get("IMAGEHUB_TEST_PHOTOS", ROOT.parent / "shared" / "photos"))
    known = [real / "camera" / name for name in ("iphone_hdr_YES.jpg", "jolla.jpg")]
    return [*(path for path in known if path.exists()), make_photo(folder / "made-up.jpg")]


def main(photos: list[Path]) -> None:
    processes: dict[str, subprocess.Popen[str]] = {}
    for name in CONTENDERS:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if process.stdout.readline() == "ready\n":
            processes[name] = process
        else:
            print(f"{name} is not installed and does not take part.")

    def measure(name: str, photo: Path) -> tuple[float, int]:
        process = processes[name]
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{photo}\n")
        process.stdin.flush()
        seconds, size_bytes = json.loads(process.stdout.readline())
        return seconds, size_bytes

    print(f"Medians of {ROUNDS} rounds; ratios are ImageHub's figure to theirs.\n")
    print("| photo | program | CPU ms | from-to | ratio | kB | ratio |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for photo in photos:
        for name in processes:
            measure(name, photo)
        taken: dict[str, list[float]] = {name: [] for name in processes}
        sizes: dict[str, int] = {}
        for _ in range(ROUNDS):
            for name in processes:
                seconds, sizes[name] = measure(name, photo)
                taken[name].append(seconds * 1000)
        ours = statistics.median(taken["ImageHub"])
        for name in processes:
            theirs = statistics.median(taken[name])
            print(
                f"| {photo.name} | {name} | {theirs:.0f} "
                f"| {min(taken[name]):.0f}-{max(taken[name]):.0f} | {ours / theirs:.2f} "
                f"| {sizes[name] / 1000:.0f} | {sizes['ImageHub'] / sizes[name]:.2f} |"
            )
    for process in processes.values():
        process.communicate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main([Path(p).resolve() for p in sys.argv[1:]] or find_photos(Path(temporary)))
