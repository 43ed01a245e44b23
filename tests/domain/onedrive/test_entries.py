"""Items of the drive browser with the images made from them."""

from imagehub.domain.onedrive.entries import mark_items
from tests.fixtures.checking import check, states
from tests.fixtures.importing import ImportHub, make_heic


def list_states(hub: ImportHub, folder: str) -> dict[str, str]:
    """Return the state of each file in the drive browser, by file name."""
    hub.session.rollback()
    drive = hub.open_drive()
    item = drive.find_item_by_path(folder)
    assert item is not None
    items = list(drive.iter_children(item.id))
    return {
        entry.item.name: entry.state for entry in mark_items(hub.session, hub.account_id, items)
    }


def test_drive_browser_and_library_agree_on_changed_files(
    import_hub: ImportHub,
) -> None:
    """OneDrive lists size and hash of a whole Live Photo but sends only the picture."""
    hub = import_hub
    hub.onedrive.set_fault("rewritten_size", item=r"\.heic$")
    files = {"live.heic": make_heic(), "other.heic": make_heic("teal")}
    hub.work(hub.create(hub.put_files("Phone", files)))
    check(hub)
    assert states(hub) == {"live.heic": "ok", "other.heic": "ok"}
    assert list_states(hub, "Phone") == {"live.heic": "inside", "other.heic": "inside"}

    (hub.onedrive.root / "Phone" / "live.heic").write_bytes(make_heic("maroon"))
    check(hub)
    assert states(hub) == {"live.heic": "changed", "other.heic": "ok"}
    assert list_states(hub, "Phone") == {"live.heic": "changed", "other.heic": "inside"}
