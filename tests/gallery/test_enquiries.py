"""The forms that visitors write with, and what becomes of what they send."""

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from imagehub.database import now_utc
from imagehub.domain.enquiries import inbox, spam
from imagehub.domain.site import pages
from imagehub.errors import InvalidInputError
from imagehub.gallery import enquiries
from imagehub.models import Enquiry, Group, Page
from tests.fixtures.site import Site, make_site, read_csrf_token

LETTER = {"name": "Mara", "email": "mara@example.org", "message": "Is it still available?"}


@pytest.fixture
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("open"), enquiries="on")


@pytest.fixture
def work(open_site: Site) -> int:
    return add_work(open_site)


def add_work(site: Site, **values: str) -> int:
    number = site.add_group()
    with site.session() as session:
        group = session.get_one(Group, number)
        group.title, group.availability = "Ember", "available"
        for name, value in values.items():
            setattr(group, name, value)
    return number


def write(
    site: Site,
    path: str = "/contact",
    client: FlaskClient | None = None,
    waited: float = 60.0,
    **fields: Any,
) -> TestResponse:
    """Open a form, fill it in and send it as a browser does, some seconds later."""
    client = client or site.client()
    html = client.get(path).text
    moment, _, _ = re.findall(r'name="began" value="([^"]+)"', html)[0].partition(".")
    moment = str(int(moment) - int(waited * 1000))
    with site.app.app_context():
        signature = enquiries.get_signing_keys().sign("enquiry forms", moment)
    token = html.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    form = {"csrf_token": token, "began": f"{moment}.{signature}", "website": "", **LETTER}
    return client.post(path, data=form | fields)


def list_kept(site: Site) -> list[Enquiry]:
    with site.session() as session:
        found = session.scalars(select(Enquiry).order_by(Enquiry.id)).all()
        session.expunge_all()
        return list(found)


# --- The forms ------------------------------------------------------------------------------------


def test_no_form_is_there_until_enquiries_are_on(site: Site) -> None:
    number = add_work(site)
    page = site.get(site.get(f"/groups/{number}").location).text
    assert "enquire" not in page
    assert "/contact" not in page
    for path in ("/contact", "/contact/sent", f"/groups/{number}/enquire"):
        assert site.get(path).status_code == 404


@pytest.mark.parametrize(
    ("values", "is_linked"),
    [
        ({"availability": "available"}, True),
        ({"availability": "reserved"}, False),
        ({"availability": "sold", "price_shown": "request"}, False),
        ({"availability": "", "price_shown": "request"}, True),
        ({"availability": ""}, False),
    ],
)
def test_the_page_of_an_available_work_links_to_its_form_and_is_still_kept(
    open_site: Site, values: dict[str, str], is_linked: bool
) -> None:
    number = add_work(open_site, **values)
    answer = open_site.get(open_site.get(f"/groups/{number}").location)
    assert (f'href="/groups/{number}/enquire"' in answer.text) == is_linked
    assert 'href="/contact"' in answer.text
    assert "csrf" not in answer.text
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "public, no-cache"


def test_an_enquiry_about_a_work_arrives_and_the_browser_has_no_session_afterwards(
    open_site: Site, work: int
) -> None:
    client = open_site.client()
    form = client.get(f"/groups/{work}/enquire", headers={"Accept-Language": "de"})
    assert form.headers["Cache-Control"] == "private, no-store"
    assert "Ember" in form.text
    answer = write(open_site, f"/groups/{work}/enquire", client)
    assert (answer.status_code, answer.location) == (303, f"/contact/sent?work={work}")
    assert client.get_cookie("session") is None
    thanks = client.get(answer.location).text
    assert "Your message has arrived." in thanks
    assert f'href="/groups/{work}/ember"' in thanks
    (kept,) = list_kept(open_site)
    assert (kept.state, kept.group_id, kept.work) == ("new", work, "Ember")
    assert (kept.name, kept.email, kept.message) == tuple(LETTER.values())


def test_a_work_that_visitors_do_not_see_has_no_form(open_site: Site) -> None:
    draft = open_site.add_group(state="draft")
    assert open_site.get(f"/groups/{draft}/enquire").status_code == 404
    assert write(open_site).status_code == 303
    assert open_site.get(f"/contact/sent?work={draft}").status_code == 404


def test_a_form_without_its_token_is_refused(open_site: Site) -> None:
    assert open_site.post("/contact", data=LETTER).status_code == 400
    assert list_kept(open_site) == []


