"""Graph's calls for thumbnails."""

from time import time
from typing import Any

from .calls import METADATA, Call
from .content import ContentHosts
from .drawing import is_drawn_name
from .faults import Faults
from .index import Item
from .items import ItemWriter
from .pictures import find_drawn_size, find_thumbnail_spec, is_picture_name
from .server import Refusal, Response, answer_json, answer_redirect
from .tree import Tree


class Thumbnails:
    """Thumbnail sets: one for a picture and for what the service draws, none for other files."""

    def __init__(
        self, tree: Tree, writer: ItemWriter, content: ContentHosts, faults: Faults
    ) -> None:
        self.tree = tree
        self.kind = tree.kind
        self.writer = writer
        self.content = content
        self.faults = faults

    def answer(self, call: Call, item: Item, parts: list[str]) -> Response:
        context = f"{METADATA}thumbnails"
        sets = self.write_sets(call, item)
        if not parts or parts == [""]:
            return answer_json({"@odata.context": context, "value": sets})
        size = self._find_picture_size(item) if sets else None
        if parts[0] != "0" or size is None:
            raise Refusal(404, "itemNotFound", "The thumbnail set does not exist.")
        if len(parts) == 1:
            return answer_json({"@odata.context": context, **sets[0]})
        thumbnail = self._write_one(call, item, parts[1], size)
        if thumbnail is None or len(parts) > 3 or (len(parts) == 3 and parts[2] != "content"):
            raise Refusal(404, "itemNotFound", "The thumbnail does not exist.")
        if len(parts) == 3:
            return answer_redirect(thumbnail["url"])
        return answer_json({"@odata.context": context, **thumbnail})

    def write_sets(self, call: Call, item: Item) -> list[dict[str, Any]]:
        size = self._find_picture_size(item)
        if size is None:
            return []
        names = ["large", "medium", "small"]
        wanted = call.get_option("select")
        if wanted is not None and call.request.path.rstrip("/").endswith("/thumbnails"):
            names = [name.strip() for name in wanted.split(",")]
        one: dict[str, Any] = {"id": "0"}
        for name in names:
            thumbnail = self._write_one(call, item, name, size)
            if thumbnail is not None:
                one[name] = thumbnail
        return [one]

    def _write_one(
        self, call: Call, item: Item, name: str, size: tuple[int, int, bool]
    ) -> dict[str, Any] | None:
        own_way = (call.get_option("originalorientation") or "").lower() == "true"
        spec = find_thumbnail_spec(name, upright=not (own_way and self.kind == "personal"))
        if spec is None:
            return None
        width, height, turned = size
        if not spec.upright and turned:
            width, height = height, width
        made = spec.fit(width, height)
        url = self.content.make_thumbnail_url(call.base_url, item, spec.key)
        return {"height": made[1], "url": url, "width": made[0]}

    def _find_picture_size(self, item: Item) -> tuple[int, int, bool] | None:
        """Return upright width and height of a picture, and whether Exif rotates it."""
        is_drawn = is_drawn_name(item.name)
        if item.is_folder or not (is_drawn or is_picture_name(item.name)):
            return None
        place = self.tree.get_place(item)
        if self.faults.fire("thumbnails_missing", item=place):
            return None
        late = self.faults.fire("delayed_thumbnails", item=place)
        if late and time() - item.content_us / 1e6 < float(late.get("seconds", 5)):
            return None
        if is_drawn:
            size = find_drawn_size(self.tree.get_path(item))
            return (*size, False) if size else None
        facets = self.writer.read_content(item, self.tree.get_path(item))[2]
        if "image" not in facets:
            return None
        width, height = facets["image"]["width"], facets["image"]["height"]
        turned = facets.get("photo", {}).get("orientation", 1) >= 5
        return (height, width, True) if turned else (width, height, False)
