"""Sample pictures for the demo: an artist's folder, drawn by code.

``python -m imagehub.emulators.samples --out DIR`` fills ``DIR/Works/<year>/<title>/`` with a few
shots of each work, as an artist might keep them in OneDrive. Existing files are kept, so a second
run does nothing. The same seed draws the same pictures. ``--records FILE`` writes the works' labels
as JSON: a list with title, medium, alt texts … of each.
"""

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from imagehub.emulators.samples import film, town
from imagehub.emulators.samples.catalogue import list_works
from imagehub.emulators.samples.files import PART
from imagehub.emulators.samples.records import describe_work
from imagehub.emulators.samples.studio import draw_work, find_missing

WORKS_FOLDER = "Works"

NOTES = """Notes

- everything that may be shown lies in its year
- the long ridge needs a new frame
- ask about the blue paper
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the missing pictures.

    :param argv: arguments without the program's name; None: those of this process.
    :return: 0, the exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m imagehub.emulators.samples", description="Draw sample pictures."
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill")
    parser.add_argument("--works", type=int, default=44, help="how many works (44)")
    parser.add_argument("--seed", type=int, default=7, help="another number, other pictures (7)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the width and height")
    parser.add_argument("--large", action="store_true", help="one more work, of 96 megapixels")
    parser.add_argument("--film", action="store_true", help="one more work, a video")
    parser.add_argument("--records", type=Path, help="a file for what is known of the works")
    parser.add_argument(
        "--processes", type=int, default=min(4, os.cpu_count() or 1), help="how many draw at once"
    )
    chosen = parser.parse_args(argv)
    if chosen.works < 0 or chosen.processes < 1:
        parser.error("--works must be 0 or more, --processes 1 or more")
    if chosen.large:
        town.draw_town(chosen.out / WORKS_FOLDER, chosen.seed)
    if chosen.film:
        film.place_film(chosen.out / WORKS_FOLDER)
    draw_all(chosen.out, chosen.works, chosen.seed, chosen.quick, chosen.processes)
    if chosen.records:
        records = [describe_work(work) for work in list_works(chosen.works)]
        records += [town.RECORD] if chosen.large else []
        records += [film.RECORD] if chosen.film else []
        chosen.records.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    return 0


def draw_all(out: Path, count: int, seed: int, quick: bool, processes: int) -> None:
    """Draw the first ``count`` works into ``out``, printing a line for each."""
    home = out / WORKS_FOLDER
    (home / "In progress").mkdir(parents=True, exist_ok=True)
    notes = home / "notes.txt"
    if not notes.exists():
        notes.write_text(NOTES, encoding="utf-8")
    for leftover in home.rglob(f".*{PART}"):
        leftover.unlink(missing_ok=True)
    works = list_works(count)
    missing = [work for work in works if find_missing(work, home)]
    done = len(works) - len(missing)
    if not missing:
        return
    # Large works first, so that no process is left with a long one at the end.
    missing.sort(key=lambda work: -work.size[0] * work.size[1] * (1 + len(work.shots)))
    if processes == 1 or len(missing) == 1:
        for work in missing:
            draw_work(work, home, seed, quick)
            done += 1
            print(f"[{done}/{len(works)}] {work.title}", flush=True)
        return
    # Spawn rather than fork: the caller may have threads.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(missing)), fresh) as pool:
        started = {pool.submit(draw_work, work, home, seed, quick): work for work in missing}
        try:
            for future in as_completed(started):
                future.result()
                done += 1
                print(f"[{done}/{len(works)}] {started[future].title}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
