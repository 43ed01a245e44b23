"""`imagehub rotate-keys`: new keys for a hub that runs, without signing anybody out."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from sqlalchemy import LargeBinary
from sqlalchemy.orm import Session

from imagehub import create_app
from imagehub.cli import main
from imagehub.config import Settings, SettingsError, load_settings
from imagehub.config_secrets import add_next_key, read_kept_keys, switch_key
from imagehub.database import Base, db, now_utc
from imagehub.domain.onedrive import deletion, uploads
from imagehub.domain.people import second_factor, throttle, users
from imagehub.domain.sharing import links
from imagehub.domain.site import keys as site_keys
from imagehub.domain.vault import SigningKeys, Vault
from imagehub.models import DriveAccount, UploadSession
from imagehub.models.columns import SealedBinary
from imagehub.queue import JobQueue
from imagehub.runtime import keys
from imagehub.wiring import get_given_settings, get_signing_keys, get_vault
from tests.admin.drive import Browser
from tests.fixtures.site import NAME, PASSWORD, ConnectedSite, Site, read_csrf_token

NAMES = ("secret_key", "token_key")


def say_nothing(_sentence: str) -> None:
    pass


def rotate(site: Site) -> list[str]:
    """Change the keys from another process; what it says."""
    said: list[str] = []
    with site.session() as session:
        keys.rotate(session, get_given_settings(site.app), said.append, wait_seconds=0)
    return said


def finish(site: Site, *, is_forced: bool = False) -> tuple[bool, str]:
    said: list[str] = []
    with site.session() as session:
        settings = get_given_settings(site.app)
        is_done = keys.finish(session, settings, said.append, is_forced=is_forced)
    return is_done, "\n".join(said)


def read_all(site: Site) -> dict[str, tuple[str, ...]]:
    folder = get_given_settings(site.app).data_dir
    return {name: read_kept_keys(folder, name) for name in NAMES}


def sign_in(site: Site, **fields: str) -> FlaskClient:
    client = site.client()
    token = read_csrf_token(client)
    data = {"name": NAME, "password": PASSWORD, "csrf_token": token} | fields
    assert client.post("/sign-in", data=data).status_code == 302
    return client


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/admin/account").status_code == 200


def test_everything_goes_on_before_and_after_a_change_of_keys(
    connected_site: ConnectedSite,
) -> None:
    site = connected_site
    site.put_files("Works", {"old.txt": b"1"})
    browser = Browser(site)
    seen, unseen, remembered = sign_in(site), sign_in(site), sign_in(site, remember="y")
    remembered.delete_cookie("hub")
    bearer = site.bearer()
    group = site.add_group(state="draft")
    with site.session() as session:
        _, share_token = links.create_share(session, None, [group], password="open sesame")
        user = users.find_user(session, NAME)
        assert user is not None
        secret = second_factor.begin(session, get_vault(), user)
        session.commit()
        mark = deletion.sign_deletion(get_signing_keys(), 1, [])
        device_mark = users.make_device_mark(get_signing_keys(), user)
        name_key = user.name_key
    visitor = site.client()
    share = f"/s/{share_token}"
    form = {"csrf_token": read_csrf_token(visitor, share), "password": "open sesame"}
    assert visitor.post(share, data=form).status_code == 303
    works = browser.find("Works")
    upload = {"folder": works, "name": "s.jpg", "size": 5, "upload": "mine"}
    begun = browser.send("/admin/drive/upload/begin", **upload)

    before = read_all(site)
    assert any("values were re-encrypted" in sentence for sentence in rotate(site))
    after = read_all(site)
    for name in NAMES:
        assert after[name] == (after[name][0], before[name][0])

    def check_all() -> None:
        assert is_signed_in(seen) and is_signed_in(remembered) and is_signed_in(browser.client)
        assert 'type="password"' not in visitor.get(share).text
        again = browser.send("/admin/drive/upload/begin", **upload)
        assert (again["upload_url"], again["is_known"]) == (begun["upload_url"], True)
        assert browser.find("old.txt", folder=works)
        with site.session() as session:
            user = users.find_user(session, NAME)
            assert user is not None and second_factor.begin(session, get_vault(), user) == secret

    check_all()
    assert site.get("/auth", headers=bearer).status_code == 200
    with site.app.app_context():
        assert deletion.read_deletion(get_signing_keys(), 1, mark) == {}
        assert throttle.is_mark(get_signing_keys(), device_mark, name_key)
    is_done, said = finish(site)
    assert not is_done and "browsers are signed in" in said and "share links" in said
    assert read_all(site) == {name: after[name] for name in NAMES}

    # Cookies were signed again meanwhile, so nobody notices that the former keys are gone.
    browser.token = read_csrf_token(browser.client, "/admin/drive")
    assert finish(site, is_forced=True)[0]
    assert read_all(site) == {name: after[name][:1] for name in NAMES}
    check_all()
    assert not is_signed_in(unseen), "its cookie is of the former key"
    assert site.get("/auth", headers=bearer).status_code == 401


@pytest.mark.parametrize("step", ["next", "linked", "switched"])
def test_a_change_of_keys_that_was_interrupted_is_continued(site: Site, step: str) -> None:
    client = sign_in(site)
    folder = get_given_settings(site.app).data_dir
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        secret = second_factor.begin(session, get_vault(), user)
        session.commit()
    before = read_all(site)
    add_next_key(folder, "token_key")
    add_next_key(folder, "secret_key")
    upcoming = {name: (folder / "secrets" / f"{name}_next").read_text() for name in NAMES}
    if step == "linked":
        os.link(folder / "secrets/secret_key", folder / "secrets/secret_key_previous")
    if step == "switched":
        switch_key(folder, "secret_key")
    assert is_signed_in(client)
    rotate(site)
    for name in NAMES:
        assert read_all(site)[name] == (upcoming[name], before[name][0])
    said = rotate(site)
    assert read_all(site)["token_key"] == (upcoming["token_key"], before["token_key"][0])
    assert "changed before" in said[0] and said[1].startswith("0 encrypted values")
    assert is_signed_in(client)
    with site.session() as session:
        user = users.find_user(session, NAME)
        assert user is not None
        only_new = Vault(upcoming["token_key"])
        assert second_factor.begin(session, only_new, user) == secret


def test_a_key_that_is_only_announced_is_accepted(site: Site) -> None:
    """Another process may sign with it before this one is asked again."""
    settings = get_given_settings(site.app)
    for name in NAMES:
        add_next_key(settings.data_dir, name)
    keys_of = read_all(site)
    with site.app.app_context():
        assert get_vault().open(Vault(keys_of["token_key"][1]).seal("text")) == "text"
        signature = SigningKeys(keys_of["secret_key"][1]).sign("purpose", "text")
        assert get_signing_keys().is_signature(signature, "purpose", "text")
        assert not get_signing_keys().is_signature(signature, "another", "text")


def test_former_keys_go_when_nothing_needs_them(site: Site) -> None:
    folder = get_given_settings(site.app).data_dir
    rotate(site)
    assert not finish(site)[0], "one-time pages may be open"
    assert len(read_all(site)["secret_key"]) == 1, "nobody was signed in"
    old = now_utc().timestamp() - 1000
    os.utime(folder / "secrets/token_key", (old, old))
    assert finish(site)[0]
    assert [len(found) for found in read_all(site).values()] == [1, 1]
    assert "There is no former" in finish(site)[1]


def test_a_key_is_kept_while_a_browser_may_need_it(site: Site) -> None:
    folder = get_given_settings(site.app).data_dir
    client = sign_in(site)
    rotate(site)
    month = now_utc().timestamp() - 31 * 86400
    assert "1 browsers are signed in" in finish(site)[1]
    for name in NAMES:
        os.utime(folder / "secrets" / name, (month, month))
    assert finish(site)[0], "sessions that were not used for so long are over"
    assert is_signed_in(client) is False


def test_messages_of_the_queue_are_read_on_both_sides_of_a_change(site: Site) -> None:
    settings = get_given_settings(site.app)
    done: list[int] = []
    queue = JobQueue(settings, done.append)
    queue.wake(1)
    add_next_key(settings.data_dir, "secret_key")
    queue.wake(2)
    switch_key(settings.data_dir, "secret_key")
    queue.wake(3)
    for _ in range(3):
        queue.huey.execute(queue.huey.dequeue())
    assert done == [1, 2, 3]


# --- Keys of the environment ----------------------------------------------------------------------


def make_machines(folder: Path, *pairs: tuple[str, str]) -> list[Site]:
    """Make web machines of one hub with (SECRET_KEY, SECRET_KEY_PREVIOUS)."""
    made = []
    for current, previous in pairs:
        environment = {
            "IMAGEHUB_DATA_DIR": str(folder),
            "IMAGEHUB_SECRET_KEY": current,
            "IMAGEHUB_SECRET_KEY_PREVIOUS": previous,
        }
        made.append(Site(create_app(load_settings(environment, None))))
    return made


def test_machines_that_are_restarted_one_after_the_other_accept_each_other(site: Site) -> None:
    folder = get_given_settings(site.app).data_dir
    first, second = "1" * 40, "2" * 40
    steps = [(first, ""), (first, second), (second, first), (second, "")]
    machines = make_machines(folder, *steps)
    for older, newer in pairwise(machines):
        for one, other in ((older, newer), (newer, older)):
            client = sign_in(one)
            cookie = client.get_cookie("hub")
            assert cookie is not None
            elsewhere = other.client()
            elsewhere.set_cookie("hub", cookie.value)
            assert is_signed_in(elsewhere)
            with one.app.app_context():
                bearer = one.bearer()
            assert other.get("/auth", headers=bearer).status_code == 200
    for machine in machines:
        with machine.app.app_context():
            db.engine.dispose()


def run(settings: Settings, *arguments: str, **variables: str) -> Result:
    environment = settings.to_environment() | variables
    return CliRunner().invoke(main, list(arguments), env=environment)


def test_the_command_says_what_to_set_where_the_environment_sets_the_keys(site: Site) -> None:
    settings = get_given_settings(site.app)
    own = read_all(site)
    given = {"IMAGEHUB_SECRET_KEY": "s" * 40, "IMAGEHUB_TOKEN_KEY": own["token_key"][0]}
    told = run(settings, "rotate-keys", **given)
    assert told.exit_code == 0, told.output
    assert "s" * 40 not in told.output and own["token_key"][0] not in told.output
    for name in ("IMAGEHUB_SECRET_KEY", "IMAGEHUB_TOKEN_KEY"):
        assert f"{name} is set by the environment" in told.output
        assert f"{name}_PREVIOUS" in told.output
    assert read_all(site) == own
    new = Fernet.generate_key().decode()
    given |= {"IMAGEHUB_TOKEN_KEY": new, "IMAGEHUB_TOKEN_KEY_PREVIOUS": own["token_key"][0]}
    done = run(settings, "rotate-keys", **given)
    assert "remove IMAGEHUB_TOKEN_KEY_PREVIOUS" in done.output


def test_the_command_changes_the_keys_and_deletes_the_former_ones(site: Site) -> None:
    settings = get_given_settings(site.app)
    before = read_all(site)
    assert run(settings, "rotate-keys").output.startswith("New keys: IMAGEHUB_SECRET_KEY and")
    assert run(settings, "rotate-keys", "--finish").exit_code == 1
    assert run(settings, "rotate-keys", "--now").exit_code == 2
    assert run(settings, "rotate-keys", "--finish", "--now").exit_code == 0
    after = read_all(site)
    assert {len(found) for found in after.values()} == {1}
    assert not {*before["secret_key"], *before["token_key"]} & {*after["secret_key"]}


def test_former_keys_are_checked_at_the_start(tmp_path: Path) -> None:
    given = {
        "IMAGEHUB_DATA_DIR": str(tmp_path),
        "IMAGEHUB_SECRET_KEY_PREVIOUS": "short",
        "IMAGEHUB_TOKEN_KEY_PREVIOUS": "nonsense",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(given, None)
    assert "IMAGEHUB_SECRET_KEY_PREVIOUS: must have at least 32" in str(caught.value)
    assert "IMAGEHUB_TOKEN_KEY_PREVIOUS: must be a Fernet key" in str(caught.value)


# --- What is encrypted ----------------------------------------------------------------------------


def test_every_column_of_bytes_is_known_to_the_change_of_keys() -> None:
    """A column that the vault fills needs the type ``SealedBinary``."""
    columns = [column for table in Base.metadata.sorted_tables for column in table.columns]
    plain = [
        f"{column.table.name}.{column.name}"
        for column in columns
        if isinstance(column.type, LargeBinary) and not isinstance(column.type, SealedBinary)
    ]
    # What nothing encrypts is named here; all else uses SealedBinary.
    assert plain == ["likeness.look"]
    assert len(site_keys.list_sealed_columns()) >= 5


def test_what_cannot_be_decrypted_stays_and_is_counted(either_session: Session) -> None:
    old, new, lost = (Fernet.generate_key().decode() for _ in range(3))
    account = DriveAccount(home_account_id="home", token_cache=Vault(old).seal("token"))
    either_session.add(account)
    either_session.commit()
    for key, secret in (("a", old), ("b", lost)):
        opened = uploads.OpenUpload(f"https://upload.example.org/{key}", now_utc())
        uploads.remember_session(either_session, Vault(secret), account.id, key, opened)
    done = site_keys.reseal_all(either_session, Vault(f"{new},{old}"))
    assert (done.count, done.unreadable_count) == (2, 1)
    again = site_keys.reseal_all(either_session, Vault(f"{new},{old}"))
    assert (again.count, again.unreadable_count) == (0, 1)
    either_session.expire_all()
    assert Vault(new).open(account.token_cache) == "token"
    kept = either_session.get_one(UploadSession, "a").address
    assert Vault(new).open(kept) == "https://upload.example.org/a"
