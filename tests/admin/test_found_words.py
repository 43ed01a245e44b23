"""What files say, on the page of a group and in the library."""

from imagehub.domain.library import found_words
from imagehub.imaging.words import FoundWords
from imagehub.models import Group, Image
from tests.admin.pages import read_toasts, send
from tests.fixtures.site import Site

FOUND = FoundWords(
    title="Harbour <b>", caption="# Calm", keywords=("sea", "gull"), creator="Ada", alt="Two boats"
)


def add_found(site: Site, words: FoundWords = FOUND) -> int:
    number = site.add_group(("front.jpg",))
    with site.session() as session:
        image = session.query(Image).filter_by(group_id=number).one()
        group = session.get_one(Group, number)
        group.title, image.alt = "Front", ""
        found_words.save_words(session, {}, image, words)
    return number


def test_proposals_are_accepted_and_discarded_one_by_one(site: Site) -> None:
    number = add_found(site)
    client, page = site.signed_in_client(), f"/admin/library/{number}"
    html = client.get(page).text
    assert "Harbour &lt;b&gt;" in html
    assert html.count("data-proposal=") == 5
    send(client, f"{page}/words/accept", page, name="title")
    send(client, f"{page}/words/discard", page, name="text")
    send(client, f"{page}/words/discard", page, name="alt-1")
    with site.session() as session:
        group = session.get_one(Group, number)
        assert (group.title, group.text, group.images[0].alt) == ("Harbour <b>", "", "")
        assert group.images[0].words_state == "open"
    assert client.get(page).text.count("data-proposal=") == 2
    again = send(client, f"{page}/words/accept", page, name="title")
    assert again.status_code in (302, 303)
    assert "This is no longer proposed." in read_toasts(client)
    send(client, f"{page}/words/accept", page)
    with site.session() as session:
        group = session.get_one(Group, number)
        assert group.creator == "Ada"
        assert group.images[0].words_state == "seen"
    assert 'value="sea, gull"' in client.get(page).text
    assert "data-proposal=" not in client.get(page).text
    assert (
        "Accepted what the files of “Harbour &lt;b&gt;” say" in client.get("/admin/activity").text
    )


def test_what_a_person_wrote_is_not_proposed_over(site: Site) -> None:
    number = add_found(site)
    with site.session() as session:
        group = session.get_one(Group, number)
        group.title, group.text, group.creator = "Mine", "My text", "Me"
        group.images[0].alt = "My words"
    page = site.signed_in_client().get(f"/admin/library/{number}").text
    assert page.count("data-proposal=") == 1
    assert 'data-proposal="tags"' in page


def test_the_library_lists_groups_with_texts_and_decides_about_several(site: Site) -> None:
    numbers = [add_found(site), add_found(site)]
    site.add_group(("plain.jpg",))
    client, page = site.signed_in_client(), "/admin/library?filter=words"
    html = client.get(page).text
    assert [f'data-group="{number}"' in html for number in numbers] == [True, True]
    assert html.count("data-group=") == 2
    send(client, "/admin/library/words/accept", page, group=numbers[0])
    send(client, "/admin/library/words/discard", page, group=numbers[1])
    with site.session() as session:
        first, second = (session.get_one(Group, number) for number in numbers)
        assert (first.title, first.text, first.images[0].alt) == (
            "Harbour <b>",
            r"\# Calm",
            "Two boats",
        )
        assert (second.title, second.text) == ("Front", "")
    assert "data-group=" not in client.get(page).text


def test_the_same_words_of_a_new_version_are_not_proposed_again(site: Site) -> None:
    number = add_found(site)
    with site.session() as session:
        found_words.discard(session, {}, number)
        image = session.query(Image).filter_by(group_id=number).one()
        assert image.words_state == "seen"
        found_words.save_words(session, {}, image, FOUND)
        assert image.words_state == "seen"
        found_words.save_words(session, {}, image, FoundWords(license_url="https://a.b/"))
        assert image.words_state == "open"
