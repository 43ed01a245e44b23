"""Print files are made from originals, can be cancelled, and a crash leaves nothing wrong."""

import contextlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from sqlalchemy import select, update

from imagehub.database import now_utc
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.library import series_edit, series_trash
from imagehub.domain.prints import files, letters, making
from imagehub.domain.prints.content import load_content
from imagehub.domain.prints.files import PrintOptions
from imagehub.domain.prints.letters import check_before
from imagehub.domain.translations import write_translation
from imagehub.models import Group, Image, PrintFile
from tests.fixtures.importing import ImportHub

NOBODYS = "\U0003fffc"


def make_original(size: tuple[int, int] = (2600, 1800)) -> bytes:
    buffer = io.BytesIO()
    Picture.linear_gradient("L").resize(size).convert("RGB").save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


@pytest.fixture
def hub(import_hub: ImportHub) -> ImportHub:
    """With two works: a large one, and a small one."""
    works = {"a.jpg": make_original(), "b.jpg": make_original((600, 900))}
    for name, data in works.items():
        selection = import_hub.put_files(name[0], {name: data})
        assert import_hub.work(import_hub.create(selection)) == ["done"]
    titles = ("Ember, Ножницы & <b>", "Ωδή")
    for group, title in zip(import_hub.session.scalars(select(Group)), titles, strict=True):
        group.title, group.medium, group.year = title, "Oil on linen", "2023"
    import_hub.session.commit()
    import_hub.reconcile()  # The search index knows the titles now.
    return import_hub


@contextmanager
def make_job(hub: ImportHub, **changes: Any) -> Iterator[making.PrintJob]:
    scratch = Scratch(hub.settings.data_dir)
    try:
        yield replace(making.PrintJob(hub.settings, scratch, lambda: True), **changes)
        assert [path.name for path in scratch.folder.iterdir() if path.name != ".lock"] == []
    finally:
        scratch.close()


def request(hub: ImportHub, kind: str = "catalogue", **options: Any) -> int:
    numbers = list(hub.session.scalars(select(Group.id).order_by(Group.id)))
    made = files.request_print(hub.session, None, kind, "Autumn", numbers, PrintOptions(**options))
    number = made.id
    hub.session.commit()
    return number


def work(hub: ImportHub, **changes: Any) -> int:
    hub.session.rollback()
    with make_job(hub, **changes) as job:
        return making.work_on_prints(hub.session, hub.clients, job)


def get_row(hub: ImportHub, number: int) -> PrintFile:
    hub.session.rollback()
    hub.session.expire_all()
    return files.get_print(hub.session, number)


def read_pdf(hub: ImportHub, number: int) -> bytes:
    row = get_row(hub, number)
    data = b"".join(files.iter_content(hub.clients, row))
    assert len(data) == row.size_bytes
    return data


def list_parts(hub: ImportHub) -> set[str]:
    return {key for key in hub.list_keys() if key.startswith("prints/")}


def list_pictures(pdf: bytes) -> list[Picture.Image]:
    """Return the pictures of a PDF, each read from where its table of objects says."""
    start = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    rows = re.findall(rb"(\d{10}) 00000 n", pdf[start:])
    found = []
    for number, offset in enumerate(map(int, rows), start=1):
        assert pdf[offset:].startswith(b"%d 0 obj" % number)
        head, _, rest = pdf[offset : offset + 4_000_000].partition(b"stream\n")
        if b"/DCTDecode" in head:
            length = int(re.findall(rb"/Length (\d+)", head)[0])
            found.append(Picture.open(io.BytesIO(rest[:length])))
    return found


def list_drawn_ratios(pdf: bytes) -> list[float]:
    """Return width by height of each picture as it is drawn, smallest first."""
    ratios = []
    for start in re.finditer(rb"stream\r?\n", pdf):
        with contextlib.suppress(zlib.error):
            text = zlib.decompressobj().decompress(pdf[start.end() :])
            # A picture is a square of 1 by 1 before. Source: ISO 32000-1, 8.9.5.
            drawn = re.findall(rb"\b([\d.]+) 0 0 ([\d.]+) [\d.]+ [\d.]+ cm\s*/x\d+ Do", text)
            ratios += [float(width) / float(height) for width, height in drawn]
    return sorted(ratios)


