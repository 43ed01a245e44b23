import os
import shutil
from typing import Any
from urllib.parse import quote

import pytest
import requests
from PIL import ExifTags, Image

from tests.emulators.person import SCOPE, Person, make_picture
from tests.fixtures.onedrive import OneDrive
from tests.imaging.video.files import make_mp4, make_webm


@pytest.fixture
def person(onedrive: OneDrive) -> Person:
    return Person(onedrive)


@pytest.fixture
def colleague(onedrive_business: OneDrive) -> Person:
    return Person(onedrive_business)


# --- Permissions --------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer wrong", "Basic abc"])
def test_calls_without_a_valid_token_are_refused(onedrive: OneDrive, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    answer = requests.get(f"{onedrive.graph_url}/me/drive", headers=headers, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert "WWW-Authenticate" in answer.headers


def test_a_read_scope_does_not_allow_changes(onedrive: OneDrive) -> None:
    writer = Person(onedrive)
    item = writer.put("a.txt", b"a")
    reader = Person(onedrive, "Files.Read")
    assert reader.find("a.txt")["id"] == item["id"]
    place = f"/me/drive/items/{item['id']}"
    denied = (403, "accessDenied")
    assert reader.refused("PATCH", place, json={"name": "b.txt"}) == denied
    assert reader.refused("DELETE", place) == denied
    assert reader.refused("PUT", f"{place}/content", data=b"b") == denied
    assert reader.refused("PUT", "/me/drive/root:/n.txt:/content", data=b"b") == denied
    assert reader.refused("POST", "/me/drive/root:/n.txt:/createUploadSession") == denied
    folder = {"name": "F", "folder": {}}
    assert reader.refused("POST", "/me/drive/root/children", json=folder) == denied
    assert reader.refused("GET", "/me") == (403, "Authorization_RequestDenied")
    assert writer.list_names() == ["a.txt"]


def test_the_app_folder_scope_is_limited_to_the_app_folder(onedrive: OneDrive) -> None:
    outside = Person(onedrive).put("a.txt", b"a")
    app = Person(onedrive, "Files.ReadWrite.AppFolder")
    folder = app.get("/me/drive/special/approot")
    assert app.create_folder(folder["id"], "Mine").status_code == 201
    assert app.refused("GET", f"/me/drive/items/{outside['id']}") == (403, "accessDenied")
    assert app.refused("GET", "/me/drive/special/photos") == (403, "accessDenied")


def test_write_scopes_create_special_folders(onedrive: OneDrive) -> None:
    reader = Person(onedrive, "Files.Read")
    assert reader.refused("GET", "/me/drive/special/photos") == (403, "accessDenied")
    folder = Person(onedrive).get("/me/drive/special/photos")
    assert folder["name"] == "Pictures"
    assert folder["specialFolder"] == {"name": "photos"}
    assert reader.get("/me/drive/special/photos/children")["value"] == []
    assert reader.refused("GET", "/me/drive/special/attic")[0] == 400


# --- The drive ----------------------------------------------------------------------------------


def test_the_drive_has_kind_owner_and_quota(person: Person) -> None:
    person.put("a.txt", b"x" * 1000)
    drive = person.get("/me/drive")
    assert drive["driveType"] == "personal"
    assert len(drive["id"]) == 16
    assert drive["owner"]["user"]["displayName"] == "Demo Artist"
    assert drive["quota"]["used"] == 1000
    assert drive["quota"]["state"] == "normal"
    assert drive["quota"]["total"] - drive["quota"]["remaining"] == 1000
    assert person.get(f"/drives/{drive['id']}")["id"] == drive["id"]
    assert person.get(f"/drives/{drive['id'].lower()}/root")["root"] == {}
    assert person.refused("GET", "/drives/0123456789ABCDEF/root") == (404, "itemNotFound")


def test_ids_look_like_those_of_their_kind(person: Person, colleague: Person) -> None:
    drive_id = person.get("/me/drive")["id"]
    assert person.root_id == f"{drive_id}!sea8cc6beffdb43d7976fbc7da445c639"
    assert person.put("a", b"1")["id"].startswith(f"{drive_id}!s")
    business = colleague.get("/me/drive")
    assert business["id"].startswith("b!")
    item_id = colleague.put("a", b"1")["id"]
    assert item_id.startswith("01")
    assert len(item_id) == len(colleague.root_id) == 34
    assert item_id[:8] == colleague.root_id[:8]


def test_a_file_has_every_field_of_a_personal_drive(person: Person) -> None:
    folder = person.create_folder(person.root_id, "Wörk 1").json()
    person.put("Wörk 1/front #1.txt", b"hello")
    item = person.find("Wörk 1/front #1.txt")
    assert item["name"] == "front #1.txt"
    assert item["size"] == 5
    assert item["file"]["mimeType"] == "text/plain"
    assert item["file"]["hashes"] == {
        "quickXorHash": "aCgDG9jwBgAAAAAABQAAAAAAAAA=",
        "sha1Hash": "AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D",
    }
    assert item["parentReference"] == {
        "driveId": person.get("/me/drive")["id"],
        "driveType": "personal",
        "id": folder["id"],
        "name": "Wörk 1",
        "path": "/drive/root:/W%C3%B6rk%201",
    }
    assert requests.get(item["@microsoft.graph.downloadUrl"], timeout=30).content == b"hello"
    for name in ("eTag", "cTag", "webUrl", "createdBy", "lastModifiedBy", "fileSystemInfo"):
        assert item[name], name
    assert "folder" not in item
    assert "image" not in item


def test_business_items_omit_the_fields_of_business_drives(colleague: Person) -> None:
    folder = colleague.create_folder(colleague.root_id, "F").json()
    assert "cTag" not in folder
    assert "view" not in folder["folder"]
    item = colleague.put("F/a.txt", b"hello")
    assert item["cTag"]
    assert list(item["file"]["hashes"]) == ["quickXorHash"]
    assert item["parentReference"]["siteId"]
    assert item["createdBy"]["user"]["email"] == "artist@contoso.com"
    assert "." not in item["lastModifiedDateTime"]


def test_folders_have_child_counts_and_total_sizes(person: Person) -> None:
    person.put("A/B/one.bin", b"1" * 10)
    person.put("A/two.bin", b"2" * 5)
    folder = person.find("A")
    assert folder["folder"]["childCount"] == 2
    assert folder["size"] == 15
    person.call("DELETE", f"/me/drive/items/{person.find('A/B')['id']}")
    assert person.find("A")["size"] == 5
    assert person.get("/me/drive/root")["size"] == 5


def test_an_unchanged_item_is_not_sent_again(person: Person) -> None:
    item = person.put("a.txt", b"a")
    place = f"/me/drive/items/{item['id']}"
    for tag in (item["eTag"], item["cTag"]):
        assert person.call("GET", place, headers={"If-None-Match": tag}).status_code == 304
    person.put("a.txt", b"b")
    assert person.call("GET", place, headers={"If-None-Match": item["eTag"]}).status_code == 200


def test_tags_change_with_what_they_describe(person: Person) -> None:
    item = person.put("F/a.txt", b"a")
    folder = person.find("F")
    renamed = person.call("PATCH", f"/me/drive/items/{item['id']}", json={"name": "b.txt"}).json()
    assert renamed["eTag"] != item["eTag"]
    assert renamed["cTag"] == item["cTag"]
    rewritten = person.put("F/b.txt", b"bb")
    assert rewritten["id"] == item["id"]
    assert rewritten["cTag"] != renamed["cTag"]
    after = person.find("F")
    assert after["eTag"] == folder["eTag"], "a folder's eTag knows nothing of its children"
    assert after["cTag"] != folder["cTag"]


def test_select_returns_only_the_named_fields(person: Person) -> None:
    person.put("a.txt", b"a")
    item = person.get("/me/drive/root:/a.txt?$select=id,size")
    assert set(item) == {"@odata.context", "id", "size"}
    assert set(person.get("/me/drive/root/children?select=name")["value"][0]) == {"name"}
    url = "@microsoft.graph.downloadUrl"
    assert url not in person.get(f"/me/drive/root:/a.txt?$select={url}")
    assert url in person.get(f"/me/drive/root:/a.txt?$select=id,{url}")


def test_every_answer_has_its_trace_ids(person: Person) -> None:
    answer = person.call("GET", "/me/drive", headers={"client-request-id": "mine"})
    assert answer.headers["client-request-id"] == "mine"
    assert len(answer.headers["request-id"]) == 36
    wrong = person.call("GET", "/me/drive/items/none", headers={"client-request-id": "mine"})
    inner = wrong.json()["error"]["innerError"]
    assert inner["client-request-id"] == "mine"
    assert inner["request-id"] == wrong.headers["request-id"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/me/drive/items/none", (404, "itemNotFound")),
        ("/me/drive/root:/none", (404, "itemNotFound")),
        ("/me/drive/root:/a%FFb", (400, "invalidRequest")),
        ("/me/drive/root:/../a", (400, "invalidRequest")),
        ("/me/drive/root:/%2E%2E/a", (400, "invalidRequest")),
        ("/me/drive/root:/a%2Fb", (400, "invalidRequest")),
        ("/me/drive/root/nonsense", (400, "invalidRequest")),
        ("/me/calendar", (400, "BadRequest")),
        ("/me/drive/root/children?$top=0", (400, "invalidRequest")),
        ("/me/drive/root/children?$skip=10", (400, "invalidRequest")),
        ("/me/drive/root/children?$filter=name eq 'a'", (400, "invalidRequest")),
        ("/me/drive/root/children?$orderby=colour", (400, "invalidRequest")),
        ("/me/drive/root/children?$skiptoken=abc", (400, "invalidRequest")),
        ("/me/drive/root/children?$skiptoken=WzEsMiwzXQ", (400, "invalidRequest")),
        ("/me/drive/root?$expand=secrets", (400, "invalidRequest")),
    ],
)
def test_a_bad_address_is_refused(person: Person, path: str, expected: tuple[int, str]) -> None:
    assert person.refused("GET", path) == expected


@pytest.mark.parametrize(
    ("form", "colon", "slash"),
    [
        ("items/{root}", "%3A", "%2F"),
        ("items/{root}", "%3a", "%2f"),
        ("items/{root}", ":", "%2F"),
        ("items/{root}", "%3A", "/"),
        ("items/root", "%3A", "%2F"),
        ("root", "%3A", "%2F"),
        ("special/approot", "%3A", "%2F"),
    ],
)
@pytest.mark.parametrize("start", ["/me/drive", "/me/drives/{drive}", "/drives/{drive}"])
def test_colons_and_slashes_of_a_path_may_be_encoded(
    person: Person, start: str, form: str, colon: str, slash: str
) -> None:
    drive_id = person.get("/me/drive")["id"]
    place = f"{start}/{form}".format(drive=drive_id, root=person.root_id)
    name = "50% of #1 + ü.jpg"
    address = f"{place}{colon}{slash}A{slash}{quote(name)}{colon}"
    assert person.call("PUT", f"{address}/content", data=b"x").status_code == 201
    item = person.get(address)
    assert item["name"] == name
    assert person.call("GET", f"{address}/content").status_code == 302
    parent = f"{place}{colon}{slash}A{colon}"
    assert [one["name"] for one in person.get(f"{parent}/children")["value"]] == [name]
    new = f"{place}{colon}{slash}A{slash}new.jpg{colon}/createUploadSession"
    assert person.call("POST", new, json={}).status_code == 200
    batch = {"requests": [{"id": "1", "method": "GET", "url": address}]}
    parts = person.call("POST", "/$batch", json=batch).json()["responses"]
    assert parts[0]["body"]["id"] == item["id"]


@pytest.mark.parametrize("path", ["..%2Fa", "%2E%2E%2Fa", "a%2F..%2F..", "a%5Cb", "a%252Fb"])
def test_an_encoded_path_does_not_lead_out(person: Person, path: str) -> None:
    status, _code = person.refused("GET", f"/me/drive/items/{person.root_id}%3A%2F{path}%3A")
    assert status in (400, 404)


def test_a_wrong_method_is_refused(person: Person) -> None:
    assert person.refused("DELETE", "/me/drive") == (405, "notSupported")
    assert person.refused("PUT", "/me/drive/root/children") == (405, "notSupported")


def test_bad_json_is_refused(person: Person) -> None:
    for body in (b"{", b"[]", b"\xff"):
        assert person.refused("POST", "/me/drive/root/children", data=body)[0] == 400


# --- Listing ------------------------------------------------------------------------------------


def test_pages_contain_every_child_once(person: Person) -> None:
    for number in range(25):
        (person.onedrive.root / f"{number:02}.txt").write_text("x")
    page = person.get("/me/drive/root/children?$top=10&$select=id,name")
    assert page["@odata.count"] == 25
    names = []
    while True:
        assert len(page["value"]) <= 10
        assert set(page["value"][0]) == {"id", "name"}
        names += [item["name"] for item in page["value"]]
        if "@odata.nextLink" not in page:
            break
        page = person.get(page["@odata.nextLink"])
    assert names == [f"{number:02}.txt" for number in range(25)]


def test_an_exactly_full_page_is_the_last(person: Person) -> None:
    for number in range(4):
        (person.onedrive.root / f"{number}.txt").write_text("x")
    first = person.get("/me/drive/root/children?$top=2")
    assert "@odata.nextLink" not in person.get(first["@odata.nextLink"])


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name desc", ["c.txt", "B.txt", "a.txt"]),
        ("size", ["c.txt", "a.txt", "B.txt"]),
        ("lastModifiedDateTime desc", ["B.txt", "c.txt", "a.txt"]),
    ],
)
def test_children_are_sorted_as_requested(person: Person, order: str, expected: list[str]) -> None:
    for name, size, moment in (("a.txt", 20, 100), ("B.txt", 30, 300), ("c.txt", 10, 200)):
        path = person.onedrive.root / name
        path.write_bytes(b"x" * size)
        os.utime(path, (moment, moment))
    names: list[str] = []
    url = f"/me/drive/root/children?$top=2&$orderby={order}"
    while url:
        page = person.get(url)
        names += [item["name"] for item in page["value"]]
        url = page.get("@odata.nextLink", "")
    assert names == expected


