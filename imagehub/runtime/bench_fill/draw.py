"""Draw the rows of made-up groups: the same seed gives the same groups."""

import math
import random
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from imagehub.domain.library.order import FIRST_SORT_KEY, SORT_STEP
from imagehub.imaging.thumbhash import make_thumbhash
from imagehub.models.library import make_title_key

# The first group was created then, and one each so many seconds after it.
_BEGINNING = datetime(2014, 3, 1, 9, tzinfo=UTC)
_SPAN_SECONDS = 12 * 365 * 86_400
_GROUPS_PER_FOLDER = 24
_MAX_TAGS = 2000
_WORD_COUNT = 20_000
# As many unlike covers; all others look like one of these.
_LOOK_COUNT = 500
LANGUAGE = "de"
_SYLLABLES = "ka lo mi ra tun ses vo pel dri gan hu nor bel sta fi quo zem ar"
# In order of frequency.
_PLAIN_WORDS = (
    "the of in and with light study water evening harbour morning garden portrait winter window"
    " boat blue red old tree road river house woman field sea interior still life bridge night"
    " shore rain green two chairs letter mirror summer grey landscape hands table snow market"
    " church cliff reading dog horse theatre yellow shadow staircase kitchen orchard pond"
)
_ROLES = ("front", "back", "detail", "signature", "place", "")
_WORDS_OF_ROLE = {"": "shot", "place": "in place"}
_SIZES_PX = ((4000, 3000), (4032, 3024), (6000, 4000), (8256, 5504), (3000, 3000), (5472, 3648))

Row = dict[str, Any]


@dataclass(frozen=True)
class _Choice:
    """Values with their weights."""

    values: tuple[Any, ...]
    weights: tuple[float, ...]

    def __call__(self, rng: random.Random) -> Any:
        return rng.choices(self.values, cum_weights=self.weights)[0]


def _weigh(weights: dict[Any, float]) -> _Choice:
    return _Choice(tuple(weights), tuple(accumulate(weights.values())))


_STATES = _weigh({"published": 85, "draft": 12, "trash": 3})
_MEDIUMS = _weigh(
    {
        "Oil on canvas": 34, "": 18, "Watercolour on paper": 12, "Etching": 8, "Photograph": 8,
        "Charcoal on paper": 6, "Acrylic on board": 5, "Woodcut": 4, "Bronze": 3, "Collage": 2,
    }
)  # fmt: skip
_AVAILABILITIES = _weigh({"": 30, "available": 30, "sold": 28, "reserved": 4, "not_for_sale": 8})
_TAG_COUNTS = _weigh({0: 15, 1: 15, 2: 20, 3: 20, 4: 15, 5: 10, 8: 5})
_CAMERAS = _weigh(
    {("NIKON D850", "60.0 mm f/2.8"): 40, ("iPhone 14 Pro", ""): 25, ("", ""): 20,
     ("Canon EOS R5", "RF100mm F2.8 L MACRO IS USM"): 15}
)  # fmt: skip
_MIME_TYPES = _weigh({"image/jpeg": 88, "image/heic": 6, "image/png": 3, "image/tiff": 3})
_DRIVE_STATES = _weigh({"ok": 985, "changed": 4, "missing": 6, "outside": 3, "absent": 2})
_PRIVATE_STATES = _weigh({"none": 55, "removable": 38, "fixed": 2, "": 5})
_ENDINGS = {"image/jpeg": "jpg", "image/heic": "heic", "image/png": "png", "image/tiff": "tif"}


@dataclass
class Drawn:
    """The rows of some groups, by table."""

    groups: list[Row] = field(default_factory=list)
    images: list[Row] = field(default_factory=list)
    tags: list[Row] = field(default_factory=list)
    trash: list[Row] = field(default_factory=list)
    private: list[Row] = field(default_factory=list)
    translations: list[Row] = field(default_factory=list)


