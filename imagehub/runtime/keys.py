"""Change the keys of sessions and tokens, for ``imagehub rotate-keys``."""

import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from imagehub.config import PREFIX, Settings
from imagehub.config_secrets import (
    CHANGEABLE_KEYS,
    SECRET_MAKERS,
    add_next_key,
    drop_previous_key,
    get_key_date,
    has_previous_key,
    hold_key_lock,
    switch_key,
)
from imagehub.database import now_utc
from imagehub.domain.people.sessions import IDLE_REMEMBERED
from imagehub.domain.site import keys as site_keys
from imagehub.wiring import get_vault

Say = Callable[[str], None]

# Every process reads the keys each time it needs them. Before one signs with a new key, requests
# that have read them earlier get this time to finish checking signatures.
WAIT_SECONDS = 2.0
# How long what is signed or encrypted with a former key may be needed outside of the database.
# Cookies of sessions and of share links last as long as a session that is not used.
_NEEDED = {"secret_key": IDLE_REMEMBERED, "token_key": timedelta(minutes=15)}


def rotate(
    session: Session, settings: Settings, say: Say, wait_seconds: float = WAIT_SECONDS
) -> None:
    """Generate new keys in place of those in the data folder, and encrypt everything again.

    If the former keys are still kept, it only does what an interrupted run left to do.
    """
    own = _list_own(settings)
    if own:
        with hold_key_lock(settings.data_dir):
            fresh = [name for name in own if not has_previous_key(settings.data_dir, name)]
            for name in fresh:
                add_next_key(settings.data_dir, name)
            if fresh:
                time.sleep(wait_seconds)
            for name in fresh:
                switch_key(settings.data_dir, name)
        say(
            f"New keys: {_join(fresh)}. All programs of this hub use them now."
            if fresh
            else "The keys were changed before, and the former ones are still kept."
        )
    reseal(session, say)
    if own:
        say("To delete the former keys, run `imagehub rotate-keys --finish` in 30 days or later.")
    for name in CHANGEABLE_KEYS:
        if name not in own:
            _explain(settings, name, say)


def reseal(session: Session, say: Say) -> bool:
    """Encrypt everything again with the first key; whether all could be decrypted."""
    done = site_keys.reseal_all(session, get_vault())
    say(f"{done.count} encrypted {'value was' if done.count == 1 else 'values were'} re-encrypted.")
    if done.unreadable_count:
        say(
            f"{done.unreadable_count} cannot be decrypted with any key. If there is a former one, "
            f"set it as {PREFIX}TOKEN_KEY_PREVIOUS and try again. If it is lost, connect OneDrive "
            "again, and set up two-factor authentication again."
        )
    return not done.unreadable_count


def finish(session: Session, settings: Settings, say: Say, *, is_forced: bool) -> bool:
    """Delete former keys that nothing needs; says what still needs the others.

    :param is_forced: delete them although people have to sign in again.
    :return: whether all are deleted.
    """
    folder, is_done = settings.data_dir, True
    reseal(session, say)
    for name in CHANGEABLE_KEYS:
        variable = PREFIX + name.upper()
        if name not in _list_own(settings):
            if getattr(settings, f"{name}_previous"):
                say(f"{variable} is set by the environment. Remove {variable}_PREVIOUS there.")
            continue
        with hold_key_lock(folder):
            if not has_previous_key(folder, name):
                say(f"There is no former {variable}.")
                continue
            reason = "" if is_forced else _find_need(session, settings, name)
            if reason:
                say(f"The former {variable} is kept: {reason}")
                is_done = False
            else:
                drop_previous_key(folder, name)
                say(f"The former {variable} is deleted.")
    return is_done


def _find_need(session: Session, settings: Settings, name: str) -> str:
    """Say what still needs the former key; "" if nothing does."""
    since = get_key_date(settings.data_dir, name) + timedelta(seconds=WAIT_SECONDS)
    free_at = since + _NEEDED[name]
    if now_utc() >= free_at:
        return ""
    until = f"{free_at:%Y-%m-%d %H:%M} UTC"
    if name == "token_key":
        return f"pages that are open may need it until {until}."
    count = site_keys.count_older_sessions(session, since)
    has_shares = site_keys.has_older_shares(session, since)
    session.rollback()
    if not count and not has_shares:
        return ""
    found = [f"{count} browsers are signed in with it"] if count else []
    if has_shares:
        found.append("visitors may have opened share links with it")
    return f"{' and '.join(found)}, until {until} at the latest; --now deletes it all the same."


def _list_own(settings: Settings) -> list[str]:
    """List the keys that the hub generated."""
    return [name for name in CHANGEABLE_KEYS if name not in settings.given]


def _join(names: list[str]) -> str:
    return " and ".join(PREFIX + name.upper() for name in names)


def _explain(settings: Settings, name: str, say: Say) -> None:
    variable = PREFIX + name.upper()
    if getattr(settings, f"{name}_previous"):
        say(
            f"{variable} is set by the environment, and so is {variable}_PREVIOUS. When every "
            f"machine has been restarted with the new value as {variable}, and 30 days later, "
            f"remove {variable}_PREVIOUS."
        )
        return
    say(
        f"{variable} is set by the environment, so change it there. A new value:\n"
        f"    {SECRET_MAKERS[name]()}\n"
        f"  1. Set it as {variable}_PREVIOUS, and restart every machine.\n"
        f"  2. Exchange both: the new value as {variable}, the former one as {variable}_PREVIOUS. "
        "Restart every machine.\n"
        "  3. Run `imagehub rotate-keys` once more; it re-encrypts everything.\n"
        f"  4. Remove {variable}_PREVIOUS 30 days later.\n"
        "  With a single machine, begin with step 2."
    )
