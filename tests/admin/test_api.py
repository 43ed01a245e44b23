"""The single-page app's calls for admins, against a real emulator, S3 server and worker."""

import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from PIL import Image as Picture
from sqlalchemy import func, select

from imagehub.domain.library import images as library_images
from imagehub.domain.people import api_tokens, users
from imagehub.models import ImportJob, PendingSignIn, StoredObject
from imagehub.wiring import get_clients
from tests.fixtures.programs import wait_until
from tests.fixtures.site import APP_ORIGIN, NAME, ConnectedSite, Site

FOLDERS = "/admin/onedrive/folders"
ADD_FOLDER = "/admin/onedrive/add-folder"
RENAME = "/admin/onedrive/rename"
DELETE = "/admin/onedrive/delete-folder"
UPLOAD = "/admin/onedrive/upload-session"
FRAGMENT_BYTES = 3_276_800


def make_jpeg(colour: str) -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (600, 400), colour).save(buffer, "JPEG")
    return buffer.getvalue()


# --- Connecting -----------------------------------------------------------------------------------


def test_connecting_begins_with_an_address_at_microsoft(unconnected_site: ConnectedSite) -> None:
    answer = unconnected_site.call("/admin/onedrive/connect")
    assert list(answer) == ["code", "hint", "url"]
    assert (answer["code"], answer["hint"]) == (0, "connection_failed")
    query = parse_qs(urlsplit(answer["url"]).query)
    assert query["redirect_uri"] == [f"{APP_ORIGIN}/signed-in"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["state"]


def test_the_code_alone_finishes_the_connection(unconnected_site: ConnectedSite) -> None:
    url = unconnected_site.call("/admin/onedrive/connect")["url"]
    code = unconnected_site.consent(url)["code"]
    answer = unconnected_site.send("/admin/auth/code", {"auth_code": code})
    assert answer == {"code": 1, "hint": "found_tokens"}
    answer = unconnected_site.call("/admin/onedrive/connect")
    assert answer == {"code": 1, "hint": "connection_successful"}


def test_the_state_may_come_with_the_code(unconnected_site: ConnectedSite) -> None:
    url = unconnected_site.call("/admin/onedrive/connect")["url"]
    back = unconnected_site.consent(url)
    wrong = {"auth_code": back["code"], "state": back["state"] + "x"}
    assert unconnected_site.send("/admin/auth/code", wrong)["code"] == 0
    right = {"auth_code": back["code"], "state": back["state"]}
    assert unconnected_site.send("/admin/auth/code", right)["code"] == 1


@pytest.mark.parametrize("code", ["wrong", "x" * 3000, "é&=#"])
def test_a_wrong_code_fails_with_a_new_address(unconnected_site: ConnectedSite, code: str) -> None:
    unconnected_site.call("/admin/onedrive/connect")
    answer = unconnected_site.send("/admin/auth/code", {"auth_code": code})
    assert list(answer) == ["code", "hint", "url", "reason"]
    assert (answer["code"], answer["hint"]) == (0, "found_tokens_failed")
    assert answer["url"].startswith(unconnected_site.onedrive.url)
    assert answer["reason"].endswith(".")


def test_a_code_without_a_sign_in_begun_here_fails(unconnected_site: ConnectedSite) -> None:
    answer = unconnected_site.send("/admin/auth/code", {"auth_code": "x"})
    assert (answer["code"], answer["hint"]) == (0, "found_tokens_failed")


def test_without_an_app_registration_there_is_no_address_but_a_reason(site: Site) -> None:
    from tests.fixtures.site import make_site

    folder = site.app.extensions["imagehub"].settings.data_dir
    bare = make_site(folder, ms_client_id="")
    answer = bare.get("/admin/onedrive/connect", headers=bare.bearer())
    assert answer.status_code == 200
    assert (answer.json["code"], answer.json["hint"]) == (0, "connection_failed")
    assert answer.json["url"] == ""
    assert answer.json["reason"]


def test_microsoft_being_away_is_503_with_words(unconnected_site: ConnectedSite) -> None:
    unconnected_site.onedrive.stop()
    answer = unconnected_site.get("/admin/onedrive/connect", headers=unconnected_site.bearer())
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert list(answer.json) == ["detail"]


def test_an_admins_browser_comes_back_to_the_callback(unconnected_site: ConnectedSite) -> None:
    client = unconnected_site.signed_in_client()
    url = unconnected_site.call("/admin/onedrive/connect")["url"]
    back = unconnected_site.consent(url)
    answer = client.get("/admin/onedrive/callback", query_string=back)
    assert (answer.status_code, answer.location) == (302, "/admin/connection")
    assert "OneDrive is connected." in client.get(answer.location).text
    assert unconnected_site.call("/admin/onedrive/connect")["code"] == 1
    again = client.get("/admin/onedrive/callback", query_string=back)
    assert again.location == "/admin/connection"
    assert "was not started here, or is already complete" in client.get(again.location).text


# --- Folders --------------------------------------------------------------------------------------


def test_folders_are_listed_with_their_files(connected_site: ConnectedSite) -> None:
    connected_site.put_files("System", {"front.png": b"12345", "back.png": b"123"})
    connected_site.put_files("Empty", {})
    connected_site.put_files("System/Deeper", {"hidden.png": b"1"})
    (connected_site.onedrive.root / "loose.png").write_bytes(b"1")
    answer = connected_site.call(FOLDERS)
    assert list(answer) == ["code", "folders"]
    assert answer["code"] == 1
    folders = answer["folders"]
    assert list(folders)[:2] == ["used_storage", "total_storage"]
    assert isinstance(folders.pop("used_storage"), float)
    assert folders.pop("total_storage") == 5.0
    by_name = {folder["folder_name"]: folder for folder in folders.values()}
    assert set(by_name) == {"System", "Empty"}
    system = by_name["System"]
    assert list(system) == [
        "folder_name", "folder_size", "creation_time", "modification_time", "is_folder", "files",
    ]  # fmt: skip
    assert system["is_folder"] is True
    assert system["folder_size"] == 9
    files = {file["file_name"]: file for file in system["files"].values()}
    assert set(files) == {"front.png", "back.png"}
    assert list(files["front.png"]) == [
        "file_name", "file_size", "creation_time", "modification_time", "is_folder",
    ]  # fmt: skip
    assert files["front.png"]["file_size"] == 5
    assert files["front.png"]["is_folder"] is False
    assert files["front.png"]["creation_time"].endswith("Z")
    assert by_name["Empty"]["files"] == {}


def test_a_lost_connection_asks_for_a_new_sign_in(connected_site: ConnectedSite) -> None:
    connected_site.onedrive.expire_access_tokens()
    connected_site.onedrive.revoke(access_tokens=True)
    answer = connected_site.call(FOLDERS)
    assert (answer["code"], answer["hint"]) == (
        0,
        "refresh_token_expired_need_manual_authorization",
    )
    assert answer["url"].startswith(connected_site.onedrive.url)
    assert connected_site.call("/admin/onedrive/connect")["code"] == 0


def test_a_hub_never_connected_asks_for_a_sign_in(unconnected_site: ConnectedSite) -> None:
    answer = unconnected_site.call(FOLDERS)
    assert answer["code"] == 0
    assert answer["url"]


def test_a_token_that_may_only_read_begins_no_sign_in(unconnected_site: ConnectedSite) -> None:
    tokens = {}
    with unconnected_site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        for scope in ("read", "write"):
            tokens[scope] = api_tokens.create_token(session, user, scope, scope, 1)[1]
    reader = {"Authorization": f"Bearer {tokens['read']}"}
    answer = unconnected_site.get("/admin/onedrive/connect", headers=reader)
    assert answer.status_code == 403
    folders = unconnected_site.get(FOLDERS, headers=reader)
    assert folders.json is not None
    assert (folders.json["code"], folders.json["url"]) == (0, "")
    with unconnected_site.session() as session:
        assert session.scalar(select(func.count()).select_from(PendingSignIn)) == 0
    writer = {"Authorization": f"Bearer {tokens['write']}"}
    answer = unconnected_site.get("/admin/onedrive/connect", headers=writer)
    assert answer.json is not None
    assert answer.json["url"].startswith(unconnected_site.onedrive.url)
    with unconnected_site.session() as session:
        assert session.scalar(select(func.count()).select_from(PendingSignIn)) == 1


def test_an_answer_that_cannot_be_read_is_code_99(connected_site: ConnectedSite) -> None:
    connected_site.onedrive.set_fault("garbage", path="/children")
    answer = connected_site.call(FOLDERS)
    assert (answer["code"], answer["hint"]) == (99, "data_extraction_failed_from_json")
    assert answer["reason"]


# --- Changing OneDrive ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["get", "json", "form"])
def test_a_folder_is_added_by_each_way_of_asking(connected_site: ConnectedSite, way: str) -> None:
    fields = {"folder_name": "Sculptures & more"}
    if way == "get":
        answer = connected_site.call(ADD_FOLDER, **fields)
    elif way == "json":
        answer = connected_site.send(ADD_FOLDER, fields)
    else:
        answer = connected_site.post(ADD_FOLDER, data=fields, headers=connected_site.bearer()).json
    assert (answer["code"], answer["hint"]) == (1, "folder_creation_operation_successful")
    assert (connected_site.onedrive.root / "Sculptures & more").is_dir()


def test_a_taken_name_gets_a_number(connected_site: ConnectedSite) -> None:
    connected_site.put_files("System", {})
    answer = connected_site.call(ADD_FOLDER, folder_name="System")
    assert answer["code"] == 1
    assert answer["folder_name"] != "System"
    assert len(list(connected_site.onedrive.root.iterdir())) == 2


@pytest.mark.parametrize("name", ["", "a/b", "what?", " x", "con", "x" * 300, "..", "a:b"])
def test_an_invalid_name_is_refused_without_a_call(
    connected_site: ConnectedSite, name: str
) -> None:
    connected_site.onedrive.clear_log()
    answer = connected_site.call(ADD_FOLDER, folder_name=name)
    assert list(answer) == ["code", "hint", "reason"]
    assert (answer["code"], answer["hint"]) == (0, "folder_creation_operation_failed")
    assert answer["reason"].endswith((".", "~"))
    assert not connected_site.onedrive.log("POST", "/children")
    assert not list(connected_site.onedrive.root.iterdir())


@pytest.mark.parametrize("way", ["get", "post"])
def test_files_and_folders_can_be_renamed(connected_site: ConnectedSite, way: str) -> None:
    connected_site.put_files("System", {"front.png": b"1"})
    folder_id, files = connected_site.find_folder("System")
    ask: Any = connected_site.call if way == "get" else None
    for item_id, name in ((files["front.png"], "back.png"), (folder_id, "Other")):
        fields = {"item_id": item_id, "new_name": name}
        answer = ask(RENAME, **fields) if ask else connected_site.send(RENAME, fields)
        assert answer == {"code": 1, "hint": "rename_operation_successful"}
    assert (connected_site.onedrive.root / "Other" / "back.png").is_file()


def test_a_rename_that_fails_says_why(connected_site: ConnectedSite) -> None:
    connected_site.put_files("System", {"front.png": b"1", "back.png": b"2"})
    _, files = connected_site.find_folder("System")
    reasons = set()
    for item_id, name in (
        (files["front.png"], "back.png"),
        (files["front.png"], "a*b"),
        ("01NOSUCHITEM", "x.png"),
    ):
        answer = connected_site.call(RENAME, item_id=item_id, new_name=name)
        assert list(answer) == ["code", "hint", "reason"]
        assert (answer["code"], answer["hint"]) == (0, "rename_operation_failed")
        reasons.add(answer["reason"])
    assert len(reasons) == 3


@pytest.mark.parametrize("way", ["get", "post"])
def test_files_and_folders_can_be_deleted(connected_site: ConnectedSite, way: str) -> None:
    connected_site.put_files("System", {"front.png": b"1", "back.png": b"2"})
    folder_id, files = connected_site.find_folder("System")
    for item_id in (files["front.png"], folder_id):
        fields = {"folder_id": item_id}
        answer = (
            connected_site.call(DELETE, **fields)
            if way == "get"
            else connected_site.send(DELETE, fields)
        )
        assert answer == {"code": 1, "hint": "folder_deletion_operation_successful"}
    assert not (connected_site.onedrive.root / "System").exists()
    answer = connected_site.call(DELETE, folder_id=folder_id)
    assert (answer["code"], answer["hint"]) == (0, "folder_deletion_operation_failed")
    assert answer["reason"] == "This item is not inside the root folder."


def test_a_browser_uploads_in_fragments_to_the_address_it_gets(
    connected_site: ConnectedSite,
) -> None:
    connected_site.put_files("System", {})
    folder_id, _ = connected_site.find_folder("System")
    answer = connected_site.call(UPLOAD, folder_id=folder_id, file_name="big.png")
    assert list(answer) == ["code", "sessionUrl", "hint"]
    assert (answer["code"], answer["hint"]) == (1, "got_session")
    data = b"ab" * FRAGMENT_BYTES
    for start in range(0, len(data), FRAGMENT_BYTES):
        piece = data[start : start + FRAGMENT_BYTES]
        sent = requests.put(
            answer["sessionUrl"],
            data=piece,
            headers={"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(data)}"},
            timeout=30,
        )
        assert sent.status_code in (200, 201, 202)
    assert (connected_site.onedrive.root / "System" / "big.png").read_bytes() == data


def test_an_upload_that_cannot_begin_says_why(connected_site: ConnectedSite) -> None:
    connected_site.put_files("System", {})
    folder_id, _ = connected_site.find_folder("System")
    for folder, name in ((folder_id, "a|b.png"), ("01NOSUCHITEM", "a.png")):
        answer = connected_site.send(UPLOAD, {"folder_id": folder, "file_name": name})
        assert list(answer) == ["code", "hint", "reason"]
        assert (answer["code"], answer["hint"]) == (0, "couldn't_get_session")


def test_changes_without_a_connection_fail_in_words(unconnected_site: ConnectedSite) -> None:
    for path, fields in (
        (ADD_FOLDER, {"folder_name": "x"}),
        (RENAME, {"item_id": "x", "new_name": "y"}),
        (DELETE, {"folder_id": "x"}),
        (UPLOAD, {"folder_id": "x", "file_name": "y"}),
    ):
        answer = unconnected_site.send(path, fields)
        assert answer["code"] == 0
        assert answer["reason"] == "OneDrive is not connected yet."


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (ADD_FOLDER, ["folder_name"]),
        (RENAME, ["item_id", "new_name"]),
        (DELETE, ["folder_id"]),
        (UPLOAD, ["folder_id", "file_name"]),
    ],
)
def test_missing_fields_are_named_for_each_way(site: Site, path: str, missing: list[str]) -> None:
    headers = site.bearer()
    for answer, source in (
        (site.get(path, headers=headers), "query"),
        (site.post(path, json={}, headers=headers), "body"),
        (site.post(path, data={}, headers=headers), "body"),
    ):
        assert answer.status_code == 422
        assert [entry["loc"] for entry in answer.json["detail"]] == [
            [source, name] for name in missing
        ]