def test_business_sorts_only_by_name(colleague: Person) -> None:
    assert colleague.get("/me/drive/root/children?$orderby=name desc")["value"] == []
    assert colleague.refused("GET", "/me/drive/root/children?$orderby=size")[0] == 400


def test_names_that_differ_only_in_case_collide(person: Person) -> None:
    person.put("Front.jpg", b"1")
    assert person.find("FRONT.JPG")["name"] == "Front.jpg"
    assert person.create_folder(person.root_id, "front.JPG").status_code == 409


# --- Changing -----------------------------------------------------------------------------------


def test_a_new_folder_is_a_folder_on_disk(person: Person) -> None:
    answer = person.create_folder(person.root_id, "Größe 100% #1 & mehr")
    assert answer.status_code == 201
    assert answer.json()["folder"]["childCount"] == 0
    assert (person.onedrive.root / "Größe 100% #1 & mehr").is_dir()
    assert person.find("Größe 100% #1 & mehr")["id"] == answer.json()["id"]


def test_a_taken_name_is_resolved_as_requested(person: Person) -> None:
    first = person.create_folder(person.root_id, "F").json()
    person.put("file", b"x")
    fail = person.create_folder(person.root_id, "f", "fail")
    assert (fail.status_code, fail.json()["error"]["code"]) == (409, "nameAlreadyExists")
    replace = person.create_folder(person.root_id, "F", "replace")
    assert (replace.status_code, replace.json()["id"]) == (200, first["id"])
    assert person.create_folder(person.root_id, "file", "replace").status_code == 409
    rename = person.create_folder(person.root_id, "F", "rename")
    assert (rename.status_code, rename.json()["name"]) == (201, "F 1")
    assert person.create_folder(person.root_id, "F", "rename").json()["name"] == "F 2"
    assert person.create_folder(person.root_id, "G", "shrug").status_code == 400


