"""Acts on the shots of a group, without a script."""

import pytest
from flask.testing import FlaskClient

from imagehub.models import Group, Image
from tests.admin.library import LIST, list_names, read_fault, read_value
from tests.admin.pages import read_toasts, send
from tests.fixtures.site import Site


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.signed_in_client()


@pytest.fixture
def group_id(site: Site) -> int:
    return site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def test_refused_alt_texts_stay_in_the_form(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    page = client.get(path).text
    theirs = {"alt-1": "Theirs", "was-alt-1": read_value(page, "alt-1")}
    assert send(client, f"{path}/shots", path, **theirs).status_code == 303
    words = {"alt-1": "Mine", "alt-2": "Second", "alt-3": "long " * 300, "alt-9": "Of nothing"}
    was = {f"was-{name}": read_value(page, name) for name in words if name != "alt-9"}
    form = words | was | {"role-2": "back", "was-role-2": ""}
    answer = send(client, f"{path}/shots/split", path, shot="2", **form)
    assert answer.status_code == 409
    for name in ("alt-1", "alt-2", "alt-3"):
        assert read_value(answer.text, name) == words[name]
    assert "Someone else has saved “Theirs”." in read_fault(answer.text, "alt-1")
    assert "1,000 characters" in read_fault(answer.text, "alt-3")
    assert '<option value="back" selected>' in answer.text
    assert "“<bdi>Of nothing</bdi>”" in answer.text
    assert 'name="shot" value="2" autocomplete="off" checked' in answer.text
    # Nothing of it was done, and the same form can be sent again as it is now.
    assert list_names(site, group_id) == ["a.jpg", "b.jpg", "c.jpg"]
    again = {n: read_value(answer.text, n) for n in [*words, *was] if not n.endswith("-9")}
    again["alt-3"] = "Short"
    assert send(client, f"{path}/shots", path, **again).status_code == 303
    page = client.get(path).text
    assert [read_value(page, f"alt-{n}") for n in (1, 2, 3)] == ["Mine", "Second", "Short"]


def test_alt_texts_are_saved_though_the_act_is_refused(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    was = read_value(client.get(path).text, "alt-1")
    form = {"alt-1": "A wave", "was-alt-1": was}
    assert send(client, f"{path}/shots/delete", path, **form).status_code == 303
    assert "Select shots first." in read_toasts(client)
    assert read_value(client.get(path).text, "alt-1") == "A wave"


def test_shots_are_arranged_without_a_script(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    path = f"{LIST}/{group_id}"
    shots = f"{path}/shots"
    words = {"alt-3": "A detail", "was-alt-3": "What c.jpg shows"}
    # The page comes back where the shot is.
    assert send(client, f"{shots}/move-up", path, this="3", **words).location == f"{path}#shot-3"
    assert list_names(site, group_id) == ["a.jpg", "c.jpg", "b.jpg"]
    send(client, f"{shots}/order", path, shot="3", before="1")
    assert list_names(site, group_id) == ["c.jpg", "a.jpg", "b.jpg"]
    assert send(client, f"{shots}/set-cover", path, this="2").location == f"{path}#shot-2"
    with site.session() as session:
        cover = session.get_one(Image, session.get_one(Group, group_id).cover_id)
        assert cover.name == "b.jpg"
        assert session.query(Image).filter_by(number=3).one().alt == "A detail"
    answer = send(client, f"{shots}/split", path, shot=["1", "2"])
    fresh = int(answer.location.rpartition("/")[2])
    assert list_names(site, fresh) == ["a.jpg", "b.jpg"]
    send(client, f"{shots}/move", path, shot="3", to=str(fresh))
    assert list_names(site, fresh) == ["a.jpg", "b.jpg", "c.jpg"]
    assert "was moved to" in read_toasts(client)
    assert send(client, f"{shots}/move", f"{LIST}/{fresh}", to="x").status_code == 303
    assert "There is no group “x”." in read_toasts(client)


def test_shots_are_moved_to_a_group_by_number_or_title(
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
        send(client, f"{path}/shots/move", path, shot=str(shot), to=to)
        assert "1 shot was moved to “Wave, II”." in read_toasts(client)
    assert list_names(site, target) == ["z.jpg", "a.jpg", "b.jpg", "c.jpg"]
    for to, fault in (
        ("", "First enter the group to move to."),
        ("mill", "There is no group “mill”."),
    ):
        send(client, f"{LIST}/{target}/shots/move", path, shot="1", to=to)
        assert fault in read_toasts(client)


def test_shots_are_deleted_and_restored(site: Site, client: FlaskClient, group_id: int) -> None:
    path = f"{LIST}/{group_id}"
    send(client, f"{path}/shots/delete", path, shot="2")
    assert list_names(site, group_id) == ["a.jpg", "c.jpg"]
    toast = read_toasts(client)
    assert "1 shot was moved to the trash." in toast
    number = toast.split('name="number" value="', 1)[1].split('"', 1)[0]
    answer = send(client, f"{LIST}/trash/restore", f"{LIST}/trash", number=number)
    assert answer.location == path
    assert list_names(site, group_id) == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_shot_made_from_a_preview_says_so_and_why(
    site: Site, client: FlaskClient, group_id: int
) -> None:
    page = client.get(f"{LIST}/{group_id}").text
    assert "data-preview" not in page
    with site.session() as session:
        image = session.query(Image).filter_by(group_id=group_id, number=2).one()
        image.preview_reason = "ImageHub does not decode PDF documents."
    page = client.get(f"{LIST}/{group_id}").text
    assert page.count("Preview by OneDrive") == 1
    shot = page[page.index('id="shot-2"') : page.index('id="shot-3"')]
    assert "ImageHub does not decode PDF documents. Visitors see the preview" in shot