def test_errors_stand_beside_their_fields_and_nothing_typed_is_lost(open_site: Site) -> None:
    answer = write(open_site, name=" \N{ZERO WIDTH SPACE}", email="mara@", message="Hello <b>")
    assert answer.status_code == 422
    for field, words in (("name", "Enter your name."), ("email", "Enter an e-mail address")):
        assert re.search(rf'id="{field}-fault">.*?{words}', answer.text, re.S)
        assert re.search(rf'id="{field}"[^>]* aria-describedby="{field}-fault"', answer.text)
    assert "message-fault" not in answer.text
    assert "Hello &lt;b&gt;</textarea>" in answer.text
    assert 'value="mara@"' in answer.text
    assert list_kept(open_site) == []
    # The moment when it was first opened goes on counting.
    assert len(re.findall(r'name="began" value="\d+\.[0-9a-f]{64}"', answer.text)) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "n" * 201),
        ("message", "m" * 5001),
        ("email", "a@b"),
        ("email", "mara@example.org\r\nBcc: all@example.org"),
        ("email", "mara@example.org, eve@example.org"),
        ("email", '"x"@example.org'),
        ("email", f"{'a' * 250}@example.org"),
    ],
)
def test_what_is_too_long_or_no_address_is_refused(open_site: Site, field: str, value: str) -> None:
    assert write(open_site, **{field: value}).status_code == 422


def test_a_long_address_takes_no_time() -> None:
    start = time.process_time()
    with pytest.raises(InvalidInputError):
        inbox.tidy_letter("Mara", f"a@{'é.' * 49_000}example", "Hello")
    assert time.process_time() - start < 0.1


def test_an_address_is_kept_as_a_header_can_hold_it(open_site: Site) -> None:
    assert write(open_site, email=" info@müller.example ", name="M\r\nBcc: x").status_code == 303
    (kept,) = list_kept(open_site)
    assert (kept.email, kept.name) == ("info@xn--mller-kva.example", "M Bcc: x")


def test_the_forms_show_the_text_for_contact_and_link_to_privacy(
    open_site: Site, work: int
) -> None:
    assert (
        "/pages/" not in open_site.get("/contact").text.split("<main", 1)[1].split("</main", 1)[0]
    )
    with open_site.session() as session:
        for kind, state in (("contact", "published"), ("privacy", "published"), ("about", "draft")):
            text = f"**Studio** {kind}"
            session.add(Page(kind=kind, title=kind.title(), slug=kind, text=text, state=state))
    page = open_site.get("/contact").text
    assert "<strong>Studio</strong> contact" in page
    assert page.index("Studio") < page.index('id="message"')
    for path in ("/contact", f"/groups/{work}/enquire"):
        form = open_site.get(path).text.split('class="enquiry-privacy"', 1)[1]
        assert 'href="/pages/privacy"' in form
    assert "Studio" not in open_site.get(f"/groups/{work}/enquire").text


@pytest.mark.parametrize("place", ["header", "footer"])
def test_one_link_leads_to_contact_and_its_page_has_the_form(open_site: Site, place: str) -> None:
    assert list_contacts(open_site) == [("/contact", "Contact")]
    with open_site.session() as session:
        page = pages.create_page(session, "contact", "Write to me", "**Studio**")
        pages.set_places(session, page.id, [place])
        number = page.id
    assert list_contacts(open_site) == [("/contact", "Contact")]
    with open_site.session() as session:
        pages.set_state(session, number, pages.PUBLISHED)
    assert list_contacts(open_site) == [("/contact", "Write to me")]
    with open_site.session() as session:
        second = pages.create_page(session, "contact", "Press", "By phone").id
        pages.set_state(session, second, pages.PUBLISHED)
    links = [("/contact", "Write to me"), ("/pages/contact-2", "Press")]
    assert sorted(list_contacts(open_site)) == links
    form = open_site.get("/contact").text
    assert "<strong>Studio</strong>" in form
    assert "By phone" not in form
    with open_site.session() as session:
        for one in (number, second):
            pages.set_places(session, one, [])
    assert list_contacts(open_site) == [("/contact", "Contact")]


def test_an_error_page_leads_to_the_form(open_site: Site) -> None:
    assert '<a href="/contact"' in open_site.get("/pages/none").text


def test_without_the_form_the_menu_leads_to_the_page_for_contact(site: Site) -> None:
    with site.session() as session:
        page = pages.create_page(session, "contact", "Contact")
        pages.set_state(session, page.id, pages.PUBLISHED)
    assert list_contacts(site) == [("/pages/contact", "Contact")]


def list_contacts(site: Site) -> list[tuple[str, str]]:
    """List the links of the front page to contact pages, with their words."""
    found = re.findall(r'<a href="([^"]*/contact[^"]*)"[^>]*>(.*?)</a>', site.get("/").text)
    return [(url, re.sub("<.*>", "", words).strip()) for url, words in found]


# --- Spam -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "waited", "reason"),
    [
        ({"website": "https://x.example"}, 60.0, "trap"),
        ({}, 1.0, "fast"),
        ({"began": "123.abc"}, 60.0, "fast"),
        ({"message": "See http://a.example http://b.example www.c.example"}, 60.0, "links"),
        ({"message": "https://a.example"}, 60.0, "links"),
        ({"name": "www.a.example"}, 60.0, "links"),
        ({"message": "I saw it at https://a.example last week"}, 60.0, ""),
    ],
)
def test_what_looks_like_spam_is_kept_as_spam(
    open_site: Site, fields: dict[str, str], waited: float, reason: str
) -> None:
    assert write(open_site, waited=waited, **fields).status_code == 303
    (kept,) = list_kept(open_site)
    assert (kept.state, kept.spam_reason) == ("spam" if reason else "new", reason)


