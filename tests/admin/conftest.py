"""Fixtures of the admin pages' tests."""

import pytest

from tests.admin.drive import Browser, make_jpeg
from tests.fixtures.site import ConnectedSite


@pytest.fixture
def browser(connected_site: ConnectedSite) -> Browser:
    """An admin's browser, before a drive with the folders Works and Notes."""
    connected_site.put_files("Works", {"front.jpg": make_jpeg(), "back.jpg": make_jpeg("maroon")})
    connected_site.put_files("Works/Details/Corners", {"a.jpg": make_jpeg("gold")})
    connected_site.put_files("Notes", {"list.txt": b"one, two"})
    return Browser(connected_site)
