"""Settings that are made in the admin pages."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.orm import Session

from imagehub.config import Settings, list_fields, load_settings
from imagehub.domain.site import settings as site_settings
from imagehub.errors import InvalidInputError, NotAllowedError
from imagehub.models import HubSetting
from imagehub.wiring import get_given_settings
from tests.fixtures.site import Site


@pytest.fixture
def settings(either_site: Site) -> Settings:
    return get_given_settings(either_site.app)


def test_what_is_saved_is_in_force(either_session: Session, settings: Settings) -> None:
    texts = {"title": " Haus der Bilder 画 ", "downloads": "off", "accent": "#1A2B3C"}
    changed = site_settings.save_site(either_session, settings, texts)
    assert changed == ["title", "accent", "downloads"]
    site = site_settings.get_site(either_session, settings)
    assert (site.title, site.downloads, site.accent) == ("Haus der Bilder 画", "none", "#1a2b3c")
    assert site.tagline == settings.tagline
    assert site.secret_key == settings.secret_key


def test_saving_the_same_changes_nothing(either_session: Session, settings: Settings) -> None:
    site_settings.save_site(either_session, settings, {"title": "A"})
    assert site_settings.save_site(either_session, settings, {"title": "A", "feeds": "on"}) == []


def test_what_was_not_touched_stays_as_others_made_it(
    either_session: Session, settings: Settings
) -> None:
    seen = site_settings.describe_site(settings)
    assert (seen["title"], seen["ground"], seen["feeds"]) == ("ImageHub", "", "on")
    theirs = seen | {"tagline": "Theirs", "downloads": "off", "accent": "#0055aa"}
    assert site_settings.save_site(either_session, settings, theirs, seen) == [
        "tagline",
        "accent",
        "downloads",
    ]
    mine = seen | {"title": "Mine", "accent": "#0055AA"}
    assert site_settings.save_site(either_session, settings, mine, seen) == ["title"]
    site = site_settings.get_site(either_session, settings)
    assert (site.title, site.tagline, site.downloads) == ("Mine", "Theirs", "none")


def test_the_same_setting_changed_twice_is_told(
    either_session: Session, settings: Settings
) -> None:
    seen = site_settings.describe_site(settings)
    site_settings.save_site(either_session, settings, {"title": "Theirs", "tagline": "A"}, seen)
    mine = {"title": "Mine", "language": "de"}
    with pytest.raises(site_settings.SettingConflictError) as caught:
        site_settings.save_site(either_session, settings, mine, seen)
    assert caught.value.current == {"title": "Theirs"}
    site = site_settings.get_site(either_session, settings)
    assert (site.title, site.language) == ("Theirs", "auto")
    seen["title"] = "Theirs"
    assert site_settings.save_site(either_session, settings, mine, seen) == ["title", "language"]


@pytest.mark.parametrize(
    "text",
    [
        "Nr.\N{NO-BREAK SPACE}5\N{THIN SPACE}%",
        "نمی\N{ZERO WIDTH NON-JOINER}خواهم",
        "👩\N{ZERO WIDTH JOINER}🎨",
        "\N{RIGHT-TO-LEFT MARK}א 1\N{LEFT-TO-RIGHT MARK}",
        "auf\N{SOFT HYPHEN}hängen",
    ],
)
def test_characters_that_are_not_seen_are_part_of_words(
    either_session: Session, settings: Settings, text: str
) -> None:
    site_settings.save_site(either_session, settings, {"title": text})
    assert site_settings.get_site(either_session, settings).title == text


def test_going_back_to_the_default_forgets_the_row(
    either_session: Session, settings: Settings
) -> None:
    site_settings.save_site(either_session, settings, {"title": "A"})
    assert either_session.get(HubSetting, "title") is not None
    site_settings.save_site(either_session, settings, {"title": ""})
    assert either_session.get(HubSetting, "title") is None
    assert site_settings.get_site(either_session, settings).title == "ImageHub"


def test_the_environment_wins(either_session: Session, settings: Settings) -> None:
    site_settings.save_site(either_session, settings, {"title": "From the page"})
    fixed = replace(settings, title="From outside", given=settings.given | {"title"})
    assert site_settings.get_site(either_session, fixed).title == "From outside"
    assert site_settings.save_site(either_session, fixed, {"title": "Again"}) == []
    assert site_settings.get_site(either_session, settings).title == "From the page"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("accent", "red"),
        ("accent", "#12345"),
        ("accent", "#b3432b;}body{display:none"),
        ("ground", "#zzzzzz"),
        ("language", "fr"),
        ("downloads", "maybe"),
        ("title", "x" * 121),
        ("title", "a\nb"),
        ("title", "a\N{LINE SEPARATOR}b"),
        ("title", "a\tb"),
        ("title", "\N{RIGHT-TO-LEFT MARK} \N{ZERO WIDTH SPACE}"),
        ("title", "a\x1bb"),
        ("title", "a\ud800b"),
        ("tagline", "x" * 301),
    ],
)
def test_what_cannot_be_used_changes_nothing(
    either_session: Session, settings: Settings, name: str, text: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        site_settings.save_site(either_session, settings, {"title": "Good", name: text})
    assert list(caught.value.fields) == [name]
    assert site_settings.get_site(either_session, settings).title == "ImageHub"


@pytest.mark.parametrize("choice", ["without-place", "as-is", "none"])
def test_how_visitors_get_full_size_images_is_chosen_once(
    either_session: Session, settings: Settings, choice: str
) -> None:
    assert not site_settings.must_choose_downloads(either_session)
    either_session.add(HubSetting(name="downloads", value='"as-is"'))
    either_session.add(HubSetting(name="downloads_to_choose", value="true"))
    either_session.flush()
    site_settings.save_site(either_session, settings, {"title": "Another"})
    assert site_settings.must_choose_downloads(either_session)
    with pytest.raises(InvalidInputError):
        site_settings.choose_downloads(either_session, settings, "perhaps")
    assert site_settings.must_choose_downloads(either_session)
    site_settings.choose_downloads(either_session, settings, choice)
    assert not site_settings.must_choose_downloads(either_session)
    assert site_settings.get_site(either_session, settings).downloads == choice


def test_nothing_but_the_site_can_be_set(either_session: Session, settings: Settings) -> None:
    texts = {
        "secret_key": "x" * 40,
        "database_url": "sqlite:///x",
        "root_folder": "root",
        "given": "",
    }
    assert site_settings.save_site(either_session, settings, texts) == []
    assert set(site_settings.SITE_FIELDS).isdisjoint(
        {item.name for item in list_fields() if item.metadata["secret"]}
    )


def test_a_row_that_cannot_be_read_leaves_the_default(
    either_session: Session, settings: Settings
) -> None:
    either_session.add(HubSetting(name="accent", value='"mauve"'))
    either_session.add(HubSetting(name="title", value="{broken"))
    either_session.flush()
    site = site_settings.get_site(either_session, settings)
    assert (site.accent, site.title) == (settings.accent, "ImageHub")


def test_a_program_started_beside_leaves_the_pages_their_say() -> None:
    settings = load_settings({"IMAGEHUB_TITLE": "Given", "IMAGEHUB_SECRET_KEY": "x" * 40}, None)
    words = settings.to_environment()
    assert words["IMAGEHUB_TITLE"] == "Given"
    assert words["IMAGEHUB_TAGLINE"] == words["IMAGEHUB_ROOT_FOLDER"] == ""
    assert words["IMAGEHUB_WEB_WORKERS"] == str(settings.web_workers)
    again = load_settings(words, None).given
    assert again >= {"title", "secret_key"}
    assert not again & {"tagline", "accent", "downloads", "root_folder"}


# --- The root folder ------------------------------------------------------------------------------


def test_a_chosen_folder_belongs_to_the_drive_it_was_chosen_in(
    either_session: Session, settings: Settings
) -> None:
    assert site_settings.get_root_folder(either_session, settings, 1).address == "root"
    site_settings.set_root_folder(either_session, settings, 1, "ABC!12", "/Kunst/静か")
    root = site_settings.get_root_folder(either_session, settings, 1)
    assert (root.address, root.words, root.is_given) == ("ABC!12", "/Kunst/静か", False)
    assert site_settings.get_root_folder(either_session, settings, 2).address == "root"
    site_settings.set_root_folder(either_session, settings, 1, "", "")
    assert site_settings.get_root_folder(either_session, settings, 1).address == "root"


def test_the_environments_root_folder_cannot_be_changed(
    either_session: Session, settings: Settings
) -> None:
    site_settings.set_root_folder(either_session, settings, 1, "ABC!12", "/Kunst")
    fixed = replace(settings, root_folder="/Other", given=settings.given | {"root_folder"})
    root = site_settings.get_root_folder(either_session, fixed, 1)
    assert (root.address, root.is_given) == ("/Other", True)
    with pytest.raises(NotAllowedError):
        site_settings.set_root_folder(either_session, fixed, 1, "ABC!13", "/Kunst")


# --- The client secret's end ----------------------------------------------------------------------


def test_the_end_of_the_secret_is_remembered(either_session: Session, settings: Settings) -> None:
    def find() -> date | None:
        return site_settings.find_secret_end(either_session, settings)

    assert find() is None
    site_settings.set_secret_end(either_session, settings, " 2027-05-31 ")
    assert find() == date(2027, 5, 31)
    with pytest.raises(InvalidInputError):
        site_settings.set_secret_end(either_session, settings, "31.5.2027")
    given = replace(settings, ms_client_secret_expires=date(2028, 1, 2))
    assert site_settings.find_secret_end(either_session, given) == date(2028, 1, 2)
    with pytest.raises(NotAllowedError):
        site_settings.set_secret_end(either_session, given, "2027-05-31")
    site_settings.set_secret_end(either_session, settings, "")
    assert find() is None