# --- Reading the library --------------------------------------------------------------------------


def test_group_numbers_are_listed_ascending(site: Site) -> None:
    assert site.get("/admin/groups", headers=site.bearer()).json == {"data": []}
    a, b = site.add_group(), site.add_group(state="draft")
    site.add_group([])
    assert site.get("/admin/groups", headers=site.bearer()).json == {"data": [a, b]}


def test_all_images_are_listed_by_group(site: Site) -> None:
    a = site.add_group(["front.jpg", 'back "x".jpg'])
    b = site.add_group(["größe.jpg"], state="draft", folder_name="Other")
    answer = site.get("/admin/groups/images", headers=site.bearer())
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "code": 1,
        "data": {
            str(a): {
                "images": [
                    {"folder_name": "System", "image_id": 1, "image_name": "front.jpg"},
                    {"folder_name": "System", "image_id": 2, "image_name": 'back "x".jpg'},
                ]
            },
            str(b): {
                "images": [{"folder_name": "Other", "image_id": 1, "image_name": "größe.jpg"}]
            },
        },
    }


def test_an_empty_library_says_so(site: Site) -> None:
    answer = site.get("/admin/groups/images", headers=site.bearer())
    assert answer.json == {"code": 0, "hint": "empty_database"}


def test_one_image_or_the_first_of_its_group(site: Site) -> None:
    group = site.add_group(["front.jpg", "back.jpg"], state="draft")
    with site.session() as session:
        library_images.get_image(session, group, 2).position = 0
    for query, number in (("", 2), ("&image_id=1", 1), ("&image_id=2", 2)):
        answer = site.get(f"/admin/image?group_id={group}{query}", headers=site.bearer()).json
        assert (answer["code"], answer["hint"]) == (1, "got_image")
        assert urlsplit(answer["image"]).path.endswith(site.find_key(group, number, 480))
        assert (answer["width"], answer["height"]) == (480, 320)


