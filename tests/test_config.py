"""The settings: sources of values, refusals, generated secrets."""

import stat
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy.engine import make_url

from imagehub.config import (
    FILE_NAMES,
    SETTING_NAMES,
    Settings,
    SettingsError,
    find_unknown_names,
    list_fields,
    load_settings,
)
from tests.fixtures.workers import FORKS

SECRETS = {
    "IMAGEHUB_SECRET_KEY": "s" * 40,
    "IMAGEHUB_TOKEN_KEY": Fernet.generate_key().decode(),
    "IMAGEHUB_S3_ACCESS_KEY_ID": "the-access-key",
    "IMAGEHUB_S3_SECRET_ACCESS_KEY": "the-secret-access-key",
}
PRODUCTION = {
    **SECRETS,
    "IMAGEHUB_ENV": "production",
    "IMAGEHUB_PUBLIC_URL": "https://hub.example.org",
}


def load(folder: Path, **changes: str) -> Settings:
    environment = {f"IMAGEHUB_{name}": text for name, text in changes.items()}
    return load_settings({"IMAGEHUB_DATA_DIR": str(folder), **environment}, None)


# --- Where values come from -----------------------------------------------------------------------


def test_without_any_variable_the_defaults_hold(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.env == "development"
    assert settings.sqlalchemy_url == f"sqlite:///{tmp_path}/imagehub.db"
    assert settings.uses_embedded_s3
    assert settings.s3_url == settings.s3_public_url == "http://127.0.0.1:9710"
    assert settings.presign_window_seconds == 86_400
    assert settings.downloads == "without-place"
    assert settings.cors_origins == ()


def test_the_environment_overrules_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        "# a comment\nIMAGEHUB_TITLE='From the file'\nIMAGEHUB_TAGLINE=also from the file\n"
        "IMAGEHUB_WEB_WORKERS=3\n"
    )
    environment = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_TITLE": "From outside"}
    settings = load_settings(environment, env_file)
    assert settings.title == "From outside"
    assert settings.tagline == "also from the file"
    assert settings.web_workers == 3


