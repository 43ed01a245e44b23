"""Which images have tiles, who may see them, and where each tile is.

Tiles show the original's detail, so they are off until an admin turns them on, for the hub or for a
group. Objects are below one prefix for each image and making: ``tiles/<image>/<random>/``. One row
of ``stored_object`` stands for all of them.

Source: IIIF Image API 3.0, sections 4.1 (region), 4.2 (size) and 5 (image information).
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.database import count_rows, make_batches, now_utc
from imagehub.models import Group, Image, TileSet

TILE_PX = 512
# The lowest value of the setting: smaller images never have a row.
SMALLEST_PX = 2000
# Of a group: as the hub, always, never.
CHOICES = ("", "on", "off")
WAITING, MAKING, READY, OFF, FAILED = "waiting", "making", "ready", "off", "failed"


@dataclass(frozen=True)
class TilePolicy:
    """What the hub wants: ``above_px`` is the long edge above which an image gets tiles."""

    is_on: bool
    above_px: int

    def wants(self, group: Group, image: Image) -> bool:
        """Tell whether an image of a group should have tiles, and whether they may be shown."""
        is_on = group.tiles == "on" or (self.is_on and group.tiles != "off")
        return is_on and max(image.width_px, image.height_px) > self.above_px


def make_policy(settings: Settings) -> TilePolicy:
    """:param settings: those in force, see ``domain.site.settings``."""
    return TilePolicy(settings.tiles, settings.tiles_above_px)


@dataclass(frozen=True)
class TileService:
    """The tiles of one image: WebP, upright, sRGB. Sizes are in pixels."""

    image_id: int
    object_key: str
    width_px: int
    height_px: int

    @property
    def scale_factors(self) -> list[int]:
        """The factors by which the picture is reduced, down to a single tile."""
        factors = [1]
        while max(self.width_px, self.height_px) > TILE_PX * factors[-1]:
            factors.append(2 * factors[-1])
        return factors

    def find_key(self, region: str, size: str) -> str | None:
        """Find the object of a tile by region and size of its address; None if there is none."""
        for scale in self.scale_factors:
            box = self._read_region(region, scale)
            if box is None:
                continue
            width, height = (-(-side // scale) for side in box[2:])
            if size in (f"{width},{height}", f"{width},", f"^{width},{height}") or (
                scale == 1 and size == "max"
            ):
                name = "full" if box == (0, 0, self.width_px, self.height_px) else region
                return f"{self.object_key}{name}_{width},{height}.webp"
        return None

    def _read_region(self, region: str, scale: int) -> tuple[int, int, int, int] | None:
        """Read the region of a tile at this scale; None if it is none."""
        whole = (0, 0, self.width_px, self.height_px)
        step = TILE_PX * scale
        is_single = max(whole) <= step
        if region == "full":
            return whole if is_single else None
        found = re.fullmatch("([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9})", region)
        if found is None:
            return None
        x, y, width, height = (int(number) for number in found.groups())
        is_tile = (
            x % step == 0
            and y % step == 0
            and 0 < width == min(step, self.width_px - x)
            and 0 < height == min(step, self.height_px - y)
        )
        return (x, y, width, height) if is_tile else None


def make_prefix(image_id: int) -> str:
    """Make a prefix for new tiles of an image, which nothing else ever had."""
    return f"tiles/{image_id:012d}/{secrets.token_hex(16)}/"


# --- Reading --------------------------------------------------------------------------------------


def list_tile_services(
    session: Session, settings: Settings, group: Group, images: Sequence[Image]
) -> dict[int, TileService]:
    """Return the tiles of those images of a group that have some: id of the image → tiles.

    It does not check whether the group is shown.
    """
    policy = make_policy(settings)
    wanted = {image.id: image for image in images if policy.wants(group, image)}
    if not wanted:
        return {}
    rows = session.scalars(
        select(TileSet).where(TileSet.image_id.in_(wanted), TileSet.object_key != "")
    )
    return {
        row.image_id: TileService(row.image_id, row.object_key, row.width_px, row.height_px)
        for row in rows
        # Another version of the original is shown now.
        if row.sha256 == wanted[row.image_id].sha256
    }


def get_tile_service(session: Session, settings: Settings, image: Image) -> TileService | None:
    """Return the tiles of an image, None if it has none or they must not be shown.

    It does not check whether the image's group is shown.

    :param settings: those in force: ``wiring.get_settings()`` in views.
    """
    return list_tile_services(session, settings, image.group, [image]).get(image.id)


def list_tile_sets(session: Session, group: Group) -> list[tuple[Image, TileSet]]:
    """List the images of a group that can have tiles, in their order, with what they have."""
    rows = session.execute(
        select(Image, TileSet)
        .join(TileSet, TileSet.image_id == Image.id)
        .where(Image.group_id == group.id)
        .order_by(Image.position, Image.number)
    )
    return [(image, row) for image, row in rows]


# --- Changes --------------------------------------------------------------------------------------


def note_original(session: Session, image: Image) -> None:
    """Have a worker decide about the tiles of a new or replaced original. Flushed."""
    session.flush()
    if not image.is_video and max(image.width_px, image.height_px) > SMALLEST_PX:
        add_missing_tile_sets(session, Image.id == image.id)
    reconsider(session, [image.id])


def add_missing_tile_sets(session: Session, *only: ColumnElement[bool]) -> None:
    """Add the rows of all large images that have none, or of some of them; videos have none."""
    now = now_utc()
    defaults = {
        column.name: now if column.name.endswith("_at") else column.default.arg
        for column in TileSet.__table__.columns
        if column.name != "image_id"
    }
    columns = TileSet.__table__.columns
    values = (literal(value, columns[name].type) for name, value in defaults.items())
    large = select(Image.id, *values).where(
        or_(Image.width_px > SMALLEST_PX, Image.height_px > SMALLEST_PX),
        Image.video_codec == "",
        ~exists().where(TileSet.image_id == Image.id),
        *only,
    )
    session.execute(insert(TileSet).from_select(["image_id", *defaults], large))


def reconsider(session: Session, image_ids: Sequence[int]) -> int:
    """Have a worker decide again about images; returns how many of them can have tiles.

    What is being made begins anew.
    """
    values = {"state": WAITING, "reason": "", "attempt_count": 0, "due_at": now_utc(), "owner": ""}
    return sum(
        count_rows(session, update(TileSet).where(TileSet.image_id.in_(ids)).values(values))
        for ids in make_batches(sorted(image_ids))
    )


def remake(session: Session, image: Image) -> bool:
    """Have the tiles of an image made again; those that it has are shown until then.

    :return: False if the image cannot have tiles.
    """
    return bool(remake_all(session, [image.id]))


def remake_all(session: Session, image_ids: Sequence[int]) -> int:
    """Have the tiles of images made again, see :func:`remake`; returns how many can have some."""
    for ids in make_batches(sorted(image_ids)):
        doubt = update(TileSet).where(TileSet.image_id.in_(ids)).values(tile_count=0)
        count_rows(session, doubt)
    return reconsider(session, image_ids)


def set_choice(session: Session, group: Group, choice: str) -> bool:
    """Set whether a group has tiles: one of ``CHOICES``. Returns whether that changed."""
    if choice == group.tiles:
        return False
    group.tiles = choice
    session.flush()
    ids = session.scalars(select(Image.id).where(Image.group_id == group.id)).all()
    reconsider(session, ids)
    return True