@pytest.mark.parametrize("query", ["group_id=9", "group_id=1&image_id=7", "group_id=-1"])
def test_an_image_that_is_not_there(site: Site, query: str) -> None:
    site.add_group()
    answer = site.get(f"/admin/image?{query}", headers=site.bearer())
    assert answer.json == {"code": 0, "hint": "couldn't_get_image"}


# --- Adding and deleting --------------------------------------------------------------------------


def make_list(
    folder_id: str, files: dict[str, str], group: int = -1, name: str = "System"
) -> dict[str, Any]:
    return {
        "image_list": {
            folder_id: {
                "all_image_id": [
                    {"file_name": file, "file_id": file_id} for file, file_id in files.items()
                ],
                "group": group,
                "folder_name": name,
            }
        }
    }


def test_the_lines_of_a_worker_carry_the_number_of_the_request(
    connected_site: ConnectedSite,
) -> None:
    site = connected_site.restart(log_format="json")
    site.put_files("System", {"a.jpg": make_jpeg("red")})
    folder_id, files = site.find_folder("System")
    with site.working():
        answer = site.post(
            "/admin/add/image", json=make_list(folder_id, files), headers=site.bearer()
        )
        assert answer.status_code == 200
    lines = [
        json.loads(line)
        for line in (site.folder / "worker.log").read_text().splitlines()
        if line.startswith("{")
    ]
    job = str(answer.get_json()["job"])
    about = [line for line in lines if line.get("job") == job]
    assert any(f"of job {job}: done" in line["message"] for line in about)
    assert {line["request_id"] for line in about} == {answer.headers["X-Request-Id"]}
    assert {line["program"] for line in lines} == {"worker"}
    assert all("request_id" not in line for line in lines if line not in about)


