"""Folders are made in the drive, items renamed and moved; and what holds for every change."""

import pytest

from imagehub.database import db
from imagehub.domain.people import audit
from imagehub.models import AuditEntry, DriveAccount
from imagehub.wiring import build_clients
from tests.admin.drive import JSON, Browser, list_log


def test_a_folder_is_created_and_a_taken_name_gets_a_number(browser: Browser) -> None:
    works = browser.find("Works")
    made = browser.post("/admin/drive/new-folder", folder=works, name="Sketches")
    assert made["done"][0]["name"] == "Sketches"
    assert browser.post("/admin/drive/new-folder", folder=works, name="Sketches")["done"][0][
        "name"
    ].startswith("Sketches ")
    browser.form("/admin/drive/new-folder", folder="", name="On top")
    assert (browser.site.onedrive.root / "On top").is_dir()


def test_a_name_that_onedrive_refuses_is_told(browser: Browser) -> None:
    answer = browser.post("/admin/drive/new-folder", 422, folder="", name='So "what"?')
    assert "does not allow" in answer["detail"][0]["msg"]
    browser.form("/admin/drive/new-folder", folder="", name="a:b")
    assert "does not allow" in browser.page()


def test_names_with_hash_and_percent_are_made_and_linked(browser: Browser) -> None:
    name = "100% #1 %41"
    browser.form("/admin/drive/new-folder", folder=browser.find("Works"), name=name)
    browser.site.put_files(f"Works/{name}/In #2", {"50%20.jpg": b"x"})
    outer = browser.find(name, browser.find("Works"))
    inner = browser.find("In #2", outer)
    data = browser.json(f"/admin/drive/{inner}")
    assert [item["name"] for item in data["items"]] == ["50%20.jpg"]
    url = data["crumbs"][2]["url"]
    assert url == "/admin/drive/path/Works/100%25%20%231%20%2541"
    assert browser.client.get(url).location == f"/admin/drive/{outer}"
    assert f'href="{url}"' in browser.page(f"/admin/drive/{inner}")


