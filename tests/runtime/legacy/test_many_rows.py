"""``migrate-legacy`` with many rows: what must not grow with them, and their order."""

import threading
from dataclasses import replace

from imagehub.domain.imports.scratch import Scratch
from imagehub.runtime.legacy.ahead import Ahead
from imagehub.runtime.legacy.report import MAX_REASONS, OTHER_REASONS, Progress, Report
from imagehub.runtime.legacy.source import OldDatabase, read_url
from imagehub.runtime.legacy.work import Options, Work
from tests.fixtures.database import count_statements
from tests.fixtures.importing import ImportHub
from tests.fixtures.legacy import FirstVersion, make_picture
from tests.fixtures.programs import wait_until


def test_a_row_takes_as_many_statements_as_in_a_small_library_and_none_once_it_is_here(
    either_import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = either_import_hub, first_version
    for number in range(1, 41):
        name, data = f"{number}.jpg", make_picture(number)
        hub.put_files(f"Folder {number % 20}", {name: data})
        old.add(number // 2 + 1, number, name, data, folder=f"Folder {number % 20}")
    old.execute("UPDATE imagedb SET image_id = 0 WHERE `index` > 10")
    hub.onedrive.clear_log()
    with count_statements() as few:
        assert old.migrate(hub).pictures["made"] == 10
    # However many folders there are.
    assert not hub.onedrive.log(path="/children")
    assert len(hub.onedrive.log(path="/delta")) == 1
    old.execute("UPDATE imagedb SET image_id = `index`")
    with count_statements() as many:
        assert old.migrate(hub).pictures["made"] == 30
    assert len(many) / 30 <= len(few) / 10
    with count_statements() as none:
        report = old.migrate(hub)
    assert report.pictures == {"read": 40, "already here": 40}
    assert len(none) < 30


def test_rows_keep_their_order_whichever_picture_is_ready_first(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    for number in range(6):
        size = (60, 40) if number % 3 else (2400, 1600)
        old.add(1, None, f"{number}.jpg", make_picture(number, size=size))
    old.migrate(hub)
    rows = [(image.number, image.name) for image in hub.list_images()]
    assert rows == [(n + 1, f"{n}.jpg") for n in range(6)]
    dry = old.migrate(hub, dry_run=True)
    assert dry.pictures["already here"] == 6


def test_only_a_few_pictures_wait_for_their_turn(
    import_hub: ImportHub, first_version: FirstVersion
) -> None:
    hub, old = import_hub, first_version
    for number in range(12):
        old.add(1, number + 1, f"{number}.jpg", make_picture(number))
    hub.session.rollback()
    source, scratch = OldDatabase(read_url(old.url)), Scratch(hub.settings.data_dir)
    source.check()
    clients = replace(hub.clients, renderer=hub.renderer)
    progress, stopping = Progress(old.said.append), threading.Event()
    work = Work(
        hub.engine, hub.settings, clients, source, scratch, Options(), progress, Report(), stopping
    )
    with Ahead(work) as ahead:
        rows = ahead.iter_rows(source.list_keys())
        first = next(rows)
        assert first.prepared is not None
        first.prepared.result()
        # The renderers could go on now.
        wait_until(lambda: all(row.prepared and row.prepared.done() for row in ahead._waiting))
        assert len(list(scratch.folder.glob("tmp*"))) == 1 + hub.settings.worker_processes
        with first.prepared.result() as prepared:
            assert prepared.picture.width_px == 60
    assert not list(scratch.folder.glob("tmp*"))
    scratch.close()
    source.close()


def test_many_different_reasons_are_counted_as_one() -> None:
    report = Report()
    for number in range(MAX_REASONS + 50):
        report.note_failure(f"Group {number} was deleted in the hub.")
    report.note_failure("Group 7 was deleted in the hub.")
    assert report.reasons["Group 7 was deleted in the hub."] == 2
    assert len(report.reasons) == MAX_REASONS + 1
    assert report.reasons[OTHER_REASONS] == 50
