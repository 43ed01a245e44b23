"""Make the screenshots of the documentation from the demo: ``python -m tools.make_screenshots``.

With names (``front``, ``admin``, ``look``) only those.

Each file shows two pages, or the two themes of one page, side by side.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WINDOW = {"width": 1440, "height": 900}
# Of each half.
SIZE = (1200, 750)
GAP_PX = 24
MAX_BYTES = 300_000
PASSWORD = "a password of the demo"


def main(names: list[str]) -> None:
    with run_demo() as address, sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox"]
        )
        for name, take in SHEETS.items():
            if not names or name in names:
                save(ROOT / "docs" / f"{name}.webp", take(browser, address))
        browser.close()


def shoot_front(browser: Browser, address: str) -> list[Image.Image]:
    shots = []
    for scheme in ("light", "dark"):
        context = open_context(browser, scheme)
        shots.append(shoot(context.new_page(), address))
        context.close()
    return shots


def shoot_admin(browser: Browser, address: str) -> list[Image.Image]:
    """Take the library in the light theme and a folder of the drive in the dark one."""
    shots = []
    for scheme in ("light", "dark"):
        context = open_context(browser, scheme)
        page = sign_in(context, address)
        if scheme == "light":
            shots.append(shoot(page, f"{address}/admin/library"))
        else:
            page.goto(f"{address}/admin/drive")
            # Open folders until one contains pictures.
            while not page.locator("#entries .item-picture img").count():
                folder = page.locator("#entries .is-folder a.item-name").first
                page.goto(address + str(folder.get_attribute("href")), wait_until="networkidle")
            shots.append(shoot(page, f"{page.url}?view=grid"))
        context.close()
    return shots


def shoot_look(browser: Browser, address: str) -> list[Image.Image]:
    """Take what can be chosen in the light theme, and the preview of a choice in the dark one."""
    chosen = "layout=rows&typefaces=eb-garamond"
    shots = []
    for scheme, path in (("light", "look"), ("dark", "look/preview")):
        context = open_context(browser, scheme)
        shots.append(shoot(sign_in(context, address), f"{address}/admin/{path}?{chosen}"))
        context.close()
    return shots


SHEETS = {"front": shoot_front, "admin": shoot_admin, "look": shoot_look}


def sign_in(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(f"{address}/sign-in")
    page.fill("[name=name]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/admin/**")
    return page


def open_context(browser: Browser, scheme: str) -> BrowserContext:
    return browser.new_context(viewport=WINDOW, color_scheme=scheme)  # type: ignore[arg-type]


def shoot(page: Page, url: str) -> Image.Image:
    """Take a page when everything in the window is loaded."""
    page.goto(url, wait_until="networkidle")
    page.evaluate("() => document.fonts.ready")
    page.wait_for_function(
        "() => [...document.images].every(i => i.getBoundingClientRect().top > innerHeight"
        " || (i.complete && i.naturalWidth > 0))"
    )
    # Pictures fade in.
    page.wait_for_timeout(1000)
    return Image.open(BytesIO(page.screenshot())).convert("RGB")


def save(target: Path, halves: list[Image.Image]) -> None:
    sheet = Image.new("RGB", (2 * SIZE[0] + GAP_PX, SIZE[1]), "white")
    for number, half in enumerate(halves):
        sheet.paste(half.resize(SIZE, Image.Resampling.LANCZOS), (number * (SIZE[0] + GAP_PX), 0))
    target.parent.mkdir(exist_ok=True)
    for quality in range(84, 40, -4):
        buffer = BytesIO()
        sheet.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= MAX_BYTES:
            break
    target.write_bytes(buffer.getvalue())
    print(f"{target.relative_to(ROOT)}: {sheet.width}x{sheet.height}, {buffer.tell():,} bytes")


@contextmanager
def run_demo() -> Iterator[str]:
    """Run the demo, with none of the settings of this machine; yields its address."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEHUB_")}
    environment |= {"IMAGEHUB_DEMO_PASSWORD": PASSWORD, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.Popen(
            [sys.executable, "-m", "imagehub", "demo", "--ephemeral"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert demo.stdout is not None
        try:
            ready = (line for line in demo.stdout if line.startswith("ready: "))
            yield next(ready).removeprefix("ready: ").strip()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate()


if __name__ == "__main__":
    main(sys.argv[1:])
