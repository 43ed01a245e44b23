"""Deep zoom in the admin pages: the state of tiles, and turning them on and off."""

from typing import Any

import pytest
from sqlalchemy import select, update

from imagehub.models import AuditEntry, Group, TileSet
from tests.fixtures.site import Site, read_csrf_token
from tests.gallery.test_tiles import add_large


def change(site: Site, image_id: int, **facts: Any) -> None:
    with site.session() as session:
        session.execute(update(TileSet).where(TileSet.image_id == image_id).values(**facts))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"state": "ready", "tile_count": 2345, "size_bytes": 18_000_000}, ("2,345 tiles", "18")),
        ({"state": "making", "percent": 40}, ("40 %",)),
        ({"state": "failed", "reason": "The original is not in OneDrive."}, ("not in OneDrive",)),
        ({"state": "waiting", "reason": ""}, ("Waiting",)),
    ],
)
def test_a_groups_page_says_what_its_tiles_are(
    site: Site, facts: dict[str, Any], words: tuple[str, ...]
) -> None:
    number, image_id = add_large(site)
    change(site, image_id, **facts)
    admin = site.signed_in_client()
    path = f"/admin/library/{number}"
    assert 'data-tiles="unwanted"' in admin.get(path).text, "the hub has tiles off"
    with site.session() as session:
        session.get_one(Group, number).tiles = "on"
    page = admin.get(path).text
    assert f'data-tiles="{facts["state"]}"' in page
    for word in words:
        assert word in page.replace("\u00a0", " ").replace("\u202f", " ")
    assert ("/tiles/again" in page) == (facts["state"] in ("ready", "failed"))


def test_a_group_can_have_tiles_on_or_off(site: Site) -> None:
    number, image_id = add_large(site)
    admin = site.signed_in_client()
    path = f"/admin/library/{number}"
    token = read_csrf_token(admin, path)
    answer = admin.post(f"{path}/tiles", data={"tiles": "on", "csrf_token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{path}#tiles")
    with site.session() as session:
        assert session.get_one(Group, number).tiles == "on"
        assert session.get_one(TileSet, image_id).state == "waiting", "a worker decides again"
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry is not None and entry.action == "set_group_tiles"
    assert site.get(f"/iiif/{image_id}/info.json").status_code == 200
    admin.post(f"{path}/tiles", data={"tiles": "off", "csrf_token": token})
    assert site.get(f"/iiif/{image_id}/info.json").status_code == 404
    refused = admin.post(f"{path}/tiles", data={"tiles": "maybe", "csrf_token": token})
    assert refused.status_code == 422


def test_tiles_can_be_made_again(site: Site) -> None:
    number, image_id = add_large(site)
    admin = site.signed_in_client()
    path = f"/admin/library/{number}"
    token = read_csrf_token(admin, path)
    answer = admin.post(f"{path}/tiles/again", data={"this": "1", "csrf_token": token})
    assert answer.status_code == 303
    with site.session() as session:
        row = session.get_one(TileSet, image_id)
        assert (row.state, row.tile_count) == ("waiting", 0)
    assert (
        admin.post(f"{path}/tiles/again", data={"this": "7", "csrf_token": token}).status_code
        == 404
    )


def test_small_shots_have_no_such_part(site: Site) -> None:
    number = site.add_group()
    assert 'id="tiles"' not in site.signed_in_client().get(f"/admin/library/{number}").text


def test_the_settings_turn_tiles_on(site: Site) -> None:
    _, image_id = add_large(site)
    admin = site.signed_in_client()
    page = admin.get("/admin/settings").text
    assert "Tiles show the original in full detail" in page
    token = read_csrf_token(admin, "/admin/settings")
    admin.post("/admin/settings", data={"tiles": "on", "was_tiles": "off", "csrf_token": token})
    assert site.get(f"/iiif/{image_id}/info.json").status_code == 200
    admin.post("/admin/settings", data={"was_tiles": "on", "csrf_token": token})
    assert site.get(f"/iiif/{image_id}/info.json").status_code == 404
