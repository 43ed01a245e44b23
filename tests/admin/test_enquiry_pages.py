"""The inbox in the admin pages."""

import json
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from imagehub.domain.enquiries import inbox, spam
from imagehub.models import AuditEntry, Enquiry
from tests.admin.pages import follow, read_toasts, send
from tests.fixtures.site import Site

INBOX = "/admin/enquiries"


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


def add(site: Site, name: str, **values: object) -> int:
    text = {"email": f"{name.casefold()}@example.org", "message": f"Hello from {name}"}
    with site.session() as session:
        one = Enquiry(name=name, text_hash=spam.hash_text(name), **text | values)
        session.add(one)
        session.flush()
        return one.id


def read_names(html: str) -> list[str]:
    return re.findall(r'class="letter-name" dir="auto">([^<]*)<', html)


def read_states(site: Site) -> dict[str, str]:
    with site.session() as session:
        return {one.name: one.state for one in session.scalars(select(Enquiry))}


def test_the_inbox_lists_what_is_new_and_the_menu_counts_it(
    site: Site, client: FlaskClient
) -> None:
    assert "rail-count" not in client.get(INBOX).text
    for name, state in (("Ada", "new"), ("Bo", "answered"), ("Cy", "spam"), ("Di", "new")):
        add(site, name, state=state)
    page = client.get(INBOX).text
    assert read_names(page) == ["Di", "Ada"]
    assert re.search(r'class="rail-count">2<span class="unseen"> new</span>', page)
    assert read_names(client.get(f"{INBOX}?state=spam").text) == ["Cy"]
    assert read_names(client.get(f"{INBOX}?state=all").text) == ["Di", "Cy", "Bo", "Ada"]
    assert read_names(client.get(f"{INBOX}?state=all&q=bo@EXAMPLE hello").text) == ["Bo"]
    assert "2 new enquiries" in client.get("/admin/").text


def test_a_long_inbox_has_pages(site: Site, client: FlaskClient) -> None:
    for number in range(inbox.PER_PAGE + 2):
        add(site, f"N{number}")
    first = client.get(INBOX).text
    assert len(read_names(first)) == inbox.PER_PAGE
    older = re.search(rf'href="({INBOX}\?[^"]*before=\d+)"', first)
    assert older is not None
    assert read_names(client.get(older[1].replace("&amp;", "&")).text) == ["N1", "N0"]


def test_an_enquiry_is_read_answered_and_reopened(site: Site, client: FlaskClient) -> None:
    work = site.add_group()
    number = add(
        site, "Ada", group_id=work, work="Ember & Ash", language="de", message="Hallo?\n<i>Ada</i>"
    )
    page = client.get(f"{INBOX}/{number}").text
    assert "Hallo?\n&lt;i&gt;Ada&lt;/i&gt;" in page
    assert f'href="/admin/library/{work}"' in page
    reply = re.search(r'href="(mailto:[^"]+)"', page)
    assert reply is not None
    parts = urlsplit(reply[1].replace("&amp;", "&"))
    fields = parse_qs(parts.query)
    assert unquote(parts.path) == "ada@example.org"
    assert fields["subject"] == ["Ihre Anfrage zu „Ember & Ash“"]
    assert fields["body"][0].endswith("Ada:\r\n> Hallo?\r\n> <i>Ada</i>")

    note = {"enquiry": str(number), "note": "Visit on Monday"}
    follow(client, send(client, f"{INBOX}/answered", INBOX, **note))
    assert read_states(site) == {"Ada": "answered"}
    page = client.get(f"{INBOX}/{number}").text
    assert "Visit on Monday</textarea>" in page
    assert "Answered</dt>" in page
    toast = read_toasts(client, INBOX)
    assert toast.count("<form") <= 1
    follow(client, send(client, f"{INBOX}/new", INBOX, enquiry=str(number)))
    assert read_states(site) == {"Ada": "new"}


def test_states_of_several_are_set_at_once_and_undone(site: Site, client: FlaskClient) -> None:
    numbers = [str(add(site, name)) for name in ("Ada", "Bo")]
    send(client, f"{INBOX}/spam", INBOX, enquiry=numbers)
    assert set(read_states(site).values()) == {"spam"}
    toast = read_toasts(client, INBOX)
    assert "2 enquiries are spam." in toast
    undo = re.search(r'action="([^"]+)".*?name="enquiry" value="([^"]+)"', toast, re.S)
    assert undo is not None
    follow(client, send(client, undo[1], INBOX, enquiry=undo[2]))
    assert set(read_states(site).values()) == {"new"}
    with site.session() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "refuse_enquiries"))
        assert [(one.count, one.subject) for one in entry] == [(2, "")]


def test_enquiries_are_deleted_for_good_after_a_question(site: Site, client: FlaskClient) -> None:
    numbers = [str(add(site, name)) for name in ("Ada", "Bo")]
    add(site, "Cy")
    asked = send(client, f"{INBOX}/delete", INBOX, enquiry=numbers)
    assert "Delete 2 enquiries permanently?" in asked.text
    assert len(read_states(site)) == 3
    follow(client, send(client, f"{INBOX}/delete", INBOX, enquiry=numbers, sure="yes"))
    assert list(read_states(site)) == ["Cy"]
    again = send(client, f"{INBOX}/delete", INBOX, enquiry=numbers, sure="yes")
    assert again.status_code == 303
    assert "There is no such enquiry." in read_toasts(client, INBOX)
    assert client.get(f"{INBOX}/{numbers[0]}").status_code == 404
    log = client.get("/admin/activity").text
    assert "Deleted 2 enquiries." in log
    assert "ada@example.org" not in log


def test_all_that_is_stored_is_exported(site: Site, client: FlaskClient) -> None:
    number = add(site, "Ada", note="Called back")
    answer = send(client, f"{INBOX}/export", INBOX, enquiry=str(number))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="enquiries.json"'
    (one,) = json.loads(answer.text)["enquiries"]
    columns = {column.name for column in Enquiry.__table__.columns}
    # Derived from the message, or about an admin.
    assert len(one) == len(columns - {"text_hash", "spam_reason", "user_id"})
    assert (one["email"], one["note"]) == ("ada@example.org", "Called back")


def test_an_act_without_a_selection_says_so(client: FlaskClient) -> None:
    send(client, f"{INBOX}/spam", INBOX)
    assert "Select enquiries first." in read_toasts(client, INBOX)


def test_a_note_that_is_too_long_stays_in_its_form(site: Site, client: FlaskClient) -> None:
    number = add(site, "Ada")
    path = f"{INBOX}/{number}"
    answer = send(client, f"{path}/note", path, note="n" * 5001)
    assert answer.status_code == 422
    assert "n" * 5001 in answer.text
    follow(client, send(client, f"{path}/note", path, note="Called"))
    assert "Called</textarea>" in client.get(path).text


@pytest.mark.parametrize("choice", ["on", ""])
def test_home_proposes_enquiries_until_somebody_has_chosen(
    site: Site, client: FlaskClient, choice: str
) -> None:
    number = site.add_group()
    assert "propose-enquiries" in client.get("/admin/").text
    send(client, "/admin/settings/enquiries", "/admin/", **({"enquiries": "on"} if choice else {}))
    assert "propose-enquiries" not in client.get("/admin/").text
    expected = 200 if choice else 404
    assert site.get(f"/groups/{number}/enquire").status_code == expected
