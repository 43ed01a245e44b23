"""Takes the README's picture of the front page: ``python -m tests.make_screenshots [address]``.

Without an address a demo is started for it. Both themes stand side by side in one file.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.fixtures.programs import Command, choose_ports
from tests.support import ROOT, get_free_port, require

TARGET = ROOT / "docs" / "front.webp"
WINDOW = {"width": 1440, "height": 900}
# Of each theme, in the file.
SIZE = (1200, 750)
GAP_PX = 24
MOST_BYTES = 300_000


def main(arguments: list[str]) -> None:
    with run_demo() if not arguments else use(arguments[0]) as address, sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=require("chromium"), args=["--headless", "--no-sandbox"]
        )
        themes = [shoot(browser, address, scheme) for scheme in ("light", "dark")]
        browser.close()
    sheet = Image.new("RGB", (2 * SIZE[0] + GAP_PX, SIZE[1]), "white")
    for number, theme in enumerate(themes):
        sheet.paste(theme.resize(SIZE, Image.Resampling.LANCZOS), (number * (SIZE[0] + GAP_PX), 0))
    TARGET.parent.mkdir(exist_ok=True)
    for quality in range(84, 40, -4):
        buffer = BytesIO()
        sheet.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= MOST_BYTES:
            break
    TARGET.write_bytes(buffer.getvalue())
    print(f"{TARGET.relative_to(ROOT)}: {sheet.width}x{sheet.height}, {buffer.tell():,} bytes")


def shoot(browser: Browser, address: str, scheme: str) -> Image.Image:
    """The front page when everything in the window has come."""
    context = browser.new_context(viewport=WINDOW, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address, wait_until="networkidle")
    page.evaluate("() => document.fonts.ready")
    page.wait_for_function(
        "() => [...document.images].every(i => i.getBoundingClientRect().top > innerHeight"
        " || (i.complete && i.naturalWidth > 0))"
    )
    # Pictures fade in.
    page.wait_for_timeout(1000)
    shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return shot


@contextmanager
def use(address: str) -> Iterator[str]:
    yield address


@contextmanager
def run_demo() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        arguments = ("demo", "--ephemeral", "--port", str(get_free_port()))
        demo = Command(Path(name), *arguments, **choose_ports())
        try:
            yield demo.wait_until_ready()
        finally:
            demo.end()


if __name__ == "__main__":
    main(sys.argv[1:])
