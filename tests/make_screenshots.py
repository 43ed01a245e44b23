"""Makes the README's pictures from the demo: ``python -m tests.make_screenshots [URL]``.

Without the address of a running demo it starts one of its own in a temporary folder.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support import ROOT, get_free_port, require

FOLDER = ROOT / "docs"
WIDEST_PX = 1440


@contextmanager
def run_demo() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log.txt"
        command = [sys.executable, "-m", "imagehub", "demo", "--data", f"{name}/demo"]
        with log.open("w") as output:
            process = subprocess.Popen(
                [*command, "--port", str(get_free_port())],
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        try:
            while "\nready: " not in log.read_text():
                if process.poll() is not None:
                    raise SystemExit(f"the demo did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield log.read_text().split("\nready: ")[1].split()[0]
        finally:
            process.terminate()
            process.wait(30)


def save(page: Page, name: str) -> None:
    """One WebP of what is in the window."""
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    if picture.width > WIDEST_PX:
        height = round(picture.height * WIDEST_PX / picture.width)
        picture = picture.resize((WIDEST_PX, height), Image.Resampling.LANCZOS)
    FOLDER.mkdir(exist_ok=True)
    picture.save(FOLDER / f"{name}.webp", quality=82, method=6)
    print(f"{name}.webp: {(FOLDER / f'{name}.webp').stat().st_size // 1000} kB")


def open_page(browser: Browser, url: str, width: int, height: int, theme: str) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=2 if width < 600 else 1,
        has_touch=width < 600,
        is_mobile=width < 600,
    )
    page.goto(url, wait_until="networkidle")
    return page


def find_work(page: Page, url: str) -> int:
    """The work with the most shots on the first page of the wall."""
    page.goto(url, wait_until="networkidle")
    number: int = page.evaluate(
        """() => [...document.querySelectorAll(".tile")].sort((one, other) =>
          Number(other.querySelector(".count")?.textContent ?? 1)
          - Number(one.querySelector(".count")?.textContent ?? 1))[0].id.slice(1)"""
    )
    return int(number)


def take_all(browser: Browser, url: str) -> None:
    work = find_work(browser.new_page(), url)
    save(open_page(browser, url, 1440, 960, "light"), "front")
    save(open_page(browser, url, 1440, 960, "dark"), "front-dark")
    save(open_page(browser, f"{url}/groups/{work}", 1440, 900, "light"), "work")
    viewer = open_page(browser, f"{url}/groups/{work}/1", 1440, 900, "dark")
    viewer.wait_for_selector(".pswp--open")
    viewer.wait_for_timeout(800)
    save(viewer, "viewer")
    save(open_page(browser, url, 390, 844, "light"), "phone")


def main(arguments: list[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=require("chromium"), args=["--headless", "--no-sandbox"]
        )
        if arguments:
            take_all(browser, arguments[0].rstrip("/"))
        else:
            with run_demo() as url:
                take_all(browser, url)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