BAD_NAMES = [
    "", " ", ".", "..", " a", "a ", "a/b", "a\\b", "a*", "a<b", "a>b", "a?", "a:b", "a|b", 'a"b',
    "a\nb", "CON", "com7", "desktop.ini", ".lock", "~$doc", "my_vti_x", "x" * 256,
]  # fmt: skip


@pytest.mark.parametrize("name", [*BAD_NAMES, "folder."])
def test_a_forbidden_folder_name_is_refused(person: Person, name: str) -> None:
    answer = person.create_folder(person.root_id, name)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalidRequest"
    assert os.listdir(person.onedrive.root) == []


@pytest.mark.parametrize("name", BAD_NAMES[1:])
def test_a_file_cannot_be_renamed_to_a_forbidden_name(person: Person, name: str) -> None:
    item = person.put("good.txt", b"x")
    assert person.refused("PATCH", f"/me/drive/items/{item['id']}", json={"name": name})[0] == 400


def test_some_names_are_refused_only_by_business(person: Person, colleague: Person) -> None:
    for name in ("~x", "Forms"):
        assert person.create_folder(person.root_id, name).status_code == 201
        assert colleague.create_folder(colleague.root_id, name).status_code == 400
    inner = colleague.create_folder(colleague.root_id, "F").json()["id"]
    assert colleague.create_folder(inner, "forms").status_code == 201


