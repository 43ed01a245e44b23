"""Acts on many groups of the library, without a script."""

import html
import re

import pytest
from flask.testing import FlaskClient

from imagehub.domain.library import order, search_index
from imagehub.models import Group
from tests.admin.library import (
    LIST,
    list_names,
    read_fields,
    read_log,
)
from tests.admin.pages import read_toasts, send
from tests.fixtures.site import Site


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def group_id(site: Site) -> int:
    return site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_groups_are_published_edited_joined_and_deleted_at_once(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    other = site.add_group(["z.jpg"])
    both = [str(group_id), str(other)]
    # What stands in the fields is for one act alone.
    send(client, f"{LIST}/unpublish", LIST, group=both, add_tags="winter", medium="Oil")
    assert read_fields(site, other)["state"] == "draft"
    assert (read_fields(site, other)["tags"], read_fields(site, other)["medium"]) == ("", "")
    send(client, f"{LIST}/publish", LIST, group=both)
    assert read_fields(site, other)["state"] == "published"
    send(client, f"{LIST}/edit", LIST, group=both, year="2026", medium="", add_tags="sea")
    assert (read_fields(site, other)["year"], read_fields(site, other)["tags"]) == ("2026", "sea")
    answer = send(client, f"{LIST}/edit", LIST, group=both)
    assert answer.status_code == 422
    assert "Fill in at least one field." in answer.text
    assert 'role="alert"' in answer.text
    send(client, f"{LIST}/delete", LIST, group=both)
    assert "The library is empty" in client.get(LIST).text
    assert client.get(f"{LIST}/{other}").status_code == 404
    send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=",".join(both))
    answer = send(client, f"{LIST}/join", LIST, group=both, sure="yes")
    assert answer.location == f"{LIST}/{group_id}"
    assert len(list_names(site, group_id)) == 4
    answer = send(client, f"{LIST}/delete", LIST)
    assert "Select groups first." in answer.text


def add_drafts(site: Site, count: int, title: str) -> None:
    """Without shots, which cost time."""
    with site.session() as session:
        first = order.make_first_sort_key(session)
        session.add_all(
            Group(title=title, state="draft", sort_key=first + n * order.SORT_STEP)
            for n in range(count)
        )
        session.commit()
        while search_index.fill_search(session):
            session.commit()


