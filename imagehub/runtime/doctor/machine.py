"""Checks of the settings, the public address and the files of this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from imagehub.config import Settings, find_unknown_names
from imagehub.config_secrets import make_data_dir
from imagehub.database import db
from imagehub.domain.site import settings as site_settings
from imagehub.imaging.tiles import has_libvips
from imagehub.runtime.doctor.findings import Facts
from imagehub.runtime.private_files import close_data_dir, is_open_to_others
from imagehub.runtime.public_address import ask_address

LEAST_FREE_BYTES = 1_000_000_000


def check_settings(settings: Settings) -> Iterator[Facts]:
    """Check for misspelt settings and for a public hub in development mode."""
    unknown = find_unknown_names()
    if unknown:
        yield (
            "warning",
            f"Unknown: {', '.join(unknown)}.",
            "Check the spelling; `imagehub settings` lists all settings.",
        )
    if not settings.is_production and settings.is_https:
        yield (
            "warning",
            "The hub has a public address but runs in development mode.",
            "Set IMAGEHUB_ENV=production and the keys that `imagehub make-key` prints.",
        )
    elif not unknown:
        yield "ok", f"Valid; the hub runs in {settings.env} mode."


def check_public_address(settings: Settings) -> Iterator[Facts]:
    """Check that the hub knows of its visitors' https, and what plain http leads to."""
    if not settings.is_production:
        return
    page = f"{settings.public_url}/sign-in"
    try:
        answer = ask_address(page)
    except OSError as error:
        yield (
            "warning",
            f"{settings.public_url} does not answer this machine: {error}.",
            "Check the name, the certificate and the proxy, from another machine if this one "
            "cannot reach its own public address.",
        )
        return
    if answer.location == page or answer.status == 403:
        yield (
            "fault",
            f"ImageHub sees all requests to {settings.public_url} as plain http, and refuses "
            f"them (status {answer.status}).",
            "Let the proxy set X-Forwarded-Proto, and set IMAGEHUB_PROXY_COUNT to the number of "
            "proxies.",
        )
    elif answer.status != 200:
        yield (
            "warning",
            f"{settings.public_url} answers with status {answer.status}.",
            "Check that ImageHub runs, and that the proxy forwards to it.",
        )
    else:
        yield judge_plain_http("http" + page.removeprefix("https"))


def judge_plain_http(plain: str) -> Facts:
    """Say what plain http leads to beside an https address that works.

    :param plain: the address with http instead. With a port it is that of https.
    """
    try:
        answer = ask_address(plain)
    except OSError:
        return "ok", "https works; plain http is closed."
    if answer.location.startswith("https://"):
        return "ok", "https works; plain http is redirected to it."
    if answer.status >= 400:
        return "ok", f"https works; plain http is refused (status {answer.status})."
    return (
        "fault",
        f"{plain} answers over plain http (status {answer.status}).",
        "Let the proxy redirect port 80 to https, and set X-Forwarded-Proto itself.",
    )


def check_folder(settings: Settings) -> Iterator[Facts]:
    """Check that the data folder is writable, closed to other users, and has free space."""
    folder = settings.data_dir
    probe = folder / ".doctor"
    closed = close_data_dir(folder)
    try:
        make_data_dir(folder)
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        yield (
            "fault",
            f"{folder} is not writable: {error.strerror}.",
            "Make the user that runs ImageHub the owner of the folder.",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        yield (
            "warning",
            f"Only {free / 1e9:.1f} GB free in {folder}.",
            "Free up space: originals are stored there temporarily during imports.",
        )
    elif closed.failed:
        yield (
            "warning",
            f"Other users of this machine may read {closed.failed[0]}.",
            f"As the owner run `chmod -R go-rwx {folder}`: it holds password hashes and drafts.",
        )
    elif closed.count:
        yield (
            "warning",
            f"Other users of this machine had access to {closed.count} files and folders in "
            f"{folder}, which are closed now.",
            "If there are such users, change the passwords and the keys that `imagehub make-key` "
            "prints.",
        )
    elif is_open_to_others(env_file := Path(".env")):
        yield (
            "warning",
            f"Other users of this machine may read {env_file.resolve()}, which may hold secrets.",
            f"Run `chmod 600 {env_file.resolve()}`.",
        )
    else:
        yield "ok", f"{folder}, closed to other users, {free / 1e9:.0f} GB free."


def check_tiles(settings: Settings) -> Iterator[Facts]:
    """Check whether this installation can make tiles, where the hub wants some."""
    is_on = site_settings.get_site(db.session(), settings).tiles
    if has_libvips():
        yield "ok", "On." if is_on else "Off; groups can have them."
    elif is_on:
        advice = 'Run `pip install "imagehub[tiles]"` where workers run, or turn them off.'
        yield "warning", "Tiles are on, but pyvips is not installed here.", advice
    else:
        yield "ok", "Off. pyvips is not installed here, so no group can have them either."