def test_a_path_of_more_than_400_characters_is_refused(person: Person) -> None:
    parent = person.root_id
    for _ in range(3):
        parent = person.create_folder(parent, "x" * 120).json()["id"]
    answer = person.create_folder(parent, "y" * 40)
    assert answer.status_code == 400
    assert answer.json()["error"]["innerError"]["code"] == "pathIsTooLong"


def test_renaming_and_moving_keep_the_id(person: Person) -> None:
    item = person.put("a.txt", b"a")
    folder = person.create_folder(person.root_id, "F").json()
    place = f"/me/drive/items/{item['id']}"
    moved = person.call(
        "PATCH", place, json={"name": "b.txt", "parentReference": {"id": folder["id"]}}
    ).json()
    assert moved["id"] == item["id"]
    assert moved["parentReference"]["id"] == folder["id"]
    assert (person.onedrive.root / "F" / "b.txt").read_bytes() == b"a"
    assert person.list_names() == ["F"]
    assert person.call("PATCH", place, json={"name": "B.txt"}).json()["name"] == "B.txt"
    assert os.listdir(person.onedrive.root / "F") == ["B.txt"]
    by_path = {"parentReference": {"path": "/drive/root:"}}
    assert person.call("PATCH", place, json=by_path).status_code == 200
    assert person.find("B.txt")["id"] == item["id"]


