"""A group's page: the form without a script, and single fields as JSON."""

import re
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from imagehub.database import now_utc
from imagehub.domain.library.images import get_image
from imagehub.domain.library.tags import set_tags
from imagehub.models import AuditEntry, Group
from tests.admin.library import (
    LIST,
    read_fault,
    read_fields,
    read_log,
    read_value,
    send_json,
)
from tests.admin.pages import follow, send
from tests.fixtures.site import Site


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def group_id(site: Site) -> int:
    return site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_a_group_is_saved_as_a_form(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    fields = {"title": "Wave", "tags": "sea, winter", "edition": "3 of 10", "state": "draft"}
    was = {f"was-{name}": "" for name in fields} | {"was-state": "published"}
    answer = send(client, path, path, version="1", **fields, **was)
    assert answer.status_code == 303
    saved = read_fields(site, group_id)
    assert {name: saved[name] for name in fields} == fields
    assert read_log(client)[0] == "Edited “Wave”: Title, Edition, State, Tags."


def test_a_conflicting_form_shows_both_values(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    mine = {"version": "1", "title": "Mine", "was-title": ""}
    send(client, path, path, **mine)
    answer = send(client, path, path, **mine | {"title": "Yours"})
    assert answer.status_code == 409
    assert "Someone else has saved “Mine”." in answer.text
    assert 'name="title" value="Yours"' in answer.text
    assert read_fields(site, group_id)["title"] == "Mine"
    send(client, path, path, **{"version": "2", "title": "Yours", "was-title": "Mine"})
    assert read_fields(site, group_id)["title"] == "Yours"


def test_a_refused_form_keeps_its_values(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    long = "wave " * 70
    typed = {"title": long, "text": "Two\r\nlines", "tags": "sea", "medium": "Oil", "year": "1999"}
    was = {f"was-{name}": "" for name in typed}
    answer = send(client, path, path, version="1", **typed, **was)
    assert answer.status_code == 422
    assert "300 characters" in read_fault(answer.text, "title")
    for name, value in typed.items():
        assert read_value(answer.text, name) == value.replace("\r\n", "\n")
        assert read_value(answer.text, f"was-{name}") == ""
    assert read_fields(site, group_id)["medium"] == ""
    typed["title"] = "Wave"
    assert send(client, path, path, version="1", **typed, **was).status_code == 303
    assert read_fields(site, group_id)["text"] == "Two\nlines"
    tags = {"tags": "x" * 500, "was-tags": "sea", "edition": "3 of 10", "was-edition": ""}
    answer = send(client, path, path, version="2", **tags)
    assert (answer.status_code, read_value(answer.text, "edition")) == (422, "3 of 10")
    assert "at most 100 characters" in read_fault(answer.text, "tags")


def test_a_conflict_keeps_the_other_values(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    send(client, path, path, version="1", **{"title": "Theirs", "was-title": ""})
    mine = {"title": "Mine", "was-title": "", "medium": "Oil", "was-medium": ""}
    answer = send(client, path, path, version="1", **mine)
    assert (answer.status_code, read_value(answer.text, "medium")) == (409, "Oil")
    assert read_value(answer.text, "was-title") == "Theirs"


def test_a_refused_form_still_notices_conflicts(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    send(client, path, path, version="1", **{"medium": "Theirs", "was-medium": ""})
    mine = {"title": "x" * 301, "was-title": "", "medium": "Mine", "was-medium": ""}
    page = send(client, path, path, version="1", **mine).text
    names = ("title", "medium", "was-title", "was-medium")
    again = {name: read_value(page, name) for name in names} | {"title": "Short"}
    answer = send(client, path, path, version="2", **again)
    assert answer.status_code == 409
    assert "Someone else has saved “Theirs”." in read_fault(answer.text, "medium")


def test_single_fields_are_saved_by_json(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    body = {"version": 1, "changes": {"title": " Wave "}, "base": {"title": ""}}
    status, answer = send_json(client, f"{path}/save", body, path)
    assert (status, answer["version"], answer["fields"]["title"]) == (200, 2, "Wave")
    body["changes"] = {"title": "Other"}
    status, answer = send_json(client, f"{path}/save", body, path)
    assert status == 409
    assert answer["current"] == {"title": "Wave"}
    assert answer["yours"] == {"title": "Other"}
    assert answer["version"] == 2
    shot = {"version": 2, "changes": {"alt": "A wave", "role": "front"}, "base": {}}
    status, answer = send_json(client, f"{path}/shots/1/save", shot, path)
    assert (status, answer["fields"]) == (200, {"alt": "A wave", "role": "front"})
    long = {"version": 2, "changes": {"year": "y" * 41}, "base": {"year": ""}}
    status, answer = send_json(client, f"{path}/save", long, path)
    assert (status, answer["fields"]) == (422, {"year": "too long"})
    assert answer["detail"] == "This is longer than 40 characters."
    long = {"version": 2, "changes": {"alt": "a" * 1001}, "base": {"alt": "A wave"}}
    status, answer = send_json(client, f"{path}/shots/1/save", long, path)
    assert (status, answer["fields"]) == (422, {"alt": "too long"})


@pytest.mark.parametrize(
    "body", [None, [], {}, {"version": "1"}, {"version": 1, "changes": {"title": 5}}]
)
def test_an_invalid_edit_is_refused(client: FlaskClient, group_id: int, body: object) -> None:
    path = f"{LIST}/{group_id}"
    assert send_json(client, f"{path}/save", body, path)[0] == 422


def test_edits_cover_and_order_are_logged(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    site.add_group()
    send(client, path, path, version="1", **{"title": "Wave", "was-title": ""})
    words = {"version": 2, "changes": {"alt": "A wave"}, "base": {}}
    send_json(client, f"{path}/shots/2/save", words, path)
    page = client.get(path).text
    form = {"alt-1": "Crest", "was-alt-1": read_value(page, "alt-1"), "role-3": "back"}
    send(client, f"{path}/shots/set-cover", path, this="2", **form, **{"was-role-3": ""})
    send(client, f"{path}/shots/move-down", path, this="1")
    send(client, f"{path}/shots/move-down", path, this="1")
    # At the end it stays where it is, and nothing is told.
    send(client, f"{path}/shots/move-down", path, this="1")
    send(client, f"{LIST}/order", LIST, group=str(group_id))
    assert read_log(client)[:6] == [
        "Changed the position of “Wave” in the gallery.",
        "Changed the order of the shots of “Wave”.",
        "Changed the cover of “Wave”.",
        "Edited 2 shots of “Wave”: Alt text, Role.",
        "Edited “b.jpg” in “Wave”: Alt text.",
        "Edited “Wave”: Title.",
    ]


def test_a_year_that_is_none_is_refused_at_its_field(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    typed = {"year": "last summer", "was-year": "", "medium": "Oil", "was-medium": ""}
    answer = send(client, path, path, version="1", **typed)
    assert answer.status_code == 422
    assert "such as 2019 or 2019–2021" in read_fault(answer.text, "year")
    assert read_value(answer.text, "medium") == "Oil"
    typed["year"] = "2019 - 21"
    assert send(client, path, path, version="1", **typed).status_code == 303
    assert read_fields(site, group_id)["year"] == "2019–2021"


def test_tags_are_suggested_those_of_drafts_too(site: Site, client: FlaskClient) -> None:
    draft = site.add_group(state="draft")
    with site.session() as session:
        set_tags(session, session.get_one(Group, draft), ["Winter", "Wind", "100%", "Sea"])

    def suggest(words: str) -> list[str]:
        answer = client.get(f"{LIST}/tags", query_string={"q": words})
        return list(answer.json["tags"])

    assert suggest("win") == ["Wind", "Winter"]
    assert suggest("#WINT") == ["Winter"]
    assert suggest("100%") == ["100%"]
    assert suggest("%") == suggest("") == []
    assert site.get(f"{LIST}/tags?q=win").status_code == 302


def test_a_group_leads_to_those_before_and_after_it_in_the_gallery(
    site: Site, client: FlaskClient
) -> None:
    last, trashed, middle, first = (site.add_group(state=state) for state in (
        "draft", "published", "published", "draft"
    ))  # fmt: skip
    send(client, f"{LIST}/delete", LIST, group=trashed)

    def read_ways(number: int) -> dict[str, str]:
        page = client.get(f"{LIST}/{number}").text
        return {rel: url for url, rel in re.findall(r'<a href="([^"]+)" rel="(prev|next)"', page)}

    assert read_ways(first) == {"next": f"{LIST}/{middle}"}
    assert read_ways(middle) == {"prev": f"{LIST}/{first}", "next": f"{LIST}/{last}"}
    assert read_ways(last) == {"prev": f"{LIST}/{middle}"}


def test_edits_of_a_group_are_one_line_of_the_log(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"

    def save(where: str, version: int, **changes: str) -> None:
        body = {"version": version, "changes": changes, "base": {}}
        assert send_json(client, f"{path}{where}/save", body, path)[0] == 200

    save("", 1, title="Wave")
    save("", 2, medium="Oil")
    save("/shots/2", 3, alt="A wave")
    save("/shots/2", 4, role="back")
    assert read_log(client)[:2] == [
        "Edited “b.jpg” in “Wave”: Alt text, Role.",
        "Edited “Wave”: Title, Medium.",
    ]
    save("/shots/3", 5, alt="Its foam")
    save("", 6, year="1911")
    # What was done last comes first.
    log = read_log(client)
    assert log[:2] == [
        "Edited “Wave”: Title, Medium, Year.",
        "Edited 2 shots of “Wave”: Alt text, Role.",
    ]
    assert not any(line.startswith("Edited") for line in log[2:])
    assert "data-span" not in client.get("/admin/activity").text, "it all took less than a minute"


def test_the_line_of_several_edits_says_from_when_to_when(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    began = now_utc()
    for version in (1, 2, 3):
        body = {"version": version, "changes": {"title": f"Wave {version}"}, "base": {}}
        assert send_json(client, f"{path}/save", body, path)[0] == 200
        with site.session() as session:
            last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
            assert last is not None
            last.at -= timedelta(minutes=9 * (3 - version))
            end = last.at
    page = client.get("/admin/activity").text
    assert page.count("data-span") == 1
    (start, words, until) = re.findall(r"data-span>(.+?)</span>", page)[0].partition(" – ")
    assert words and until.endswith("</time>")
    times = [
        datetime.fromisoformat(text) for text in re.findall(r'datetime="(.+?)"', start + until)
    ]
    assert abs(times[0] - began + timedelta(minutes=18)) < timedelta(minutes=1)
    assert abs(times[1] - end) < timedelta(seconds=1)


def test_a_published_group_leads_to_the_gallery(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    body = {"version": 1, "changes": {"state": "draft"}, "base": {"state": "published"}}
    assert send_json(client, f"{path}/save", body, path)[1]["is_shown"] is False
    assert re.search(r'id="view-group"[^>]* hidden>', client.get(path).text)
    page = follow(client, send(client, f"{LIST}/publish", LIST, group=group_id)).text
    assert f'class="toast-link" href="/groups/{group_id}"' in page
    empty = site.add_group([], state="draft")
    page = follow(client, send(client, f"{LIST}/publish", LIST, group=empty)).text
    assert "1 group is published." in page and "toast-link" not in page
    both = [group_id, site.add_group()]
    send(client, f"{LIST}/unpublish", LIST, group=both)
    page = follow(client, send(client, f"{LIST}/publish", LIST, group=both)).text
    assert 'class="toast-link" href="/"' in page


def test_a_shot_names_the_colour_profile_that_was_assumed(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    with site.session() as session:
        get_image(session, group_id, 2).assumed_profile = "FOGRA39"
    page = client.get(f"{LIST}/{group_id}").text
    shots = page.split('data-shot="')[1:]
    assert [shot[0] for shot in shots if "data-assumed-profile" in shot] == ["2"]
    assert "CMYK without a profile; FOGRA39 assumed" in page
