"""The list of a drive's files, in which ``migrate-legacy`` finds the originals."""

from dataclasses import replace

from tests.fixtures.importing import ImportHub
from tests.fixtures.legacy import FirstVersion, make_picture


def test_only_files_below_the_root_folder_are_found(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    inside, outside = make_picture(1), make_picture(2)
    for folder in ("Art", "Art/Oils", "Art/Oils/Large", "Other"):
        (hub.onedrive.root / folder).mkdir()
    (hub.onedrive.root / "Art/Oils/Large/one.jpg").write_bytes(inside)
    (hub.onedrive.root / "Art/top.jpg").write_bytes(make_picture(3))
    (hub.onedrive.root / "Other/two.jpg").write_bytes(outside)
    old.add(1, 1, "one.jpg", inside, folder="Large")
    old.add(1, 2, "two.jpg", outside, folder="Other")
    old.add(1, 3, "top.jpg", make_picture(3), folder="")
    part = replace(hub, **vars(hub.with_settings(root_folder="/Art")))
    report = old.migrate(part)
    assert "2 files in the root folder of OneDrive." in old.said
    assert (report.pictures["matched"], report.pictures["not in OneDrive"]) == (2, 1)
    folders = [(image.name, image.folder_name) for image in hub.list_images()]
    assert folders == [("one.jpg", "Large"), ("two.jpg", "Other"), ("top.jpg", "Art")]


def test_a_listing_that_has_to_begin_anew_is_whole(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    hub.put_pictures("System", 600)
    old.add(1, 1, "0007.jpg", (hub.onedrive.root / "System/0007.jpg").read_bytes())
    fault = hub.onedrive.set_fault("delta_gone", path="/delta", times=1)
    assert old.migrate(hub).pictures["matched"] == 1
    assert hub.onedrive.list_faults()[0]["fired"]
    hub.onedrive.clear_faults(fault)
    assert "600 files in the root folder of OneDrive." in old.said