def check_no_picture_is_stretched(pdf: bytes) -> None:
    ratios = sorted(one.width / one.height for one in list_pictures(pdf))
    assert list_drawn_ratios(pdf) == pytest.approx(ratios, rel=0.01)


def test_a_catalogue_is_made_of_originals_at_the_size_of_print(hub: ImportHub) -> None:
    number = request(hub, prices=True)
    assert work(hub) == 1
    row = get_row(hub, number)
    assert (row.state, row.done_count, row.reason) == ("ready", 2, "")
    # Title page, contents, and two works.
    assert row.page_count == 4
    check_no_picture_is_stretched(read_pdf(hub, number))
    pictures = list_pictures(read_pdf(hub, number))
    # 166 mm at 300 pixels per inch, and all that the small original has.
    assert [one.size for one in pictures] == [(1961, 1358), (600, 900)]
    for one in pictures:
        one.load()
        assert (one.format, one.mode) == ("JPEG", "RGB")
        assert one.info["icc_profile"] and one.info["dpi"] == (300, 300)
    ((_, title, sentence),) = files.list_problems(row)
    assert title == "Ωδή"
    assert re.search(r"this picture has only \d+ pixels per inch instead of 300\.$", sentence)
    assert hub.reconcile().is_clean
    assert work(hub) == 0, "there is nothing left to do"


def test_a_title_like_an_object_of_a_pdf_is_a_title(hub: ImportHub) -> None:
    title = "/Subtype/Image /Width 1 /Height 1 /Type/Page"
    for group in hub.session.scalars(select(Group)):
        group.title = title
    hub.session.commit()
    number = request(hub)
    assert work(hub) == 1
    pdf = read_pdf(hub, number)
    assert pdf.count(b"/Title(%b)" % title.encode()) == 2, "in the outline"
    assert len(list_pictures(pdf)) == 2
    check_no_picture_is_stretched(pdf)
    assert get_row(hub, number).page_count == int(re.findall(rb"/Count (\d+)/Kids", pdf)[0])


