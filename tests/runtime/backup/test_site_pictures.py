"""Logos and the picture of the watermark: lost, made again, checked, and moved to another hub."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from imagehub.database import make_engine_options
from imagehub.domain.imports.logos import fetch_logo
from imagehub.domain.imports.site_pictures import Source, find_source
from imagehub.domain.imports.watermark import choose_picture
from imagehub.domain.library.finish import find_picture
from imagehub.domain.people import users
from imagehub.domain.site.settings import get_site, save_site
from imagehub.models import HubSetting, LogoPicture, StoredObject
from imagehub.wiring import build_clients
from tests.admin.test_logo_pages import draw_logo
from tests.fixtures.importing import ImportHub
from tests.runtime.backup.test_commands import run
from tests.runtime.backup.test_rebuild import run as rebuild


@pytest.fixture
def hub(import_hub: ImportHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportHub:
    """With a logo, one for the dark theme, and a picture for watermarks."""
    monkeypatch.chdir(tmp_path)
    names = ("dark.png", "light.png", "mark.png")
    chosen = import_hub.put_files("Site", {one: draw_logo(200 + 40 * len(one)) for one in names})
    dark, light, picture = (item for item, _name in chosen.files)
    session, drive = import_hub.session, import_hub.open_drive()
    for name, item in (("logo", light), ("logo_dark", dark)):
        source = Source(import_hub.account_id, item)
        assert import_hub.renderer is not None
        logo = fetch_logo(session, import_hub.clients, import_hub.renderer, drive, source)
        save_site(session, import_hub.settings, {name: str(logo.id)})
        session.commit()
    source = Source(import_hub.account_id, picture)
    choose_picture(session, import_hub.clients, import_hub.renderer, drive, source)
    session.commit()
    return import_hub


def read_objects(hub: ImportHub) -> dict[str, bytes]:
    return {key: hub.clients.store.get_object(key) for key in hub.list_keys()}


def test_lost_pictures_are_made_again(hub: ImportHub) -> None:
    before = read_objects(hub)
    assert len(before) == 3
    lost = [key for key in before if key.startswith("logos/")][:1]
    hub.clients.store.delete_objects(lost)
    rebuilt, said = rebuild(hub, missing_only=True)
    assert (rebuilt.pictures.done, rebuilt.pictures.failed, said) == (1, 0, [])
    assert "1  logos and pictures of watermarks made again" in rebuilt.describe()
    assert read_objects(hub) == before
    hub.clients.store.delete_objects(before)
    rebuilt, said = rebuild(hub)
    assert (rebuilt.pictures.done, said) == (3, [])
    assert read_objects(hub) == before
    assert [row.id for row in hub.session.scalars(select(LogoPicture))] == [1, 2]
    # One group alone has nothing to do with them.
    hub.clients.store.delete_objects(before)
    assert rebuild(hub, group=1)[0].pictures.done == 0


def test_a_file_that_has_changed_becomes_another_logo(hub: ImportHub) -> None:
    """Rows of logos never change, so that processes may remember them."""
    (hub.onedrive.root / "Site" / "light.png").write_bytes(draw_logo(640))
    (hub.onedrive.root / "Site" / "mark.png").write_bytes(draw_logo(640))
    before = find_picture(hub.session)
    assert before is not None
    old_key = before.object_key
    rebuilt, _ = rebuild(hub)
    assert rebuilt.pictures.done == 3
    site = get_site(hub.session, hub.settings)
    assert (site.logo, site.logo_dark) == (3, 2)
    assert hub.session.get(LogoPicture, 1) is None
    assert hub.session.get_one(LogoPicture, 3).width_px == 480
    after = find_picture(hub.session)
    assert after is not None and after.object_key != old_key
    unused = select(StoredObject.key).where(StoredObject.is_deleting)
    assert len(hub.session.scalars(unused).all()) == 2
    sources = select(HubSetting.name).where(HubSetting.name.startswith("made_from:"))
    assert len(hub.session.scalars(sources).all()) == 3


def test_what_cannot_be_made_again_is_named(hub: ImportHub) -> None:
    (hub.onedrive.root / "Site" / "dark.png").unlink()
    hub.session.execute(HubSetting.__table__.delete().where(HubSetting.name.contains("made_from")))
    logo = hub.session.get_one(LogoPicture, 2)
    hub.session.add(
        HubSetting(
            name=f"made_from:{logo.object_key[6:46]}",
            value=f'{{"account": {hub.account_id}, "item": "gone!1"}}',
        )
    )
    hub.session.commit()
    before = read_objects(hub)
    rebuilt, said = rebuild(hub)
    assert (rebuilt.pictures.done, rebuilt.pictures.failed, rebuilt.lacks_something) == (0, 3, True)
    assert len(said) == 3
    assert "  watermark mark.png: Its file in OneDrive is unknown." in said[0]
    assert said[2].startswith("  logo dark.png: ")
    # What is there stays.
    assert read_objects(hub) == before


def test_a_check_names_them(hub: ImportHub) -> None:
    store = hub.clients.store
    assert run(hub, "verify", "--deep").exit_code == 0
    for key in hub.list_keys():
        if key.startswith("logos/"):
            store.put_object(key, b"other", "image/webp")
        else:
            store.delete_objects([key])
    checked = run(hub, "verify", "--deep")
    assert checked.exit_code == 1
    for words in ("(logo light.png)", "(logo dark.png)", "(watermark mark.png)"):
        assert words in checked.output


def test_they_move_to_an_empty_hub_by_a_manifest(hub: ImportHub, tmp_path: Path) -> None:
    before = read_objects(hub)
    file, new = tmp_path / "hub.jsonl", tmp_path / "new"
    assert run(hub, "export", str(file)).exit_code == 0
    imported = run(hub, "import-manifest", str(file), folder=new)
    assert imported.exit_code == 0, imported.output
    assert run(hub, "export", "-", folder=new).stdout == file.read_text()
    assert run(hub, "verify", str(file), "--deep", folder=new).exit_code == 0
    # The bucket is lost too, and OneDrive is connected again.
    hub.clients.store.delete_objects(before)
    failed = run(hub, "rebuild", "--missing-only", folder=new)
    assert failed.exit_code == 1
    assert failed.output.count("Its OneDrive account is not connected.") == 3
    url = f"sqlite:///{new / 'imagehub.db'}"
    engine = create_engine(url, **make_engine_options(url))
    with Session(engine, expire_on_commit=False) as session:
        settings = replace(hub.settings, data_dir=new, database_url=url)
        clients = build_clients(engine, settings)
        other = replace(hub, engine=engine, session=session, settings=settings, clients=clients)
        other.user_id = users.create_admin(session, "Bea", "correct horse battery").id
        session.commit()
        other.connect()
        site = get_site(session, settings)
        assert (site.logo, site.logo_dark) == (1, 2)
        logo = session.get_one(LogoPicture, 1)
        assert find_source(session, logo.object_key) is not None
    engine.dispose()
    made = run(hub, "rebuild", "--missing-only", folder=new)
    assert made.exit_code == 0, made.output
    assert "3  logos and pictures of watermarks made again" in made.output
    assert read_objects(hub) == before


def test_a_check_with_a_manifest_misses_them(hub: ImportHub, tmp_path: Path) -> None:
    file = tmp_path / "hub.jsonl"
    assert run(hub, "export", str(file)).exit_code == 0
    hub.session.delete(hub.session.get_one(LogoPicture, 1))
    hub.session.commit()
    checked = run(hub, "verify", str(file))
    assert checked.exit_code == 1
    assert "picture    logo light.png" in checked.output
