"""What the drive browser says where OneDrive is closed to it."""

from typing import Any

from werkzeug.test import TestResponse

from imagehub.models import DriveAccount
from tests.admin.drive import JSON, Browser
from tests.fixtures.site import Site


def test_a_hub_without_onedrive_says_what_to_do(site: Site) -> None:
    answer = site.signed_in_client().get("/admin/drive")
    assert answer.status_code == 409
    assert "not connected" in answer.text


def test_a_script_can_tell_a_lost_connection_from_what_passes(browser: Browser) -> None:
    call = {"folder": browser.json()["id"], "name": "a.jpg", "size": 10}
    headers = JSON | {"X-CSRFToken": browser.token}

    def begin() -> TestResponse:
        return browser.client.post("/admin/drive/upload/begin", json=call, headers=headers)

    browser.site.onedrive.set_fault(
        "status", status=409, code="conflict", path="createUploadSession", times=1
    )
    busy = begin()
    assert (busy.status_code, busy.headers.get("X-OneDrive")) == (409, None)
    browser.site.onedrive.revoke(access_tokens=True)
    lost = begin()
    assert (lost.status_code, lost.headers.get("X-OneDrive")) == (409, "lost")


def test_a_busy_onedrive_is_told_in_words(browser: Browser) -> None:
    browser.site.onedrive.set_fault("status", status=503, retry_after=600, path="/v1.0/")
    page = browser.page(status=503)
    assert "OneDrive cannot be shown at the moment" in page
    browser.json(status=503)


def test_a_hub_that_may_only_read_says_so_before_it_asks_onedrive(browser: Browser) -> None:
    folder = browser.json()["id"]
    with browser.site.session() as session:
        session.query(DriveAccount).one().scopes = "User.Read Files.Read"
        session.commit()
    assert "ImageHub may only read" in browser.page()
    changes: list[tuple[str, dict[str, str]]] = [
        ("new-folder", {"folder": folder, "name": "Neu"}),
        ("ask-rename", {"item": folder}),
        ("rename", {"item": folder, "name": "Neu"}),
        ("ask-move", {"item": folder}),
        ("move", {"item": folder, "target": folder}),
        ("ask-delete", {"item": folder}),
        ("delete", {"item": folder, "sure": "yes"}),
        ("restore", {"deletion": "x"}),
    ]
    for path, fields in changes:
        answer = browser.post(f"/admin/drive/{path}", status=403, **fields)
        assert answer["detail"].startswith("ImageHub may only read in OneDrive so far.")
        browser.form(f"/admin/drive/{path}", status=302, **fields)
    upload: dict[str, Any] = {"folder": folder, "name": "a.jpg", "size": 10}
    browser.send("/admin/drive/upload/begin", status=403, **upload)