def test_an_empty_variable_hides_the_env_file_and_means_the_default(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("IMAGEHUB_TITLE=From the file\n")
    environment = {"IMAGEHUB_DATA_DIR": str(tmp_path), "IMAGEHUB_TITLE": "  "}
    settings = load_settings(environment, env_file)
    assert settings.title == "ImageHub"
    assert "title" not in settings.given


def test_the_settings_know_which_of_them_were_given(tmp_path: Path) -> None:
    assert load(tmp_path, ACCENT="#112233").given == {"data_dir", "accent"}


def test_addresses_may_be_written_in_capitals(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        PUBLIC_URL="HTTPS://Hub.Example.ORG:8443/Art/",
        CORS_ORIGINS="HTTPS://App.example.org",
    )
    assert settings.public_url == "https://hub.example.org:8443/Art"
    assert settings.is_https
    assert settings.cors_origins == ("https://app.example.org",)


@pytest.mark.parametrize("word", ["on", "1", "TRUE", " yes "])
def test_words_for_on(tmp_path: Path, word: str) -> None:
    assert load(tmp_path, AVIF=word).avif is True


@pytest.mark.parametrize("word", ["off", "0", "False", "no"])
def test_words_for_off(tmp_path: Path, word: str) -> None:
    assert load(tmp_path, ZIP_DOWNLOADS=word).zip_downloads is False


@pytest.mark.parametrize(
    ("word", "choice"),
    [
        ("without-place", "without-place"),
        (" As-Is ", "as-is"),
        ("none", "none"),
        ("on", "as-is"),
        ("true", "as-is"),
        ("off", "none"),
        ("0", "none"),
    ],
)
def test_words_for_downloads(tmp_path: Path, word: str, choice: str) -> None:
    settings = load(tmp_path, DOWNLOADS=word)
    assert settings.downloads == choice
    assert settings.has_downloads == (choice != "none")


def test_addresses_lose_their_last_slash_and_origins_are_a_list(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        PUBLIC_URL="https://hub.example.org/",
        CORS_ORIGINS="https://a.example.org/, http://localhost:3000",
    )
    assert settings.public_url == "https://hub.example.org"
    assert settings.cors_origins == ("https://a.example.org", "http://localhost:3000")


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mariadb+pymysql", "mysql+pymysql"])
def test_each_way_to_write_a_mysql_address_reaches_pymysql(tmp_path: Path, scheme: str) -> None:
    settings = load(tmp_path, DATABASE_URL=f"{scheme}://hub:pw@db/hub")
    assert settings.sqlalchemy_url == "mysql+pymysql://hub:pw@db/hub"


def test_amazon_needs_no_endpoint_and_no_keys(tmp_path: Path) -> None:
    settings = load(tmp_path, S3_ENDPOINT_URL="aws")
    assert (settings.s3_url, settings.s3_access_key_id) == ("", "")
    assert not settings.uses_embedded_s3


def test_misspelt_names_are_found(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("IMAGEHUB_S3_BUKET=pictures\nOTHER=1\n")
    environment = {
        "IMAGEHUB_TITLE": "x",
        "IMAGEHUB_TITEL": "y",
        "IMAGEHUB_DEMO_PASSWORD": "z",
        "IMAGEHUB_TEST_REQUIRE": "all",
        "PATH": "/bin",
    }
    assert find_unknown_names(environment, env_file) == ["IMAGEHUB_S3_BUKET", "IMAGEHUB_TITEL"]


def test_a_secret_can_be_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40 + "\n")
    settings = load(tmp_path, SECRET_KEY_FILE=str(tmp_path / "key"))
    assert settings.secret_key == "k" * 40
    assert "secret_key" in settings.given
    again = load_settings(
        {"IMAGEHUB_SECRET_KEY_FILE": str(tmp_path / "key"), **settings.to_environment()}, None
    )
    assert again.secret_key == settings.secret_key, "a child process has both variables"
    assert find_unknown_names(dict.fromkeys(FILE_NAMES, "x"), None) == []
    (tmp_path / "empty").touch()
    assert load(tmp_path, MS_CLIENT_SECRET_FILE=str(tmp_path / "empty")).ms_client_secret == ""


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    assert find_unknown_names({"IMAGEHUB_TITLE_FILE": "x"}, None) == ["IMAGEHUB_TITLE_FILE"]
    assert load(tmp_path, TITLE_FILE=str(tmp_path / "title")).title == "ImageHub"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"geheim\xff", "not UTF-8")]
)
def test_an_unusable_secret_file_is_named(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "data", TOKEN_KEY_FILE=str(path))
    assert f"  IMAGEHUB_TOKEN_KEY_FILE: {path} cannot be read ({reason})" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_secret_has_one_source(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40)
    with pytest.raises(SettingsError, match="SECRET_KEY_FILE: set this or SECRET_KEY, not both"):
        load(tmp_path, SECRET_KEY="x" * 40, SECRET_KEY_FILE=str(tmp_path / "key"))


