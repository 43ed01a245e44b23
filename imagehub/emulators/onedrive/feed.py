"""The delta feed: changes since a token, page by page."""

import re
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from .calls import METADATA, Call, make_token, read_token
from .faults import Faults
from .index import Item
from .items import ItemWriter, parse_time, select_fields
from .names import decode_segment
from .server import Refusal, Response, answer_json
from .tree import Tree

_RESYNC = "resyncChangesApplyDifferences"


class DeltaFeed:
    """The latest states of items whose last change lies between two numbers.

    A token is ``[epoch, after, up to, place, marker]``; a deltaLink's token has no "up to" yet.
    """

    def __init__(self, tree: Tree, writer: ItemWriter, faults: Faults, page_seconds: float) -> None:
        self.tree = tree
        self.kind = tree.kind
        self.writer = writer
        self.faults = faults
        self.page_seconds = page_seconds

    def answer(self, call: Call, folder: Item, action: str) -> Response:
        """Return one page.

        :raise Refusal: 410, the token is from before a reset; 400, it is not a token.
        """
        if not folder.is_folder:
            raise Refusal(400, "invalidRequest", "The item is not a folder.")
        if self.kind == "business":
            if folder.id != self.tree.root_id:
                raise Refusal(400, "invalidRequest", "Delta is only supported on the root.")
            if call.get_option("expand"):
                raise Refusal(400, "badArgument", "Expand is not supported for delta.")
        path = call.request.path
        if "(" in action:
            path = path[: path.rindex("(")]
        text = call.get_option("token")
        inside = re.search(r"token='([^']*)'", decode_segment(action))
        if inside:
            text = inside[1]
        if text and (fault := self.faults.fire("delta_gone")):
            raise self._make_gone(call, path, str(fault.get("code", _RESYNC)))
        after, up_to, place, marker = self._read_delta_token(call, text, path)
        if up_to == 0:
            self.tree.refresh_tree()
            up_to = self.tree.seq
        document: dict[str, Any] = {
            "@odata.context": f"{METADATA}Collection(driveItem)",
            "value": [],
        }
        if text == "latest":
            document["@odata.deltaLink"] = self._make_delta_link(call, path, up_to, 0, 0)
            return answer_json(document)
        if marker != "seen" and self.faults.fire("delta_empty_page"):
            token = self._make_delta_token(after, up_to, place, "seen")
            document["@odata.nextLink"] = call.make_next("token", token, path)
            return answer_json(document)
        items, next_place = self.tree.list_changes(
            max(after, place), up_to, call.read_top(), with_deleted=after > 0
        )
        wanted = call.get_option("select")
        names = None if wanted is None else wanted.split(",")
        rows: list[dict[str, Any]] = []
        end = monotonic() + self.page_seconds
        for item in items:
            is_in_feed = folder.id == self.tree.root_id or self.tree.is_inside(item, folder.id)
            if is_in_feed and not self._is_left_out(item):
                rows.append(self._write_change(call, item, names))
            if monotonic() > end and item is not items[-1]:
                next_place = item.seq
                break
        if rows and self.faults.fire("delta_duplicate"):
            older = {**rows[0], "name": f"{rows[0].get('name', 'item')} (old)"}
            rows.insert(0, older)
        document["value"] = rows
        if next_place is not None:
            token = self._make_delta_token(after, up_to, next_place, "")
            document["@odata.nextLink"] = call.make_next("token", token, path)
        else:
            document["@odata.deltaLink"] = self._make_delta_link(call, path, up_to, 0, 0)
        return answer_json(document)

    def _is_left_out(self, item: Item) -> bool:
        """Return whether a fault omits this item from the feed."""
        if item.deleted:
            above = self.tree.find(item.parent_id)
            goes_along = above is None or bool(above.deleted)
            return goes_along and self.faults.fire("delta_folder_alone") is not None
        return self.faults.fire("delta_forgets", item=self.tree.get_place(item)) is not None

    def _write_change(self, call: Call, item: Item, names: list[str] | None) -> dict[str, Any]:
        if item.deleted:
            return self.writer.write_deleted(item)
        document = self.writer.write_item(item, call.base_url, in_delta=True)
        if "deltaexcludeparent" in call.request.headers:
            document.pop("parentReference", None)
        return select_fields(document, names)

    def _make_delta_token(self, after: int, up_to: int, place: int, marker: str) -> str:
        return make_token([self.tree.epoch, after, up_to, place, marker])

    def _make_delta_link(self, call: Call, path: str, after: int, up_to: int, place: int) -> str:
        return call.make_next("token", self._make_delta_token(after, up_to, place, ""), path)

    def _read_delta_token(
        self, call: Call, text: str | None, path: str
    ) -> tuple[int, int, int, str]:
        if not text or text == "latest":
            return 0, 0, 0, ""
        moment = parse_time(text) if re.match(r"\d{4}-\d\d-\d\dT", text) else None
        if moment is not None:
            if self.kind != "business":
                raise Refusal(400, "invalidRequest", "A time is not supported as a token.")
            self.tree.refresh_tree()
            return max(self.tree.find_seq_at(moment), 1), 0, 0, ""
        token = read_token(text)
        if (
            token is None
            or len(token) != 5
            or not isinstance(token[4], str)
            or not all(type(number) is int for number in token[1:4])
        ):
            raise Refusal(400, "invalidRequest", "The token is not valid.")
        if token[0] != self.tree.epoch:
            raise self._make_gone(call, path)
        return token[1], token[2], token[3], token[4]

    def _make_gone(self, call: Call, path: str, code: str = _RESYNC) -> Refusal:
        kept = {
            key: text
            for key, text in call.request.query.items()
            if key.lower().removeprefix("$") != "token"
        }
        location = f"{call.base_url}{path}" + (f"?{urlencode(kept, safe='$')}" if kept else "")
        return Refusal(410, code, "Resync required.", headers={"Location": location})
