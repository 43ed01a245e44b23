"""A work at its true size: its room is to scale, in the units of the visitor's language."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from imagehub.domain.library import groups
from imagehub.domain.library.dimensions import Size
from imagehub.gallery.rooms import COMPANIONS, make_room
from imagehub.models import Group, Image
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site

SVG = "{http://www.w3.org/2000/svg}"


def add_work(site: Site, dimensions: str, **facts: Any) -> int:
    number = site.add_group()
    with site.session() as session:
        group = session.get_one(Group, number)
        for name, value in {"title": "Harbour", "dimensions": dimensions, **facts}.items():
            setattr(group, name, value)
        groups.refresh_group(session, number)
    return number


def read_room(page: str) -> ET.Element:
    drawing = re.search(r"<svg class=\"room.*?</svg>", page, re.DOTALL)
    assert drawing is not None
    return ET.fromstring(drawing[0].replace("data-room", f'xmlns="{SVG[1:-1]}"', 1))


def test_a_work_hangs_on_a_wall_to_scale(site: Site) -> None:
    # The renditions are wider than high, so the first number is the width.
    number = add_work(site, "90 × 60 cm")
    page = site.get(f"/groups/{number}/size?beside=person&wall=blue")
    assert page.status_code == 200
    room = read_room(page.text)
    picture = room.find(f"{SVG}image")
    assert picture is not None and (picture.get("width"), picture.get("height")) == ("90.0", "60.0")
    assert picture.get("href") == f"/media/{number}/1/1920.webp"
    assert "is-blue" in room.get("class", "")
    assert 'value="person" checked' in page.text and 'value="blue" checked' in page.text
    title = room.findtext(f"{SVG}title") or ""
    assert (
        "Harbour, drawn to scale. Height 60\u00a0cm (23⅝\u00a0in), width 90\u00a0cm (35⅜\u00a0in)."
        in title
    )
    assert "The person is 170\u00a0cm (5\u00a0ft 7\u00a0in) tall." in title
    assert "style=" not in page.text and "the outline marks its size" not in page.text
    german = site.get(f"/groups/{number}/size?beside=door", headers={"Accept-Language": "de"}).text
    assert "Höhe 60\u00a0cm, Breite 90\u00a0cm." in german
    assert "Die Tür ist 206\u00a0cm hoch." in german and "\u00a0ft" not in german


@pytest.mark.parametrize("query", ["", "?beside=elephant&wall=url(x)", "?beside=&wall="])
def test_other_choices_are_the_first(site: Site, query: str) -> None:
    number = add_work(site, "90 × 60 cm")
    page = site.get(f"/groups/{number}/size{query}").text
    assert 'value="sofa" checked' in page and 'class="room is-page"' in page


def test_a_photo_that_shows_more_has_an_outline(site: Site) -> None:
    number = add_work(site, "H 200 × W 40 × D 40 cm")
    page = site.get(f"/groups/{number}/size").text
    assert "room-outline" in page and "the outline marks its size" in page
    assert 'preserveAspectRatio="xMidYMid meet"' in page
    round_page = site.get(f"/groups/{add_work(site, 'Ø 40 cm')}/size").text
    assert "room-round" in round_page and "Ø\u00a040\u00a0cm" in round_page


def test_only_published_works_with_a_size_link_to_it(site: Site) -> None:
    sized, plain = add_work(site, "90 × 60 cm"), add_work(site, "90 × 60")
    draft = add_work(site, "90 × 60 cm", state="draft")
    link = f'href="/groups/{sized}/size"'
    page = site.get(f"/groups/{sized}/harbour").text
    assert link in page and '"unitCode": "CMT"' in page and '"value": 90.0' in page
    assert "/size" not in site.get(f"/groups/{plain}/harbour").text
    for number in (plain, draft, 99, 2**70):
        assert site.get(f"/groups/{number}/size").status_code == 404
    assert site.signed_in_client().get(f"/groups/{draft}/size").status_code == 404


def test_a_video_hangs_in_no_room(site: Site) -> None:
    number = add_work(site, "90 × 60 cm")
    with site.session() as session:
        session.query(Image).filter_by(group_id=number).update({"video_codec": "VP9"})
    assert "/size" not in site.get(f"/groups/{number}/harbour").text
    assert site.get(f"/groups/{number}/size").status_code == 404


def test_the_page_costs_few_statements(site: Site) -> None:
    number = add_work(site, "90 × 60 cm")
    with count_statements() as statements:
        site.get(f"/groups/{number}/size")
    assert len(statements) <= 8


@pytest.mark.parametrize("beside", COMPANIONS)
@pytest.mark.parametrize(
    "size",
    [Size(100, 70), Size(600, 900), Size(2100, 1400), Size(6000, 200), Size(300, 7000),
     Size(350, 200, 180), Size(1900, 500, 500)],
)  # fmt: skip
def test_everything_has_room(beside: str, size: Size) -> None:
    room = make_room(size, beside)
    assert room.work.width == pytest.approx(size.width_mm / 10)
    assert room.work.height == pytest.approx(size.height_mm / 10)
    boxes = [room.work, room.plinth, room.place if beside != "nothing" else None]
    for box in [one for one in boxes if one is not None]:
        assert box.x >= 0 and box.x + box.width <= room.width
        assert box.y >= 0 and box.y + box.height <= room.height
    foot = room.work.y + room.work.height
    if size.depth_mm:
        assert foot == pytest.approx(room.plinth.y if room.plinth else room.floor + 8, abs=0.2)
    elif beside == "sofa":
        assert foot <= room.place.y, "it hangs above the sofa"
    elif beside != "nothing":
        assert room.place.x >= room.work.x + room.work.width + 20
    if not size.depth_mm and size.height_mm < 1000:
        assert (room.work.y + foot) / 2 == pytest.approx(room.floor - 150, abs=0.2), "eye level"
