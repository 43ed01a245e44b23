"""The shortlists of share links: marked and sent by visitors, read and used by admins."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from imagehub.clients.channels import Notice
from imagehub.database import now_utc
from imagehub.domain.library import series_edit, trash
from imagehub.domain.sharing import links, shortlists
from imagehub.domain.site.letters import write_enquiry
from imagehub.models import Enquiry, Group, Series, ShareLink, ShareMark
from imagehub.translator import get_translator
from imagehub.wiring import get_settings
from tests.admin.pages import send as send_act
from tests.fixtures.database import count_statements
from tests.fixtures.site import Site, read_csrf_token
from tests.gallery.test_enquiries import write
from tests.gallery.test_shared import make_share, read_address, unlock

TITLES = ("Ember", "Waves", "Dunes")


@pytest.fixture
def works(site: Site) -> list[int]:
    numbers = [site.add_group(state="draft") for _ in TITLES]
    with site.session() as session:
        for number, title in zip(numbers, TITLES, strict=True):
            session.get_one(Group, number).title = title
    return numbers


@pytest.fixture
def path(site: Site, works: list[int]) -> str:
    return make_share(site, works, takes_lists=True, title="For the museum")


def mark(
    client: FlaskClient, path: str, work: int, marked: str = "yes", seen_on: str = "", **more: str
) -> TestResponse:
    form = {
        "csrf_token": read_csrf_token(client, seen_on or path),
        "work": str(work),
        "marked": marked,
    }
    return client.post(f"{path}/marks", data=form | more)


def read_list(client: FlaskClient, path: str) -> list[tuple[str, str]]:
    """The works and notes on the page of a visitor's list."""
    page = client.get(f"{path}/list").text
    notes = re.findall(r'name="line-\d+" value="([^"]*)"', page)
    return list(zip(re.findall(r'<h2 dir="auto">([^<]+)</h2>', page), notes, strict=True))


