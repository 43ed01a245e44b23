"""Make the PNG icons of the site from ``static/img/icon.svg``: ``python -m tools.make_icons``."""

import shutil
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parent.parent / "imagehub" / "static" / "img"
# name → pixels, and the width of the mark as a part of them. Systems crop maskable icons to
# circles, so there the background fills the square and the mark is smaller.
ICONS = {"icon-192": (192, 1.0), "icon-512": (512, 1.0), "icon-maskable": (512, 0.8)}


def main() -> None:
    svg = (FOLDER / "icon.svg").read_text()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox"]
        )
        for name, (side, part) in ICONS.items():
            page = browser.new_page(viewport={"width": side, "height": side})
            ground = "#1b1a18" if part < 1 else "transparent"
            page.set_content(
                f"<style>body{{margin:0;display:grid;place-items:center;height:100vh;"
                f"background:{ground}}}svg{{width:{part:.0%}}}</style>{svg}"
            )
            data = page.screenshot(omit_background=True)
            # It has few colours, so a palette makes the file small.
            picture = Image.open(BytesIO(data)).quantize(64, method=Image.Quantize.FASTOCTREE)
            picture.save(FOLDER / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
