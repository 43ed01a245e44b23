"""Fixtures shared by several journeys."""

import pytest

from tests.fixtures.served_site import ServedSite, make_picture


@pytest.fixture
def group(served_site: ServedSite) -> int:
    """Add a work of three shots to the library."""
    return served_site.site.add_group(["a.jpg", "b.jpg", "c.jpg"])


@pytest.fixture
def studio(served_site: ServedSite) -> ServedSite:
    """Put four pictures of two works into the folder Studio, without a plan."""
    names = ("harbour-front", "harbour-back", "mill-1", "mill-2")
    files = {f"{name}.jpg": make_picture(n) for n, name in enumerate(names)}
    served_site.site.put_files("Studio", files)
    return served_site