def test_the_password_of_the_database_can_stand_alone(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a/b@c:d%é")
    settings = load(
        tmp_path / "data",
        DATABASE_URL="mysql://hub@db:3307/hub?charset=utf8mb4",
        DATABASE_PASSWORD_FILE=str(tmp_path / "password"),
    )
    address = make_url(settings.sqlalchemy_url)
    assert address.password == "a/b@c:d%é"
    assert (address.drivername, address.username, address.host) == ("mysql+pymysql", "hub", "db")
    assert (address.port, address.database) == (3307, "hub")
    again = load_settings(settings.to_environment(), None)
    assert again.sqlalchemy_url == settings.sqlalchemy_url
    with pytest.raises(SettingsError, match="IMAGEHUB_DATABASE_PASSWORD: needs the IMAGEHUB_DATA"):
        load(tmp_path / "data", DATABASE_PASSWORD="x")
    with pytest.raises(SettingsError, match="IMAGEHUB_DATABASE_URL: is not the address of a data"):
        load(tmp_path / "data", DATABASE_URL="mysql://hub@db:port/hub", DATABASE_PASSWORD="x")


def test_a_replica_has_a_password_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a/b@c")
    both = {"DATABASE_URL": "mysql://hub:pw@db/hub", "READ_DATABASE_URL": "mariadb://see@copy/hub"}
    settings = load(
        tmp_path / "data", **both, READ_DATABASE_PASSWORD_FILE=str(tmp_path / "password")
    )
    address = make_url(settings.read_database_url)
    assert (address.drivername, address.host, address.password) == (
        "mysql+pymysql", "copy", "a/b@c",
    )  # fmt: skip
    assert make_url(settings.sqlalchemy_url).password == "pw"
    assert load_settings(settings.to_environment(), None).read_database_url == str(
        address.render_as_string(hide_password=False)
    )
    assert "a/b@c" not in repr(settings) + str(settings.describe())
    with pytest.raises(SettingsError, match="READ_DATABASE_PASSWORD: needs the IMAGEHUB_READ_DAT"):
        load(tmp_path / "data", READ_DATABASE_PASSWORD="x")
    for urls in (
        {"READ_DATABASE_URL": "mysql://see@copy/hub"},
        {**both, "READ_DATABASE_URL": "sqlite:///copy.db"},
        {**both, "DATABASE_URL": "sqlite:///hub.db"},
    ):
        with pytest.raises(SettingsError, match="IMAGEHUB_READ_DATABASE_URL: must be that of a se"):
            load(tmp_path / "data", **urls)


# --- What is refused ------------------------------------------------------------------------------

FAULTS = {
    "ENV": "staging",
    "DATABASE_URL": "postgresql://hub@db/hub",
    "QUEUE_URL": "amqp://mq",
    "S3_ENDPOINT_URL": "minio:9000",
    "S3_PUBLIC_ENDPOINT_URL": "ftp://files.example.org",
    "S3_PORT": "0",
    "PRESIGN_WINDOW_SECONDS": "59",
    "GRAPH_BASE_URL": "graph.microsoft.com",
    "PUBLIC_URL": "hub.example.org",
    "PROXY_COUNT": "many",
    "CORS_ORIGINS": "https://a.example.org/path",
    "ACCENT": "red",
    "LANGUAGE": "fr",
    "DOWNLOADS": "maybe",
    "WEB_WORKERS": "0",
    "MAX_PIXELS": "1.5",
    "SECRET_KEY": "too short",
    "TOKEN_KEY": "not-a-fernet-key",
}


def test_every_fault_stands_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **FAULTS)
    lines = str(caught.value).splitlines()
    assert lines[0] == "These settings cannot be used:"
    names = [line.strip().partition(":")[0] for line in lines[1:]]
    assert sorted(names) == sorted(f"IMAGEHUB_{name}" for name in FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_stops_the_start_by_itself(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"  IMAGEHUB_{name}: "):
        load(tmp_path, **{name: FAULTS[name]})


def test_no_secret_stands_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            tmp_path,
            DATABASE_URL="postgresql://hub:geheim1@db/hub",
            QUEUE_URL="amqp://:geheim2@mq",
            TOKEN_KEY="geheim3",
            SECRET_KEY="geheim4",
        )
    assert str(caught.value).count("IMAGEHUB_") >= 4
    assert "geheim" not in str(caught.value)


def test_another_s3_needs_its_keys(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="IMAGEHUB_S3_ACCESS_KEY_ID"):
        load(tmp_path, S3_ENDPOINT_URL="https://s3.example.org")


def test_production_is_refused_without_its_secrets_and_https(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, ENV="production", PUBLIC_URL="http://hub.example.org")
    text = str(caught.value)
    assert "IMAGEHUB_SECRET_KEY: required in production" in text
    assert "IMAGEHUB_TOKEN_KEY: required in production" in text
    assert "IMAGEHUB_PUBLIC_URL: required in production, and must begin with https://" in text
    assert list(tmp_path.iterdir()) == []


def test_faults_and_lacking_secrets_of_production_come_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, ENV="production", WEB_THREADS="x")
    for name in ("SECRET_KEY", "TOKEN_KEY", "PUBLIC_URL", "WEB_THREADS"):
        assert f"IMAGEHUB_{name}: " in str(caught.value)


def test_production_starts_with_all_of_them(tmp_path: Path) -> None:
    settings = load_settings({**PRODUCTION, "IMAGEHUB_DATA_DIR": str(tmp_path)}, None)
    assert settings.is_production
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_a_fault_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match=r"IMAGEHUB_DATA_DIR: .*cannot be used"):
        load(tmp_path / "file" / "below")


# --- Secrets --------------------------------------------------------------------------------------


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    first, second = load(tmp_path), load(tmp_path)
    for name in ("secret_key", "token_key", "s3_access_key_id", "s3_secret_access_key"):
        made = getattr(first, name)
        assert len(made) >= 16
        assert getattr(second, name) == made
    assert load(tmp_path / "other").secret_key != first.secret_key


