"""The library's pages as forms without a script, and as JSON with one."""

import html
import re
import socket
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from imagehub.database import db, now_utc
from imagehub.domain.library import edit, order, search_index
from imagehub.models import Group, Image, StoredObject
from tests.admin.pages import read_toasts, send
from tests.fixtures.site import Site, make_site, read_csrf_token

LIST = "/admin/library"


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def group_id(site: Site) -> int:
    return site.add_group(["a.jpg", "b.jpg", "c.jpg"])


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


def test_an_empty_library_says_the_next_step(client: FlaskClient) -> None:
    assert "The library is empty" in client.get(LIST).text
    assert "The trash is empty" in client.get(f"{LIST}/trash").text


def test_the_list_shows_filters_and_finds(site: Site, client: FlaskClient, group_id: int) -> None:
    draft = site.add_group(["harbour.jpg"], state="draft")
    page = client.get(LIST).text
    assert f'data-group="{group_id}"' in page
    assert f'data-group="{draft}"' in page
    assert f'data-group="{group_id}"' not in client.get(f"{LIST}?filter=draft").text
    assert f'data-group="{group_id}"' not in client.get(f"{LIST}?q=harbour").text
    assert "Nothing here" in client.get(f"{LIST}?q=nothing").text
    assert client.get(f"{LIST}?filter=x").status_code == 422
    assert client.get(f"{LIST}?after=x").status_code == 422


