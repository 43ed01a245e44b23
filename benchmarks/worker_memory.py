"""Measure the peak memory of the worker for one picture of 100 megapixels.

    python benchmarks/worker_memory.py [megapixels]

The worker here is a process that has loaded all that a real one loads (database, queue, clients),
and renders through its pool. Counted are resident bytes of that process and its children together,
sampled every 5 ms, and the sum of each one's own peak, which is never less. Pages that processes
share are counted in each, so the truth is a little lower.

A baseline JPEG is decoded at a fraction of its size. A progressive one cannot be: until its last
scan all coefficients are held, three bytes a pixel with the usual colour subsampling. Other formats
are decoded whole, four bytes a pixel.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def read_kilobytes(process: int, name: str) -> int:
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def list_family() -> list[int]:
    own = os.getpid()
    children = Path(f"/proc/{own}/task").glob("*/children")
    return [own, *(int(child) for path in children for child in path.read_text().split())]


def measure(path: str) -> None:
    import imagehub.runtime.worker
    from imagehub.imaging.pool import RenderPool

    assert imagehub.runtime.worker
    most, done = 0, threading.Event()
    peaks: dict[int, int] = {}

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            family = list_family()
            most = max(most, sum(read_kilobytes(process, "VmRSS") for process in family))
            for process in family:
                peak = read_kilobytes(process, "VmHWM")  # 0 once it has ended.
                peaks[process] = max(peak, peaks.get(process, 0))

    alone = read_kilobytes(os.getpid(), "VmRSS")
    with RenderPool(1) as pool:
        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.monotonic()
        made = pool.render(path)
        seconds = time.monotonic() - started
        done.set()
        watcher.join()
    print(
        f"| {Path(path).name} | {made.width_px * made.height_px / 1e6:.0f} | {alone / 1000:.0f} "
        f"| {most / 1000:.0f} | {sum(peaks.values()) / 1000:.0f} | {seconds:.1f} |",
        flush=True,
    )


def make_pictures(folder: Path, megapixels: float) -> list[Path]:
    """Make the pictures in a separate process, as that takes more memory than what is measured."""
    from PIL import Image

    width = round((megapixels * 1e6 * 4 / 3) ** 0.5 / 16) * 16
    size = (width, round(megapixels * 1e6 / width))
    tile = [Image.effect_noise((600, 450), 50).resize((2400, 1800), Image.Resampling.BICUBIC)] * 3
    photo = Image.new("RGB", size)
    stamp = Image.merge("RGB", tile)
    for x in range(0, size[0], stamp.width):
        for y in range(0, size[1], stamp.height):
            photo.paste(stamp, (x, y))
    photo.save(folder / "baseline.jpg", quality=85)
    photo.save(folder / "progressive.jpg", quality=85, progressive=True)
    photo.save(folder / "picture.png", compress_level=1)
    return [folder / name for name in ("baseline.jpg", "progressive.jpg", "picture.png")]


def main(megapixels: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        again = [sys.executable, __file__]
        subprocess.run([*again, "--make", folder, megapixels], check=True)
        print("| picture | megapixels | worker at rest MB | peak MB | sum of peaks MB | s |")
        print("|---|--:|--:|--:|--:|--:|", flush=True)
        for name in ("baseline.jpg", "progressive.jpg", "picture.png"):
            subprocess.run([*again, "--measure", str(Path(folder) / name)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    elif sys.argv[1:2] == ["--make"]:
        make_pictures(Path(sys.argv[2]), float(sys.argv[3]))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "100")
