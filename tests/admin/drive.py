"""What the tests of the drive browser share: a browser, pictures, images of the hub."""

from io import BytesIO
from typing import Any

from flask.testing import FlaskClient
from PIL import Image as Picture

from imagehub.domain.library import groups, order
from imagehub.domain.people import audit
from imagehub.models import AuditEntry, DriveAccount, Group, Image
from tests.fixtures.site import ConnectedSite, Site, read_csrf_token

JSON = {"Accept": "application/json"}


class Browser:
    """A signed-in admin's browser with a token for forms."""

    def __init__(self, site: ConnectedSite) -> None:
        self.site = site
        self.client: FlaskClient = site.signed_in_client()
        self.token = read_csrf_token(self.client, "/admin/drive")

    def page(self, path: str = "/admin/drive", status: int = 200, **query: Any) -> str:
        answer = self.client.get(path, query_string=query or None)
        assert answer.status_code == status, answer.text
        return answer.text

    def json(self, path: str = "/admin/drive", status: int = 200, **query: Any) -> Any:
        answer = self.client.get(path, query_string=query, headers=JSON)
        assert answer.status_code == status, answer.text
        return answer.json

    def post(self, path: str, status: int = 200, **fields: Any) -> Any:
        """A form sent by a script."""
        answer = self.client.post(path, data=fields, headers=JSON | {"X-CSRFToken": self.token})
        assert answer.status_code == status, answer.text
        return answer.json

    def form(self, path: str, status: int = 302, **fields: Any) -> str:
        """A form sent by a person without a script."""
        answer = self.client.post(path, data=fields | {"csrf_token": self.token})
        assert answer.status_code == status, answer.text
        return answer.text

    def send(self, url: str, status: int = 200, **body: Any) -> Any:
        answer = self.client.post(url, json=body, headers=JSON | {"X-CSRFToken": self.token})
        assert answer.status_code == status, answer.text
        return answer.json

    def find(self, name: str, folder: str = "") -> str:
        """The id of an item."""
        path = f"/admin/drive/{folder}" if folder else "/admin/drive"
        return next(i["id"] for i in self.json(path)["items"] if i["name"] == name)


def make_jpeg(colour: str = "teal", size: tuple[int, int] = (300, 200)) -> bytes:
    buffer = BytesIO()
    Picture.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


# In the order that people expect, whatever OneDrive's own is.
ODD_NAMES = (
    "_last.txt",
    "😀 moon.txt",
    "2 boats.txt",
    "010 boats.txt",
    "Æther.txt",
    "Äpfel.txt",
    "apple.txt",
    "apricot.txt",
    "Łódź.txt",
    "Lofoten.txt",
    "shot.txt",
    "shot 2.txt",
    "shot 10.txt",
    "shot-2.txt",
    "Zebra.txt",
    "Ярмарка.txt",
    "あ.txt",
    "𠮷野.txt",
)


def add_image(
    site: Site, item_id: str, state: str = "published", title: str = "Boats", **facts: Any
) -> int:
    """An image of the hub that came from a file; returns its group's number."""
    with site.session() as session:
        account = session.query(DriveAccount).one()
        group = Group(
            title=title,
            state=state,
            sort_key=order.make_first_sort_key(session),
            next_image_number=2,
        )
        session.add(group)
        session.flush()
        session.add(
            Image(
                group_id=group.id,
                number=1,
                position=1,
                name="front.jpg",
                drive_account_id=account.id,
                drive_item_id=item_id,
                **facts,
            )
        )
        session.flush()
        groups.refresh_group(session, group.id)
        return group.id


def list_log(browser: Browser) -> list[str]:
    """The sentences of the log, from new to old."""
    with browser.site.session() as session:
        entries = session.query(AuditEntry).order_by(AuditEntry.id.desc())
        return [audit.describe(entry) for entry in entries]
