"""Series of folders: which series by hand counts as that of a folder, on both databases."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.imports.folder_series import FolderTree, make_folder_series
from imagehub.domain.library.series_edit import create_series
from imagehub.models import Group, Series
from tests.fixtures.import_rows import add_image


def add_work(session: Session, folder_id: str) -> int:
    group = Group(state="published")
    session.add(group)
    session.flush()
    add_image(session, group.id, f"{folder_id}-file", 1).folder_id = folder_id
    session.commit()
    return group.id


def test_a_series_with_almost_the_name_of_a_folder_is_another_one(
    either_import_session: Session,
) -> None:
    session = either_import_session
    # MySQL would call both equal to the folder's name.
    for title in ("Kåse", "KASE"):
        create_series(session, title)
    same = create_series(session, "Kase")
    for folder_id, title in (("F1", "Kase"), ("F2", "Äste")):
        add_work(session, folder_id)
        if folder_id == "F2":
            create_series(session, "Aste")
        made = make_folder_series(session, 1, FolderTree(title, folder_id, ()))
        assert (made.series.title, made.added_count) == (title, 1)
        assert made.is_new == (folder_id == "F2")
        if folder_id == "F1":
            assert made.series.id == same.id
    titles = session.scalars(select(Series.title).order_by(Series.id)).all()
    assert titles == ["Kåse", "KASE", "Kase", "Aste", "Äste"]
