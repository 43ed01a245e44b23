"""The public calls of the single-page app, with their exact JSON."""

import gzip
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.domain.library import order
from imagehub.models import Group, Image, Rendition
from tests.fixtures.site import PASSWORD, Site, make_site

HUGE = 10**30


def expect_presigned(site: Site, url: str, group: int, number: int, size: int) -> None:
    """The URL is a signed one of exactly this rendition."""
    parts = urlsplit(url)
    assert parts.scheme in ("http", "https")
    assert parts.path.endswith(site.find_key(group, number, size))
    assert "X-Amz-Signature" in parse_qs(parts.query)


# --- /image/page ----------------------------------------------------------------------------------


def test_a_page_has_one_row_a_group_with_its_cover(site: Site) -> None:
    group = site.add_group(["front.jpg", "back.jpg"])
    answer = site.get("/image/page?page=1")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    found = answer.json
    assert list(found) == ["code", "data", "hint"]
    assert (found["code"], found["hint"]) == (1, "got_images")
    url = found["data"][0].pop("image")
    assert found["data"] == [
        {
            "group": group,
            "image_name": "front.jpg",
            "width": 480,
            "height": 320,
            "alt": "What front.jpg shows",
        }
    ]
    expect_presigned(site, url, group, 1, 480)


def test_the_keys_of_a_page_come_in_the_order_of_the_contract(site: Site) -> None:
    site.add_group()
    text = site.get("/image/page?page=1").text
    words = ['"code"', '"data"', '"group"', '"image_name"', '"image"', '"hint"']
    assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)


def test_twelve_groups_make_a_page_newest_first(site: Site) -> None:
    groups = [site.add_group([f"{i}.jpg"]) for i in range(14)]
    first = site.get("/image/page?page=1").json["data"]
    second = site.get("/image/page?page=2").json["data"]
    assert [row["group"] for row in first + second] == groups[::-1]
    assert len(first) == 12
    assert site.get("/image/page?page=3").json == {"code": 0, "hint": "database_empty"}


def test_a_page_follows_the_admins_arrangement(site: Site) -> None:
    a, b, c = (site.add_group([name]) for name in "abc")
    with site.session() as session:
        moved, before = session.get(Group, a), session.get(Group, c)
        assert moved is not None
        order.move_group(session, moved, before)
    rows = site.get("/image/page?page=1").json["data"]
    assert [row["group"] for row in rows] == [a, c, b]


@pytest.mark.parametrize("page", [0, -1, -(1 << 63)])
def test_a_page_below_one_is_named_so(site: Site, page: int) -> None:
    answer = site.get(f"/image/page?page={page}")
    assert answer.status_code == 200
    assert answer.json == {"code": -1, "hint": "positive invalid page.. dont try this again"}


@pytest.mark.parametrize("page", [1, 2, 10**15, (1 << 63) - 1])
def test_a_page_of_an_empty_hub_is_empty(site: Site, page: int) -> None:
    answer = site.get(f"/image/page?page={page}")
    assert answer.json == {"code": 0, "hint": "database_empty"}


def test_drafts_and_empty_groups_are_nowhere(site: Site) -> None:
    draft = site.add_group(state="draft")
    empty = site.add_group([])
    assert site.get("/image/page?page=1").json["code"] == 0
    assert site.get("/image/total-page").json == {"totalPage": 0}
    for group in (draft, empty):
        assert site.get(f"/image/group?group={group}").json["status"] == 0
        assert site.get(f"/image/?group={group}&image_id=1").json["code"] == 0
        assert site.get(f"/image/download?group_id={group}&image_id=1").json["code"] == 0


def test_a_full_page_is_small_on_the_wire(site: Site) -> None:
    for i in range(12):
        site.add_group([f"DSC_{i:04}.jpg"])
    plain = site.get("/image/page?page=1")
    packed = site.get("/image/page?page=1", headers={"Accept-Encoding": "gzip"})
    assert len(plain.json["data"]) == 12
    assert len(plain.data) <= 8192
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) <= 3072
    assert gzip.decompress(packed.data) == plain.data
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]