def test_a_long_text_that_comes_again_from_elsewhere_is_spam(open_site: Site) -> None:
    text = "We offer the best frames of the whole country at the best price. " * 2
    for email, message in (
        ("a@example.org", text),
        ("b@example.org", f" {text.upper()}"),
        ("a@example.org", "Is this work available?"),
        ("b@example.org", "Is this work available?"),
    ):
        assert write(open_site, email=email, message=message).status_code == 303
    assert [one.spam_reason for one in list_kept(open_site)] == ["", "repeated", "", ""]


def test_a_form_that_is_sent_twice_is_one_enquiry(open_site: Site, work: int) -> None:
    for path in ("/contact", "/contact", f"/groups/{work}/enquire"):
        assert write(open_site, path).status_code == 303
    assert [one.group_id for one in list_kept(open_site)] == [None, work]


# --- Limits ---------------------------------------------------------------------------------------


def test_one_address_has_to_wait_after_some_enquiries_and_keeps_its_text(open_site: Site) -> None:
    statuses = []
    for number in range(7):
        answer = write(open_site, message=f"Question {number}")
        statuses.append(answer.status_code)
    assert statuses[:5] == [303] * 5
    assert statuses[-1] == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Too many messages were sent just now." in answer.text
    assert "Question 6</textarea>" in answer.text
    other = open_site.client()
    other.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert write(open_site, client=other, message="From elsewhere").status_code == 303


def test_all_visitors_together_have_a_limit(open_site: Site) -> None:
    with open_site.session() as session:
        for number in range(inbox.MAX_PER_HOUR):
            text = {"name": "x", "email": "x@example.org", "message": "x"}
            session.add(Enquiry(**text, text_hash=str(number)))
    assert write(open_site).status_code == 429
    with open_site.session() as session:
        session.execute(update(Enquiry).values(created_at=now_utc() - timedelta(hours=2)))
    assert write(open_site, message="Later").status_code == 303


# --- What is kept ---------------------------------------------------------------------------------


def test_no_log_and_no_kept_page_has_what_was_written(
    open_site: Site, work: int, caplog: pytest.LogCaptureFixture
) -> None:
    page = open_site.get(f"/groups/{work}").location
    open_site.get(page)
    with caplog.at_level("DEBUG"):
        write(open_site, f"/groups/{work}/enquire", waited=1)
        write(open_site, email="wrong@@")
    for words in LETTER.values():
        assert words not in caplog.text
    with open_site.session() as session:
        session.execute(update(Enquiry).values(note="Secret"))
    assert "Mara" not in open_site.get(page).text


def test_a_share_links_to_the_form_of_a_published_work_only(open_site: Site, work: int) -> None:
    from tests.gallery.test_shared import make_share

    draft = open_site.add_group(state="draft")
    with open_site.session() as session:
        session.get_one(Group, draft).availability = "available"
    path = make_share(open_site, [work, draft])
    assert f'href="/groups/{work}/enquire"' in open_site.get(f"{path}/{work}").text
    assert "/enquire" not in open_site.get(f"{path}/{draft}").text


def test_an_enquiry_outlives_its_work_and_ends_with_its_time(either_site: Site) -> None:
    """On both databases: the work is deleted, then the time is over."""
    number = either_site.add_group()
    with either_site.session() as session:
        now = now_utc()
        for state, days in (("new", 1), ("new", 366), ("spam", 29), ("spam", 31), ("answered", 99)):
            session.add(
                Enquiry(
                    **LETTER,
                    text_hash=spam.hash_text(f"{state}{days}"),
                    state=state,
                    group_id=number,
                    created_at=now - timedelta(days=days),
                )
            )
    with either_site.session() as session:
        assert inbox.delete_expired(session, 12) == 2
        assert inbox.delete_expired(session, 12) == 0
    assert [one.state for one in list_kept(either_site)] == ["new", "spam", "answered"]
    with either_site.session() as session:
        session.delete(session.get_one(Group, number))
    assert {one.group_id for one in list_kept(either_site)} == {None}


def test_enquiries_are_taken_in_on_both_databases(either_site: Site) -> None:
    with either_site.session() as session:
        for number in range(2):
            letter = inbox.tidy_letter("Ada Ö", "ada@example.org", f"Hello 🌊 {number}\r\n")
            signs = inbox.Signs("", 30.0)
            keys = _find_keys(either_site)
            inbox.receive(session, keys, letter, signs, address="2001:db8::1")
            session.commit()
        found = inbox.list_enquiries(session, "new", "🌊 ada", None).enquiries
        assert [one.message for one in found] == ["Hello 🌊 1", "Hello 🌊 0"]
        assert inbox.list_enquiries(session, "new", "100%", None).enquiries == []


def _find_keys(site: Site) -> Any:
    return enquiries.get_signing_keys(site.app)


def test_the_token_of_the_form_is_one_for_this_browser(open_site: Site) -> None:
    stolen = read_csrf_token(open_site.client(), "/contact")
    client = open_site.client()
    client.get("/contact")
    assert client.post("/contact", data=LETTER | {"csrf_token": stolen}).status_code == 400
