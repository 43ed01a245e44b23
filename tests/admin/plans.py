"""Import plans of the folder Studio, through the pages."""

import re

from flask.testing import FlaskClient

from tests.admin.pages import send
from tests.fixtures.importing import make_jpeg
from tests.fixtures.site import ConnectedSite

PLAN = "/admin/import/plan"
PAGE = "/admin/import/plans/1"


def put_studio(site: ConnectedSite) -> None:
    """Three images of two works, and a broken file."""
    files = {f"{name}.jpg": make_jpeg(n) for n, name in enumerate(("mill-1", "mill-2", "sea"))}
    site.put_files("Studio", files | {"bad.jpg": b"\xff\xd8\xff\xe0 cut"})


def find_ids(page: str, name: str) -> list[str]:
    return re.findall(rf'data-{name}="(\d+)"', page)


def list_titles(page: str) -> list[str]:
    return re.findall(r'name="title-\d+" value="([^"]*)"', page)


def choose_folder(site: ConnectedSite, client: FlaskClient) -> str:
    folder_id, _ = site.find_folder("Studio")
    answer = send(client, PLAN, "/admin/account", item=folder_id)
    assert answer.location == PAGE
    return client.get(PAGE).text


def read_fields(page: str) -> dict[str, str]:
    """The fields of a board as a browser without a script sends them, but for ticks and buttons."""
    board = page.split('id="board"', 1)[1]
    fields = dict(
        re.findall(
            r'<input (?:class="bin-title" id="[^"]*"|type="hidden") name="([^"]+)" value="([^"]*)"',
            board,
        )
    )
    (state,) = re.findall(r'name="state" value="(\w+)" checked', board)
    return fields | {"state": state, "way": "stem"}