class Drawer:
    """Draws groups in order of their numbers.

    :param account_id: of the drive account that the images belong to.
    """

    def __init__(self, group_count: int, image_count: int, account_id: int, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - not for security
        self._group_count, self._image_count = group_count, image_count
        self._account_id = account_id
        self._next_group, self._next_image = 1, 1
        rng, letters = self._rng, _SYLLABLES.split()
        made = ("".join(rng.choices(letters, k=3)) for _ in range(_WORD_COUNT))
        self._words = [*_PLAIN_WORDS.split(), *dict.fromkeys(made)]
        self._word_weights = list(accumulate(1 / n for n in range(1, len(self._words) + 1)))
        self._tag_count = max(10, min(_MAX_TAGS, group_count // 50))
        self._tag_weights = list(accumulate(1 / n for n in range(1, self._tag_count + 1)))
        self._looks = [self._make_look() for _ in range(_LOOK_COUNT)]

    def list_tags(self) -> list[Row]:
        """Return the rows of all tags; the first ones are used most."""
        names = [f"{self._words[n].capitalize()} {n}" for n in range(self._tag_count)]
        return [
            {
                "id": number,
                "name": name,
                "name_key": name.casefold(),
                "slug": name.casefold().replace(" ", "-"),
            }
            for number, name in enumerate(names, 1)
        ]

    def draw(self, count: int) -> Drawn:
        """Draw the next groups, or none at the end.

        The images of all groups add up to the number asked for.
        """
        drawn = Drawn()
        first, last = self._next_group, min(self._next_group + count - 1, self._group_count)
        if first > last:
            return drawn
        # So many images the groups up to the last one have.
        images_so_far = self._image_count * last // self._group_count
        shots = self._split(last - first + 1, images_so_far - self._next_image + 1)
        for number, shot_count in zip(range(first, last + 1), shots, strict=True):
            self._draw_group(drawn, number, shot_count)
        self._next_group = last + 1
        return drawn

    def _split(self, groups: int, images: int) -> list[int]:
        """Share images among groups: one each, and of the others a few get most."""
        shots = [1] * groups
        weights = [self._rng.paretovariate(1.6) for _ in shots]
        for at in self._rng.choices(range(groups), weights, k=images - groups):
            shots[at] += 1
        return shots

    def _make_words(self, count: int) -> str:
        return " ".join(self._rng.choices(self._words, cum_weights=self._word_weights, k=count))

    def _make_look(self) -> bytes:
        """Return the ThumbHash of a made-up picture: a ground, and a few boxes on it."""
        rng, width, height = self._rng, 12, 9
        pixels = [bytes([*rng.randbytes(3), 255])] * (width * height)
        for _ in range(rng.randint(1, 6)):
            color, left, top = bytes([*rng.randbytes(3), 255]), rng.randrange(10), rng.randrange(7)
            for y in range(top, rng.randint(top + 1, height)):
                for x in range(left, rng.randint(left + 1, width)):
                    pixels[y * width + x] = color
        return make_thumbhash(width, height, b"".join(pixels))

    def _draw_thumbhash(self) -> str:
        """Return the ThumbHash of a picture that looks like others, with other details."""
        look = bytearray(self._rng.choice(self._looks))
        for _ in range(3):
            # Behind the means and scales, in which a change would be a large one.
            look[self._rng.randrange(6, len(look))] = self._rng.getrandbits(8)
        return b64encode(look).decode()

    def _draw_group(self, drawn: Drawn, number: int, shot_count: int) -> None:
        rng = self._rng
        state = _STATES(rng)
        seconds = _SPAN_SECONDS * number / self._group_count
        created_at = _BEGINNING + timedelta(seconds=seconds)
        title = self._make_words(rng.randint(2, 5)).capitalize() if rng.random() < 0.93 else ""
        if title and rng.random() < 0.15:
            title += f" {rng.randint(1, 40)}"
        folder = number // _GROUPS_PER_FOLDER
        folder_name = f"{created_at.year} {self._words[folder % len(self._words)].capitalize()}"
        first_image = self._next_image
        made_year = created_at.year - int(rng.expovariate(0.2))
        has_text = rng.random() < 0.4
        drawn.groups.append(
            {
                "id": number,
                "state": state,
                "title": title,
                "title_key": make_title_key(title),
                "text": self._make_words(rng.randint(8, 60)).capitalize() if has_text else "",
                "folder_name": folder_name,
                "medium": _MEDIUMS(rng),
                "dimensions": f"{rng.randint(10, 200)} × {rng.randint(10, 200)} cm",
                "year": str(made_year) if rng.random() < 0.9 else "",
                "edition": f"Edition of {rng.randint(3, 50)}" if rng.random() < 0.12 else "",
                "availability": _AVAILABILITIES(rng),
                "sort_key": FIRST_SORT_KEY + number * SORT_STEP,
                "is_shown": state == "published",
                "image_count": shot_count,
                "cover_id": first_image,
                "next_image_number": shot_count + 1,
                "created_at": created_at,
                "updated_at": created_at,
            }
        )
        if rng.random() < 0.3:
            texts = {"title": title, "text": drawn.groups[-1]["text"]}
            drawn.translations += [
                {"group_id": number, "language": LANGUAGE, "field": name, "text": words}
                for name, text in texts.items()
                if text and (words := self._make_words(len(text.split())).capitalize())
            ]
        for position in range(1, shot_count + 1):
            self._draw_image(drawn, number, position, state, created_at, folder, folder_name)
        if state == "trash":
            trashed_at = created_at + timedelta(days=rng.randint(1, 200))
            row = {"group_id": number, "state_before": "published", "trashed_at": trashed_at}
            drawn.trash.append(row)
        tag_ids = range(1, self._tag_count + 1)
        chosen = rng.choices(tag_ids, cum_weights=self._tag_weights, k=_TAG_COUNTS(rng))
        drawn.tags += [
            {"group_id": number, "tag_id": tag, "position": place}
            for place, tag in enumerate(dict.fromkeys(chosen), 1)
        ]

    def _draw_image(
        self,
        drawn: Drawn,
        group: int,
        number: int,
        state: str,
        created_at: datetime,
        folder: int,
        folder_name: str,
    ) -> None:
        rng, image_id = self._rng, self._next_image
        self._next_image += 1
        role = _ROLES[number - 1] if number <= len(_ROLES) else ""
        mime_type, (camera, lens) = _MIME_TYPES(rng), _CAMERAS(rng)
        width, height = rng.choice(_SIZES_PX)
        if rng.random() < 0.45:
            width, height = height, width
        has_alt = rng.random() < 0.85
        drive_state, private_state = _DRIVE_STATES(rng), _PRIVATE_STATES(rng)
        is_absent = drive_state == "absent"
        size_bytes = int(math.exp(rng.gauss(15.3, 0.6)))
        quick_xor_hash = b64encode(rng.randbytes(20)).decode()
        has_place = private_state in ("removable", "fixed") and rng.random() < 0.3
        taken_at = created_at - timedelta(minutes=rng.randint(10, 500_000))
        words = _WORDS_OF_ROLE.get(role, role)
        drawn.images.append(
            {
                "id": image_id,
                "group_id": group,
                "number": number,
                "position": number,
                "name": f"IMG_{image_id % 10_000:04} {words}.{_ENDINGS[mime_type]}",
                "alt": f"{words} {self._make_words(4)}".capitalize() if has_alt else "",
                # Shots in the trash do not count as shots without an alt text.
                "has_alt": has_alt or state == "trash",
                "role": role,
                "drive_account_id": None if is_absent else self._account_id,
                "drive_item_id": "" if is_absent else f"5E1F00D{folder:09X}!{image_id}",
                "drive_state": drive_state,
                "drive_hash": "" if is_absent else quick_xor_hash,
                "drive_size_bytes": 0 if is_absent else size_bytes,
                "private_state": "" if is_absent else private_state,
                "folder_id": "" if is_absent else f"5E1F00D{folder:09X}!F{folder}",
                "folder_name": folder_name,
                "mime_type": mime_type,
                "size_bytes": size_bytes,
                "sha256": rng.randbytes(32).hex(),
                "quick_xor_hash": quick_xor_hash,
                "etag": f'"{{{rng.getrandbits(64):016X}}},1"',
                "ctag": f'"c:{{{rng.getrandbits(64):016X}}},1"',
                "width_px": width,
                "height_px": height,
                "thumbhash": self._draw_thumbhash(),
                "dominant_color": f"#{rng.getrandbits(24):06x}",
                "taken_at": taken_at.replace(tzinfo=None, microsecond=0) if camera else None,
                "camera": camera,
                "lens": lens,
                "exposure_seconds": 1 / rng.choice((15, 60, 125, 250)) if camera else None,
                "f_number": rng.choice((1.8, 2.8, 5.6, 8.0)) if camera else None,
                "iso": rng.choice((64, 100, 400, 1600)) if camera else None,
                "focal_length_mm": rng.choice((6.9, 50.0, 60.0, 100.0)) if camera else None,
                "created_at": created_at,
                "updated_at": created_at,
            }
        )
        if private_state in ("removable", "fixed") and not is_absent:
            drawn.private.append(
                {
                    "image_id": image_id,
                    "drive_hash": quick_xor_hash,
                    "drive_size_bytes": size_bytes,
                    "size_bytes": size_bytes,
                    "kinds": "place device" if has_place else "device",
                    "is_removable": private_state == "removable",
                    "looked_at": created_at,
                }
            )