def test_items_that_cannot_be_moved_stay(person: Person) -> None:
    item = person.put("F/a.txt", b"a")
    person.put("F/b.txt", b"b")
    folder = person.find("F")
    inner = person.create_folder(folder["id"], "Inner").json()

    def patch(item_id: str, **body: Any) -> tuple[int, str]:
        return person.refused("PATCH", f"/me/drive/items/{item_id}", json=body)

    assert patch(item["id"], name="B.TXT") == (409, "nameAlreadyExists")
    assert patch(item["id"], parentReference={"id": "root"})[0] == 400
    assert patch(item["id"], parentReference={"id": "none"})[0] == 404
    assert patch(item["id"], parentReference={"driveId": "0" * 16, "id": "x"})[0] == 400
    assert patch(folder["id"], parentReference={"id": inner["id"]})[0] == 400
    assert patch(person.root_id, name="other")[0] == 400
    assert patch(inner["id"], parentReference={"id": item["id"]})[0] == 400
    assert person.list_names("F") == ["a.txt", "b.txt", "Inner"]


def test_if_match_detects_a_change_in_between(person: Person, colleague: Person) -> None:
    for who, code in ((person, "resourceModified"), (colleague, "notAllowed")):
        item = who.put("a.txt", b"a")
        place = f"/me/drive/items/{item['id']}"
        who.put("a.txt", b"b")
        stale = {"If-Match": item["eTag"]}
        assert who.refused("PATCH", place, json={"name": "c"}, headers=stale) == (412, code)
        assert who.refused("DELETE", place, headers=stale) == (412, code)
        fresh = {"If-Match": who.find("a.txt")["eTag"]}
        assert who.call("DELETE", place, headers=fresh).status_code == 204


def test_a_clients_own_times_can_be_set(person: Person) -> None:
    item = person.put("a.txt", b"a")
    times = {
        "createdDateTime": "2001-02-03T04:05:06Z",
        "lastModifiedDateTime": "2002-02-03T04:05:06Z",
    }
    place = f"/me/drive/items/{item['id']}"
    changed = person.call("PATCH", place, json={"fileSystemInfo": times}).json()
    assert changed["fileSystemInfo"] == times
    assert person.find("a.txt")["fileSystemInfo"] == times
    assert person.find("a.txt")["cTag"] == item["cTag"]
    bad = {"fileSystemInfo": {"createdDateTime": "yesterday"}}
    assert person.refused("PATCH", place, json=bad)[0] == 400


def test_deleted_items_can_be_restored_from_the_recycle_bin(person: Person) -> None:
    item = person.put("F/a.txt", b"abc")
    folder = person.find("F")
    assert person.call("DELETE", f"/me/drive/items/{folder['id']}").status_code == 204
    assert not (person.onedrive.root / "F").exists()
    assert person.refused("GET", f"/me/drive/items/{item['id']}") == (404, "itemNotFound")
    assert person.get("/me/drive")["quota"]["deleted"] == 3
    restored = person.call("POST", f"/me/drive/items/{folder['id']}/restore").json()
    assert restored["id"] == folder["id"]
    assert restored["size"] == 3
    assert person.find("F/a.txt")["id"] == item["id"]
    assert person.get("/me/drive")["quota"]["deleted"] == 0


def test_the_root_cannot_be_deleted(person: Person) -> None:
    assert person.refused("DELETE", "/me/drive/root") == (403, "accessDenied")


def test_only_business_deletes_permanently(person: Person, colleague: Person) -> None:
    mine, theirs = person.put("a", b"1"), colleague.put("a", b"1")
    assert person.refused("POST", f"/me/drive/items/{mine['id']}/permanentDelete")[0] == 400
    path = f"/me/drive/items/{theirs['id']}/permanentDelete"
    assert colleague.call("POST", path).status_code == 204
    assert colleague.get("/me/drive")["quota"]["deleted"] == 0


def test_a_notebook_is_a_package(person: Person) -> None:
    notebook = person.onedrive.root / "Notes"
    notebook.mkdir()
    (notebook / "Open Notebook.onetoc2").write_bytes(b"x")
    item = person.find("Notes")
    assert item["package"] == {"type": "oneNote"}
    assert "folder" not in item
    assert person.refused("GET", f"/me/drive/items/{item['id']}/content")[0] == 400
    assert person.refused("PUT", "/me/drive/root:/Notes:/content", data=b"x") == (
        409,
        "nameAlreadyExists",
    )


# --- Changes by other programs ------------------------------------------------------------------


