"""The addresses of tiles: who may see them, what they lead to, and what other viewers read."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from imagehub.database import db, now_utc
from imagehub.domain.library import groups
from imagehub.domain.sharing import links
from imagehub.models import Group, Image, TileSet
from tests.fixtures.site import Site, make_site

KEY = f"tiles/{1:012d}/{'ab' * 16}/"
SIZE = (5000, 3000)


def add_large(site: Site, state: str = "published", **facts: Any) -> tuple[int, int]:
    """Add a work whose image has tiles; returns their numbers."""
    number = site.add_group(state=state)
    with site.session() as session:
        session.get_one(Group, number).title = "A plan"
        image = session.scalars(select(Image).where(Image.group_id == number)).first()
        assert image is not None
        image.width_px, image.height_px = SIZE
        image.sha256 = "a" * 64
        values = {
            "object_key": KEY, "sha256": image.sha256, "width_px": SIZE[0], "height_px": SIZE[1],
            "state": "ready", "tile_count": 9, "size_bytes": 1000, "due_at": now_utc(),
        } | facts  # fmt: skip
        session.add(TileSet(image_id=image.id, **values))
        return number, image.id


@pytest.fixture
def tiled(tmp_path: Path, site_folder: Path) -> Iterator[Site]:
    shutil.copytree(site_folder, tmp_path / "tiled")
    site = make_site(tmp_path / "tiled", tiles="on")
    yield site
    with site.app.app_context():
        db.engine.dispose()


def test_other_viewers_read_a_description(tiled: Site) -> None:
    _, image_id = add_large(tiled)
    answer = tiled.get(
        f"/iiif/{image_id}/info.json", headers={"Origin": "https://elsewhere.example"}
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    info = answer.get_json()
    assert info["@context"] == "http://iiif.io/api/image/3/context.json"
    assert (info["type"], info["profile"]) == ("ImageService3", "level0")
    assert info["id"].endswith(f"/iiif/{image_id}") and info["id"].startswith("http")
    assert (info["width"], info["height"]) == SIZE
    assert info["tiles"] == [{"width": 512, "scaleFactors": [1, 2, 4, 8, 16]}]
    assert info["preferredFormats"] == ["webp"]
    for size in info["sizes"]:
        path = f"/iiif/{image_id}/full/{size['width']},{size['height']}/0/default.jpg"
        assert "/renditions/" in tiled.get(path).headers["Location"]
    linked = tiled.get(f"/iiif/{image_id}/info.json", headers={"Accept": "application/ld+json"})
    assert linked.content_type.startswith("application/ld+json;profile=")
    base = tiled.get(f"/iiif/{image_id}")
    assert (base.status_code, base.headers["Location"]) == (303, f"/iiif/{image_id}/info.json")


def test_a_tile_is_a_redirect_to_the_storage(tiled: Site) -> None:
    number, image_id = add_large(tiled)
    path = f"/iiif/{image_id}/512,1024,512,512/512,512/0/default.webp"
    answer = tiled.get(path)
    assert answer.status_code == 302 and answer.data == b""
    assert f"/{KEY}512%2C1024%2C512%2C512_512%2C512.webp?" in answer.headers["Location"] or (
        f"/{KEY}512,1024,512,512_512,512.webp?" in answer.headers["Location"]
    )
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    page = tiled.get(f"/groups/{number}/a-plan").get_data(as_text=True)
    assert f'data-tiles="/iiif/{image_id}"' in page
    assert f" {SIZE[0]} {SIZE[1]}" in page


@pytest.mark.parametrize(
    "rest",
    ["0,0,512,512/511,512", "0,0,513,513/513,513", "full/max", "full/5000,3000", "a,b,c,d/512,512",
     "0,0,512,512/512,512/90", "5120,0,512,512/512,512", "square/512,512", "pct:0,0,9,9/9,9"],
)  # fmt: skip
def test_other_regions_and_sizes_do_not_exist(tiled: Site, rest: str) -> None:
    _, image_id = add_large(tiled)
    assert tiled.get(f"/iiif/{image_id}/{rest}/0/default.webp").status_code == 404


def test_a_draft_has_no_tiles_but_for_admins_and_shares(tiled: Site) -> None:
    number, image_id = add_large(tiled, state="draft")
    tile = "0,0,512,512/512,512/0/default.webp"
    paths = [f"/iiif/{image_id}{rest}" for rest in ("", "/info.json", f"/{tile}")]
    assert [tiled.get(path).status_code for path in paths] == [404] * 3
    admin = tiled.signed_in_client()
    answer = admin.get(paths[2])
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "private, no-store")
    assert "Access-Control-Allow-Origin" not in answer.headers
    with tiled.session() as session:
        _, token = links.create_share(session, None, [number])
    shared_path = f"/s/{token}/iiif/{number}/1/{tile}"
    assert f'data-tiles="/s/{token}/iiif/{number}/1"' in tiled.get(f"/s/{token}").text
    answer = tiled.get(shared_path)
    assert answer.status_code == 302 and KEY in answer.headers["Location"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert tiled.get(shared_path.replace(token, "x" * len(token))).status_code == 404


def test_what_is_off_or_of_another_version_is_not_shown(tiled: Site, site: Site) -> None:
    number, image_id = add_large(tiled)
    path = f"/iiif/{image_id}/info.json"
    assert tiled.get(path).status_code == 200
    with tiled.session() as session:
        session.get_one(Group, number).tiles = "off"
    assert tiled.get(path).status_code == 404
    assert "data-tiles" not in tiled.get(f"/groups/{number}/a-plan").text
    with tiled.session() as session:
        session.get_one(Group, number).tiles = "on"
        session.get_one(Image, image_id).sha256 = "f" * 64
    assert tiled.get(path).status_code == 404, "the original was replaced"
    # A hub whose setting is off.
    number, image_id = add_large(site)
    assert site.get(f"/iiif/{image_id}/info.json").status_code == 404
    with site.session() as session:
        session.get_one(Group, number).tiles = "on"
    assert site.get(f"/iiif/{image_id}/info.json").status_code == 200


def test_trashed_works_have_no_tiles_even_for_admins(tiled: Site) -> None:
    number, image_id = add_large(tiled)
    with tiled.session() as session:
        session.get_one(Group, number).state = "trash"
        groups.refresh_group(session, number)
    assert tiled.signed_in_client().get(f"/iiif/{image_id}/info.json").status_code == 404


def test_unknown_images_are_not_found(tiled: Site) -> None:
    for number in ("999", "0", str(2**80)):
        assert tiled.get(f"/iiif/{number}/info.json").status_code == 404