def read_form(page: str) -> dict[str, str]:
    """The hidden fields of the form that goes on."""
    form = page.split('class="section asked"', 1)[1]
    pairs = re.findall('<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name: html.unescape(value) for name, value in pairs}


def test_all_groups_of_a_list_are_edited_in_steps(site: Site, client: FlaskClient) -> None:
    add_drafts(site, 250, "Wave")
    add_drafts(site, 3, "Mill")
    page = client.get(f"{LIST}?filter=draft&q=wave").text
    assert 'name="all"' in page
    assert 'name="all"' not in client.get(f"{LIST}?q=mill").text
    form = {"all": "1", "list-filter": "draft", "list-q": "wave"}
    answer = send(client, f"{LIST}/publish", LIST, **form)
    assert "Publish 250 groups?" in answer.text
    assert "of the list “Unpublished” with the words “<bdi>wave</bdi>”" in answer.text

    def count_published() -> int:
        with site.session() as session:
            return session.query(Group).filter_by(state="published").count()

    assert count_published() == 0
    steps = []
    while answer.status_code == 200:
        answer = client.post(f"{LIST}/publish", data=read_form(answer.text))
        steps.append(count_published())
    assert 0 < steps[0] < 250
    assert steps[-1] == 250
    assert answer.location == f"{LIST}?filter=draft&q=wave"
    assert "250 groups are published." in read_toasts(client)

    typed = {"add_tags": "sea", "medium": "Oil"}
    answer = send(client, f"{LIST}/edit", LIST, all="1", **typed)
    assert "Change 253 groups?" in answer.text
    assert "Medium: <bdi>Oil</bdi>" in answer.text
    while answer.status_code == 200:
        answer = client.post(f"{LIST}/edit", data=read_form(answer.text))
    assert "253 groups were changed." in read_toasts(client)
    # What cannot be taken back so easily is not for all at once.
    answer = send(client, f"{LIST}/delete", LIST, all="1")
    assert answer.status_code == 422
    assert "select one by one" in answer.text


def test_joining_asks_and_says_what_will_happen(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    draft = site.add_group(["y.jpg", "z.jpg"], state="draft")
    send(client, f"{LIST}/{group_id}", LIST, version="1", **{"title": "Wave", "was-title": ""})
    asked = send(client, f"{LIST}/join", LIST, group=[str(group_id), str(draft)])
    assert asked.status_code == 200
    assert "2 shots will be moved to “<bdi>Wave</bdi>” from:" in asked.text
    assert "2 shots of drafts become public" in asked.text
    assert list_names(site, draft) == ["y.jpg", "z.jpg"]
    other = send(client, f"{LIST}/join", LIST, group=[str(draft), str(group_id)]).text
    assert f"3 shots will be moved to “<bdi>Untitled {draft}</bdi>” from:" in other
    assert f"“<bdi>Untitled {draft}</bdi>” stays a draft." in other
    assert "3 shots will not be public until" in other
    chosen = re.findall('name="group" value="([0-9]+)"', asked.text)
    send(client, f"{LIST}/join", LIST, group=chosen, sure="yes")
    assert len(list_names(site, group_id)) == 5
    number = read_toasts(client).split('name="number" value="', 1)[1].split('"', 1)[0]
    assert "Joined into “<bdi>Wave</bdi>” with 2 shots" in client.get(f"{LIST}/trash").text
    assert send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=number).status_code == 303
    assert list_names(site, draft) == ["y.jpg", "z.jpg"]
    assert len(list_names(site, group_id)) == 3


def test_a_refused_bulk_edit_keeps_its_values(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    harbour = site.add_group(["harbour.jpg"])
    typed = {"medium": "Öl auf „Holz“", "year": "y" * 41, "availability": "sold", "add_tags": "sea"}
    form = {"group": [str(harbour)], "list-q": "harbour"}
    answer = send(client, f"{LIST}/edit", LIST, **form, **typed, remove_tags="winter")
    assert answer.status_code == 422
    page = answer.text
    assert 'name="list-q" value="harbour"' in page  # The list is the one that was looked at.
    fields = dict(re.findall(r'<input id="bulk-[^"]+" name="([^"]+)" value="([^"]*)"', page))
    assert fields == {
        "medium": "Öl auf „Holz“",
        "dimensions": "",
        "year": "y" * 41,
        "edition": "",
        "price": "",
        "creator": "",
        "copyright_notice": "",
        "license_url": "",
        "add_tags": "sea",
        "remove_tags": "winter",
    }
    assert '<details class="bulk" open>' in page
    assert '<option value="sold" selected>' in page
    assert re.findall(r'name="group" value="(\d+)"[^>]* checked', page) == [str(harbour)]
    assert re.search(r'id="bulk-year"[^>]* aria-invalid="true" aria-describedby="bulk-fault"', page)
    assert "40" in re.search(r'id="bulk-fault">(.*?)</span>', page, re.S)[1]  # type: ignore[index]
    assert read_fields(site, harbour)["medium"] == ""

    # What else is refused keeps the choice too.
    answer = send(client, f"{LIST}/join", LIST, group=[str(group_id)])
    assert "at least two" in answer.text
    assert re.findall(r'name="group" value="(\d+)"[^>]* checked', answer.text) == [str(group_id)]
    assert '<details class="bulk">' in answer.text


def test_deleting_twice_is_logged_once(site: Site, client: FlaskClient, group_id: int) -> None:
    for _ in range(2):
        send(client, f"{LIST}/delete", LIST, group=str(group_id))
    assert "These groups are already in the trash." in read_toasts(client)
    title = f"Untitled {group_id}"
    for _ in range(2):
        send(client, f"{LIST}/trash/delete", f"{LIST}/trash", number=str(group_id))
    assert "This entry was already deleted." in read_toasts(client)
    log = read_log(client)
    assert log[:2] == [
        "Permanently deleted 1 entry from the trash.",
        f"Deleted 1 group: “{title}”.",
    ]
    assert log[2].startswith("Signed in")
