"""The look of the gallery: settings that are previewed before they are saved, and can be undone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.config import Settings, list_fields
from imagehub.config_values import write_value
from imagehub.database import now_utc
from imagehub.domain.objects.bookkeeping import leave_unused
from imagehub.domain.site.settings import LOGO_FIELDS, get_site, keep_value, read_value, save_site
from imagehub.models import LogoPicture

LOOK_FIELDS = ("layout", "typefaces", "featured_work", *LOGO_FIELDS)
_FORMER = "former_look"


def describe_look(settings: Settings) -> dict[str, str]:
    """Return the settings of the look as texts, as they would stand in the environment."""
    return {name: write_value(getattr(settings, name)) for name in LOOK_FIELDS}


def choose_look(settings: Settings, texts: Mapping[str, str]) -> Settings:
    """Return settings with another look. What cannot be used, or is not given, stays as it is.

    :param settings: those in force.
    :param texts: setting → text; settings of the environment are ignored.
    """
    changes = {}
    for item in list_fields():
        name = item.name
        if name in LOOK_FIELDS and name in texts and name not in settings.given:
            try:
                changes[name] = item.metadata["read"](texts[name])
            except ValueError:
                continue
    return replace(settings, **changes)


def save_look(
    session: Session,
    settings: Settings,
    texts: Mapping[str, str],
    base: Mapping[str, str] | None = None,
) -> list[str]:
    """Save the look, and keep the former one. Flushed, not committed.

    :param settings: those of the environment.
    :param texts: setting → text.
    :param base: setting → the text that the form showed.
    :return: names of the settings that changed.
    :raise InvalidInputError: a value cannot be used.
    :raise SettingConflictError: another person changed the same setting.
    """
    before = describe_look(get_site(session, settings))
    wanted = {name: text for name, text in texts.items() if name in LOOK_FIELDS}
    changed = save_site(session, settings, wanted, base)
    if changed:
        keep_value(session, _FORMER, before)
        _delete_logos(session, settings, before)
    return changed


def _delete_logos(session: Session, settings: Settings, former: Mapping[str, str]) -> None:
    """Delete the logos of neither this look nor the former one, except for those of today."""
    current = describe_look(get_site(session, settings))
    kept = {int(texts[name]) for texts in (current, former) for name in LOGO_FIELDS}
    rows = session.scalars(
        select(LogoPicture).where(
            LogoPicture.id.not_in(kept), LogoPicture.created_at < now_utc() - timedelta(days=1)
        )
    ).all()
    keys = [row.object_key for row in rows]
    for row in rows:
        session.delete(row)
    session.flush()
    if keys:
        leave_unused(session, keys)


def find_former_look(session: Session) -> dict[str, str] | None:
    """Return the look before the last change; None if it was never changed."""
    kept = read_value(session, _FORMER)
    if not isinstance(kept, dict):
        return None
    return {name: str(text) for name, text in kept.items() if name in LOOK_FIELDS}


def restore_look(session: Session, settings: Settings) -> list[str]:
    """Save the former look again; the present one becomes the former. Flushed, not committed.

    :return: names of the settings that changed.
    """
    former = find_former_look(session)
    return save_look(session, settings, former) if former else []
