"""Check a hub from a command, and print what was found."""

from collections.abc import Callable, Iterable

from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.domain.site import verify
from imagehub.domain.site.verify import FINDINGS, Verification

Say = Callable[[str], None]

# Of each kind; more are only counted.
_MOST_LINES = 20


def verify_hub(
    session: Session,
    clients: Clients,
    say: Say,
    lines: Iterable[str] | None = None,
    is_deep: bool = False,
    with_originals: bool = False,
) -> Verification:
    """Compare the stores, the originals if wanted, and a manifest if there is one.

    :param say: prints a line: some findings of each kind, then a table.
    :raise ServiceError: the object storage cannot be read.
    :raise ManifestError: the manifest cannot be read.
    """

    def note(kind: str, what: str) -> None:
        count = found.counts[kind]
        if count <= _MOST_LINES:
            users = verify.name_users(session, what) if kind in ("lost", "damaged") else ""
            say(f"  {kind:<9}  {what}{f'  ({users})' if users else ''}")
        elif count == _MOST_LINES + 1:
            say(f"  {kind:<9}  …")

    found = Verification(note)
    verify.verify_stores(session, clients, found, is_deep)
    if with_originals:
        verify.verify_originals(session, clients, found)
    if lines is not None:
        verify.verify_manifest(session, clients, found, lines)
    for line in _list_table(found):
        say(line)
    return found


def _list_table(found: Verification) -> list[str]:
    looked_at = [
        (found.object_count, "objects in the bucket"),
        (found.original_count, "originals asked for"),
        (found.manifest_count, "lines of the manifest"),
    ]
    table = [f"{count:>12,}  {words}" for count, words in looked_at if count]
    table = table or [f"{0:>12,}  objects in the bucket"]
    for kind, (meaning, _) in FINDINGS.items():
        if count := found.counts.get(kind, 0):
            table.append(f"{count:>12,}  {meaning} ({kind})")
    if not found.counts:
        table.append("Nothing is missing.")
    elif not found.lacks_something:
        table.append("Nothing is missing. `imagehub reconcile` deletes what is left over.")
    else:
        table.append("`imagehub rebuild --missing-only` makes lost renditions again.")
    return table
