"""The drive boundary: what lies outside the root folder, asked for at every address of the admin.

The ids are real ones, of a file and of folders of the same drive, so that nothing but the boundary
is in the way.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from imagehub.database import db
from imagehub.models import AuditEntry, Group, Image, ImportItem, ImportPlanFile
from tests.admin.drive import JSON, Browser, make_jpeg
from tests.fixtures.programs import wait_until
from tests.fixtures.site import ConnectedSite

# What nobody may be told of: names, and the size in whatever unit. No request holds them.
SECRET_WORDS = re.compile(r"tagebuch|geheimnis|\b41,?873\b|41\.9\Wk", re.IGNORECASE)
GONE = "This file is no longer in OneDrive, or not inside the root folder."
DIARY = make_jpeg().ljust(41_873, b"\0")

# Addresses of the admin that take no id of an item of the drive.
WITHOUT_ITEMS = {
    "admin.api_admin_image", "admin.api_all_images", "admin.api_connect", "admin.api_delete_images",
    "admin.api_groups", "admin.api_send_code",
    "admin.change_language", "admin.change_name",
    "admin.change_password",
    "admin.check_connection", "admin.check_originals", "admin.choose_downloads",
    "admin.create_recovery_codes", "admin.import_anyway", "admin.make_tiles_again",
    "admin.set_group_tiles", "admin.accept_words", "admin.discard_words", "admin.accept_all_words",
    "admin.discard_all_words", "admin.accept_plan_words", "admin.discard_plan_words",
    "admin.show_look", "admin.save_look", "admin.restore_look", "admin.preview_look",
    "admin.leave_for_logo", "admin.leave_for_mark_file", "admin.leave_for_work",
    "admin.choose_featured",
    "admin.show_look_preview",
    "admin.show_watermark", "admin.preview_watermark",
    "admin.accept_group_words", "admin.discard_group_words", "admin.use_all_offered",
    "admin.use_offered",
    "admin.create_share", "admin.preview_text",
    "admin.show_numbers", "admin.show_numbers_of",
    "admin.show_pages", "admin.create_page", "admin.show_text_page", "admin.save_text_page",
    "admin.publish_page", "admin.unpublish_page", "admin.delete_page", "admin.choose_picture",
    "admin.move_entry_up", "admin.move_entry_down", "admin.order_menu",
    "admin.show_group_texts", "admin.show_series_texts", "admin.show_page_texts",
    "admin.translate_group", "admin.translate_series", "admin.translate_page",
    "admin.show_translations", "admin.show_missing_texts",
    "admin.show_main_language", "admin.change_main_language",
    "admin.make_share_password", "admin.create_token",
    "admin.begin_second_step",
    "admin.show_admins", "admin.disable_admin", "admin.enable_admin",
    "admin.confirm_second_step", "admin.delete_from_trash",
    "admin.disconnect_onedrive", "admin.end_second_step", "admin.end_session",
    "admin.end_other_sessions",
    "admin.finish_connection", "admin.list_library_choices", "admin.list_library_tags",
    "admin.list_running_jobs",
    "admin.new_share", "admin.order_library", "admin.propose_import_groups", "admin.publish_import",
    "admin.read_import_plan", "admin.receive_notifications",
    "admin.renew_share", "admin.reopen_share",
    "admin.restore_from_trash", "admin.retry_import", "admin.revoke_token",
    "admin.revoke_share", "admin.save_library_fields", "admin.save_library_group",
    "admin.save_library_shot", "admin.save_secret_end", "admin.save_settings",
    "admin.show_account", "admin.show_activity", "admin.show_connection", "admin.show_home",
    "admin.show_storage",
    "admin.show_import", "admin.show_import_plan", "admin.show_import_progress",
    "admin.show_imports", "admin.show_library", "admin.show_library_group",
    "admin.show_recovery_codes", "admin.show_second_step", "admin.show_settings",
    "admin.show_shares", "admin.show_trash", "admin.start_import",
    # Enquiries of visitors.
    "admin.answer_enquiries", "admin.choose_enquiries", "admin.delete_enquiries",
    "admin.export_enquiries", "admin.refuse_enquiries", "admin.reopen_enquiries",
    "admin.save_enquiry_note", "admin.show_enquiries", "admin.show_enquiry",
    "admin.show_share_lists", "admin.take_share_lists", "admin.refuse_share_lists",
    "admin.show_prints", "admin.list_running_prints", "admin.new_print", "admin.create_print",
    "admin.cancel_print", "admin.retry_print", "admin.delete_print", "admin.download_print",
    "admin.print_groups", "admin.share_shortlist", "admin.make_shortlist_series",
    # Acts on series.
    "admin.show_series_list", "admin.show_series_page", "admin.create_series", "admin.save_series",
    "admin.publish_series", "admin.unpublish_series", "admin.delete_series", "admin.move_series_up",
    "admin.move_series_down", "admin.add_to_series", "admin.put_back_in_series",
    "admin.remove_from_series", "admin.choose_series_cover", "admin.move_member_to_top",
    "admin.move_member_up", "admin.move_member_down", "admin.order_members",
    "admin.restore_series", "admin.order_series", "admin.purge_series", "admin.purge_all_series",
    "admin.show_series_picker", "admin.pick_for_series",
    # Acts on plans and imports.
    "admin.discard_import_plan", "admin.dismiss_failed", "admin.include_import_files",
    "admin.include_import_group", "admin.include_import_verdict", "admin.join_import_group",
    "admin.move_import_files", "admin.retry_dismissed", "admin.save_import_titles",
    "admin.show_import_part", "admin.split_import_files", "admin.split_import_group",
    "admin.undo_import_change",
    "admin.set_watch_series", "admin.unwatch_folder",
    # Acts on groups and shots of the library.
    "admin.publish_groups", "admin.unpublish_groups", "admin.edit_groups", "admin.join_groups",
    "admin.delete_groups", "admin.share_groups", "admin.use_new_versions", "admin.check_again",
    "admin.play_selected_stills", "admin.play_group_stills", "admin.play_all_stills",
    "admin.move_group_to_top",
    "admin.move_group_up", "admin.move_group_down", "admin.save_library_shots", "admin.set_cover",
    "admin.order_shots", "admin.move_shot_up", "admin.move_shot_down", "admin.split_shots",
    "admin.move_shots", "admin.delete_shots", "admin.use_new_version", "admin.check_shot_again",
    # It lists what is in the root folder, whatever is asked.
    "admin.api_add_folder", "admin.api_folders",
}  # fmt: skip
# These choose the root folder, for which all of the drive is shown. Tests of the connection's page.
CHOOSE_THE_ROOT = {"admin.choose_root_folder", "admin.save_root_folder"}


@dataclass
class Asker:
    """Sends requests that name an item, as a page, a script and a program do."""

    site: ConnectedSite
    browser: Browser
    root_id: str
    inside_id: str
    deletion: str
    endpoints: set[str]

    @property
    def client(self) -> FlaskClient:
        return self.browser.client

    def _note(self, path: str, method: str) -> None:
        adapter = self.site.app.url_map.bind("localhost")
        self.endpoints.add(adapter.match(path, method=method)[0])

    def get(self, path: str, accept: str = "text/html", /, **query: str) -> TestResponse:
        self._note(path, "GET")
        return self.client.get(path, query_string=query, headers={"Accept": accept})

    def form(self, path: str, /, **fields: Any) -> list[TestResponse]:
        """By a person without a script, and by a script."""
        self._note(path, "POST")
        token = self.browser.token
        return [
            self.client.post(path, data=fields | {"csrf_token": token}),
            self.client.post(path, data=fields, headers=JSON | {"X-CSRFToken": token}),
        ]

    def send(self, path: str, /, **body: Any) -> TestResponse:
        self._note(path, "POST")
        headers = JSON | {"X-CSRFToken": self.browser.token}
        return self.client.post(path, json=body, headers=headers)

    def call(self, path: str, /, **body: Any) -> TestResponse:
        self._note(path, "POST")
        return self.site.post(path, json=body, headers=self.site.bearer())

    def read_state(self) -> dict[str, Any]:
        """Everything that must stay as it is: the drive, and what the library has."""
        root = self.site.onedrive.root
        with self.site.session() as session:
            return {
                "drive": {
                    str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
                    for path in sorted(root.rglob("*"))
                },
                "images": session.query(Image).count(),
                "groups": session.query(Group).filter(Group.image_count > 0).count(),
                "planned": session.query(ImportPlanFile).count(),
                "log": session.query(AuditEntry).filter(AuditEntry.kind == "drive").count(),
                # Several questions at once are asked by a POST, too.
                "asked": self.site.onedrive.log("PUT|PATCH|DELETE|POST", r"/v1\.0/(?!\$batch)"),
            }


@pytest.fixture
def asker(connected_site: ConnectedSite) -> Iterator[Asker]:
    """The root folder is Kunst. Outside are Geheimnis with a diary, the top of the drive, and a
    folder that was deleted while all of the drive was the root folder."""
    site = connected_site
    site.put_files("Kunst", {"front.jpg": make_jpeg()})
    site.put_files("Geheimnis", {"tagebuch.jpg": DIARY})
    site.put_files("Altes", {})
    before = Browser(site)
    deleted = before.find("Altes")
    deletion = before.post("/admin/drive/delete", item=deleted, sure="yes")["deletion"]
    assert deletion
    root_id = before.find("Kunst")
    inside_id = before.find("front.jpg", root_id)
    closed = site.restart(root_folder="/Kunst")
    assert closed.add_group() == 1
    yield Asker(closed, Browser(closed), root_id, inside_id, deletion, set())
    with closed.app.app_context():
        db.engine.dispose()


@pytest.fixture(params=["file", "folder", "top"])
def outside_id(request: pytest.FixtureRequest, connected_site: ConnectedSite, asker: Asker) -> str:
    """An item outside the root folder, found while all of the drive was open."""
    whole = Browser(connected_site)
    if request.param == "top":
        return str(whole.json()["id"])
    folder = whole.find("Geheimnis")
    return folder if request.param == "folder" else whole.find("tagebuch.jpg", folder)


Ask = Callable[[Asker, str], TestResponse | list[TestResponse]]


def file_fields(asker: Asker, item_id: str, folder_id: str) -> dict[str, Any]:
    return {"id": item_id, "name": "x.jpg", "folder": folder_id, "folder_name": "x"}


# What is answered with 404, by words for the test's messages.
NOT_FOUND: dict[str, Ask] = {
    "folder": lambda a, x: a.get(f"/admin/drive/{x}"),
    "folder as JSON": lambda a, x: a.get(f"/admin/drive/{x}", "application/json"),
    "folder, sorted": lambda a, x: a.get(f"/admin/drive/{x}", sort="size", q="a"),
    "more of a folder": lambda a, x: a.get(f"/admin/drive/{x}/items"),
    "folder at a path": lambda a, x: a.get("/admin/drive/path/../Geheimnis", "application/json"),
    "folders": lambda a, x: a.get("/admin/drive/folders", folder=x),
    "thumbnail": lambda a, x: a.get(f"/admin/drive/thumbnail/{x}", v="1"),
    "thumbnail for a page": lambda a, x: a.get(f"/admin/drive/thumbnail/{x}", "image/*"),
    "watched folder": lambda a, x: a.form("/admin/drive/watch", folder=x, way="folder"),
    "series of a folder": lambda a, x: a.form("/admin/drive/series", folder=x),
    "new folder": lambda a, x: a.form("/admin/drive/new-folder", folder=x, name="x"),
    "rename, asked": lambda a, x: a.form("/admin/drive/ask-rename", item=x),
    "rename": lambda a, x: a.form("/admin/drive/rename", item=x, name="x.jpg"),
    "move, asked": lambda a, x: a.form("/admin/drive/ask-move", item=x),
    "move, looking": lambda a, x: a.form("/admin/drive/ask-move", item=a.inside_id, look=x),
    "move, from": lambda a, x: a.form("/admin/drive/ask-move", item=a.inside_id, folder=x),
    "deletion": lambda a, x: a.form("/admin/drive/ask-delete", item=x),
    "deletion's plan": lambda a, x: a.send("/admin/drive/delete/plan", items=[x]),
    "paths": lambda a, x: a.send("/admin/drive/upload/paths", folder=x, paths=["x"]),
    "path of folders": lambda a, x: a.send("/admin/drive/upload/folder", folder=x, path=["x"]),
    "no path": lambda a, x: a.send("/admin/drive/upload/folder", folder=x, path=[]),
    "upload": lambda a, x: a.send("/admin/drive/upload/begin", folder=x, name="x", size=9),
    "upload of nothing": lambda a, x: a.send(
        "/admin/drive/upload/begin", folder=x, name="x", size=0, on_conflict="replace"
    ),
    "uploaded file": lambda a, x: a.send(
        "/admin/drive/upload/find", folder=x, name="x", size=9, begun_at="2020-01-01T00:00:00Z"
    ),
    "original, looking": lambda a, x: a.get("/admin/library/1/shots/1/original", folder=x),
    "original": lambda a, x: a.form("/admin/library/1/shots/1/original", item=x),
    "watermark, looking": lambda a, x: a.get("/admin/settings/watermark/picture", folder=x),
    "watermark": lambda a, x: a.form("/admin/settings/watermark/picture", item=x),
    "logo, looking": lambda a, x: a.get("/admin/look/logo", folder=x),
    "logo": lambda a, x: a.form("/admin/look/logo/use", item=x),
    "uploaded item": lambda a, x: a.send(
        "/admin/drive/upload/item", **file_fields(a, x, a.root_id)
    ),
}  # fmt: skip
# What names several items goes on with the others, so it answers which of them stayed as they were.
STAYS: dict[str, Ask] = {
    "move": lambda a, x: a.form("/admin/drive/move", item=x, target=a.root_id),
    "move out": lambda a, x: a.form("/admin/drive/move", item=a.inside_id, target=x),
    "delete": lambda a, x: a.form("/admin/drive/delete", item=x, sure="yes"),
    "restore": lambda a, x: a.form("/admin/drive/restore", deletion=a.deletion, folder=x),
}
# What the contract of the single-page app answers.
REFUSED: dict[str, Ask] = {
    "rename": lambda a, x: a.call("/admin/onedrive/rename", item_id=x, new_name="x.jpg"),
    "delete": lambda a, x: a.call("/admin/onedrive/delete-folder", folder_id=x),
    "upload": lambda a, x: a.call("/admin/onedrive/upload-session", folder_id=x, file_name="x"),
}


def list_answers(answer: TestResponse | list[TestResponse]) -> list[TestResponse]:
    return answer if isinstance(answer, list) else [answer]


def test_what_lies_outside_is_not_there_and_stays_as_it_is(asker: Asker, outside_id: str) -> None:
    before = asker.read_state()
    for name, ask in NOT_FOUND.items():
        for answer in list_answers(ask(asker, outside_id)):
            assert answer.status_code == 404, f"{name}: {answer.text}"
            assert not SECRET_WORDS.search(answer.text), name
    for name, ask in STAYS.items():
        by_person, by_script = list_answers(ask(asker, outside_id))
        assert by_person.status_code == 302, name
        toasts = asker.browser.page("/admin/account").split('id="toasts"')[1]
        assert "1 item was not changed" in toasts, name
        assert by_script.json["done"] == [], name
        assert len(by_script.json["failed"]) == 1, name
        assert not SECRET_WORDS.search(by_person.text + toasts + by_script.text), name
    for name, ask in REFUSED.items():
        (answer,) = list_answers(ask(asker, outside_id))
        assert answer.json["code"] == 0, name
        assert "not inside the root folder" in answer.json["reason"], name
        assert not SECRET_WORDS.search(answer.text), name
    assert asker.read_state() == before


def test_nothing_of_it_is_imported(connected_site: ConnectedSite, asker: Asker) -> None:
    """An import looks at each file when a worker takes it up, and a plan when it is read."""
    before = asker.read_state()
    whole = Browser(connected_site)
    folder = whole.find("Geheimnis")
    ids = [str(whole.json()["id"]), folder, whole.find("tagebuch.jpg", folder)]
    with asker.site.working():
        for outside_id in ids:
            answers = [
                *asker.form("/admin/import/plan", item=outside_id),
                *asker.form("/admin/import/plan", folder=outside_id),
                asker.send("/admin/drive/upload/replaced", items=[outside_id]),
                asker.send(
                    "/admin/drive/upload/import",
                    files=[file_fields(asker, outside_id, asker.root_id)],
                ),
            ]
            assert [answer.status_code for answer in answers] == [303, 200, 303, 200, 200, 200]
            answers.append(asker.client.get(answers[0].location))
            answers.append(asker.client.get(answers[2].location))
            answers += asker.form("/admin/connection/connect", folder=outside_id)
            answers += asker.form("/admin/originals/use-offered", use=outside_id)
            chosen = {"file_id": outside_id, "file_name": "x.jpg"}
            wish = {"all_image_id": [chosen], "group": -1, "folder_name": "x"}
            added = asker.call("/admin/add/image", image_list={asker.root_id: wish})
            assert added.json["code"] == 2
            assert [one["reason"] for one in added.json["failed"]] == [GONE]
            for answer in (*answers, added):
                assert answer.status_code < 400
                assert not SECRET_WORDS.search(answer.text), answer.text

        def read_reasons() -> set[tuple[str, str]]:
            with asker.site.session() as session:
                return {(item.state, item.reason) for item in session.query(ImportItem)}

        wait_until(lambda: read_reasons() == {("failed", GONE)}, what="all have failed")
    assert asker.read_state() == before
    for page in ("/admin/", "/admin/import", "/admin/library", "/admin/activity"):
        assert not SECRET_WORDS.search(asker.browser.page(page)), page


def test_every_address_that_takes_an_item_is_tried_above(
    asker: Asker, connected_site: ConnectedSite
) -> None:
    tried = {
        "admin.plan_import", "admin.note_replaced_files", "admin.import_uploaded_files",
        "admin.connect_onedrive", "admin.api_add_images", "admin.use_offered_files",
    }  # fmt: skip
    for ask in (*NOT_FOUND.values(), *STAYS.values(), *REFUSED.values()):
        ask(asker, "NOTHING!1")
    known = asker.endpoints | tried | WITHOUT_ITEMS | CHOOSE_THE_ROOT
    there = {
        rule.endpoint
        for rule in asker.site.app.url_map.iter_rules()
        if rule.endpoint.startswith("admin.")
    }
    assert there - known == set(), "try it above, or say that it takes no item"
    assert known - there == set(), "it is there no more"