def test_secrets_are_for_the_owner_alone(tmp_path: Path) -> None:
    load(tmp_path)
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert {path.name for path in files} == {
        "secret_key",
        "token_key",
        "s3_access_key_id",
        "s3_secret_access_key",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_new_data_folder_is_for_the_owner_alone(tmp_path: Path) -> None:
    load(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_data_folder_that_was_there_keeps_its_rights(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o750)
    load(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def load_together(folder: Path, start: Barrier, end: Connection) -> None:
    """Load the settings of thirty folders at the same moments as others; send the secrets."""
    secrets = []
    for number in range(30):
        start.wait(60)
        loaded = load(folder / str(number))
        secrets.append((loaded.secret_key, loaded.token_key, loaded.s3_secret_access_key))
    end.send(secrets)


def test_eight_processes_at_once_agree_on_the_secrets(tmp_path: Path) -> None:
    start = FORKS.Barrier(8)
    pipes = [FORKS.Pipe(duplex=False) for _ in range(8)]
    processes = [
        FORKS.Process(target=load_together, args=(tmp_path, start, end), daemon=True)
        for _, end in pipes
    ]
    for process, (_, end) in zip(processes, pipes, strict=True):
        process.start()
        end.close()
    answers = [answer.recv() for answer, _ in pipes]
    for process, (answer, _) in zip(processes, pipes, strict=True):
        process.join(60)
        assert process.exitcode == 0
        answer.close()
    assert all(answer == answers[0] for answer in answers)
    assert len(list(tmp_path.iterdir())) == 30
    for folder in tmp_path.iterdir():
        assert len(list((folder / "secrets").iterdir())) == 4


def test_secrets_show_nowhere(tmp_path: Path) -> None:
    hidden = {
        **SECRETS,
        "IMAGEHUB_DATABASE_URL": "mysql+pymysql://hub:password-of-db@db/hub",
        "IMAGEHUB_QUEUE_URL": "redis://:password-of-redis@queue/0",
        "IMAGEHUB_MS_CLIENT_SECRET": "secret-of-the-app",
    }
    settings = load_settings({**hidden, "IMAGEHUB_DATA_DIR": str(tmp_path)}, None)
    shown = repr(settings) + str(settings.describe())
    for name, text in hidden.items():
        assert text not in shown, name
    rows = {row["name"]: row["value"] for row in settings.describe()}
    assert {rows[name] for name in hidden} == {"(set)"}
    assert list(rows) == list(SETTING_NAMES)


# --- Handing settings on --------------------------------------------------------------------------


def test_settings_survive_the_way_through_the_environment(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        CORS_ORIGINS="https://a.example.org,https://b.example.org",
        AVIF="on",
        DOWNLOADS="off",
        TITLE="Ännchens #1 = 'Haus'",
        ROOT_FOLDER="/Pictures/Art",
        MS_CLIENT_SECRET="a b=c#d",
    )
    again = load_settings(settings.to_environment(), None)
    assert replace(again, given=frozenset()) == replace(settings, given=frozenset())
    changeable = {item.name for item in list_fields() if item.metadata["in_pages"]}
    assert again.given & changeable == settings.given & changeable


def test_a_started_program_takes_nothing_from_an_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}=9\n" for name in SETTING_NAMES))
    settings = load(tmp_path / "data")
    again = load_settings(settings.to_environment(), env_file)
    assert replace(again, given=frozenset()) == replace(settings, given=frozenset())


@pytest.mark.parametrize(
    ("text", "sites"),
    [
        ("", ()),
        (" * ", ("*",)),
        ("https://a.example, *", ("*",)),
        ("Example.org", ("https://example.org",)),
        (
            "http://localhost:8080/ https://*.example.org,example.org",
            ("http://localhost:8080", "https://*.example.org", "https://example.org"),
        ),
        ("https://münchen.example", ("https://xn--mnchen-3ya.example",)),
    ],
)
def test_sites_for_frames_are_sources_of_a_policy(
    tmp_path: Path, text: str, sites: tuple[str, ...]
) -> None:
    assert load(tmp_path, EMBED_SITES=text).embed_sites == sites


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example;script-src",
        "'self'",
        "https://a.example/path",
        "ftp://a.example",
        "https://user@a.example",
        "https://*",
        "**",
        "a_b",
    ],
)
def test_no_other_words_get_into_the_policy(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="EMBED_SITES"):
        load(tmp_path, EMBED_SITES=text)
