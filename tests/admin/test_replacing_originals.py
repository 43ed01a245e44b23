"""Making another file the original of a shot: one that was saved again, or any; no script."""

import re
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from imagehub.domain.imports.jobs import IN_GROUP_REASON
from imagehub.domain.people import audit
from imagehub.domain.sync import schedule
from imagehub.models import Image, ImportItem, Rendition
from tests.admin.pages import read_toasts, send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite

DRIVE = "/admin/drive"


@dataclass
class Studio:
    """A site with one group of ``a.jpg`` and ``b.jpg`` in the folder ``Art``."""

    site: ConnectedSite
    client: FlaskClient
    group: int
    art: str

    @property
    def page(self) -> str:
        return f"/admin/library/{self.group}"

    def read(self, number: int) -> Image:
        with self.site.session() as session:
            this = (Image.group_id == self.group) & (Image.number == number)
            image = session.scalars(select(Image).where(this)).one()
            session.expunge(image)
            return image

    def save_again(self, name: str, data: bytes) -> None:
        path = self.site.onedrive.root / "Art" / name
        path.unlink()
        path.write_bytes(data)

    def look(self) -> None:
        """Check the drive; a worker runs."""
        with self.site.session() as session:
            schedule.ask_for_check(session, self.read(1).drive_account_id)
        self.wait(lambda: not self._is_asked(), "the end of the check")

    def _is_asked(self) -> bool:
        with self.site.session() as session:
            return schedule.describe_watch(session, self.read(1).drive_account_id).is_asked

    def wait(self, is_reached: object, what: str) -> None:
        wait_until(is_reached, what=what)  # type: ignore[arg-type]

    def list_log(self) -> list[str]:
        with self.site.session() as session:
            return [audit.describe(entry) for entry in audit.list_entries(session).entries]

    def find(self, name: str) -> str:
        return self.site.find_folder("Art")[1][name]


@pytest.fixture
def studio(connected_site: ConnectedSite) -> Studio:
    site = connected_site
    site.put_files("Art", {"a.jpg": make_jpeg(1), "b.jpg": make_jpeg(2)})
    art, ids = site.find_folder("Art")
    files = [{"file_name": name, "file_id": ids[name]} for name in ("a.jpg", "b.jpg")]
    wish = {"all_image_id": files, "group": -1, "folder_name": "Art"}
    with site.working():
        site.send("/admin/add/image", {"image_list": {art: wish}})

        def is_in() -> bool:
            with site.session() as session:
                return len(session.scalars(select(Image.id)).all()) == 2

        wait_until(is_in, what="two images")
    with site.session() as session:
        group = session.scalars(select(Image.group_id).limit(1)).one()
        session.execute(update(Image).where(Image.number == 1).values(alt="A wave", role="detail"))
    return Studio(site, site.signed_in_client(), group, art)


def list_keys(studio: Studio, image_id: int) -> set[str]:
    with studio.site.session() as session:
        return set(
            session.scalars(select(Rendition.object_key).where(Rendition.image_id == image_id))
        )


def test_a_file_saved_again_with_changes_is_offered_everywhere_and_used(studio: Studio) -> None:
    client, before = studio.client, studio.read(1)
    old_keys = list_keys(studio, before.id)
    with studio.site.working():
        studio.save_again("a.jpg", make_jpeg(70, (600, 400)))
        studio.look()
        lost = studio.read(1)
        assert (lost.drive_state, lost.offered_item_id) == ("missing", studio.find("a.jpg"))
        home, group = client.get("/admin/").text, client.get(studio.page).text
        folder = client.get(f"{DRIVE}/{studio.art}").text
        assert 'data-note="offered"' in home and "/admin/originals/use-offered" in home
        assert 'data-act="use-all-offered"' in group
        assert re.search(r'name="this" value="1" data-act="use-offered"', group)
        assert 'value="2" data-act="use-offered"' not in group
        assert f'name="use" value="{lost.offered_item_id}"' in folder
        assert f"{studio.page}#shot-1" in folder
        answer = send(client, f"{studio.page}/shots/use-offered", studio.page, this="1")
        assert answer.location == f"{studio.page}#shot-1"
        assert "1 file is being imported." in read_toasts(client)
        studio.wait(lambda: studio.read(1).drive_state == "ok", "the new original")
    after = studio.read(1)
    assert (after.drive_item_id, after.offered_item_id) == (studio.find("a.jpg"), "")
    kept = ("id", "number", "position", "alt", "role", "name", "folder_id", "folder_name")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (after.width_px, after.sha256 != before.sha256) == (600, True)
    assert not list_keys(studio, after.id) & old_keys
    assert client.get(f"/media/full/{studio.group}/1").status_code == 302
    sentence = "Used the file in the place of the missing original of 1 image."
    assert studio.list_log()[0] == sentence
    send(client, f"{studio.page}/shots/use-offered", studio.page, this="1")
    assert "There is no longer a file in the place of a missing original." in read_toasts(client)
    assert 'data-note="offered"' not in client.get("/admin/").text