def test_pictures_come_in_are_shown_and_go_again(connected_site: ConnectedSite) -> None:
    site = connected_site
    site.put_files(
        "System",
        {"a.jpg": make_jpeg("red"), "b.jpg": make_jpeg("green"), "broken.jpg": b"no picture"},
    )
    site.put_files("More", {"c.jpg": make_jpeg("blue")})
    folder_id, files = site.find_folder("System")
    with site.working():
        answer = site.send("/admin/add/image", make_list(folder_id, files))
        assert (answer["code"], answer["hint"]) == (1, "image_added_in_database")
        assert isinstance(answer["job"], int)
        assert [(item["file_id"], item["file_name"]) for item in answer["failed"]] == [
            (files["broken.jpg"], "broken.jpg")
        ]
        assert answer["failed"][0]["reason"].endswith(".")

        [group] = site.call("/admin/groups")["data"]
        more_id, more = site.find_folder("More")
        answer = site.send("/admin/add/image", make_list(more_id, more, group, "More"))
        assert answer["code"] == 1
        again = site.send("/admin/add/image", make_list(more_id, more, group, "More"))
        assert (again["code"], again["failed"]) == (1, []), "there already: imported once"
        assert again["job"] > answer["job"]

        broken = {"broken.jpg": files["broken.jpg"]}
        answer = site.send("/admin/add/image", make_list(folder_id, broken, group))
        assert (answer["code"], answer["hint"]) == (2, "invalid image list")
        assert len(answer["failed"]) == 1

    listed = site.call("/admin/groups/images")["data"][str(group)]["images"]
    assert {(image["folder_name"], image["image_name"]) for image in listed} == {
        ("System", "a.jpg"),
        ("System", "b.jpg"),
        ("More", "c.jpg"),
    }
    rows = site.get(f"/image/group?group={group}").json["data"]
    assert len(rows) == 3
    for row in rows:
        picture = requests.get(row["image"], timeout=30)
        assert picture.status_code == 200
        assert Picture.open(io.BytesIO(picture.content)).size == (row["width"], row["height"])

    full = site.get(f"/image/download?group_id={group}&image_id={rows[0]['imageID']}").json
    path = urlsplit(full["image"]["image"]).path
    redirect = site.get(path)
    assert redirect.status_code == 302
    assert redirect.headers["Cache-Control"] == "no-store"
    assert redirect.headers["Referrer-Policy"] == "no-referrer"
    assert requests.get(redirect.location, timeout=30).content == make_jpeg("red")

    doomed = [{"folder_name": "System", "image_id": n, "image_name": "x"} for n in (1, 2, 99)]
    answer = site.send("/admin/delete/image", {"image_list": {str(group): doomed, "999": doomed}})
    assert answer == {"code": 1, "hint": "image_deleted_from_database"}
    left = site.get(f"/image/group?group={group}").json["data"]
    assert [row["imageName"] for row in left] == ["c.jpg"]
    numbers = [{"image_id": row["imageID"]} for row in left]
    assert site.send("/admin/delete/image", {"image_list": {str(group): numbers}})["code"] == 1
    assert site.call("/admin/groups") == {"data": []}
    assert site.call("/admin/groups/images") == {"code": 0, "hint": "empty_database"}
    assert site.get("/image/page?page=1").json["code"] == 0
    store = get_clients(site.app).store
    with site.working():
        wait_until(lambda: not list(store.iter_objects()), what="no object to be left over")
    with site.session() as session:
        assert session.query(StoredObject).count() == 0
    assert (site.onedrive.root / "System" / "a.jpg").exists(), "OneDrive keeps the original"


