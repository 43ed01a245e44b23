"""The tree of folders: recording changes, and finding folders inside the root folder."""

import pytest
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.domain.sync.folder_tree import (
    FolderPlaces,
    Renaming,
    delete_old_folders,
    find_folder_names,
    iter_below,
    note_folders,
)
from imagehub.models import DriveAccount, DriveFolder


@pytest.fixture
def account_id(light_session: Session) -> int:
    """Create an account whose drive has ``top/art/oils`` and ``top/other``."""
    account = DriveAccount(home_account_id="a", token_cache=b"-")
    light_session.add(account)
    light_session.flush()
    folders = [tell("top", ""), tell("art", "top"), tell("oils", "art"), tell("other", "top")]
    note_folders(light_session, account.id, folders, 1)
    return account.id


def tell(folder_id: str, parent_id: str, name: str = "", is_deleted: bool = False) -> DriveItem:
    """Return a folder as it is in the feed."""
    return DriveItem(
        folder_id,
        name or folder_id.title(),
        True,
        size_bytes=0,
        created_time="",
        modified_time="",
        parent_id=parent_id,
        is_deleted=is_deleted,
    )


def list_below(session: Session, account_id: int, *folder_ids: str) -> set[str]:
    return {one for some in iter_below(session, account_id, folder_ids) for one in some}


def test_everything_below_a_folder_is_found(light_session: Session, account_id: int) -> None:
    assert list_below(light_session, account_id, "art") == {"art", "oils"}
    assert list_below(light_session, account_id, "oils", "other") == {"oils", "other"}
    assert list_below(light_session, account_id, "unknown") == {"unknown"}


def test_new_moved_and_deleted_folders_are_displaced(
    light_session: Session, account_id: int
) -> None:
    def take(*items: DriveItem) -> list[str]:
        return list(note_folders(light_session, account_id, items, 1).displaced)

    assert take(tell("oils", "art"), tell("art", "top")) == []
    assert take(tell("new", "top"), tell("oils", "other")) == ["new", "oils"]
    assert list_below(light_session, account_id, "other") == {"other", "oils"}
    assert take(tell("art", "", is_deleted=True)) == ["art"]
    assert take(tell("art", "top")) == ["art"]
    assert take(tell("never-seen", "", is_deleted=True)) == ["never-seen"]
    assert light_session.get(DriveFolder, (account_id, "never-seen")) is None


def test_a_rename_is_reported_with_the_old_name(light_session: Session, account_id: int) -> None:
    news = note_folders(light_session, account_id, [tell("art", "top", "Works")], 1)
    assert news.renamed == [Renaming("art", "Art", "Works")]
    assert news.displaced == []
    assert find_folder_names(light_session, account_id, ["art", "gone"]) == {"art": "Works"}


def test_ids_are_matched_in_every_spelling(light_session: Session, account_id: int) -> None:
    for folder_id, parent_id in (
        ("0A2B3C4D5E6F7A8B!s1", "ABC!1"),
        ("a2b3c4d5e6f7a8b!s1", "abc!1"),
    ):
        folder = tell(folder_id, parent_id, "Works")
        news = note_folders(light_session, account_id, [folder], 1)
    assert (news.displaced, news.renamed) == ([], [])


def test_folders_inside_are_found_by_their_parents(light_session: Session, account_id: int) -> None:
    places = FolderPlaces(light_session, account_id, "art")
    found = {one: places.lies_inside(one) for one in ("art", "oils", "other", "top", "new", "")}
    assert [one for one, is_inside in found.items() if is_inside] == ["art", "oils"]


def test_contents_of_a_deleted_folder_are_nowhere(light_session: Session, account_id: int) -> None:
    note_folders(light_session, account_id, [tell("art", "", is_deleted=True)], 1)
    assert not FolderPlaces(light_session, account_id, "top").lies_inside("oils")


def test_folders_in_a_cycle_are_nowhere(light_session: Session, account_id: int) -> None:
    note_folders(light_session, account_id, [tell("art", "oils")], 1)
    assert not FolderPlaces(light_session, account_id, "top").lies_inside("oils")
    assert list_below(light_session, account_id, "art") == {"art", "oils"}


def test_folders_missing_from_a_new_listing_are_old(
    light_session: Session, account_id: int
) -> None:
    note_folders(light_session, account_id, [tell("top", ""), tell("art", "top")], 2)
    note_folders(light_session, account_id, [tell("other", "top")], 2)
    assert delete_old_folders(light_session, account_id, 2, 10) == 1
    assert list_below(light_session, account_id, "top") == {"top", "art", "other"}
    assert delete_old_folders(light_session, account_id, 2, 10) == 0
