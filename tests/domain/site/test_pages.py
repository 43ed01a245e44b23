"""Pages of text and menus when two people change them at once, and the search in pages."""

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from imagehub.domain.site import menu, pages
from imagehub.errors import ConflictError
from imagehub.models import MenuEntry, Page
from tests.fixtures.beside import act_at_once


def test_the_second_of_two_who_save_a_page_at_once_is_told(
    engine: Engine, session: Session
) -> None:
    number = pages.create_page(session, "about", "About", "Before.").id
    session.commit()
    error = act_at_once(
        engine,
        lambda one: pages.save_page(one, number, 1, "About", "about", "By the first."),
        lambda two: pages.save_page(two, number, 1, "About", "about", "By the second."),
    )
    assert isinstance(error, ConflictError)
    session.expire_all()
    assert session.scalars(select(Page.text)).one() == "By the first."


def test_two_who_order_a_menu_at_once_do_not_mix_it(engine: Engine, session: Session) -> None:
    for title in "abc":
        pages.create_page(session, "free", title)
    session.commit()
    a, b, c = session.scalars(select(MenuEntry.id).order_by(MenuEntry.position)).all()
    session.rollback()
    error = act_at_once(
        engine,
        lambda one: menu.move_entry(one, c, a),
        lambda two: menu.move_entry(two, b, a),
    )
    assert error is None
    session.expire_all()
    shown = menu.list_menu(session)["header"]
    assert [entry.entry.id for entry in shown] == [c, b, a]


def test_only_the_first_words_of_a_query_count(session: Session) -> None:
    page = pages.create_page(session, "about", "About", "one two three")
    pages.set_state(session, page.id, "published")
    many = "one two three " * 4
    assert [one.id for one in pages.find_pages(session, f"{many} four")] == [page.id]
    assert pages.find_pages(session, f"four {many}") == []