@pytest.mark.parametrize("place", ["home", "drive", "group"])
def test_an_offer_can_be_taken_in_each_place(studio: Studio, place: str) -> None:
    client = studio.client
    with studio.site.session() as session:
        session.execute(
            update(Image)
            .where(Image.number == 1)
            .values(drive_state="missing", offered_item_id="new-file")
        )
    if place == "group":
        answer = send(client, f"{studio.page}/shots/use-all-offered", studio.page)
        assert answer.location == studio.page
    else:
        fields = {"use": "new-file", "folder": studio.art} if place == "drive" else {}
        answer = send(client, "/admin/originals/use-offered", "/admin/", **fields)
        assert answer.location == ("/admin/" if place == "home" else f"{DRIVE}/{studio.art}")
    with studio.site.session() as session:
        query = select(ImportItem).where(ImportItem.state == "queued")
        [item] = session.scalars(query)
        assert (item.drive_item_id, item.image_id) == ("new-file", studio.read(1).id)
    send(client, "/admin/originals/use-offered", "/admin/", use="new-file")
    assert "These files are already being imported." in read_toasts(client)
    send(client, "/admin/originals/use-offered", "/admin/", use="other")
    assert "no longer a file in the place" in read_toasts(client)


def test_any_file_can_be_made_the_original_of_a_shot(studio: Studio) -> None:
    client, site = studio.client, studio.site
    site.put_files("Other", {"new.jpg": make_jpeg(80, (500, 300)), "notes.txt": b"nothing"})
    site.put_files("Other/Deep", {})
    other, ids = site.find_folder("Other")
    address = f"{studio.page}/shots/1/original"
    assert f'href="{address}"' in client.get(studio.page).text
    page = client.get(address).text
    assert studio.find("b.jpg") in page, "it opens the folder of the current original"
    present = studio.read(1)
    assert f'value="{present.drive_item_id}"' not in page, "it need not be chosen again"
    assert page.count("data-present") == 1 and f'value="{studio.find("b.jpg")}"' in page
    page = client.get(f"{address}?folder={other}").text
    assert ids["new.jpg"] in page and "Deep" in page
    assert "notes.txt" not in page
    before = studio.read(1)
    with site.working():
        answer = send(client, address, address, item=ids["new.jpg"], folder=other)
        assert answer.location == f"{studio.page}#shot-1"
        assert "“new.jpg” is being imported." in read_toasts(client)
        studio.wait(lambda: studio.read(1).drive_item_id == ids["new.jpg"], "the new original")
    after = studio.read(1)
    facts = (after.name, after.folder_id, after.folder_name, after.width_px, after.drive_state)
    assert facts == ("new.jpg", other, "Other", 500, "ok")
    kept = ("id", "number", "position", "alt", "role")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert studio.list_log()[0] == "Chose the file “new.jpg” as an original of “Art”."


def test_files_that_cannot_be_the_original_are_refused(studio: Studio) -> None:
    client, site = studio.client, studio.site
    site.put_files("Art", {"notes.txt": b"nothing"})
    address = f"{studio.page}/shots/1/original"
    again = f"{address}?folder={studio.art}"
    refusals = {
        studio.find("b.jpg"): "Another shot of this group has this file already.",
        studio.find("notes.txt"): "This is a text file, not an image.",
        studio.art: "This is a folder, not an image.",
        "": "Select a file first.",
    }
    for item, words in refusals.items():
        answer = send(client, address, address, item=item, folder=studio.art)
        assert answer.location == again
        assert words in read_toasts(client)
    assert send(client, address, address, item="unknown").status_code == 404
    assert client.get(f"{studio.page}/shots/9/original").status_code == 404
    with site.session() as session:
        assert not session.scalars(select(ImportItem).where(ImportItem.state == "queued")).all()


def test_a_file_that_came_into_the_group_meanwhile_is_not_used_twice(studio: Studio) -> None:
    client, site = studio.client, studio.site
    site.put_files("Art", {"c.jpg": make_jpeg(3)})
    item = studio.find("c.jpg")
    address = f"{studio.page}/shots/1/original"
    send(client, address, address, item=item)
    with site.session() as session:
        session.execute(update(Image).where(Image.number == 2).values(drive_item_id=item))
    with site.working():

        def is_ended() -> bool:
            with site.session() as session:
                query = select(ImportItem.state).order_by(ImportItem.id.desc())
                return session.scalars(query.limit(1)).one() == "skipped"

        studio.wait(is_ended, "the end of the import")
    with site.session() as session:
        last = select(ImportItem.reason).order_by(ImportItem.id.desc()).limit(1)
        assert session.scalars(last).one() == IN_GROUP_REASON
    assert studio.read(1).name == "a.jpg"