def test_a_name_that_the_organisation_forbids_is_refused_in_words(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    browser.site.onedrive.set_fault("special_characters_forbidden")
    page = browser.form("/admin/drive/rename", 502, item=front, folder=works, name="50%.jpg")
    assert "may have forbidden # and % in names" in page
    assert 'value="50%.jpg"' in page


def test_an_item_is_renamed_and_the_page_offers_undo(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    assert "New name" in browser.form("/admin/drive/ask-rename", 200, item=front, folder=works)
    browser.form("/admin/drive/rename", item=front, folder=works, name="Front view.jpg")
    assert (browser.site.onedrive.root / "Works" / "Front view.jpg").exists()
    page = browser.page(f"/admin/drive/{works}")
    assert "“front.jpg” was renamed to “Front view.jpg”." in page
    assert "Undo" in page
    taken = browser.form("/admin/drive/rename", 502, item=front, folder=works, name="back.jpg")
    assert "already" in taken


def forget_pause(browser: Browser) -> None:
    """As if the time had passed for which OneDrive is let alone after its failures."""
    with browser.site.session() as session:
        session.query(DriveAccount).one().paused_until = None
        hub = browser.site.app.extensions["imagehub"]
        hub.clients = build_clients(db.engine, hub.settings)


def test_a_new_name_is_kept_while_onedrive_is_away_and_it_is_asked_once(browser: Browser) -> None:
    works = browser.find("Works")
    front = browser.find("front.jpg", works)
    onedrive = browser.site.onedrive
    page = browser.form("/admin/drive/ask-rename", 200, item=front, folder=works)
    assert 'name="was" value="front.jpg"' in page
    fields = {"item": front, "folder": works, "name": "Front & back.jpg", "was": "front.jpg"}
    onedrive.set_fault("status", status=503, method="PATCH")
    onedrive.clear_log()
    page = browser.form("/admin/drive/rename", 503, **fields)
    forget_pause(browser)
    asked = [one["method"] for one in onedrive.log(path="/items/")]
    assert "GET" not in asked[asked.index("PATCH") :], "the failed change is the last thing asked"
    assert 'value="Front &amp; back.jpg"' in page
    assert "Rename “<bdi>front.jpg</bdi>”" in page
    # The same where it is away from the start, so that not even its name can be asked.
    onedrive.clear_faults()
    onedrive.set_fault("gone", path="/v1.0/")
    onedrive.clear_log()
    page = browser.form("/admin/drive/rename", 503, **fields)
    assert 'value="Front &amp; back.jpg"' in page
    assert "Rename “<bdi>front.jpg</bdi>”" in page
    onedrive.clear_faults()
    forget_pause(browser)
    browser.form("/admin/drive/rename", **fields)
    assert (onedrive.root / "Works" / "Front & back.jpg").exists()


@pytest.mark.parametrize("way", ["move", "delete"])
def test_what_was_done_before_onedrive_was_lost_is_told_and_in_the_log(
    browser: Browser, way: str
) -> None:
    works, notes = browser.find("Works"), browser.find("Notes")
    ids = [browser.find(name, works) for name in ("front.jpg", "back.jpg")]
    fields = {"target": notes} if way == "move" else {"sure": "yes"}
    method = "PATCH" if way == "move" else "DELETE"
    browser.site.onedrive.set_fault("status", status=401, method=method, skip=1)
    answer = browser.post(f"/admin/drive/{way}", item=ids, folder=works, **fields)
    assert [one["name"] for one in answer["done"]] == ["front.jpg"]
    assert [one["id"] for one in answer["failed"]] == ids[1:]
    assert "must be reconnected" in answer["failed"][0]["reason"]
    assert "“front.jpg”" in list_log(browser)[0]
    # With nothing done there is nothing to tell but that.
    browser.post(f"/admin/drive/{way}", 409, item=ids[1:], folder=works, **fields)


def test_items_move_into_another_folder(browser: Browser) -> None:
    works, notes = browser.find("Works"), browser.find("Notes")
    front, back = browser.find("front.jpg", works), browser.find("back.jpg", works)
    page = browser.form("/admin/drive/ask-move", 200, item=[front, back], folder=works)
    assert "Move 2 items" in page
    assert "Details" in page
    done = browser.post("/admin/drive/move", item=[front, back], folder=works, target=notes)
    assert len(done["done"]) == 2
    assert (browser.site.onedrive.root / "Notes" / "front.jpg").exists()


def test_a_folder_that_cannot_move_into_itself_does_not_hold_up_the_others(
    browser: Browser,
) -> None:
    works = browser.find("Works")
    details = browser.find("Details", works)
    front = browser.find("front.jpg", works)
    answer = browser.post("/admin/drive/move", item=[details, front], folder=works, target=details)
    assert [item["name"] for item in answer["done"]] == ["front.jpg"]
    assert answer["failed"] == [{"id": details, "reason": "A folder cannot be moved into itself."}]


def test_nothing_chosen_is_told(browser: Browser) -> None:
    browser.post("/admin/drive/delete", 422)
    browser.send("/admin/drive/delete/plan", 422, items=[])
    browser.send("/admin/drive/delete/plan", 422)
    browser.post("/admin/drive/move", 422, target="x")


def test_each_change_stands_in_the_log(browser: Browser) -> None:
    works, notes = browser.find("Works"), browser.find("Notes")
    front, back = browser.find("front.jpg", works), browser.find("back.jpg", works)
    browser.post("/admin/drive/new-folder", folder=works, name="Sketches")
    browser.post("/admin/drive/rename", item=front, name="First.jpg")
    browser.post("/admin/drive/move", item=[front, back], target=notes)
    browser.post("/admin/drive/delete", item=back, sure="yes")
    with browser.site.session() as session:
        entries = [
            (entry.actor_name, entry.verb, audit.describe(entry))
            for entry in session.query(AuditEntry).filter_by(kind="drive").order_by(AuditEntry.id)
        ]
    assert entries == [
        ("Ada", "create", "Created the folder “Sketches” in OneDrive."),
        ("Ada", "rename", "Renamed “front.jpg” to “First.jpg” in OneDrive."),
        ("Ada", "change", "Moved 2 items to “Notes” in OneDrive: “First.jpg”, “back.jpg”."),
        ("Ada", "delete", "Deleted 1 item in OneDrive: “back.jpg”."),
    ]


CHANGES = (
    "new-folder", "ask-rename", "rename", "ask-move", "move", "ask-delete", "delete", "delete/plan",
    "restore",
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_form_without_its_token_changes_nothing(browser: Browser, change: str) -> None:
    works = browser.find("Works")
    answer = browser.client.post(
        f"/admin/drive/{change}", data={"item": works, "name": "x", "sure": "yes"}
    )
    assert answer.status_code == 400
    assert (browser.site.onedrive.root / "Works").exists()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("rename", {"name": "x"}),
        ("move", {"target": "x"}),
        ("delete", {"sure": "yes"}),
    ],
)
def test_an_unknown_item_is_never_changed(
    browser: Browser, path: str, fields: dict[str, str]
) -> None:
    answer = browser.client.post(
        f"/admin/drive/{path}",
        data={"item": "NOTHING!1", **fields},
        headers=JSON | {"X-CSRFToken": browser.token},
    )
    assert answer.status_code == 404 or answer.json["done"] == []


def test_no_name_can_pretend_to_another_ending(browser: Browser) -> None:
    works = browser.find("Works")
    spoof = "photo\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe"
    for path, fields in (("new-folder", {"folder": works}), ("rename", {"item": works})):
        answer = browser.post(f"/admin/drive/{path}", 422, name=spoof, **fields)
        assert "cannot be shown" in answer["detail"][0]["msg"]
    begun = browser.send("/admin/drive/upload/paths", folder=works, paths=[spoof])
    assert begun["refused"][0]["repaired"] == "photo_gpj.exe"
    # What is in OneDrive already is shown as what it is.
    (browser.site.onedrive.root / "Works" / spoof).mkdir()
    shown = "photo\N{REPLACEMENT CHARACTER}gpj.exe"
    folder = browser.find(shown, works)
    texts = [browser.page(f"/admin/drive/{works}"), browser.page(f"/admin/drive/{folder}")]
    for act in ("rename", "move", "delete"):
        texts.append(browser.form(f"/admin/drive/ask-{act}", 200, item=folder, folder=works))
    browser.post("/admin/drive/move", item=folder, target=browser.find("Notes"))
    texts += list_log(browser)[:1]
    for text in texts:
        assert shown in text
        assert spoof not in text.replace(f'value="{spoof}"', "")