def test_changes_in_the_folder_are_seen_at_once(person: Person) -> None:
    root = person.onedrive.root
    assert person.list_names() == []
    (root / "F" / "G").mkdir(parents=True)
    (root / "F" / "G" / "a.txt").write_text("one")
    assert person.list_names("F/G") == ["a.txt"]
    before = person.find("F/G/a.txt")
    (root / "F" / "G" / "a.txt").write_text("other")
    after = person.get("/me/drive/root:/F/G:/children")["value"][0]
    assert after["size"] == 5
    assert after["id"] == before["id"]
    assert after["cTag"] != before["cTag"]
    assert after["file"]["hashes"] != before["file"]["hashes"]
    assert person.find("F")["size"] == 5
    (root / "F" / "G" / "a.txt").unlink()
    assert person.list_names("F/G") == []
    assert person.refused("GET", f"/me/drive/items/{before['id']}") == (404, "itemNotFound")


def test_a_name_added_within_the_clocks_tick_is_seen(person: Person) -> None:
    for number in range(30):
        (person.onedrive.root / f"{number:02}").write_text("x")
        assert len(person.list_names()) == number + 1


def test_ids_survive_moves_by_other_programs(person: Person) -> None:
    root = person.onedrive.root
    (root / "A").mkdir()
    (root / "B").mkdir()
    (root / "A" / "a.txt").write_text("content")
    item, folder = person.find("A/a.txt"), person.find("A")
    (root / "A" / "a.txt").rename(root / "B" / "b.txt")
    assert person.list_names("A") == []
    assert person.find("B/b.txt")["id"] == item["id"]
    (root / "B" / "b.txt").rename(root / "A" / "a.txt")
    (root / "A").rename(root / "B" / "Moved")
    assert person.list_names() == ["B"]
    assert person.find("B/Moved")["id"] == folder["id"]
    assert person.find("B/Moved/a.txt")["id"] == item["id"]
    assert person.get("/me/drive/root")["size"] == 7


def test_a_new_file_with_a_reused_inode_is_not_a_move(person: Person) -> None:
    root = person.onedrive.root
    old_ids = set()
    for number in range(5):
        path = root / f"{number}.txt"
        path.write_text("x" * (number + 1))
        old_ids.add(person.find(f"{number}.txt")["id"])
        path.unlink()
    assert len(old_ids) == 5


def test_a_file_saved_by_replacing_it_keeps_its_id(person: Person) -> None:
    root = person.onedrive.root
    (root / "a.txt").write_text("old")
    item = person.find("a.txt")
    (root / "a.tmp").write_text("newer")
    os.replace(root / "a.tmp", root / "a.txt")
    assert person.find("a.txt")["id"] == item["id"]
    assert person.find("a.txt")["size"] == 5


@pytest.mark.parametrize("content", ["one", "other content"])
def test_a_file_removed_and_created_again_is_a_new_item(person: Person, content: str) -> None:
    path = person.onedrive.root / "a.txt"
    path.write_text("one")
    times = path.stat()
    old = person.find("a.txt")
    path.unlink()
    path.write_text(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert person.refused("GET", f"/me/drive/items/{old['id']}") == (404, "itemNotFound")
    [new] = person.get("/me/drive/root/children")["value"]
    assert new["id"] != old["id"]
    assert new["size"] == len(content) == person.get("/me/drive/root")["size"]
    path.write_text("written in place")
    assert person.find("a.txt")["id"] == new["id"]


def test_a_file_moved_away_keeps_its_id_and_the_one_in_its_place_is_new(person: Person) -> None:
    path = person.onedrive.root / "a.txt"
    path.write_text("one")
    item = person.find("a.txt")
    path.rename(path.with_name("backup.txt"))
    path.write_text("two")
    assert person.list_names() == ["a.txt", "backup.txt"]
    assert person.find("backup.txt")["id"] == item["id"]
    assert person.find("a.txt")["id"] != item["id"]
    path.unlink()
    path.with_name("backup.txt").rename(path)
    assert person.find("a.txt")["id"] == item["id"]
    path.rename(path.with_name("away.txt"))
    path.with_name("away.txt").rename(path)
    assert person.find("a.txt")["id"] == item["id"]


def test_a_folder_removed_and_created_again_is_a_new_item(person: Person) -> None:
    folder = person.onedrive.root / "F"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    old, inner = person.find("F"), person.find("F/a.txt")
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    assert person.refused("GET", f"/me/drive/items/{old['id']}") == (404, "itemNotFound")
    assert person.find("F")["id"] != old["id"]
    assert person.find("F/a.txt")["id"] != inner["id"]


def test_an_item_that_takes_the_place_of_a_deleted_one_keeps_its_new_id(person: Person) -> None:
    first = person.put("a.txt", b"one")
    assert person.call("DELETE", f"/me/drive/items/{first['id']}").status_code == 204
    second = person.put("a.txt", b"two")
    assert second["id"] != first["id"]
    (person.onedrive.root / "other.txt").write_text("x")
    assert person.list_names() == ["a.txt", "other.txt"]
    assert person.find("a.txt")["id"] == second["id"]


def test_a_folder_replaced_by_a_file_is_a_new_item(person: Person) -> None:
    root = person.onedrive.root
    (root / "x").mkdir()
    (root / "x" / "inner").write_text("1")
    folder = person.find("x")
    shutil.rmtree(root / "x")
    (root / "x").write_text("file")
    item = person.find("x")
    assert item["id"] != folder["id"]
    assert "file" in item
    assert person.get("/me/drive/root")["size"] == 4


def test_unsupported_files_are_not_shown(person: Person, tmp_path: Any) -> None:
    root = person.onedrive.root
    (tmp_path / "secret.txt").write_text("outside")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "linked").symlink_to(tmp_path)
    (root / "a:b.txt").write_text("x")
    (root / "desktop.ini").write_text("x")
    os.mkfifo(root / "pipe")
    (root / "Same.txt").write_text("x")
    (root / "same.txt").write_text("x")
    assert person.list_names() == ["Same.txt"]
    assert person.refused("GET", "/me/drive/root:/link.txt") == (404, "itemNotFound")
    answer = person.call("PUT", "/me/drive/root:/link.txt:/content", data=b"over")
    assert answer.status_code == 409
    assert (tmp_path / "secret.txt").read_text() == "outside"