def test_a_group_is_saved_as_a_form(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    fields = {"title": "Wave", "tags": "sea, winter", "edition": "3 of 10", "state": "draft"}
    was = {f"was-{name}": "" for name in fields} | {"was-state": "published"}
    answer = send(client, path, path, version="1", **fields, **was)
    assert answer.status_code == 303
    saved = read_fields(site, group_id)
    assert {name: saved[name] for name in fields} == fields
    assert "Changed title, edition, state, tags of “Wave”." in client.get("/admin/activity").text


def test_a_form_over_an_older_state_is_told_both(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    mine = {"version": "1", "title": "Mine", "was-title": ""}
    send(client, path, path, **mine)
    answer = send(client, path, path, **mine | {"title": "Yours"})
    assert answer.status_code == 409
    assert "Somebody else saved: “Mine”" in answer.text
    assert 'name="title" value="Yours"' in answer.text
    assert read_fields(site, group_id)["title"] == "Mine"
    send(client, path, path, **{"version": "2", "title": "Yours", "was-title": "Mine"})
    assert read_fields(site, group_id)["title"] == "Yours"


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


def test_a_form_that_is_refused_keeps_all_that_was_typed(
    site: Site, client: FlaskClient, group_id: int
) -> None:
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
    assert "characters at most" in read_fault(answer.text, "tags")


def test_words_beside_a_conflict_are_kept_too(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    send(client, path, path, version="1", **{"title": "Theirs", "was-title": ""})
    mine = {"title": "Mine", "was-title": "", "medium": "Oil", "was-medium": ""}
    answer = send(client, path, path, version="1", **mine)
    assert (answer.status_code, read_value(answer.text, "medium")) == (409, "Oil")
    assert read_value(answer.text, "was-title") == "Theirs"


def test_what_others_saved_meanwhile_is_not_overwritten_after_a_refusal(
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
    assert "Somebody else saved: “Theirs”" in read_fault(answer.text, "medium")


def test_alt_texts_that_are_refused_stay_in_the_form(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    page = client.get(path).text
    theirs = {"alt-1": "Theirs", "was-alt-1": read_value(page, "alt-1")}
    assert send(client, f"{path}/shots", path, act="save", **theirs).status_code == 303
    words = {"alt-1": "Mine", "alt-2": "Second", "alt-3": "long " * 300, "alt-9": "Of nothing"}
    was = {f"was-{name}": read_value(page, name) for name in words if name != "alt-9"}
    form = words | was | {"role-2": "back", "was-role-2": ""}
    answer = send(client, f"{path}/shots", path, act="split", shot="2", **form)
    assert answer.status_code == 409
    for name in ("alt-1", "alt-2", "alt-3"):
        assert read_value(answer.text, name) == words[name]
    assert "Somebody else saved: “Theirs”" in read_fault(answer.text, "alt-1")
    assert "1,000 characters" in read_fault(answer.text, "alt-3")
    assert '<option value="back" selected>' in answer.text
    assert "“<bdi>Of nothing</bdi>”" in answer.text
    assert 'name="shot" value="2" autocomplete="off" checked' in answer.text
    # Nothing of it was done, and the same form can be sent again as it is now.
    assert list_names(site, group_id) == ["a.jpg", "b.jpg", "c.jpg"]
    again = {n: read_value(answer.text, n) for n in [*words, *was] if not n.endswith("-9")}
    again["alt-3"] = "Short"
    assert send(client, f"{path}/shots", path, act="save", **again).status_code == 303
    page = client.get(path).text
    assert [read_value(page, f"alt-{n}") for n in (1, 2, 3)] == ["Mine", "Second", "Short"]


def test_words_are_kept_where_the_act_beside_them_is_refused(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    was = read_value(client.get(path).text, "alt-1")
    form = {"alt-1": "A wave", "was-alt-1": was}
    assert send(client, f"{path}/shots", path, act="trash", **form).status_code == 303
    assert "Choose shots first." in read_toasts(client)
    assert read_value(client.get(path).text, "alt-1") == "A wave"


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
def test_what_is_no_edit_is_refused(client: FlaskClient, group_id: int, body: object) -> None:
    path = f"{LIST}/{group_id}"
    assert send_json(client, f"{path}/save", body, path)[0] == 422


def test_shots_are_arranged_without_a_script(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    shots = f"{path}/shots"
    words = {"alt-3": "A detail", "was-alt-3": "What c.jpg shows"}
    # The page comes back where the shot is.
    assert send(client, shots, path, act="up:3", **words).location == f"{path}#shot-3"
    assert list_names(site, group_id) == ["a.jpg", "c.jpg", "b.jpg"]
    send(client, shots, path, act="order", shot="3", before="1")
    assert list_names(site, group_id) == ["c.jpg", "a.jpg", "b.jpg"]
    assert send(client, shots, path, act="cover:2").location == f"{path}#shot-2"
    with site.session() as session:
        cover = session.get_one(Image, session.get_one(Group, group_id).cover_id)
        assert cover.name == "b.jpg"
        assert session.query(Image).filter_by(number=3).one().alt == "A detail"
    answer = send(client, shots, path, act="split", shot=["1", "2"])
    fresh = int(answer.location.rpartition("/")[2])
    assert list_names(site, fresh) == ["a.jpg", "b.jpg"]
    send(client, shots, path, act="move", shot="3", to=str(fresh))
    assert list_names(site, fresh) == ["a.jpg", "b.jpg", "c.jpg"]
    assert "moved to" in read_toasts(client)
    assert send(client, shots, f"{LIST}/{fresh}", act="move", to="x").status_code == 303
    assert "There is no group “x”." in read_toasts(client)


def test_shots_move_to_any_group_that_is_named(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    """By number, by title, or as the list of groups offers it."""
    path = f"{LIST}/{group_id}"
    target = site.add_group(["z.jpg"])
    send(client, f"{LIST}/{target}", LIST, version="1", title="Wave, II", **{"was-title": ""})
    for words in ("wa", str(target), f"#{target} "):
        answer = client.get(f"{LIST}/choices", query_string={"q": words}).json
        assert answer == {"choices": [f"{target} · Wave, II"]}
    assert f'<option value="{target} · Wave, II">' in client.get(path).text
    for shot, to in enumerate((str(target), "wave, ii", f"{target} · Wave, II"), start=1):
        send(client, f"{path}/shots", path, act="move", shot=str(shot), to=to)
        assert "1 shot moved to “Wave, II”." in read_toasts(client)
    assert list_names(site, target) == ["z.jpg", "a.jpg", "b.jpg", "c.jpg"]
    for to, fault in (("", "Say first which group"), ("mill", "There is no group “mill”.")):
        send(client, f"{LIST}/{target}/shots", path, act="move", shot="1", to=to)
        assert fault in read_toasts(client)


def test_shots_are_deleted_and_taken_back(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    send(client, f"{path}/shots", path, act="trash", shot="2")
    assert list_names(site, group_id) == ["a.jpg", "c.jpg"]
    toast = read_toasts(client)
    assert "1 shot in the trash." in toast
    number = toast.split('name="number" value="', 1)[1].split('"', 1)[0]
    answer = send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=number)
    assert answer.location == path
    assert list_names(site, group_id) == ["a.jpg", "b.jpg", "c.jpg"]


def test_groups_are_published_edited_joined_and_deleted_at_once(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    other = site.add_group(["z.jpg"])
    both = [str(group_id), str(other)]
    bulk = f"{LIST}/bulk"
    # What stands in the fields is for one act alone.
    send(client, bulk, LIST, act="draft", group=both, add_tags="winter", medium="Oil")
    assert read_fields(site, other)["state"] == "draft"
    assert (read_fields(site, other)["tags"], read_fields(site, other)["medium"]) == ("", "")
    send(client, bulk, LIST, act="publish", group=both)
    assert read_fields(site, other)["state"] == "published"
    send(client, bulk, LIST, act="set", group=both, year="2026", medium="", add_tags="sea")
    assert (read_fields(site, other)["year"], read_fields(site, other)["tags"]) == ("2026", "sea")
    answer = send(client, bulk, LIST, act="set", group=both)
    assert answer.status_code == 422
    assert "Fill in what shall be set" in answer.text
    assert 'role="alert"' in answer.text
    send(client, bulk, LIST, act="trash", group=both)
    assert "The library is empty" in client.get(LIST).text
    assert client.get(f"{LIST}/{other}").status_code == 404
    send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=",".join(both))
    answer = send(client, bulk, LIST, act="join", group=both, sure="yes")
    assert answer.location == f"{LIST}/{group_id}"
    assert len(list_names(site, group_id)) == 4
    answer = send(client, bulk, LIST, act="trash")
    assert "Choose groups first." in answer.text
    assert send(client, bulk, LIST, act="burn", group=both).status_code == 422


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


def test_all_groups_of_a_list_are_changed_step_by_step(site: Site, client: FlaskClient) -> None:
    add_drafts(site, 250, "Wave")
    add_drafts(site, 3, "Mill")
    page = client.get(f"{LIST}?filter=draft&q=wave").text
    assert 'name="all"' in page
    assert 'name="all"' not in client.get(f"{LIST}?q=mill").text
    form = {"all": "1", "list-filter": "draft", "list-q": "wave"}
    answer = send(client, f"{LIST}/bulk", LIST, act="publish", **form)
    assert "Publish 250 groups?" in answer.text
    assert "of the list “Unpublished” with the words “<bdi>wave</bdi>”" in answer.text

    def count_published() -> int:
        with site.session() as session:
            return session.query(Group).filter_by(state="published").count()

    assert count_published() == 0
    steps = []
    while answer.status_code == 200:
        answer = client.post(f"{LIST}/bulk", data=read_form(answer.text))
        steps.append(count_published())
    assert 0 < steps[0] < 250
    assert steps[-1] == 250
    assert answer.location == f"{LIST}?filter=draft&q=wave"
    assert "250 groups are published." in read_toasts(client)

    typed = {"add_tags": "sea", "medium": "Oil"}
    answer = send(client, f"{LIST}/bulk", LIST, act="set", all="1", **typed)
    assert "Change 253 groups?" in answer.text
    assert "Medium: <bdi>Oil</bdi>" in answer.text
    while answer.status_code == 200:
        answer = client.post(f"{LIST}/bulk", data=read_form(answer.text))
    assert "253 groups changed." in read_toasts(client)
    # What cannot be taken back so easily is not for all at once.
    answer = send(client, f"{LIST}/bulk", LIST, act="trash", all="1")
    assert answer.status_code == 422
    assert "chosen one by one" in answer.text


def test_joining_asks_what_stays_comes_and_becomes_public(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    draft = site.add_group(["y.jpg", "z.jpg"], state="draft")
    bulk = f"{LIST}/bulk"
    send(client, f"{LIST}/{group_id}", LIST, version="1", **{"title": "Wave", "was-title": ""})
    asked = send(client, bulk, LIST, act="join", group=[str(group_id), str(draft)])
    assert asked.status_code == 200
    assert "“<bdi>Wave</bdi>” stays. 2 shots come into it" in asked.text
    assert "2 shots of drafts become public" in asked.text
    assert list_names(site, draft) == ["y.jpg", "z.jpg"]
    other = send(client, bulk, LIST, act="join", group=[str(draft), str(group_id)]).text
    assert f"“<bdi>Untitled {draft}</bdi>” stays, as a draft. 3 shots come" in other
    assert "3 shots leave the gallery" in other
    chosen = re.findall('name="group" value="([0-9]+)"', asked.text)
    send(client, bulk, LIST, act="join", group=chosen, sure="yes")
    assert len(list_names(site, group_id)) == 5
    number = read_toasts(client).split('name="number" value="', 1)[1].split('"', 1)[0]
    assert "Joined into “<bdi>Wave</bdi>”, with 2 shots" in client.get(f"{LIST}/trash").text
    assert send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=number).status_code == 303
    assert list_names(site, draft) == ["y.jpg", "z.jpg"]
    assert len(list_names(site, group_id)) == 3


def test_what_was_typed_for_many_groups_stays_in_the_form_when_it_is_refused(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    harbour = site.add_group(["harbour.jpg"])
    typed = {"medium": "Öl auf „Holz“", "year": "y" * 41, "availability": "sold", "add_tags": "sea"}
    form = {"act": "set", "group": [str(harbour)], "list-q": "harbour"}
    answer = send(client, f"{LIST}/bulk", LIST, **form, **typed, remove_tags="winter")
    assert answer.status_code == 422
    page = answer.text
    assert 'name="list-q" value="harbour"' in page  # The list is the one that was looked at.
    fields = dict(re.findall(r'<input id="bulk-[^"]+" name="([^"]+)" value="([^"]*)"', page))
    assert fields == {
        "medium": "Öl auf „Holz“",
        "dimensions": "",
        "year": "y" * 41,
        "edition": "",
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
    answer = send(client, f"{LIST}/bulk", LIST, act="join", group=[str(group_id)])
    assert "at least two" in answer.text
    assert re.findall(r'name="group" value="(\d+)"[^>]* checked', answer.text) == [str(group_id)]
    assert '<details class="bulk">' in answer.text


def test_groups_are_put_in_order_without_a_script(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    other = site.add_group()
    answer = send(client, f"{LIST}/bulk", LIST, act=f"up:{group_id}")
    assert answer.location == f"{LIST}#group-{group_id}"
    page = client.get(LIST).text
    assert page.index(f'data-group="{group_id}"') < page.index(f'data-group="{other}"')
    send(client, f"{LIST}/order", LIST, group=str(group_id), after=str(other))
    page = client.get(LIST).text
    assert page.index(f'data-group="{group_id}"') > page.index(f'data-group="{other}"')


def test_the_list_follows_a_group_over_the_edge_of_its_page(
    site: Site, client: FlaskClient
) -> None:
    numbers = [site.add_group() for _ in range(50)][::-1]

    def list_rows(page: str) -> list[int]:
        return [int(number) for number in re.findall('data-group="([0-9]+)"', page)]

    def step(way: str, number: int, **place: str) -> list[int]:
        answer = send(client, f"{LIST}/bulk", LIST, act=f"{way}:{number}", **place)
        assert answer.location.endswith(f"#group-{number}")
        page = client.get(answer.location.partition("#")[0]).text
        rows = list_rows(page)
        assert ("went over the edge of the page" in page) == (rows[0] == number != numbers[0])
        return rows

    last, first = numbers[47], numbers[48]
    second = re.search(r'href="/admin/library\?after=([^"]+)" rel="next"', client.get(LIST).text)
    assert second is not None
    place = {"list-after": second[1]}
    assert step("up", first, **place) == [first, last, numbers[49]]
    assert step("down", first) == [first, numbers[49]]
    # Inside a page, and at the end of all, it stays where it is.
    assert step("up", numbers[2])[:3] == [numbers[0], numbers[2], numbers[1]]
    assert step("up", numbers[0])[0] == numbers[0]


def test_what_is_deleted_for_good_is_gone(site: Site, client: FlaskClient, group_id: int) -> None:
    send(client, f"{LIST}/bulk", LIST, act="trash", group=str(group_id))
    assert "The whole group, 3 shots" in client.get(f"{LIST}/trash").text
    send(client, f"{LIST}/trash/delete", f"{LIST}/trash", number=str(group_id))
    with site.session() as session:
        assert session.get(Group, group_id) is None
    send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=str(group_id))
    assert "no such thing in the trash" in read_toasts(client)


def read_log(client: FlaskClient) -> list[str]:
    """The sentences of the log, from new to old."""
    page = client.get("/admin/activity").text
    return [html.unescape(one) for one in re.findall(r'<td class="what">([^<]*)<', page)]


def test_the_log_tells_of_words_cover_and_order(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    site.add_group()
    send(client, path, path, version="1", **{"title": "Wave", "was-title": ""})
    words = {"version": 2, "changes": {"alt": "A wave"}, "base": {}}
    send_json(client, f"{path}/shots/2/save", words, path)
    page = client.get(path).text
    form = {"alt-1": "Crest", "was-alt-1": read_value(page, "alt-1"), "role-3": "back"}
    send(client, f"{path}/shots", path, act="cover:2", **form, **{"was-role-3": ""})
    send(client, f"{path}/shots", path, act="down:1")
    send(client, f"{path}/shots", path, act="down:1")
    # At the end it stays where it is, and nothing is told.
    send(client, f"{path}/shots", path, act="down:1")
    send(client, f"{LIST}/order", LIST, group=str(group_id))
    assert read_log(client)[:6] == [
        "Moved “Wave” in the gallery’s order.",
        "Changed the order of the shots of “Wave”.",
        "Made another shot the cover of “Wave”.",
        "Changed alt text, role of 2 shots in “Wave”.",
        "Changed alt text of “b.jpg” in “Wave”.",
        "Changed title of “Wave”.",
    ]


def test_a_second_click_on_delete_is_not_in_the_log(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    for _ in range(2):
        send(client, f"{LIST}/bulk", LIST, act="trash", group=str(group_id))
    assert "They are in the trash already." in read_toasts(client)
    title = f"Untitled {group_id}"
    for _ in range(2):
        send(client, f"{LIST}/trash/delete", f"{LIST}/trash", number=str(group_id))
    assert "It was gone already." in read_toasts(client)
    log = read_log(client)
    assert log[:2] == [
        "Deleted 1 thing in the trash for good.",
        f"Put 1 group in the trash: “{title}”.",
    ]
    assert log[2].startswith("Signed in")


def test_deleting_for_good_waits_for_no_object_storage(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It takes calls and never answers; one that comes stays to be seen.
        silent.setblocking(False)
        site = make_site(
            tmp_path / "site",
            s3_endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            s3_access_key_id="key",
            s3_secret_access_key="secret",
        )
        client = site.signed_in_client()
        number = site.add_group(["a.jpg"])
        send(client, f"{LIST}/bulk", LIST, act="trash", group=str(number))
        send(client, f"{LIST}/trash/delete", f"{LIST}/trash", number=str(number))
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert "The worker clears the pictures away" in read_toasts(client)
    with site.session() as session:
        rows = session.query(StoredObject).all()
        assert rows
        assert all(row.is_deleting and row.pinned_until <= now_utc() for row in rows)
        db.engine.dispose()


def test_titles_of_any_kind_are_shown_as_text(site: Site, client: FlaskClient) -> None:
    number = site.add_group()
    with site.session() as session:
        session.get_one(Group, number).title = '<b>"Wave" & ليلة</b>'
    for path in (LIST, f"{LIST}/{number}"):
        page = client.get(path).text
        assert "<b>" not in page
        assert "&lt;b&gt;" in page