def test_a_page_that_has_not_changed_is_not_sent_again(site: Site) -> None:
    site.add_group()
    tag = site.get("/image/page?page=1").headers["ETag"]
    again = site.get("/image/page?page=1", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert not again.data
    site.add_group()
    changed = site.get("/image/page?page=1", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["Cache-Control"] == "no-cache"


def test_the_calls_answer_the_same_on_mariadb(tmp_path: Path, mariadb_url: str) -> None:
    sites = [make_site(tmp_path / "a"), make_site(tmp_path / "b", database_url=mariadb_url)]
    for site in sites:
        for names in (["a.jpg"], ["b.jpg", "größe.jpg"], []):
            site.add_group(names)
        site.add_group(["draft.jpg"], state="draft")
        for _ in range(13):
            site.add_group()
    for path in (
        "/image/page?page=1", "/image/page?page=2", "/image/page?page=3", "/image/total-page",
        f"/image/page?page={(1 << 63) - 1}", "/image/group?group=2", "/image/group?group=3",
        f"/image/group?group={(1 << 63) - 1}", "/image/?group=2&image_id=2",
        f"/image/?group=2&image_id={(1 << 63) - 1}", "/image/download?group_id=2&image_id=2",
        "/admin/groups", "/admin/groups/images", "/admin/image?group_id=4",
    ):  # fmt: skip
        texts = []
        for site in sites:
            answer = site.get(path, headers=site.bearer())
            assert answer.status_code == 200, path
            # The two hubs sign with keys of their own.
            texts.append(re.sub(r"\?[^\"]*X-Amz-[^\"]*", "", answer.text))
        assert texts[0] == texts[1], path
    for site in sites:
        assert (
            site.post("/login/", json={"username": "ada", "password": PASSWORD}).json["code"] == 2
        )
        assert (
            site.post("/login/", json={"username": "adá", "password": PASSWORD}).json["code"] == 1
        )
        doomed = {"image_list": {"2": [{"image_id": 1}, {"image_id": 2}]}}
        site.post("/admin/delete/image", json=doomed, headers=site.bearer())
        assert site.get("/image/group?group=2").json["status"] == 0
        with site.app.app_context():
            db.engine.dispose()


# --- /image/total-page ----------------------------------------------------------------------------


@pytest.mark.parametrize(("groups", "pages"), [(0, 0), (1, 1), (12, 1), (13, 2)])
def test_pages_are_counted_rounded_up(site: Site, groups: int, pages: int) -> None:
    for _ in range(groups):
        site.add_group()
    assert site.get("/image/total-page").json == {"totalPage": pages}


# --- /image/group ---------------------------------------------------------------------------------


def test_a_group_lists_its_images_in_its_order(site: Site) -> None:
    group = site.add_group(["front.jpg", "back.jpg", "detail.jpg"])
    with site.session() as session:
        library_images.get_image(session, group, 3).position = 0
    answer = site.get(f"/image/group?group={group}").json
    urls = [row.pop("image") for row in answer["data"]]
    assert answer == {
        "status": 1,
        "data": [
            {
                "group": group,
                "imageID": number,
                "imageName": name,
                "width": 480,
                "height": 320,
                "alt": f"What {name} shows",
            }
            for number, name in ((3, "detail.jpg"), (1, "front.jpg"), (2, "back.jpg"))
        ],
    }
    for url, number in zip(urls, (3, 1, 2), strict=True):
        expect_presigned(site, url, group, number, 480)


@pytest.mark.parametrize("group", [0, -1, 5, (1 << 63) - 1])
def test_an_unknown_group_is_named_so(site: Site, group: int) -> None:
    answer = site.get(f"/image/group?group={group}")
    assert answer.status_code == 200
    assert answer.json == {"status": 0, "data": "invalid group.. dont try this again"}


# --- /image/ --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/image/", "/image"])
def test_one_image_is_linked_in_high_resolution(site: Site, path: str) -> None:
    group = site.add_group(["front.jpg", "back.jpg"])
    answer = site.get(f"{path}?group={group}&image_id=2")
    assert answer.status_code == 200
    found = answer.json
    url = found["data"].pop("image")
    assert found == {
        "code": 1,
        "data": {
            "imageName": "back.jpg",
            "width": 1920,
            "height": 1280,
            "alt": "What back.jpg shows",
        },
        "hint": "image_found",
    }
    expect_presigned(site, url, group, 2, 1920)


def test_a_small_original_is_linked_in_the_largest_there_is(site: Site) -> None:
    group = site.add_group()
    with site.session() as session:
        image = library_images.get_image(session, group, 1)
        image.renditions = image.renditions[:1]
    data = site.get(f"/image/?group={group}&image_id=1").json["data"]
    assert (data["width"], data["height"]) == (480, 320)


@pytest.mark.parametrize(
    ("group", "number"), [(1, 2), (2, 1), (0, 0), (-1, -1), (1, (1 << 63) - 1), (1, 1 << 31)]
)
def test_an_unknown_image_is_named_so(site: Site, group: int, number: int) -> None:
    site.add_group()
    answer = site.get(f"/image/?group={group}&image_id={number}")
    assert answer.status_code == 200
    assert answer.json == {"code": 0, "hint": "image_not_found"}


# --- /image/download ------------------------------------------------------------------------------


def test_a_full_image_has_an_absolute_address_of_the_hub(site: Site) -> None:
    group = site.add_group(["front side.jpg"])
    answer = site.get(f"/image/download?group_id={group}&image_id=1")
    assert answer.json == {
        "code": 1,
        "image": {
            "image_name": "front side.jpg",
            "image": f"http://localhost/media/full/{group}/1/front%20side.jpg",
            "width": 6000,
            "height": 4000,
            "alt": "What front side.jpg shows",
        },
        "hint": "image_found",
    }


def test_a_full_image_of_unknown_size_has_the_shape_of_its_preview(site: Site) -> None:
    group = site.add_group(["page.pdf"])
    with site.session() as session:
        image = session.query(Image).filter_by(group_id=group).one()
        image.width_px = image.height_px = 0
        largest = max(image.renditions, key=lambda rendition: rendition.size_px)
        size = (largest.width_px, largest.height_px)
    answer = site.get(f"/image/download?group_id={group}&image_id=1").json
    assert (answer["image"]["width"], answer["image"]["height"]) == size


def test_an_unknown_full_image_is_named_so(site: Site) -> None:
    answer = site.get("/image/download?group_id=1&image_id=1")
    assert answer.status_code == 200
    assert answer.json == {"code": 0, "hint": "image_not_found"}


# --- Bad parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "faults"),
    [
        ("/image/page", [("page", "missing")]),
        ("/image/page?Page=1", [("page", "missing")]),
        ("/image/page?page=", [("page", "int_parsing")]),
        ("/image/page?page=one", [("page", "int_parsing")]),
        ("/image/page?page=1.5", [("page", "int_parsing")]),
        ("/image/page?page=NaN", [("page", "int_parsing")]),
        ("/image/page?page=true", [("page", "int_parsing")]),
        ("/image/page?page=%00", [("page", "int_parsing")]),
        ("/image/page?page=%ff%fe", [("page", "int_parsing")]),
        ("/image/page?page=1&page=2", [("page", "int_type")]),
        ("/image/page?page[]=1", [("page", "missing")]),
        (f"/image/page?page={HUGE}", [("page", "less_than")]),
        (f"/image/page?page=-{HUGE}", [("page", "greater_than_equal")]),
        (f"/image/page?page={'9' * 5000}", [("page", "int_parsing_size")]),
        ("/image/group", [("group", "missing")]),
        (f"/image/group?group={1 << 63}", [("group", "less_than")]),
        ("/image/", [("group", "missing"), ("image_id", "missing")]),
        ("/image/?group=x&image_id=y", [("group", "int_parsing"), ("image_id", "int_parsing")]),
        ("/image/download?group_id=1", [("image_id", "missing")]),
        ("/image/download?group=1&image_id=1", [("group_id", "missing")]),
    ],
)
def test_bad_parameters_get_one_entry_a_fault(
    site: Site, path: str, faults: list[tuple[str, str]]
) -> None:
    answer = site.get(path)
    assert answer.status_code == 422
    assert set(answer.json) == {"detail"}
    for entry in answer.json["detail"]:
        assert set(entry) == {"loc", "msg", "type"}
        assert entry["msg"]
    found = [(tuple(entry["loc"]), entry["type"]) for entry in answer.json["detail"]]
    assert found == [(("query", name), kind) for name, kind in faults]


def test_unknown_extra_parameters_are_ignored(site: Site) -> None:
    assert site.get("/image/page?page=1&cache=0&page_size=500").json["code"] == 0


@pytest.mark.parametrize(
    "path", ["/image/page/?page=1", "/image/total-page/", "/image/group/?group=1"]
)
def test_a_slash_at_the_end_changes_nothing(site: Site, path: str) -> None:
    site.add_group()
    with_slash = site.get(path)
    without = site.get(path.replace("/?", "?").removesuffix("/"))
    assert with_slash.status_code == without.status_code == 200
    assert with_slash.json == without.json


# --- /media ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", ".webp"])
def test_a_lasting_address_redirects_to_the_rendition(site: Site, ending: str) -> None:
    group = site.add_group()
    answer = site.get(f"/media/{group}/1/960{ending}")
    assert answer.status_code == 302
    expect_presigned(site, answer.location, group, 1, 960)
    assert "max-age" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path", ["1/1/481", "1/2/480", "2/1/480", f"{HUGE}/1/480", f"1/{HUGE}/480", "1/x/480", "0/0/0"]
)
def test_media_that_is_not_there_is_not_found(site: Site, path: str) -> None:
    site.add_group()
    assert site.get(f"/media/{path}").status_code == 404


def test_the_nearest_size_stands_in_for_one_that_was_never_made(site: Site) -> None:
    group = site.add_group()
    with site.session() as session:
        keys = {row.size_px: row.object_key for row in session.query(Rendition)}
        assert keys.keys() == {480, 960, 1920}, "as in hubs from before the size of 720 pixels"
    assert keys[960] in site.get(f"/media/{group}/1/720").headers["Location"]


def test_a_draft_is_seen_by_admins_alone(site: Site) -> None:
    group = site.add_group(state="draft")
    path = f"/media/{group}/1/480"
    assert site.get(path).status_code == 404
    answer = site.signed_in_client().get(path)
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert site.get(path, headers=site.bearer()).status_code == 404, "a token opens calls alone"


def test_the_database_going_away_is_503_in_json(site: Site) -> None:
    with site.session() as session:
        session.execute(db.text("ALTER TABLE gallery_bucket RENAME TO away"))
    answer = site.get("/image/total-page")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert set(answer.json) == {"detail"}
    assert "gallery_bucket" not in answer.text
