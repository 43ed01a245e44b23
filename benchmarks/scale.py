"""Pages for visitors and admins at 1,000, 30,000 and 1,000,000 images on MariaDB, side by side,
with the rows that the database reads for each.

    python -m benchmarks.scale [--sizes 1000 30000] [--rounds 15] [--only tag]
                               [--database 1000000=URL]

The hubs are filled by ``imagehub bench-fill`` with five shots to a group; filling the largest takes
a quarter of an hour. ``--database`` takes one that was filled before. Pages are rendered anew each
time, as whole answers to HTTP requests; the hubs take turns, so that whatever else the machine does
hits all. The ratios compare medians with those of the smallest hub. "Rows" is what MariaDB counts
as read from tables and indexes, temporary tables included: it does not depend on the machine.
Searches in InnoDB's full-text index read more than is counted.
"""

import argparse
import re
import tempfile
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, func, select, text, true

from benchmarks.library import ask, measure
from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import db
from imagehub.domain.library import gallery, listing, order
from imagehub.models import FacetValue, Group, GroupTag, Series, Tag
from imagehub.runtime.bench_fill.fill import fill_hub
from imagehub.runtime.serve import allow_long_statements, migrate_database
from tests.fixtures.database import MariaDB, run_mariadb
from tests.fixtures.site import Site, make_site

SIZES = (1_000, 30_000, 1_000_000)
SHOTS_PER_GROUP = 5
ROUNDS = 15
# A buffer pool that holds the largest hub's indexes.
BUFFER_POOL = "3G"


@dataclass(frozen=True)
class Hub:
    """A filled hub, and browsers of a visitor and of an admin."""

    size: int
    site: Site
    visitor: FlaskClient
    admin: FlaskClient
    pages: dict[str, str]

    def get_client(self, path: str) -> FlaskClient:
        return self.admin if path.startswith("/admin") else self.visitor


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare hubs of several sizes.")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--database", action="append", default=[], metavar="IMAGES=URL")
    parser.add_argument("--only", default="", help="pages with this in their name")
    options = parser.parse_args()
    urls = {int(size): url for size, _, url in (one.partition("=") for one in options.database)}
    sizes = sorted({*options.sizes, *urls})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if set(sizes) - set(urls):
            server = stack.enter_context(run_mariadb(BUFFER_POOL))
            for size in set(sizes) - set(urls):
                urls[size] = make_database(server, folder / f"fill-{size}", size)
        hubs = [make_hub(folder / str(size), size, urls[size]) for size in sizes]
        print_table(hubs, options.rounds, options.only)


