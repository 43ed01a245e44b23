"""Deep zoom on the page of a group: whether it has tiles, what they are, and making them again."""

from dataclasses import dataclass
from typing import Literal

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import blueprint
from imagehub.admin.drive import show_name
from imagehub.admin.library_list import name_group
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.library import groups, tiles
from imagehub.domain.library import images as library_images
from imagehub.errors import NotFoundError
from imagehub.models import Group
from imagehub.web import commit_action
from imagehub.web.forms import Form, Id, read_form
from imagehub.wiring import get_settings


@dataclass(frozen=True)
class TileRow:
    """One large shot. ``state`` as of ``TileSet``; "" if the hub or the group wants no tiles."""

    number: int
    name: str
    state: str
    percent: int
    tile_count: int
    size_bytes: int
    reason: str


class _Choice(Form):
    tiles: Literal["", "on", "off"] = ""


class _Shot(Form):
    this: Id("shot")  # type: ignore[valid-type]


def list_group_tiles(group: Group) -> list[TileRow]:
    """List the shots of a group that are large enough for tiles."""
    policy = tiles.make_policy(get_settings())
    return [
        TileRow(
            image.number,
            show_name(image.name),
            row.state if policy.wants(group, image) else "",
            row.percent,
            row.tile_count,
            row.size_bytes,
            row.reason,
        )
        for image, row in tiles.list_tile_sets(db.session(), group)
        if max(image.width_px, image.height_px) > policy.above_px
    ]


@blueprint.post("/admin/library/<db_id:number>/tiles")
def set_group_tiles(number: int) -> ResponseReturnValue:
    """Set whether the shots of a group have tiles; a worker makes or deletes them."""
    group = groups.get_locked_group(db.session(), number)
    if tiles.set_choice(db.session(), group, read_form(_Choice).tiles):
        commit_action("set_group_tiles", number, name=name_group(group))
        say(_("Saved."))
    return _go_back(number)


@blueprint.post("/admin/library/<db_id:number>/tiles/again")
def make_tiles_again(number: int) -> ResponseReturnValue:
    """Have the tiles of a shot made again."""
    group = groups.get_locked_group(db.session(), number)
    image = library_images.get_image(db.session(), number, read_form(_Shot).this)
    if not tiles.remake(db.session(), image):
        raise NotFoundError("image", image.number)
    commit_action("make_tiles_again", number, name=name_group(group))
    say(_("The tiles are made again in a moment."))
    return _go_back(number)


def _go_back(number: int) -> ResponseReturnValue:
    return redirect(url_for(".show_library_group", number=number, _anchor="tiles"), 303)