def test_a_slow_import_goes_on_after_the_answer(connected_site: ConnectedSite) -> None:
    """Nobody works at all: the wait ends, and the job is there."""
    site = connected_site
    hub = site.app.extensions["imagehub"]
    object.__setattr__(hub.settings, "import_wait_seconds", 0)
    site.put_files("System", {"a.jpg": make_jpeg("red")})
    folder_id, files = site.find_folder("System")
    answer = site.send("/admin/add/image", make_list(folder_id, files))
    assert (answer["code"], answer["failed"]) == (1, [])
    with site.session() as session:
        job = session.get(ImportJob, answer["job"])
        assert job is not None
        assert job.state == "running"


@pytest.mark.parametrize("group", [77, 0, -2, (1 << 63) - 1])
def test_an_unknown_group_imports_nothing(connected_site: ConnectedSite, group: int) -> None:
    site = connected_site
    body = make_list("01FOLDER", {"a.jpg": "01A"})
    body["image_list"]["01OTHER"] = make_list("01OTHER", {"b.jpg": "01B"}, group)["image_list"][
        "01OTHER"
    ]
    answer = site.send("/admin/add/image", body)
    assert (answer["code"], answer["hint"]) == (2, "invalid image list")
    assert {item["file_id"] for item in answer["failed"]} == {"01A", "01B"}
    with site.session() as session:
        assert session.query(ImportJob).count() == 0
    assert site.call("/admin/groups") == {"data": []}


