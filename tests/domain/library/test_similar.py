"""Works that look like others: candidates, ranking, and the index, on both databases."""

import base64
import re
from collections.abc import Callable
from functools import partial
from itertools import product

from sqlalchemy import delete, func, select

from imagehub.domain.library import groups, likeness_index, similar
from imagehub.domain.library.facet_index import list_stale_facets, recount_facets, refresh_facets
from imagehub.imaging.likeness import list_bands, make_look, measure
from imagehub.imaging.thumbhash import make_thumbhash
from imagehub.models import Group, Image, Likeness, LikenessBand
from tests.domain.library.test_gallery import count_rows_read
from tests.fixtures.site import Site

Paint = Callable[[float, float], tuple[int, int, int]]


def paint(color: Paint) -> bytes:
    """Return the ThumbHash of a picture; the colour is that of x and y from 0 to 1."""
    size = 24
    pixels = [(*color(x / size, y / size), 255) for y in range(size) for x in range(size)]
    return make_thumbhash(size, size, bytes(part for pixel in pixels for part in pixel))


def sunset(x: float, y: float) -> tuple[int, int, int]:
    return (230, 120, 60) if y < 0.6 else (40, 30, 60)


def late_sunset(x: float, y: float) -> tuple[int, int, int]:
    return (215, 105, 65) if y < 0.55 + 0.1 * x else (45, 30, 70)


def forest(x: float, y: float) -> tuple[int, int, int]:
    return (30, 90, 40) if int(x * 6) % 2 else (70, 140, 60)


def sea(x: float, y: float) -> tuple[int, int, int]:
    return (200, 215, 230) if y < 0.3 else (20, 70, 130)


def add_work(site: Site, picture: Paint | None, state: str = "published") -> int:
    number = site.add_group(state=state)
    with site.session() as session:
        image = session.scalars(select(Image).where(Image.group_id == number)).one()
        image.thumbhash = base64.b64encode(paint(picture)).decode() if picture else ""
        groups.refresh_group(session, number)
    return number


def test_a_look_tells_pictures_apart() -> None:
    looks = [make_look(paint(one)) for one in (sunset, late_sunset, forest, sea)]
    assert all(len(look) == 56 for look in looks)
    assert measure(looks[0], looks[0]) == 0
    near = measure(looks[0], looks[1])
    assert 0 < near < similar.MOST_UNLIKE
    for other in looks[2:]:
        assert measure(looks[0], other) > similar.MOST_UNLIKE
        assert measure(looks[0], other) == measure(other, looks[0])
    # With a limit, what is within it is measured the same, and the rest stays above it.
    for limit in (0.0, 0.1, similar.MOST_UNLIKE, 0.6):
        for one, other in product(looks, looks):
            exact, bounded = measure(one, other), measure(one, other, limit)
            assert bounded == exact if exact <= limit else limit < bounded < exact + 1e-9
    assert set(list_bands(looks[0], are_near=True)) & set(list_bands(looks[1]))


def test_similar_works_are_found_the_most_similar_first(either_site: Site) -> None:
    site = either_site
    work = add_work(site, sunset)
    late = add_work(site, late_sunset)
    same = add_work(site, sunset)
    add_work(site, sunset, state="draft")
    plain = add_work(site, None)
    add_work(site, forest)
    with site.session() as session:
        assert similar.list_similar_ids(session, work) == [same, late]
        assert similar.list_similar_ids(session, plain) == []
        # A work that is hidden, and one that gets another cover.
        session.get_one(Group, same).state = "draft"
        image = session.scalars(select(Image).where(Image.group_id == late)).one()
        image.thumbhash = base64.b64encode(paint(sea)).decode()
        groups.refresh_groups(session, [same, late])
    with site.session() as session:
        assert similar.list_similar_ids(session, work) == []
        groups.delete_group(session, groups.get_locked_group(session, late))
        assert session.get(Likeness, late) is None


def test_a_common_look_is_not_read_whole(either_site: Site) -> None:
    site = either_site
    for _ in range(2):
        add_work(site, sunset)
    with site.session() as session:
        [look] = set(session.scalars(select(Likeness.look)))
        bands = list_bands(look)
        first = session.scalar(select(func.max(Group.id))) or 0
        new = range(first + 1, first + 601)
        session.add_all(Group(id=number) for number in new)
        session.flush()
        session.add_all(Likeness(group_id=number, look=look) for number in new)
        session.add_all(
            LikenessBand(group_id=number, band=band, bits=bits)
            for number in new
            for band, bits in bands
        )
    with site.session() as session:
        work = session.scalar(select(func.min(Group.id))) or 0
        if session.get_bind().dialect.name != "sqlite":
            find = partial(similar.list_similar_ids, session, work)
            assert count_rows_read(session, find) < 2500
        assert len(similar.list_similar_ids(session, work)) <= 80


def test_works_that_were_imported_before_are_looked_at_once(either_site: Site) -> None:
    site = either_site
    works = [add_work(site, sunset), add_work(site, late_sunset), add_work(site, None)]
    with site.session() as session:
        assert likeness_index.find_progress(session) is None
        # As after an upgrade: works have filters, but nobody has looked at their covers.
        session.execute(delete(LikenessBand))
        session.execute(delete(Likeness))
        assert list_stale_facets(session, 0) == (works, works[-1])
        refresh_facets(session, works)
    with site.session() as session:
        progress = likeness_index.find_progress(session)
        assert progress == likeness_index.Progress(0, 3)
        assert likeness_index.look_at_covers(session, lambda: False) == 0
        assert likeness_index.look_at_covers(session) == 3
        assert likeness_index.look_at_covers(session) == 0
        assert likeness_index.find_progress(session) is None
        assert similar.list_similar_ids(session, works[0]) == [works[1]]
        assert recount_facets(session) == 0


def test_similar_works_are_on_the_page_of_a_work_and_for_apps(site: Site) -> None:
    works = [add_work(site, sunset) for _ in range(4)]
    forest_ = add_work(site, forest)
    hidden = add_work(site, sunset, state="draft")
    page = site.get(f"/groups/{works[0]}").text
    part = page.split('class="similar"')[1].split("</section>")[0]
    # Not the one beside it, which is shown already.
    assert re.findall(r'href="/groups/(\d+)"', part) == [str(works[3]), str(works[2])]
    assert 'class="similar"' not in site.get(f"/groups/{forest_}").text
    answer = site.get(f"/site/similar?group={works[1]}").json
    assert [row["group"] for row in answer["data"]] == [works[3], works[2], works[0]]
    for number in (hidden, 99):
        assert site.get(f"/site/similar?group={number}").json["hint"] == "group_not_found"
