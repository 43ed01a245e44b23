"""Moving groups in the gallery's order, on both databases."""

from sqlalchemy.orm import Session

from imagehub.domain.library import groups, order
from tests.domain.library.editing import list_order
from tests.fixtures.site import Site


def test_groups_are_moved_in_the_order(either_site: Site, either_session: Session) -> None:
    first, second, third = (either_site.add_group() for _ in range(3))
    assert list_order(either_session) == [third, second, first]
    order.place_group(either_session, first, before=third)
    assert list_order(either_session) == [first, third, second]
    order.place_group(either_session, first, after=third)
    assert list_order(either_session) == [third, first, second]
    order.place_group(either_session, third)
    assert list_order(either_session) == [first, second, third]
    order.step_group(either_session, third, -1)
    assert list_order(either_session) == [first, third, second]
    order.step_group(either_session, first, 1)
    assert list_order(either_session) == [third, first, second]
    order.step_group(either_session, third, -1)
    assert list_order(either_session) == [third, first, second]
    assert groups.recount_gallery(either_session) == 0
