"""Serve static files under addresses that change with their content."""

import hashlib
from pathlib import Path

from flask import current_app, send_from_directory, url_for
from flask.typing import ResponseReturnValue

from imagehub.web.public_path import leave_preview


def make_static_version(folder: Path) -> str:
    """Make a short version string that changes with any file of the folder."""
    mark = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        mark.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return mark.hexdigest()[:10]


def asset_url(name: str) -> str:
    """Return the address of a static file, with the version in its path.

    Modules that import each other by relative addresses are therefore of the same version.
    """
    version = current_app.extensions["imagehub.static_version"]
    return leave_preview(url_for("web.send_asset", version=version, name=name))


def send_asset(version: str, name: str) -> ResponseReturnValue:
    """Send a static file; browsers may cache it for good if the version is current."""
    response = send_from_directory(current_app.static_folder or "", name)
    if version == current_app.extensions["imagehub.static_version"]:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
