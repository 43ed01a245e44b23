"""A print file on a running hub: the form, the progress, and the PDF."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.fixtures.browser import PASSWORD, LiveHub, Visit


def test_a_catalogue_is_made_by_the_worker_and_downloaded(
    live_hub: LiveHub, visit: Callable[..., Visit]
) -> None:
    works = [live_hub.find_group(title) for title in ("Study 1", "Harbour", "静かな部屋")]
    admin = visit(f"{live_hub.url}/sign-in")
    page = admin.page
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")
    query = "&".join(f"group={number}" for number in works)
    page.goto(f"{live_hub.url}/admin/print/new?{query}")
    page.get_by_label("Title", exact=True).fill("Autumn")
    page.get_by_label("Catalogue").check()
    assert admin.find_faults() == []
    page.get_by_role("button", name="Create print file").click()
    row = page.get_by_role("row", name="Autumn")
    # The page follows the worker by itself.
    download = row.get_by_role("link", name="Download “Autumn”")
    expect(download).to_be_visible(timeout=120_000)
    expect(row).to_contain_text("3 works")
    expect(row).to_contain_text("5 pages")
    assert admin.find_faults() == []
    with page.expect_download() as downloaded:
        download.click()
    assert downloaded.value.suggested_filename.endswith(".pdf")
    pdf = downloaded.value.path().read_bytes()
    assert pdf.startswith(b"%PDF-")
    # Title page, contents, and three works.
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) == 5
