"""Tell how a migration goes on, and what became of it."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import click

# Without a terminal, a line of progress is printed this often.
_LINE_SECONDS = 30.0
_DRAW_SECONDS = 0.2
# Reasons may name numbers, and all of them are in memory.
MAX_REASONS = 1000
OTHER_REASONS = "Other reasons; see the lines above."


@dataclass
class Report:
    """The counts of a run.

    ``pictures`` and ``people`` by outcome: ``read``, ``made`` (``would be made`` in a dry run),
    ``already here``, ``matched``, ``not in OneDrive``, ``uploaded``, ``failed``. ``reasons`` counts
    the failures by their reason. ``is_stopped``: not all rows were read, ``is_interrupted``:
    because a person ended the run.
    """

    is_dry_run: bool = False
    pictures: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    sign_in: str = "-"
    reasons: Counter[str] = field(default_factory=Counter)
    is_stopped: bool = False
    is_interrupted: bool = False

    def note_failure(self, reason: str) -> None:
        """Count a failure; many different reasons are counted as one."""
        is_known = reason in self.reasons or len(self.reasons) < MAX_REASONS
        self.reasons[reason if is_known else OTHER_REASONS] += 1

    @property
    def has_failed(self) -> bool:
        return bool(self.reasons)

    def describe(self) -> str:
        """Return the closing table."""
        made = "to make" if self.is_dry_run else "made"
        matched = "to match" if self.is_dry_run else "matched"
        columns = (
            ("read", "read"),
            ("made", made),
            ("already here", "already here"),
            ("matched", matched),
            ("uploaded", "to upload" if self.is_dry_run else "uploaded"),
            ("not in OneDrive", "not in OneDrive"),
            ("failed", "failed"),
        )
        lines = ["  ".join(["        ", *(label for _, label in columns)])]
        for name, counts in (("pictures", self.pictures), ("accounts", self.people)):
            cells = [f"{counts[key]:>{len(label)},}" for key, label in columns]
            lines.append("  ".join([name, *cells]))
        lines.append(f"OneDrive sign-in: {self.sign_in}")
        if self.reasons:
            lines.append("Failed because:")
            lines += [f"  {count:>7,} × {reason}" for reason, count in self.reasons.most_common(20)]
            rest = len(self.reasons) - 20
            lines += [f"  … and {rest:,} other reasons"] if rest > 0 else []
        if self.is_dry_run:
            lines.append("This was a dry run: nothing was changed.")
        if self.is_stopped:
            lines.append("Stopped. Run the same command again to go on.")
        return "\n".join(lines)


class Progress:
    """A line that is drawn over and over on a terminal, or a line now and then elsewhere."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._is_terminal = sys.stderr.isatty()
        self._next_at = 0.0 if self._is_terminal else time.monotonic() + _LINE_SECONDS
        self._is_drawn = False

    def show(self, words: str) -> None:
        """Show how far the run is, if it was not shown a moment ago."""
        now = time.monotonic()
        if now < self._next_at:
            return
        if self._is_terminal:
            self._next_at = now + _DRAW_SECONDS
            click.echo(f"\r\x1b[K{words}", nl=False, err=True)
            self._is_drawn = True
        else:
            self._next_at = now + _LINE_SECONDS
            self._say(words)

    def tell(self, words: str) -> None:
        """Print a line that stays."""
        self.clear()
        self._say(words)

    def clear(self) -> None:
        if self._is_drawn:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._is_drawn = False


def count_pictures(counts: Counter[str], total: int) -> str:
    """Describe the progress: ``1,200 of 30,000 pictures (4%), 3 failed``."""
    percent = counts["read"] * 100 // max(1, total)
    words = f"{counts['read']:,} of {total:,} pictures ({percent}%)"
    return f"{words}, {counts['failed']:,} failed" if counts["failed"] else words
