"""Related works below the label of a work, on both databases."""

import re

from imagehub.domain.library.tags import list_related, set_tags
from imagehub.models import Group
from tests.fixtures.site import Site


def add_tagged(site: Site, *names: str, state: str = "published") -> int:
    number = site.add_group(state=state)
    with site.session() as session:
        set_tags(session, session.get_one(Group, number), names)
    return number


def list_numbers(site: Site, number: int) -> list[int]:
    with site.session() as session:
        tiles = list_related(session, session.get_one(Group, number))
        return [tile.group.id for tile in tiles]


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
    page = site.get(f"/groups/{work}", follow_redirects=True).text
    related = page.split('class="related"', 1)[1].split("</section>", 1)[0]
    shown = [int(number) for number in re.findall(r'<li id="r([0-9]+)"', related)]
    # Those before and after it are shown at the end of the page already.
    assert shown == [numbers[1], numbers[5], numbers[0], numbers[6]]
    assert all(f"#r{number} .frame{{" in page for number in shown)
    alone = site.add_group()
    assert 'class="related"' not in site.get(f"/groups/{alone}", follow_redirects=True).text