@pytest.mark.parametrize(
    "body", [{"image_list": {}}, make_list("01F", {})], ids=["no folder", "no file"]
)
def test_an_empty_list_is_invalid(connected_site: ConnectedSite, body: dict[str, Any]) -> None:
    answer = connected_site.send("/admin/add/image", body)
    assert (answer["code"], answer["hint"]) == (2, "invalid image list")
    assert (answer["job"], answer["failed"]) == (None, [])


def test_adding_without_a_connection_fails_in_words(unconnected_site: ConnectedSite) -> None:
    answer = unconnected_site.send("/admin/add/image", make_list("01F", {"a.jpg": "01A"}))
    assert answer["code"] == 2
    assert answer["failed"] == [
        {"file_id": "01A", "file_name": "a.jpg", "reason": "OneDrive is not connected yet."}
    ]


def test_deleting_what_was_never_there_is_no_fault(site: Site) -> None:
    for chosen in ({}, {"5": []}, {"5": [{"folder_name": "", "image_id": 1, "image_name": ""}]}):
        answer = site.post(
            "/admin/delete/image", json={"image_list": chosen}, headers=site.bearer()
        )
        assert answer.json == {"code": 1, "hint": "image_deleted_from_database"}


def test_images_go_though_the_object_storage_is_away(site: Site) -> None:
    group = site.add_group()
    answer = site.post(
        "/admin/delete/image",
        json={"image_list": {str(group): [{"image_id": 1}]}},
        headers=site.bearer(),
    )
    assert answer.json == {"code": 1, "hint": "image_deleted_from_database"}
    assert site.get("/image/page?page=1").json["code"] == 0
    with site.session() as session:
        marked = session.query(StoredObject).filter_by(is_deleting=True).count()
        assert marked == 3, "the worker finishes it later"


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        ("add", {}, ["image_list"]),
        ("add", {"image_list": []}, ["image_list"]),
        ("add", {"image_list": {"f": {}}}, ["image_list", "f", "all_image_id"]),
        ("add", make_list("f", {"a": ""}), ["image_list", "f", "all_image_id", 0, "file_id"]),
        ("add", make_list("f" * 256, {"a": "b"}), ["image_list", "f" * 256, "[key]"]),
        (
            "add",
            make_list("f", {"a": "b" * 256}),
            ["image_list", "f", "all_image_id", 0, "file_id"],
        ),
        ("add", make_list("f", {"a": "b"}, 1 << 63), ["image_list", "f", "group"]),
        ("add", make_list("f", {"a": "b"}, True), ["image_list", "f", "group"]),
        ("add", make_list("f", {"a\0": "b"}), ["image_list", "f", "all_image_id", 0, "file_name"]),
        ("delete", {"image_list": {"x": []}}, ["image_list", "x", "[key]"]),
        ("delete", {"image_list": {str(1 << 63): []}}, ["image_list", str(1 << 63), "[key]"]),
        ("delete", {"image_list": {"1": [{}]}}, ["image_list", "1", 0, "image_id"]),
        ("delete", {"image_list": {"1": [{"image_id": "x"}]}}, ["image_list", "1", 0, "image_id"]),
    ],
)
def test_a_malformed_list_says_where(
    site: Site, path: str, body: dict[str, Any], loc: list[Any]
) -> None:
    answer = site.post(f"/admin/{path}/image", json=body, headers=site.bearer())
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", *loc]