def test_characters_that_no_font_has_are_named_before_and_after(
    hub: ImportHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = hub.session.scalars(select(Group).order_by(Group.id)).all()
    monkeypatch.setattr(letters, "_WAIT_SECONDS", 120.0)  # the machine may be busy
    # No font can have these: Unicode has not assigned them.
    first.text = f"Ω, Ő and {NOBODYS}, twice {NOBODYS}."
    series = series_edit.create_series(hub.session, f"Sea {NOBODYS}", [first.id, second.id])
    before = check_before(
        hub.session, hub.settings, series.title, [first.id, second.id], "en", series.id
    )
    assert before == [(0, series.title, NOBODYS), (first.id, first.title, NOBODYS)]
    hub.session.commit()
    number = request(hub, texts=True)
    assert work(hub) == 1
    problems = [one for one in files.list_problems(get_row(hub, number)) if NOBODYS in one[2]]
    assert [(one[0], one[1]) for one in problems] == [(first.id, "Ember, Ножницы & <b>")]
    number = request(hub)
    assert work(hub) == 1
    assert NOBODYS not in str(files.list_problems(get_row(hub, number))), "it is not printed"


@pytest.mark.parametrize(("kind", "pictures"), [("prices", 2), ("labels", 0)])
def test_price_lists_and_labels_need_no_original(hub: ImportHub, kind: str, pictures: int) -> None:
    hub.session.execute(update(Image).values(drive_state="missing"))
    number = request(hub, kind, language="de")
    assert work(hub) == 1
    row = get_row(hub, number)
    assert (row.state, row.page_count, files.list_problems(row)) == ("ready", 1, [])
    check_no_picture_is_stretched(read_pdf(hub, number))
    found = list_pictures(read_pdf(hub, number))
    assert len(found) == pictures
    assert all(max(one.size) <= 283 for one in found)


def test_a_picture_without_its_original_is_printed_from_a_copy_and_named(hub: ImportHub) -> None:
    hub.session.execute(update(Image).where(Image.name == "a.jpg").values(drive_state="missing"))
    number = request(hub, per_page=1)
    assert work(hub) == 1
    row = get_row(hub, number)
    sentences = {title: sentence for _, title, sentence in files.list_problems(row)}
    assert sentences["Ember, Ножницы & <b>"] == (
        "Printed from a smaller copy. The original is not in OneDrive."
    )
    assert list_pictures(read_pdf(hub, number))[0].size == (1920, 1329)


def test_an_original_that_onedrive_refuses_does_not_stop_the_others(hub: ImportHub) -> None:
    number = request(hub)
    hub.onedrive.set_fault("malware")
    assert work(hub) == 1
    row = get_row(hub, number)
    sentences = [sentence for _, title, sentence in files.list_problems(row) if "Ember" in title]
    assert any(one.startswith("Printed from a smaller copy.") for one in sentences)
    assert len(list_pictures(read_pdf(hub, number))) == 2


def test_a_cancelled_file_leaves_nothing_and_can_be_made_again(hub: ImportHub) -> None:
    number = request(hub)

    def cancel() -> bool:
        if get_row(hub, number).state == "making":
            files.cancel_print(hub.session, number)
            hub.session.commit()
        return True

    assert work(hub, keep_on=cancel) == 0
    assert get_row(hub, number).state == "cancelled"
    assert list_parts(hub) == set()
    assert hub.reconcile().is_clean
    files.retry_print(hub.session, number)
    hub.session.commit()
    assert work(hub) == 1
    assert get_row(hub, number).state == "ready"


def test_a_file_whose_maker_died_is_made_once_by_another(
    hub: ImportHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "PART_BYTES", 50_000)
    number = request(hub)
    assert making._claim_next(hub.session) is not None
    assert work(hub) == 0, "it is claimed"
    hub.session.execute(update(PrintFile).values(due_at=now_utc() - timedelta(seconds=1)))
    hub.session.commit()
    assert work(hub) == 1
    row = get_row(hub, number)
    assert row.part_count == len(list_parts(hub)) > 2
    assert hub.reconcile().is_clean


def test_a_file_that_kills_its_makers_fails_in_the_end(hub: ImportHub) -> None:
    number = request(hub)
    claims = []
    for _ in range(4):
        claims.append(making._claim_next(hub.session) is not None)
        hub.session.execute(update(PrintFile).values(due_at=now_utc() - timedelta(seconds=1)))
        hub.session.commit()
    assert claims == [True, True, True, False]
    row = get_row(hub, number)
    assert (row.state, row.owner) == ("failed", "")
    assert row.reason.startswith("The worker ended unexpectedly several times")
    files.retry_print(hub.session, number)
    hub.session.commit()
    assert work(hub) == 1


def test_a_stopping_worker_puts_the_file_back(hub: ImportHub) -> None:
    number = request(hub)
    answers = iter([True, True])
    assert work(hub, keep_on=lambda: next(answers, False)) == 0
    assert (get_row(hub, number).state, list_parts(hub)) == ("waiting", set())


def test_a_stopping_worker_ends_a_download(hub: ImportHub) -> None:
    number = request(hub)
    scratch = hub.settings.data_dir / "scratch"
    begun: list[Path] = []

    def keep_on() -> bool:
        begun.extend(path for path in scratch.glob("worker-*/tmp*") if path.is_file())
        return not begun

    assert work(hub, keep_on=keep_on) == 0
    assert (get_row(hub, number).state, list_parts(hub)) == (files.WAITING, set())
    assert work(hub) == 1


def test_files_are_deleted_by_people_and_after_a_time(hub: ImportHub) -> None:
    first, second = request(hub, "labels"), request(hub, "labels")
    assert work(hub) == 2
    files.delete_print(hub.session, first)
    hub.session.commit()
    hub.session.execute(update(PrintFile).values(expires_at=now_utc() - timedelta(seconds=1)))
    hub.session.commit()
    assert files.has_expired(hub.session)
    assert files.delete_expired(hub.session, hub.clients) == 1
    assert hub.session.get(PrintFile, second) is None
    hub.reconcile()
    assert list_parts(hub) == set()
    assert hub.reconcile().is_clean


def test_prices_follow_their_rules(hub: ImportHub) -> None:
    groups = list(hub.session.scalars(select(Group).order_by(Group.id)))
    groups[0].price, groups[0].currency, groups[0].price_shown = "4800", "EUR", "share"
    groups[1].price, groups[1].price_shown = "90", "nowhere"
    hub.session.commit()

    def read(**options: Any) -> list[str]:
        row = get_row(hub, request(hub, "prices", **options))
        return [one.data["price"] for one in load_content(hub.session, hub.settings, row).works]

    assert read() == ["", ""]
    assert read(share_prices=True) == ["€4,800", ""]
    assert read(share_prices=True, language="de") == ["4.800\N{NO-BREAK SPACE}€", ""]
    groups = list(hub.session.scalars(select(Group).order_by(Group.id)))
    groups[0].price_shown, groups[1].availability = "request", "sold"
    hub.session.commit()
    assert read(language="de") == ["Preis auf Anfrage", "Verkauft"]


def test_a_series_is_printed_with_its_parts_and_its_text(hub: ImportHub) -> None:
    first, second = list(hub.session.scalars(select(Group.id).order_by(Group.id)))
    series = series_edit.create_series(hub.session, "Coast", [second])
    part = series_edit.create_series(hub.session, "Ebb", [first, second], series.id)
    series.text, series.dates, series.place = "Calm and *storm*.\n\nMore.", "2019–2024", "Bremen"
    hub.session.flush()
    numbers = files.list_series_groups(hub.session, series.id)
    assert numbers == [second, first]
    row = files.request_print(
        hub.session, None, "catalogue", "Coast", numbers, PrintOptions(), series.id
    )
    content = load_content(hub.session, hub.settings, row)
    assert [one.group_id for one in content.works] == numbers
    assert content.data["subtitle"] == "2019–2024, Bremen"
    series.dates, series.first_day, series.last_day = "", date(2026, 3, 12), date(2026, 4, 30)
    hub.session.flush()
    content = load_content(hub.session, hub.settings, row)
    assert content.data["subtitle"] == "12 March – 30 April 2026, Bremen"
    assert content.data["introduction"][0] == "Calm and storm."
    assert json.loads(row.groups) == numbers
    series_trash.trash_series(hub.session, part.id)
    assert files.list_series_groups(hub.session, series.id) == [second]


def test_texts_are_in_the_language_of_the_file_as_on_pages(hub: ImportHub) -> None:
    group = hub.session.scalars(select(Group).order_by(Group.id)).first()
    assert group is not None
    texts = {"en": "Lake", "de": "See", "fr": "Lac"}
    for language, title in texts.items():
        write_translation(hub.session, group, language, {"title": title})
    hub.session.commit()
    main = group.title

    def read(language: str, *languages: str) -> str:
        row = get_row(hub, request(hub, language=language))
        settings = replace(hub.settings, text_languages=languages)
        return load_content(hub.session, settings, row).works[0].title

    assert read("de", "en", "de") == "See"
    # Left from when it was another language, or after a language was removed.
    assert read("en", "en", "de") == main
    assert read("de") == main


def test_a_work_by_another_artist_is_printed_under_their_name(hub: ImportHub) -> None:
    other = hub.session.scalars(select(Group).order_by(Group.id.desc())).first()
    assert other is not None
    other.creator = "Berenice Abbott"
    hub.session.commit()
    settings = replace(hub.settings, creator="Ada Lovelace")

    def read(kind: str) -> list[tuple[str, str]]:
        row = get_row(hub, request(hub, kind))
        works = load_content(hub.session, settings, row).works
        return [(one.data["artist"], one.data["lines"][0]) for one in works]

    # Labels have a line of their own for the artist.
    assert read("labels") == [
        ("Ada Lovelace", "Oil on linen"),
        ("Berenice Abbott", "Oil on linen"),
    ]
    assert read("prices") == [("Ada Lovelace", "2023"), ("Berenice Abbott", "Berenice Abbott")]
