"""Numbers that nobody types, sent to every form and list that takes one."""

from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from imagehub.web.forms import find_number
from tests.admin.pages import read_toasts, send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.site import ConnectedSite, Site, read_csrf_token

LIST = "/admin/library"
BEYOND = str(1 << 63)
ABSURD = [
    "0",
    "-1",
    BEYOND,
    "9" * 5000,
    "\N{ARABIC-INDIC DIGIT THREE}",
    "\N{SUPERSCRIPT TWO}",
    "1.5",
    "+1",
    "1_0",
    "1\n",
    "x",
]


@pytest.mark.parametrize("text", [*ABSURD, ""])
def test_what_no_id_can_be_is_no_number(text: str) -> None:
    assert find_number(text) is None


def test_ids_are_numbers_up_to_the_highest() -> None:
    assert find_number("7") == 7
    assert find_number(str((1 << 63) - 1)) == (1 << 63) - 1


def post(client: FlaskClient, path: str, token: str, **fields: object) -> int:
    headers = {"X-CSRFToken": token, "Accept": "application/json"}
    answer = client.post(path, data=fields, headers=headers)
    if answer.status_code >= 400:
        assert answer.json["detail"]
    return answer.status_code


@pytest.mark.parametrize("text", ABSURD)
def test_the_library_knows_nothing_of_absurd_numbers(site: Site, text: str) -> None:
    client = site.signed_in_client()
    group = site.add_group(["a.jpg", "b.jpg"])
    token = read_csrf_token(client, "/admin/account")
    shots = f"{LIST}/{group}/shots"
    for path, fields in (
        (f"{LIST}/delete", {"group": text}),
        (f"{LIST}/join", {"group": [str(group), text]}),
        (f"{LIST}/move-up", {"moved": text}),
        (f"{LIST}/order", {"group": text, "before": str(group)}),
        (f"{LIST}/order", {"group": str(group), "after": text}),
        (f"{shots}/delete", {"shot": text}),
        (f"{shots}/order", {"shot": "1", "before": text}),
        (f"{shots}/move", {"shot": "1", "to": text}),
        (f"{shots}/set-cover", {"this": text}),
        (f"{shots}/move-down", {"this": text}),
        (f"{LIST}/trash/restore", {"number": text}),
        (f"{LIST}/trash/delete", {"number": f"1,{text}"}),
        ("/admin/home/retry", {"job": text}),
    ):
        assert post(client, path, token, **fields) in (404, 422), (path, fields)
    # A field that is of no shot is no field of the form.
    assert post(client, shots, token, **{f"alt-{text}": "words"}) == 200
    for path in ("/admin/import", "/admin/shares"):
        assert client.get(path, query_string={"before": text}).status_code == 404
    # The shots and the group are where they were.
    assert f'data-group="{group}"' in client.get(LIST).text
    assert "2 shots" in client.get(f"{LIST}/{group}").text


def test_without_a_script_they_are_told_where_they_were_sent(site: Site) -> None:
    client = site.signed_in_client()
    group = site.add_group(["a.jpg"])
    path = f"{LIST}/{group}"
    assert send(client, f"{path}/shots/delete", path, shot=BEYOND).location == path
    assert "There is no such shot." in read_toasts(client)


def test_the_import_board_knows_nothing_of_absurd_numbers(connected_site: ConnectedSite) -> None:
    connected_site.put_files("Studio", {"a.jpg": make_jpeg(1), "b.jpg": make_jpeg(2)})
    client = connected_site.signed_in_client()
    folder, _ = connected_site.find_folder("Studio")
    page = send(client, "/admin/import/plan", item=folder).location
    token = read_csrf_token(client, "/admin/account")
    file = client.get(page).text.split('data-file="', 1)[1].split('"', 1)[0]
    for text in ABSURD:
        for act, fields in (
            ("split", {"file": text}),
            ("move", {"file": file, "to": text}),
            ("move", {"file": file, "to": "new", "before": text}),
            (f"groups/{quote(text)}/join", {}),
            (f"groups/{quote(text)}/exclude", {}),
            (f"groups/{quote(text)}/split", {}),
        ):
            assert post(client, f"{page}/board/{act}", token, **fields) in (404, 422), (act, fields)
        for name in ("after", "whole", "from"):
            assert client.get(page, query_string={name: text}).status_code == 404
        part = f"whole={quote(text)}&from={quote(text)}"
        assert post(client, f"{page}/board/show?{part}", token) == 200
        assert post(client, f"{page}/board/rename", token, after=text) == 200
    for text in ("0", BEYOND, "9" * 5000, f"#{BEYOND} · Harbour"):
        assert post(client, f"{page}/groups", token, way="one", group=text) == 404, text
        assert post(client, "/admin/import/plan", token, item=folder, group=text) == 404, text
