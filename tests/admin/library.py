"""Helpers for tests of the library's pages."""

import html
import re

from flask.testing import FlaskClient

from imagehub.domain.library import edit
from imagehub.models import Group, Image
from tests.fixtures.site import Site, read_csrf_token

LIST = "/admin/library"


def read_fields(site: Site, number: int) -> dict[str, str]:
    with site.session() as session:
        return edit.read_fields(session, session.get_one(Group, number))


def list_names(site: Site, number: int) -> list[str]:
    with site.session() as session:
        images = session.query(Image).filter_by(group_id=number)
        return [image.name for image in images.order_by(Image.position, Image.number)]


def send_json(client: FlaskClient, path: str, body: object, seen_on: str) -> tuple[int, dict]:  # type: ignore[type-arg]
    token = read_csrf_token(client, seen_on)
    headers = {"X-CSRFToken": token, "Accept": "application/json"}
    answer = client.post(path, json=body, headers=headers)
    return answer.status_code, answer.json


def read_value(page: str, name: str) -> str:
    """What stands in a field of the page."""
    found = re.search(rf'<textarea [^>]*name="{name}"[^>]*>\n?([^<]*)</textarea>', page)
    found = found or re.search(rf'<input [^>]*name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return html.unescape(found[1])


def read_fault(page: str, name: str) -> str:
    """The sentence beside a field; the field itself must name it."""
    assert f'aria-describedby="fault-{name}"' in page
    return page.split(f'id="fault-{name}"', 1)[1].split("</svg>", 1)[1].split("</span>", 1)[0]


def read_log(client: FlaskClient) -> list[str]:
    """The sentences of the log, from new to old."""
    page = client.get("/admin/activity").text
    return [html.unescape(one) for one in re.findall(r'<td class="what">([^<]*)<', page)]
