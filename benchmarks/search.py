"""Measure search and indexing of 100, 10,000 and 100,000 works on SQLite and MariaDB.

The works have titles of three words and texts of forty, drawn from 20,000 made-up words as language
has them: a few are in many works, most in a few.
"""

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from benchmarks.catalogue import SHOTS_PER_GROUP, fill_catalogue
from imagehub.database import Base, make_engine_options
from imagehub.domain.library import search, search_index
from tests.fixtures.database import run_mariadb

SIZES = (100, 10_000, 100_000)
ROUNDS = 15
WORDS = 20_000
TITLE_WORDS, TEXT_WORDS = 3, 40

QUERIES = {
    "a rare word": "rareword",
    "a common word": "commonword",
    "two words": "commonword oftenword",
    "a word in many titles": "titleword",
    "one letter": "c",
    "two characters of Japanese": "富士",
    "inside of words": "ommonwor",
    "nothing at all": "zzyzx",
}


def main(sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> None:
    with tempfile.TemporaryDirectory() as name, run_mariadb() as server:
        for size in sizes:
            urls = {
                "SQLite": f"sqlite:///{Path(name) / f'{size}.db'}",
                "MariaDB": server.create_database(),
            }
            engines = {}
            for database, url in urls.items():
                engines[database] = create_engine(url, **make_engine_options(url))
                seconds = fill(engines[database], size)
                print(
                    f"  {database}: {size:,} works indexed in {seconds:.1f} s,"
                    f" {size / seconds:,.0f} a second",
                    flush=True,
                )
            print_times(engines, size, rounds)
            for engine in engines.values():
                engine.dispose()


def print_times(engines: dict[str, Engine], size: int, rounds: int) -> None:
    print(f"\n  {size:,} works, ms a search (the first page of 12, with its pictures)")
    print(f"  {'':<28}" + "".join(f"{name:>10}{'found':>9}" for name in engines))
    for words, query in QUERIES.items():
        line = f"  {words:<28}"
        for engine in engines.values():
            with Session(engine) as session:
                count = search.find_groups(session, query).group_count
                line += f"{measure(session, query, rounds) * 1000:>10.1f}{count:>9,}"
        print(line, flush=True)
    print(flush=True)


def measure(session: Session, query: str, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        session.rollback()
        session.expunge_all()
        start = time.perf_counter()
        search.find_groups(session, query)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def fill(engine: Engine, group_count: int) -> float:
    """Make the works and index them.

    :return: seconds that the indexing took.
    """
    Base.metadata.create_all(engine)
    fill_catalogue(engine, group_count * SHOTS_PER_GROUP)
    make_title, make_text = make_writers(random.Random(1))
    with engine.begin() as connection:
        rows = (
            {"id": number, "title": make_title(number), "text": make_text(number)}
            for number in range(1, group_count + 1)
        )
        while batch := list(itertools.islice(rows, 2000)):
            connection.execute(
                text("UPDATE image_group SET title = :title, text = :text WHERE id = :id"), batch
            )
    start = time.perf_counter()
    with Session(engine) as session:
        after = 0
        while after := search_index.fill_search(session, after):
            session.commit()
    return time.perf_counter() - start


def make_writers(rng: random.Random) -> tuple[Callable[[int], str], Callable[[int], str]]:
    """Return two functions: the title and the text of a work by its number."""
    syllables = ["ka", "lo", "mi", "ra", "tun", "ses", "vo", "pel", "dri", "gan", "hu", "nor"]
    vocabulary = ["".join(rng.choices(syllables, k=3)) + str(i % 7) for i in range(WORDS)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, WORDS + 1)))

    def draw(count: int) -> list[str]:
        return rng.choices(vocabulary, cum_weights=weights, k=count)

    def iter_special(number: int) -> Iterator[str]:
        if number % 3 == 0:
            yield "commonword"
        if number % 7 == 0:
            yield "oftenword"
        if number % 97 == 0:
            yield "富士山"

    def make_title(number: int) -> str:
        words = draw(TITLE_WORDS)
        if number % 20 == 0:
            words.append("titleword")
        return " ".join(words).capitalize()

    def make_text(number: int) -> str:
        words = [*draw(TEXT_WORDS), *iter_special(number)]
        if number % 5000 == 50:
            words.append("rareword")
        rng.shuffle(words)
        return " ".join(words)

    return make_title, make_text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search in libraries of several sizes.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="WORKS")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    main(tuple(options.sizes), options.rounds)