# --- Full images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_full_image_that_onedrive_cannot_serve_says_so_in_words(
    connected_site: ConnectedSite, accept: str
) -> None:
    site = connected_site
    group = site.add_group()
    path = f"/media/full/{group}/1/front.jpg"

    def ask() -> Any:
        answer = site.get(path, headers={"Accept": accept})
        assert answer.mimetype == accept
        if accept == "application/json":
            assert list(answer.json) == ["detail"]
        assert answer.headers["Cache-Control"] == "no-store"
        return answer

    assert ask().status_code == 404, "the original is not there (any more)"
    site.onedrive.stop()
    busy = ask()
    assert busy.status_code == 503
    assert int(busy.headers["Retry-After"]) >= 1
    site.onedrive.start()
    site.onedrive.revoke(access_tokens=True)
    site.onedrive.expire_access_tokens()
    assert ask().status_code == 409
    assert site.get("/image/page?page=1").json["code"] == 1, "the rest does not notice"


def test_full_images_can_be_switched_off(site: Site) -> None:
    from tests.fixtures.site import make_site

    group = site.add_group()
    folder = site.app.extensions["imagehub"].settings.data_dir
    closed = make_site(folder, downloads="off")
    assert closed.get(f"/media/full/{group}/1").status_code == 404
    answer = closed.get(f"/image/download?group_id={group}&image_id=1")
    assert answer.json == {"code": 0, "hint": "image_not_found"}
