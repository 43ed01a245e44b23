"""The report of ``reconcile``."""

from dataclasses import dataclass, field, fields
from typing import Any


def _count(meaning: str) -> Any:
    return field(default=0, metadata={"meaning": meaning})


@dataclass
class ReconcileReport:
    """What was found, and repaired unless ``is_dry_run``.

    ``repair_job_ids``: imports that create lost renditions again.
    """

    is_dry_run: bool = False
    object_count: int = _count("objects in the bucket")
    orphan_count: int = _count("objects without a row, deleted")
    unused_count: int = _count("objects that no image uses, deleted")
    unfinished_count: int = _count("interrupted deletions, finished")
    expired_pin_count: int = _count("pins of ended imports, removed")
    missing_count: int = _count("objects missing or damaged")
    repair_count: int = _count("images whose renditions are created again from OneDrive")
    wrong_group_count: int = _count("groups with wrong counts, corrected")
    wrong_bucket_count: int = _count("counts of the gallery's order, corrected")
    stale_search_count: int = _count("groups with outdated search text, corrected")
    empty_group_count: int = _count("old groups without images, deleted")
    scratch_file_count: int = _count("temporary files of killed workers, deleted")
    sign_in_count: int = _count("unfinished sign-ins at Microsoft, deleted")
    token_count: int = _count("revoked tokens that have expired, deleted")
    failure_count: int = _count("old failed sign-ins, deleted")
    lease_count: int = _count("old free leases, deleted")
    session_count: int = _count("expired sessions, deleted")
    upload_count: int = _count("upload sessions older than a day, deleted")
    audit_count: int = _count("entries of the activity log older than a year, deleted")
    freed_bytes: int = _count("bytes freed in the bucket")
    repair_job_ids: list[int] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing was wrong and nothing left over."""
        return not any(
            getattr(self, item.name)
            for item in fields(self)
            if "meaning" in item.metadata and item.name != "object_count"
        )

    def describe(self) -> str:
        """List what was found, one line for each kind."""
        lines = [
            f"{getattr(self, item.name):>12,}  {item.metadata['meaning']}"
            for item in fields(self)
            if "meaning" in item.metadata
            and (getattr(self, item.name) or item.name == "object_count")
        ]
        if self.is_clean:
            lines.append("No problems found.")
        elif self.is_dry_run:
            lines.append("Nothing was changed: this was a dry run.")
        return "\n".join(lines)
