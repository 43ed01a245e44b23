"""A renderer for a moment, for pages of admins that draw something."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagehub.imaging.pool import RenderPool

_SECONDS = 20.0


@contextmanager
def open_renderer() -> "Iterator[RenderPool]":
    """Start a process that renders, and end it with the block.

    Web processes load the libraries for pictures only when this is used.
    """
    from imagehub.imaging.pool import RenderPool

    with RenderPool(1, timeout_seconds=_SECONDS) as pool:
        yield pool
