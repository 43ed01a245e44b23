"""Related works below the label of a work, on both databases."""

import re

from sqlalchemy import select, update

from imagehub.domain.library.tags import list_related_ids, set_tags
from imagehub.domain.sharing import links
from imagehub.models import Group, Rendition
from tests.fixtures.site import Site


def add_tagged(site: Site, *names: str, state: str = "published") -> int:
    number = site.add_group(state=state)
    with site.session() as session:
        set_tags(session, session.get_one(Group, number), names)
    return number


def list_numbers(site: Site, number: int) -> list[int]:
    with site.session() as session:
        return list_related_ids(session, session.get_one(Group, number))


def list_below_label(site: Site, number: int) -> list[int]:
    page = site.get(f"/groups/{number}", follow_redirects=True).text
    label = page.split('class="wall-label', 1)[1].split("</section>", 1)[0]
    return [int(found) for found in re.findall(r'<li class="r([0-9]+)"', label)]


def test_works_with_most_tags_in_common_come_first(either_site: Site) -> None:
    one = add_tagged(either_site, "sea")
    both = add_tagged(either_site, "sea", "winter")
    add_tagged(either_site, "sea", "winter", state="draft")
    work = add_tagged(either_site, "winter", "sea", "wood")
    later = add_tagged(either_site, "wood")
    add_tagged(either_site, "metal")
    assert list_numbers(either_site, work) == [both, later, one]
    assert list_numbers(either_site, add_tagged(either_site)) == []


def test_a_tag_of_many_works_is_not_read_whole(either_site: Site) -> None:
    numbers = [add_tagged(either_site, "sea") for _ in range(20)]
    found = list_numbers(either_site, numbers[0])
    assert found == numbers[1:7]


def test_related_works_stand_below_the_label(site: Site) -> None:
    numbers = [add_tagged(site, "sea") for _ in range(8)]
    work = numbers[3]
    # Those before and after it are shown at the end of the page already.
    shown = [numbers[1], numbers[5], numbers[0], numbers[6]]
    assert list_below_label(site, work) == shown
    page = site.get(f"/groups/{work}", follow_redirects=True).text
    assert all(f".r{number} .frame{{" in page for number in shown)


def test_works_around_it_stand_below_a_label_without_tags(either_site: Site) -> None:
    site = either_site
    numbers = [site.add_group() for _ in range(3)]
    site.add_group(state="draft")
    assert list_below_label(site, numbers[1]) == []
    numbers += [site.add_group() for _ in range(5)]
    # In the gallery's order; the two beside it are shown at the end of the page.
    assert list_below_label(site, numbers[3]) == [numbers[5], numbers[1], numbers[6], numbers[0]]
    assert list_below_label(site, numbers[7]) == numbers[5:1:-1]
    assert list_below_label(site, numbers[0]) == numbers[2:6]


def test_a_label_says_whether_works_are_related(site: Site) -> None:
    tagged = [add_tagged(site, "sea") for _ in range(4)]
    alone = site.add_group()
    for number, heading in ((tagged[0], "Related works"), (alone, "More works")):
        page = site.get(f"/groups/{number}", follow_redirects=True).text
        assert f'<h2 id="related-head">{heading}</h2>' in page


def test_a_panorama_alone_has_its_label_below(site: Site) -> None:
    number = site.add_group()
    with site.session() as session:
        _, token = links.create_share(session, None, [number])

    def is_below() -> bool:
        paths = (f"/groups/{number}", f"/s/{token}/{number}")
        pages = [site.get(path, follow_redirects=True).text for path in paths]
        (found,) = {'class="work is-panorama"' in page for page in pages}
        return found

    assert not is_below()
    with site.session() as session:
        rendition = select(Rendition.id).where(Rendition.size_px == 1920)
        session.get_one(Rendition, session.scalars(rendition).one()).height_px = 400
    assert is_below()


def test_works_below_a_short_label_are_large(site: Site) -> None:
    numbers = [site.add_group() for _ in range(6)]
    number = numbers[0]
    with site.session() as session:
        session.execute(update(Rendition).values(width_px=1000, height_px=1000))

    def get_classes() -> set[str]:
        page = site.get(f"/groups/{number}", follow_redirects=True).text
        return {name for name in ("related is-large", "wall-label is-long") if name in page}

    assert get_classes() == {"related is-large"}
    for text, expected in (("word " * 50, set()), ("word " * 200, {"wall-label is-long"})):
        with site.session() as session:
            session.get_one(Group, number).text = text
        assert get_classes() == expected


def test_related_works_are_below_the_label_and_for_phones_below_the_other_shots(site: Site) -> None:
    """Both orders are that of the page, so what is seen and what is read out agree."""
    alone, *_ = [add_tagged(site, "sea") for _ in range(6)]
    several = site.add_group(["front.jpg", "back.jpg"])
    with site.session() as session:
        set_tags(session, session.get_one(Group, several), ["sea"])
        session.commit()
    page = site.get(f"/groups/{several}", follow_redirects=True).text
    first, _, last = page.partition('<div class="wall-frame">')
    assert 'class="wall-label is-split"' in first
    assert "related-head" in first and "is-below-shots" not in first
    assert "is-below-shots" in last and "related-head" not in last
    tiles = [re.findall(r'<li class="r([0-9]+)"><a href="([^"]+)"', part) for part in (first, last)]
    assert tiles[0] == tiles[1] != []
    page = site.get(f"/groups/{alone}", follow_redirects=True).text
    assert "is-split" not in page and page.count('class="related') == 1


def test_pictures_of_other_works_have_the_shape_of_the_file_that_is_loaded(site: Site) -> None:
    """A browser takes the size of a picture that it does not show from its attributes."""
    numbers = [site.add_group(["a.jpg", "b.jpg"]) for _ in range(9)]
    with site.session() as session:
        for size, height in ((480, 389), (960, 777), (1920, 1554)):
            session.execute(
                update(Rendition).where(Rendition.size_px == size).values(height_px=height)
            )
    page = site.get(f"/groups/{numbers[4]}", follow_redirects=True).text
    lists = re.findall(r'<section class="(?:related|similar).*?</section>', page, re.DOTALL)
    assert len(lists) == 2, "below the label, and hidden on a desktop below the other shots"
    for part in lists:
        sizes = re.findall(r'<img [^>]*width="(\d+)" height="(\d+)"', part)
        assert sizes == [("480", "389")] * 4