def make_database(server: MariaDB, folder: Path, size: int) -> str:
    """Fill a new database; return its URL."""
    url = server.create_database()
    app = open_migrated(folder, url)
    with app.app_context(), allow_long_statements(db.engine):
        fill_hub(db.engine, size // SHOTS_PER_GROUP, size, lambda line: print(" ", line))
    return url


def open_migrated(folder: Path, url: str) -> Flask:
    environment = {"IMAGEHUB_DATA_DIR": str(folder), "IMAGEHUB_DATABASE_URL": url}
    app = create_app(load_settings(environment, None))
    migrate_database(app)
    return app


def make_hub(folder: Path, size: int, url: str) -> Hub:
    folder.mkdir()
    # One that was filled before may be of an earlier version.
    open_migrated(folder, url)
    site = make_site(
        folder, database_url=url, page_cache_mb="0", text_languages="en, de", numbers="on"
    )
    return Hub(size, site, site.client(), site.signed_in_client(), list_pages(site))


def list_pages(site: Site) -> dict[str, str]:
    """Return the measured pages of a hub: name → address."""
    with site.app.app_context():
        session = db.session()
        last = gallery.count_pages(session)
        shown = select(Group).where(Group.is_shown == true())
        newest = session.scalar(select(func.max(Group.id))) or 0
        middle = session.scalars(
            shown.where(Group.id >= newest // 2, Group.image_count == 5, Group.title > "")
            .order_by(Group.id)
            .limit(1)
        ).one()
        # Of a thousand groups, so that finding it takes no longer in a large hub.
        near = shown.where(Group.id.between(middle.id, middle.id + 1000))
        largest = session.scalars(near.order_by(Group.image_count.desc()).limit(1)).one()
        common = session.get_one(Tag, 1)
        count = session.scalar(select(func.count()).where(GroupTag.tag_id == common.id)) or 0
        rare = session.get_one(Tag, session.scalar(select(func.max(Tag.id))) or 0)
        place, number = order.FIRST_SORT_KEY + middle.id * order.SORT_STEP, middle.id
        created = int(middle.created_at.timestamp() * 1_000_000)
        title = urlsafe_b64encode(middle.title_key.encode()).decode().rstrip("=")
        words = max(re.findall(r"\w+", middle.title.lower()), key=len)
        # The values that most works have, and a rare one.
        ranked = select(FacetValue.slug).order_by(FacetValue.shown_count.desc())
        shown_facet = ranked.where(FacetValue.shown_count > 0)
        most = {
            facet: session.scalars(shown_facet.where(FacetValue.facet == facet).limit(1)).one()
            for facet in ("year", "decade", "medium", "tag", "colour", "shape", "availability")
        }
        one, two, three = (
            "&".join(f"{name}={quote(most[name])}" for name in names)
            for names in (("shape",), ("shape", "medium"), ("shape", "medium", "colour"))
        )
        rarely = f"tag={quote(rare.slug)}&{two}"
        deep = f"{one}&after={order.FIRST_SORT_KEY + middle.id * order.SORT_STEP}.{middle.id}"
        series = session.get_one(Series, 1)
        in_series = find_address(site, f"/series/{series.id}")
        last_page = max(1, series.shown_count // 12)
        pages = {
            "front page": "/",
            "a page in the middle": f"/?page={max(1, last // 2)}",
            "the last page": f"/?page={last}",
            "/image/page in the middle": f"/image/page?page={max(1, last // 2)}",
            "a work of five shots": find_address(site, f"/groups/{middle.id}"),
            "the largest of a thousand": find_address(site, f"/groups/{largest.id}"),
            "most used tag": f"/tags/{quote(common.slug)}",
            "most used tag, middle page": f"/tags/{quote(common.slug)}?page={count // 24 or 1}",
            "rarest tag": f"/tags/{quote(rare.slug)}",
            "all tags": "/tags",
            "search: a whole title": f"/search?q={quote(middle.title)}",
            "search: a rare word": f"/search?q={words}",
            "search: a common word": "/search?q=harbour",
            "search: two common words": "/search?q=oil+canvas",
            "search: nothing found": "/search?q=zzyzx",
            "search: inside of words": "/search?q=arbou",
            "suggestions for two letters": "/search/suggest?q=ha",
            "one filter": f"/?{one}",
            "one filter, deep inside": f"/?{deep}",
            "two filters": f"/?{two}",
            "three filters": f"/?{three}",
            "two filters with a rare tag": f"/?{rarely}",
            "a year of the timeline": f"/?year={most['year']}",
            "a decade of the timeline": f"/?year={most['decade']}",
            "search with two filters": f"/search?q=harbour&{two}",
            "all series": "/series",
            "the largest series": in_series,
            "its last page": f"{in_series}?page={last_page}",
            "it with one filter": f"{in_series}?{one}",
            "it with three filters": f"{in_series}?{three}",
            "it with a rare tag": f"{in_series}?tag={quote(rare.slug)}",
            "a share link": "/s/bench-1",
            "its list of marked works": "/s/bench-1/list",
            "feed": "/feed.atom",
            "site map": "/sitemap.xml",
            "one part of the site map": "/sitemap/1.xml",
            "admin: home": "/admin/",
            "library": "/admin/library",
            "library, deep inside": f"/admin/library?after={place}.{number}",
            "library, backwards": f"/admin/library?before={place}.{number}",
            "library, newest first, deep": f"/admin/library?sort=newest&after={created}.{number}",
            "library by title, deep": f"/admin/library?sort=title&after={title}.{number}",
        }
        for name in listing.FILTERS:
            if name != "all":
                pages[f"library: {name}"] = f"/admin/library?filter={name}"
        pages |= {
            "library: a rare word": f"/admin/library?q={words}",
            "library: two common words": "/admin/library?q=oil+canvas",
            "library: drafts with a word": "/admin/library?filter=draft&q=harbour",
            "library: no alt, with a word": "/admin/library?filter=alt&q=harbour",
            "library: one group": f"/admin/library/{number}",
            "library: a name's beginning": f"/admin/library/choices?q={words[:3]}",
            "the trash": "/admin/library/trash",
            "numbers, a month": "/admin/numbers?days=30",
            "numbers, a year": "/admin/numbers?days=365",
            "numbers of a work": f"/admin/numbers/group/{number}",
            "admin: series": "/admin/series",
            "admin: the largest series": f"/admin/series/{series.id}",
            "admin: its picker": f"/admin/series/{series.id}/add",
            "admin: texts in German": "/admin/texts/de",
            "admin: share links": "/admin/shares",
            "admin: enquiries": "/admin/enquiries",
            "admin: print files": "/admin/print",
            "admin: activity": "/admin/activity",
        }
        db.session.remove()
        return pages


def find_address(site: Site, path: str) -> str:
    """Return the address that a page redirects to, or its own."""
    answer = site.get(path)
    return str(answer.headers["Location"]) if answer.status_code == 301 else path


def print_table(hubs: list[Hub], rounds: int, only: str) -> None:
    heads = "".join(f"{hub.size:>13,}{'rows':>11}" for hub in hubs)
    print(f"\n  ms{'':<28}{heads}" + "".join(f"{'ratio':>8}" for _ in hubs[1:]))
    for name in hubs[0].pages:
        if only not in name:
            continue
        looks = [ask(hub.get_client(hub.pages[name]), hub.pages[name]) for hub in hubs]
        medians = measure(looks, rounds)
        line = f"  {name:<30}"
        for hub, look, middle in zip(hubs, looks, medians, strict=True):
            with hub.site.app.app_context():
                engine = db.engine
            at_first, before = count_read(engine), count_read(engine)
            look()
            # Without those that counting reads.
            read = count_read(engine) - before - (before - at_first)
            line += f"{middle:>13.2f}{read:>11,}"
        print(line + "".join(f"{one / medians[0]:>8.2f}" for one in medians[1:]), flush=True)


def count_read(engine: Engine) -> int:
    """Return the rows that the server has read for all connections of this user so far."""
    separate = create_engine(engine.url)
    with separate.connect() as connection:
        rows = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Handler_read%'")).all()
    separate.dispose()
    return sum(int(value) for _, value in rows)


if __name__ == "__main__":
    main()
