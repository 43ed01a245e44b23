"""Compare the making of tiles with libvips' own command, for a picture of 200 megapixels.

    python benchmarks/tiles.py [megapixels]

Both cut the same file with the same pyvips, at the same quality, on one core: *vips* in a process
that does nothing else, which writes the tiles as ``vips dzsave`` does, and *imagehub* by the child
process of the worker, whose tiles are taken from it one by one. Printed are the processor time of
each, its start included, the peak memory of the child (VmHWM), and when the first tile was there.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

DRAW = """
import sys, pyvips
width, path = int(sys.argv[1]), sys.argv[2]
height = width * 3 // 4
place = pyvips.Image.xyz(width, height)
grain = pyvips.Image.gaussnoise(width, height, mean=0, sigma=6, seed=3)
bands = [(place[axis] * step).math(wave) * 60 + 128 + grain
         for axis, step, wave in ((0, 0.7, "sin"), (1, 0.9, "cos"), (0, 0.2, "cos"))]
picture = bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb")
picture.write_to_file(path)
"""
ALONE = """
import sys, pyvips
path, folder, px, quality, effort = sys.argv[1:]
image = pyvips.Image.new_from_file(path, access="sequential")
image.dzsave(folder + "/tiles", layout="iiif3", tile_size=int(px), keep="none",
             suffix=f".webp[Q={quality},effort={effort}]")
"""


def run(code: str, *arguments: object) -> None:
    environment = os.environ | {"VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", code, *(str(one) for one in arguments)]
    subprocess.run(command, check=True, env=environment)


def read_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    from imagehub.imaging.tiles import EFFORT, QUALITY, TILE_PX, Tile, TileMaker

    pixels = float(sys.argv[1] if len(sys.argv) > 1 else 200) * 1e6
    width = round((pixels * 4 / 3) ** 0.5)
    print(
        f"{'file':<6}{'vips':>10}{'imagehub':>10}{'ratio':>8}{'peak':>10}{'tiles':>8}{'first':>9}"
    )
    with tempfile.TemporaryDirectory(prefix="tiles-") as name:
        folder = Path(name)
        for kind in ("tif", "jpg"):
            path = folder / f"picture.{kind}"
            run(DRAW, width, path)
            begun = read_seconds()
            run(ALONE, path, folder, TILE_PX, QUALITY, EFFORT)
            alone = read_seconds() - begun
            maker = TileMaker(folder, max_file_bytes=10**10)
            begun, started, first, count = read_seconds(), time.monotonic(), 0.0, 0
            for one in maker.iter_tiles(path):
                if isinstance(one, Tile):
                    count += 1
                    first = first or time.monotonic() - started
            ours = read_seconds() - begun
            print(
                f"{kind:<6}{alone:>8.1f} s{ours:>8.1f} s{ours / alone:>8.2f}"
                f"{maker.peak_bytes / 1e6:>7.0f} MB{count:>8}{first:>7.2f} s",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    main()