def send(site: Site, client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    return write(site, f"{path}/list", client, **({"message": ""} | fields))


def list_received(site: Site) -> list[tuple[str, str, int]]:
    with site.session() as session:
        found = session.scalars(select(Enquiry).order_by(Enquiry.id))
        return [(one.state, one.name, one.work_count) for one in found]


# --- Visitors -------------------------------------------------------------------------------------


def test_marks_survive_a_reload_without_a_script_and_belong_to_one_browser(
    site: Site, works: list[int], path: str
) -> None:
    client = site.client()
    assert "On my list: Ember" in client.get(path).text
    answer = mark(client, path, works[2])
    assert (answer.status_code, answer.location) == (303, f"{path}#work-{works[2]}")
    assert mark(client, path, works[0], back="work").location == f"{path}/{works[0]}"
    # In the order of the link, not of the marking.
    assert read_list(client, path) == [("Ember", ""), ("Dunes", "")]
    assert "2 works on my list" in client.get(path).text
    assert client.get(f"{path}/{works[2]}").text.count('aria-pressed="true"') == 1
    assert read_list(site.client(), path) == []
    mark(client, path, works[0], marked="")
    assert read_list(client, path) == [("Dunes", "")]


def test_a_script_marks_and_notes_without_leaving_the_page(
    site: Site, works: list[int], path: str
) -> None:
    client = site.client()
    form = {"csrf_token": read_csrf_token(client, path), "work": str(works[0]), "marked": "yes"}
    answer = client.post(f"{path}/marks", data=form, headers={"Accept": "application/json"})
    assert answer.json == {"count": 1, "words": "1 work on my list"}
    # A double click is one mark.
    assert mark(client, path, works[0]).status_code == 303
    form = {"csrf_token": form["csrf_token"], f"line-{works[0]}": " For room 2\n", "line-999": "x"}
    accept = {"Accept": "application/json"}
    assert client.post(f"{path}/list/lines", data=form, headers=accept).json == {"is_saved": True}
    assert read_list(client, path) == [("Ember", "For room 2")]
    form[f"line-{works[0]}"] = "n" * 501
    assert client.post(f"{path}/list/lines", data=form, headers=accept).status_code == 422
    page = client.post(f"{path}/list/lines", data=form)
    assert page.status_code == 422
    assert re.search(rf'id="line-{works[0]}-fault">.*?Use at most 500 characters', page.text, re.S)
    assert f'value="{"n" * 501}"' in page.text


def test_long_notes_on_many_works_are_saved(site: Site, works: list[int], path: str) -> None:
    client, note = site.client(), "é" * shortlists.MAX_LINE_CHARS
    mark(client, path, works[0])
    others = range(10_000, 10_000 + shortlists.MAX_WORKS - 1)
    form = {f"line-{number}": note for number in (works[0], *others)}
    form["csrf_token"] = read_csrf_token(client, path)
    assert client.post(f"{path}/list/lines", data=form).status_code == 303
    assert read_list(client, path) == [("Ember", note)]


def test_removing_a_work_from_the_list_keeps_the_notes_and_what_was_typed(
    site: Site, works: list[int], path: str
) -> None:
    client = site.client()
    for work in works:
        mark(client, path, work)
    more = {"back": "list", f"line-{works[1]}": "The large one", "name": "Mara", "message": "Hi"}
    page = mark(client, path, works[0], marked="", **more)
    assert page.status_code == 200
    assert 'value="Mara"' in page.text
    assert "Hi</textarea>" in page.text
    assert read_list(client, path) == [("Waves", "The large one"), ("Dunes", "")]


def test_a_list_arrives_as_an_enquiry_and_the_marks_are_gone(
    site: Site, works: list[int], path: str
) -> None:
    client = site.client()
    mark(client, path, works[0])
    mark(client, path, works[1])
    answer = send(site, client, path, **{f"line-{works[1]}": "For room 2"})
    assert (answer.status_code, answer.location) == (303, f"{path}/list/sent")
    assert "Your list has arrived." in client.get(answer.location).text
    assert read_list(client, path) == []
    with site.session() as session:
        (one,) = session.scalars(select(Enquiry))
        assert (one.state, one.name, one.work, one.share_id) == ("new", "Mara", "For the museum", 1)
        assert [(w.group_id, w.title, w.line) for w in one.works] == [
            (works[0], "Ember", ""),
            (works[1], "Waves", "For room 2"),
        ]
        letter = write_enquiry(one, get_settings(), get_translator("en"), now_utc())
    assert isinstance(letter, Notice)
    assert letter.subject.endswith("Shortlist from “For the museum”")
    assert "> 1. Ember\n>\n> 2. Waves\n> For room 2\n" in letter.text
    assert letter.reply_to == "mara@example.org"


def test_a_list_holds_only_what_the_link_shows_when_it_is_sent(
    site: Site, works: list[int], path: str
) -> None:
    other = site.add_group()
    client = site.client()
    assert mark(client, path, other).status_code == 404
    for work in works:
        mark(client, path, work)
    with site.session() as session:
        trash.trash_groups(session, [works[1]], None)
    assert [title for title, _ in read_list(client, path)] == ["Ember", "Dunes"]
    # The number of a work that is not marked is nothing but a stray note.
    send(site, client, path, **{f"line-{other}": "That too"})
    assert list_received(site) == [("new", "Mara", 2)]


@pytest.mark.parametrize("way", ["revoked", "over", "off", "locked"])
def test_a_link_that_does_not_open_or_has_lists_off_takes_none(
    site: Site, works: list[int], way: str
) -> None:
    path = make_share(site, works, takes_lists=True, password="open sesame")
    client = site.client()
    token = read_csrf_token(client, path)
    assert unlock(client, path, "open sesame") == 303
    mark(client, path, works[0])
    with site.session() as session:
        share = session.get_one(ShareLink, 1)
        if way == "revoked":
            links.revoke_share(session, 1)
        elif way == "over":
            share.expires_at = share.created_at
        elif way == "off":
            links.set_takes_lists(session, 1, False)
    if way == "locked":
        client.delete_cookie("hub")
        token = read_csrf_token(client, path)
    for end in ("marks", "list", "list/lines"):
        answer = client.post(f"{path}/{end}", data={"csrf_token": token, "work": works[1]})
        assert answer.status_code == (404 if way in ("off", "locked") else 410), end
    assert client.get(f"{path}/list").status_code in (302, 404, 410)
    assert "data-mark" not in client.get(path).text
    assert list_received(site) == []


def test_a_list_without_works_or_with_wrong_fields_is_not_sent(
    site: Site, works: list[int], path: str
) -> None:
    client = site.client()
    mark(client, path, works[0])
    answer = send(site, client, path, email="mara@", name="", **{f"line-{works[0]}": "Room 2"})
    assert answer.status_code == 422
    assert 'id="email-fault"' in answer.text
    assert 'value="Room 2"' in answer.text
    form = client.get(f"{path}/list").text
    with site.session() as session:
        session.query(ShareMark).delete()
    token = form.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    values = {"csrf_token": token, "name": "Mara", "email": "mara@example.org"}
    answer = client.post(f"{path}/list", data=values)
    assert answer.status_code == 422
    assert "Your list is empty." in answer.text
    assert list_received(site) == []


def test_what_looks_like_spam_is_kept_apart_and_senders_are_throttled(
    site: Site, works: list[int], path: str
) -> None:
    client = site.client()
    statuses = []
    for turn in range(9):
        mark(client, path, works[turn % 3])
        statuses.append(send(site, client, path, website="x", message=f"No {turn}").status_code)
    assert statuses[:5] == [303] * 5
    assert 429 in statuses[5:]
    assert {state for state, _, _ in list_received(site)} == {"spam"}
    assert "No shortlists yet" in site.signed_in_client().get("/admin/shares/1/lists").text


def test_marks_are_bounded_and_end(
    site: Site, works: list[int], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortlists, "MAX_WORKS", 2)
    monkeypatch.setattr(shortlists, "MAX_MARKS_OF_SHARE", 3)
    client = site.client()
    assert [mark(client, path, work).status_code for work in works] == [303, 303, 422]
    other = site.client()
    assert [mark(other, path, work).status_code for work in works[:2]] == [303, 429]
    with site.session() as session:
        one = session.scalars(select(ShareMark).where(ShareMark.group_id == works[1])).one()
        one.changed_at = now_utc() - shortlists.KEPT - timedelta(minutes=1)
    with site.session() as session:
        assert shortlists.delete_old_marks(session) == 1
    assert [title for title, _ in read_list(client, path)] == ["Ember"]


def test_a_page_of_marks_costs_the_same_number_of_statements(
    site: Site, works: list[int], path: str
) -> None:
    client = site.client()
    mark(client, path, works[0])
    few = count_list_statements(site, client, path)
    for work in works[1:]:
        mark(client, path, work)
    assert count_list_statements(site, client, path) == few
    assert few <= 12


def count_list_statements(site: Site, client: FlaskClient, path: str) -> int:
    with site.app.app_context(), count_statements() as statements:
        client.get(f"{path}/list")
    return len(statements)


def test_a_link_to_a_series_takes_works_of_its_parts_and_no_others(
    site: Site, works: list[int]
) -> None:
    with site.session() as session:
        series = series_edit.create_series(session, "Coast", works[:1])
        series_edit.create_series(session, "Ebb", [works[1], works[0]], series.id)
        number = series.id
    path = make_share(site, [], takes_lists=True, series_id=number)
    client = site.client()
    seen_on = f"{path}/{works[0]}"
    answers = [mark(client, path, work, seen_on=seen_on) for work in reversed(works)]
    assert [answer.status_code for answer in answers] == [404, 303, 303]
    assert [title for title, _ in read_list(client, path)] == ["Ember", "Waves"]
    assert '<span dir="auto">Coast</span></a></p>' in client.get(f"{path}/list").text
    assert "2 works on my list" in client.get(path).text
    send(site, client, path)
    with site.session() as session:
        one = session.scalars(select(Enquiry)).one()
        assert (one.work, one.work_count) == ("Coast", 2)


# --- Admins ---------------------------------------------------------------------------------------


@pytest.fixture
def received(site: Site, works: list[int], path: str) -> Sequence[int]:
    client = site.client()
    for work in works[:2]:
        mark(client, path, work)
    send(site, client, path, message="For spring", **{f"line-{works[0]}": "For room 2"})
    return works[:2]


def test_an_admin_sees_lists_beside_the_link_and_in_the_inbox(
    site: Site, received: Sequence[int]
) -> None:
    client = site.signed_in_client()
    assert 'href="/admin/shares/1/lists"' in client.get("/admin/shares").text
    page = client.get("/admin/shares/1/lists").text
    for words in ("Mara", "mara@example.org", "For spring", "Ember", "Waves", "For room 2"):
        assert words in page
    assert site.find_key(received[0], 1, 480) in page
    inbox = client.get("/admin/enquiries").text
    assert "Shortlist of 2 works · For the museum" in inbox
    letter = client.get("/admin/enquiries/1").text
    assert "For room 2" in letter
    assert site.find_key(received[1], 1, 480) in letter
    exported = send_act(client, "/admin/enquiries/export", enquiry="1").json
    assert exported["enquiries"][0]["works"][0] == {
        "number": received[0], "title": "Ember", "line": "For room 2"
    }  # fmt: skip


def test_a_new_link_of_a_list_has_the_options_of_its_link(site: Site, works: list[int]) -> None:
    path = make_share(
        site, works, takes_lists=True, password="open sesame", may_download=True, has_mark=False
    )
    end = now_utc() + timedelta(days=3)
    with site.session() as session:
        session.get_one(ShareLink, 1).expires_at = end
    visitor = site.client()
    assert unlock(visitor, path, "open sesame") == 303
    mark(visitor, path, works[1])
    send(site, visitor, path)
    admin = site.signed_in_client()
    send_act(admin, "/admin/enquiries/1/share")
    made = read_address(admin.get("/admin/shares"))
    client = site.client()
    assert "Waves" not in client.get(made).text
    assert unlock(client, made, "open sesame") == 303
    page = client.get(made).text
    assert "Waves" in page
    assert "Ember" not in page
    with site.session() as session:
        share = session.get_one(ShareLink, 2)
        assert share.title == "Shortlist of Mara"
        assert (share.may_download, share.takes_lists, share.has_mark) == (True, True, False)
        assert share.expires_at == end


def test_a_list_becomes_a_series_in_its_order_without_deleted_works(
    site: Site, received: Sequence[int]
) -> None:
    admin = site.signed_in_client()
    answer = send_act(admin, "/admin/enquiries/1/series")
    assert "Shortlist of Mara" in admin.get(answer.location).text
    with site.session() as session:
        assert session.query(Series).one().state == "draft"
        trash.trash_groups(session, list(received), None)
    refused = send_act(admin, "/admin/enquiries/1/series")
    assert refused.status_code == 303
    page = admin.get(refused.location).text
    assert "None of these works is in the library any more." in page
    assert "(deleted)" in page


def test_lists_are_turned_off_and_on_for_one_link(
    site: Site, path: str, received: Sequence[int]
) -> None:
    admin = site.signed_in_client()
    assert send_act(admin, "/admin/shares/1/lists/off").status_code == 303
    assert "data-mark" not in site.get(path).text
    assert "For room 2" in admin.get("/admin/shares/1/lists").text
    assert send_act(admin, "/admin/shares/1/lists/on").status_code == 303
    assert "data-mark" in site.get(path).text
    log = admin.get("/admin/activity").text
    assert "Turned off shortlists for the share link “For the museum”." in log