def test_a_folder_replaced_by_a_link_is_not_followed(person: Person, tmp_path: Any) -> None:
    root = person.onedrive.root
    (tmp_path / "a.txt").write_text("outside")
    (root / "F").mkdir()
    (root / "F" / "a.txt").write_text("inside")
    item = person.find("F/a.txt")
    shutil.rmtree(root / "F")
    (root / "F").symlink_to(tmp_path)
    assert person.refused("GET", f"/me/drive/items/{item['id']}") == (404, "itemNotFound")
    answer = requests.get(item["@microsoft.graph.downloadUrl"], timeout=30)
    assert answer.status_code == 404


# --- Pictures -----------------------------------------------------------------------------------


def make_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Model] = "EOS 5D"
    exif[ExifTags.Base.Orientation] = 6
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2020:05:06 07:08:09"
    details[ExifTags.Base.FNumber] = 2.8
    details[ExifTags.Base.ISOSpeedRatings] = 400
    details[ExifTags.Base.FocalLength] = 50.0
    details[ExifTags.Base.ExposureTime] = 0.004
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef] = "S"
    gps[ExifTags.GPS.GPSLatitude] = (33.0, 30.0, 0.0)
    gps[ExifTags.GPS.GPSLongitudeRef] = "E"
    gps[ExifTags.GPS.GPSLongitude] = (151.0, 0.0, 36.0)
    gps[ExifTags.GPS.GPSAltitude] = 100.0
    return exif


def test_a_picture_has_the_facets_of_its_header(person: Person) -> None:
    item = person.put("a.jpg", make_picture(exif=make_exif()))
    assert item["image"] == {"height": 80, "width": 120}, "Exif does not turn these numbers"
    photo = item["photo"]
    assert photo["takenDateTime"] == "2020-05-06T07:08:09Z"
    assert (photo["cameraMake"], photo["cameraModel"]) == ("Canon", "EOS 5D")
    assert (photo["iso"], photo["orientation"]) == (400, 6)
    assert photo["fNumber"] == pytest.approx(2.8)
    assert (photo["exposureNumerator"], photo["exposureDenominator"]) == (1.0, 250.0)
    assert item["location"]["latitude"] == pytest.approx(-33.5)
    assert item["location"]["longitude"] == pytest.approx(151.01)
    assert item["location"]["altitude"] == pytest.approx(328.084)


def test_a_business_picture_has_only_its_date_taken(colleague: Person) -> None:
    item = colleague.put("a.jpg", make_picture(exif=make_exif()))
    assert item["image"] == {"height": 80, "width": 120}
    assert item["photo"] == {"takenDateTime": "2020-05-06T07:08:09Z"}
    assert "location" not in item
    broken = colleague.put("broken.jpg", b"no picture")
    assert (broken["image"], broken["photo"]) == ({}, {})


def test_a_broken_picture_is_a_plain_file(person: Person) -> None:
    item = person.put("broken.jpg", make_picture()[:30])
    assert item["file"]["mimeType"] == "image/jpeg"
    assert "image" not in item


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "GIF"])
def test_every_kind_of_picture_has_its_size(person: Person, format: str) -> None:
    item = person.put(f"a.{format.lower()}", make_picture(format))
    assert item["image"] == {"height": 80, "width": 120}
    assert item["file"]["mimeType"] == f"image/{format.lower()}"


