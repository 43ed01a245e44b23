"""The trash on both databases: unseen everywhere, taken back, gone for good after thirty days."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session

from imagehub.database import db, now_utc
from imagehub.domain.imports import jobs
from imagehub.domain.library import gallery, groups, listing, search, spa, tags, trash
from imagehub.domain.library import images as library_images
from imagehub.domain.objects import bookkeeping
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import DriveAccount, Group, Image, Rendition, StoredObject, TrashEntry
from tests.fixtures.importing import ImportHub
from tests.fixtures.site import Site


@pytest.fixture
def group_id(either_site: Site) -> int:
    return either_site.add_group(["a.jpg", "b.jpg", "c.jpg"])


def list_names(session: Session, number: int) -> list[str]:
    session.expire_all()
    return [image.name for image in library_images.list_images(session, number)]


def test_the_trash_is_not_shown_anywhere(either_site: Site, group_id: int) -> None:
    kept = either_site.add_group(["kept.jpg"])
    with either_site.session() as session:
        group = session.get_one(Group, group_id)
        group.title = "Vanishing"
        tags.set_tags(session, group, ["rare"])
        assert trash.trash_groups(session, [group_id], None) == [group_id]
    with either_site.session() as session:
        assert groups.count_shown_groups(session) == 1
        assert [tile.group.id for tile in gallery.get_page(session, 1).tiles] == [kept]
        assert spa.list_group_numbers(session) == [kept]
        assert [group.number for group in spa.iter_groups(session)] == [kept]
        assert spa.list_image_ids(session, {group_id: [1, 2]}) == []
        for number in (None, 1):
            with pytest.raises(NotFoundError):
                spa.get_image(session, group_id, number)
        assert search.find_groups(session, "vanishing").group_count == 0
        assert tags.list_tags(session).tag_count == 0
        for filter_name in listing.FILTERS:
            rows = listing.list_groups(session, filter_name, "vanishing").rows
            assert rows == []
        page = listing.list_groups(session)
        assert [row.id for row in page.rows] == [kept]
    for path in (
        f"/groups/{group_id}",
        f"/groups/{group_id}/1",
        f"/media/{group_id}/1/480",
    ):
        assert either_site.get(path).status_code == 404, path
    assert "Vanishing" not in either_site.get("/").text
    assert either_site.get("/image/group", query_string={"group": group_id}).json["status"] == 0
    assert either_site.get("/image/total-page").json == {"totalPage": 1}
    numbers = either_site.get("/admin/groups", headers=either_site.bearer()).json
    assert numbers == {"data": [kept]}


def test_a_restored_group_is_unchanged(either_session: Session, group_id: int) -> None:
    trash.trash_groups(either_session, [group_id, group_id, 999], None)
    assert trash.trash_groups(either_session, [group_id], None) == []
    group = trash.restore(either_session, group_id)
    assert (group.id, group.state, group.is_shown) == (group_id, "published", True)
    assert list_names(either_session, group_id) == ["a.jpg", "b.jpg", "c.jpg"]
    assert groups.count_shown_groups(either_session) == 1
    with pytest.raises(NotFoundError):
        trash.restore(either_session, group_id)


def test_a_restored_draft_is_a_draft(either_site: Site, either_session: Session) -> None:
    draft = either_site.add_group(state="draft")
    trash.trash_groups(either_session, [draft], None)
    assert trash.restore(either_session, draft).state == "draft"


def test_restored_shots_keep_numbers_and_positions(either_session: Session, group_id: int) -> None:
    mark = trash.trash_images(either_session, group_id, [2], None)
    assert mark != group_id
    assert list_names(either_session, group_id) == ["a.jpg", "c.jpg"]
    (one,), following = trash.list_trash(either_session)
    assert (one.group.id, one.origin and one.origin.id, following) == (mark, group_id, "")
    group = trash.restore(either_session, mark)
    assert group.id == group_id
    assert list_names(either_session, group_id) == ["a.jpg", "b.jpg", "c.jpg"]
    assert library_images.get_image(either_session, group_id, 2).name == "b.jpg"
    assert either_session.get(Group, mark) is None


def test_deleting_all_shots_deletes_the_group(either_session: Session, group_id: int) -> None:
    assert trash.trash_images(either_session, group_id, [1, 2, 3], None) == group_id
    assert either_session.get_one(Group, group_id).state == "trash"


@pytest.mark.parametrize("shots", [[2], [1, 2, 3]])
def test_images_in_the_trash_count_as_having_an_alt_text(
    either_session: Session, group_id: int, shots: list[int]
) -> None:
    library_images.get_image(either_session, group_id, 2).alt = ""

    def count_without() -> int:
        return either_session.query(Image).filter_by(has_alt=False).count()

    assert count_without() == 1
    mark = trash.trash_images(either_session, group_id, shots, None)
    assert count_without() == 0
    trash.restore(either_session, mark)
    assert count_without() == 1
    assert not library_images.get_image(either_session, group_id, 2).has_alt


def test_shots_without_their_group_are_restored_as_a_group(
    either_session: Session, group_id: int
) -> None:
    mark = trash.trash_images(either_session, group_id, [2], None)
    trash.trash_groups(either_session, [group_id], None)
    group = trash.restore(either_session, mark)
    assert (group.id, group.state) == (mark, "published")
    assert list_names(either_session, mark) == ["b.jpg"]


def test_restoring_keeps_an_image_that_was_imported_again(
    either_session: Session, group_id: int
) -> None:
    old = library_images.get_image(either_session, group_id, 2)
    old.alt, old.role = "A wave", "detail"
    item = old.drive_item_id
    mark = trash.trash_images(either_session, group_id, [2], None)
    either_session.add(
        Image(
            group_id=group_id,
            number=4,
            position=4,
            name="b.jpg",
            drive_account_id=either_session.scalars(select(DriveAccount.id)).one(),
            drive_item_id=item,
        )
    )
    either_session.flush()
    assert trash.restore(either_session, mark).id == group_id
    marked = select(func.count()).select_from(StoredObject).where(StoredObject.is_deleting)
    assert either_session.scalar(marked) == 3
    images = library_images.list_images(either_session, group_id)
    assert [(image.number, image.alt, image.role) for image in images][-1] == (
        4,
        "A wave",
        "detail",
    )
    assert len(images) == 3
    assert either_session.get(Group, mark) is None


@pytest.mark.parametrize("are_shots", [False, True])
def test_of_two_concurrent_restores_one_fails(
    either_site: Site, group_id: int, are_shots: bool
) -> None:
    with either_site.session() as session:
        if are_shots:
            mark = trash.trash_images(session, group_id, [2], None)
        else:
            (mark,) = trash.trash_groups(session, [group_id], None)
    is_waiting = threading.Event()
    ends: list[str] = []

    def note_lock(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # What is read before is read by now, and the locks are the other's.
        if statement.startswith("UPDATE"):
            is_waiting.set()

    def take_back() -> None:
        with either_site.app.app_context():
            session = db.session()
            event.listen(session.connection(), "before_cursor_execute", note_lock)
            try:
                trash.restore(session, mark)
                ends.append("back")
            except NotFoundError:
                ends.append("gone")
            session.rollback()

    with either_site.session() as session:
        trash.restore(session, mark)
        second = threading.Thread(target=take_back)
        second.start()
        assert is_waiting.wait(60)
    second.join(60)
    assert ends == ["gone"]


def test_the_trash_is_listed_page_by_page(either_site: Site, either_session: Session) -> None:
    numbers = [either_site.add_group() for _ in range(5)]
    for number in numbers:
        trash.trash_groups(either_session, [number], None)
    seen: list[int] = []
    key = ""
    while True:
        page, key = trash.list_trash(either_session, key, limit=2)
        seen += [one.group.id for one in page]
        if not key:
            break
    assert seen == numbers[::-1]
    for wrong in ("x", "2026-01-01_1", "2026-01-01T00:00:00+00:00_x"):
        with pytest.raises(InvalidInputError):
            trash.list_trash(either_session, wrong)


def test_only_entries_of_the_trash_are_purged(either_session: Session, group_id: int) -> None:
    assert trash.purge(either_session, [group_id]) == ([], 0)
    assert either_session.get(Group, group_id) is not None
    trash.trash_groups(either_session, [group_id], None)
    assert trash.purge(either_session, [group_id, group_id + 1000]) == ([group_id], 9)
    assert either_session.get(Group, group_id) is None
    assert either_session.scalar(select(func.count()).select_from(TrashEntry)) == 0


def test_nothing_is_imported_into_the_trash(either_session: Session, group_id: int) -> None:
    trash.trash_groups(either_session, [group_id], None)
    account = either_session.scalars(select(DriveAccount.id)).one()
    chosen = jobs.Selection("f", "F", group_id, [("x", "x.jpg")])
    with pytest.raises(NotFoundError):
        jobs.create_import(either_session, account, None, [chosen])


def test_entries_and_their_unused_objects_are_deleted_after_thirty_days(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    hub.work(hub.create(hub.put_pictures("Works", 2)))
    group = hub.get_only_group()
    # The same picture in a group of its own uses the same objects.
    hub.work(hub.create(hub.put_pictures("Copy", 1)))
    before = hub.list_keys()
    trash.trash_groups(hub.session, [group.id], None)
    hub.session.commit()
    assert trash.purge_expired(hub.session) == 0
    hub.reconcile()
    assert hub.list_keys() == before
    hub.session.execute(
        update(TrashEntry).values(trashed_at=now_utc() - timedelta(days=30, seconds=1))
    )
    hub.session.commit()
    assert trash.purge_expired(hub.session) == 1
    bookkeeping.finish_deletions(hub.session, hub.clients)
    kept = set(hub.session.scalars(select(Rendition.object_key)))
    assert hub.list_keys() == kept
    assert len(kept) == len(before) // 2
    assert set(hub.session.scalars(select(StoredObject.key))) == kept
    assert hub.reconcile().is_clean


def test_a_file_in_the_trash_can_be_imported_again(import_hub: ImportHub) -> None:
    hub = import_hub
    chosen = hub.put_pictures("Works", 2)
    hub.work(hub.create(chosen))
    group = hub.get_only_group()
    mark = trash.trash_images(hub.session, group.id, [1], None)
    hub.session.commit()
    again = jobs.Selection(chosen.folder_id, "Works", group.id, chosen.files)
    assert hub.work(hub.create(again)) == ["done"]
    assert [image.number for image in hub.list_images(group.id)] == [2, 3]
    trash.restore(hub.session, mark)
    hub.session.commit()
    marked = hub.session.scalars(select(StoredObject.key).where(StoredObject.is_deleting)).all()
    assert not marked, "the newer image uses the same objects"
    assert [image.number for image in hub.list_images(group.id)] == [2, 3]
    hub.check_stores_agree()