# --- Batches ------------------------------------------------------------------------------------


def post_batch(person: Person, *parts: dict[str, Any]) -> dict[str, Any]:
    answer = person.call("POST", "/$batch", json={"requests": list(parts)})
    assert answer.status_code == 200, answer.text
    return {part["id"]: part for part in answer.json()["responses"]}


def test_a_batch_answers_each_of_its_parts(person: Person) -> None:
    item = person.put("a.txt", b"a")
    place = f"/me/drive/items/{quote(item['id'])}"
    made = {"name": "F", "folder": {}}
    parts = post_batch(
        person,
        {"id": "1", "method": "GET", "url": place},
        {"id": "2", "method": "GET", "url": "/me/drive/items/none"},
        {"id": "3", "method": "POST", "url": "/me/drive/root/children", "body": made},
        {"id": "4", "method": "GET", "url": f"{place}/content"},
        {"id": "5", "method": "GET", "url": "/me/drive/root:/F", "dependsOn": ["3"]},
        {"id": "6", "method": "GET", "url": "/me/drive", "dependsOn": ["2"]},
    )
    statuses = {number: part["status"] for number, part in parts.items()}
    assert statuses == {"1": 200, "2": 404, "3": 201, "4": 302, "5": 200, "6": 424}
    assert parts["1"]["body"]["id"] == item["id"]
    assert requests.get(parts["4"]["headers"]["Location"], timeout=30).content == b"a"


def test_parts_of_a_batch_are_throttled_individually(person: Person) -> None:
    person.onedrive.set_fault("status", status=429, retry_after=7, path="/root:/b", times=1)
    parts = post_batch(
        person,
        {"id": "a", "method": "GET", "url": "/me/drive"},
        {"id": "b", "method": "GET", "url": "/me/drive/root:/b"},
    )
    assert (parts["a"]["status"], parts["b"]["status"]) == (200, 429)
    assert parts["b"]["headers"]["Retry-After"] == "7"


@pytest.mark.parametrize(
    "parts",
    [
        [{"id": "1", "method": "GET", "url": "/me"}] * 2,
        [{"id": str(n), "method": "GET", "url": "/me"} for n in range(21)],
        [{"method": "GET", "url": "/me"}],
        [{"id": "1", "method": "GET", "url": "/me", "dependsOn": ["9"]}],
        "none",
    ],
)
def test_a_bad_batch_is_refused(person: Person, parts: Any) -> None:
    assert person.refused("POST", "/$batch", json={"requests": parts})[0] == 400


def test_pages_of_other_origins_can_call_graph(person: Person) -> None:
    answer = requests.options(
        f"{person.onedrive.graph_url}/me/drive",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
        timeout=30,
    )
    assert answer.ok
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
    assert person.call("GET", "/me/drive").headers["Access-Control-Allow-Origin"] == "*"


def test_twenty_people_at_once_get_consistent_answers(person: Person) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def work(number: int) -> int:
        me = requests.Session()
        me.headers["Authorization"] = person.session.headers["Authorization"]
        base = person.onedrive.graph_url
        for turn in range(5):
            url = f"{base}/me/drive/root:/F{number % 3}/{number}-{turn}.txt:/content"
            assert me.put(url, data=b"x" * 10, timeout=60).status_code == 201
            assert me.get(f"{base}/me/drive/root/children", timeout=60).status_code == 200
        return number

    for name in ("F0", "F1", "F2"):
        person.create_folder(person.root_id, name)
    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(work, range(20))) == list(range(20))
    assert person.get("/me/drive/root")["size"] == 1000
    assert sum(len(person.list_names(f"F{number}")) for number in range(3)) == 100


def test_reset_creates_new_ids_and_revokes_all_tokens(person: Person) -> None:
    item = person.put("a.txt", b"a")
    person.onedrive.reset()
    assert person.refused("GET", "/me/drive")[0] == 401
    other = Person(person.onedrive, SCOPE)
    assert other.list_names() == []
    assert other.refused("GET", f"/me/drive/items/{item['id']}")[0] == 404


def test_a_video_has_the_facet_of_its_headers(person: Person, colleague: Person) -> None:
    found = person.put("film.mp4", make_mp4())["video"]
    assert (found["duration"], found["width"], found["height"]) == (42_000, 640, 360)
    assert (found["fourCC"], found["audioFormat"]) == ("avc1", "aac")
    assert person.put("late.mov", make_mp4(is_last=True))["video"]["duration"] == 42_000
    assert person.put("film.webm", make_webm())["video"]["duration"] == 42_000
    assert "video" not in person.put("broken.mp4", b"\0\0\0\x18ftypmp42")
    assert "video" not in colleague.put("film.mp4", make_mp4())
