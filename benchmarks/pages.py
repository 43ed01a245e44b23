"""Measure the size and Lighthouse scores of the gallery's pages, on a demo of forty works.

Lighthouse is fetched from npm into a temporary folder. ``IMAGEHUB_BENCH_URL`` measures a hub that
runs already instead of a demo of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.support import ROOT, get_free_port, require
from tools.build_assets import find_npm

WORKS = 40
LIGHTHOUSE = "lighthouse@13.5.0"
RUNS = 3  # The middle one counts: a machine that does other things disturbs single runs.
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic")


def main() -> None:
    with tempfile.TemporaryDirectory() as name, run_hub(Path(name)) as url:
        paths = {
            "front": "/",
            "page 2": "/?page=2",
            "work": find_work(url),
            "search": "/search?q=a",
        }
        weigh_pages(url, paths)
        rate_pages(url, {name: paths[name] for name in ("front", "work")}, Path(name))


@contextmanager
def run_hub(folder: Path) -> Iterator[str]:
    """Return the address of the given hub, or of a new demo with ``WORKS`` works."""
    named = os.environ.get("IMAGEHUB_BENCH_URL", "").rstrip("/")
    if named:
        yield named
        return
    print(f"  starting a demo of {WORKS} works …", flush=True)
    command = [sys.executable, "-m", "imagehub", "demo", "--works", str(WORKS)]
    command += ["--data", str(folder / "demo"), "--port", str(get_free_port())]
    log = folder / "demo.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        url = ""
        while not url and process.poll() is None:
            ready = [line for line in log.read_text().splitlines() if line.startswith("ready: ")]
            url = ready[0].removeprefix("ready: ") if ready else ""
            time.sleep(0.2)
        if not url:
            raise SystemExit(f"the demo did not start:\n{log.read_text()[-2000:]}")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def find_work(url: str) -> str:
    """Return the path of the first work on the front page."""
    with urllib.request.urlopen(f"{url}/image/page?page=1", timeout=30) as answer:
        number = json.load(answer)["data"][0]["group"]
    with urllib.request.urlopen(f"{url}/groups/{number}", timeout=30) as answer:
        return urllib.parse.urlsplit(str(answer.geturl())).path


# --- Size -----------------------------------------------------------------------------------------


def weigh_pages(url: str, paths: dict[str, str]) -> None:
    """Measure transferred kB, at windows of 390 and 1440 pixels."""
    heads = "".join(f"{head:>8}" for head in ("HTML", "CSS", "JS", "fonts"))
    print(f"\n  {'kB gzipped':<12}{heads}{'pictures':>10}{'shift':>8}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=list(FLAGS))
        for name, path in paths.items():
            for width in (390, 1440):
                page = browser.new_page(viewport={"width": width, "height": 844})
                page.goto(url + path, wait_until="networkidle")
                found = weigh(page)
                print(
                    f"  {f'{name} {width}':<12}{found['html']:>8.1f}{found['css']:>8.1f}"
                    f"{found['js']:>8.1f}{found['font']:>8.1f}{found['img']:>10.1f}"
                    f"{measure_shift(page):>8.4f}"
                )
                page.close()
        browser.close()


def weigh(page: Page) -> dict[str, float]:
    """Return the kB of each kind that the page has loaded so far."""
    entries: list[dict[str, Any]] = page.evaluate(
        """() => [...performance.getEntriesByType("navigation"),
                  ...performance.getEntriesByType("resource")]
          .map(({ name, initiatorType, encodedBodySize }) =>
            ({ name, initiatorType, encodedBodySize }))"""
    )
    kinds = {"html": 0.0, "css": 0.0, "js": 0.0, "font": 0.0, "img": 0.0}
    for entry in entries:
        path = entry["name"].partition("?")[0]
        size = entry["encodedBodySize"]
        if entry["initiatorType"] == "navigation":
            kind = "html"
        elif path.endswith((".css", ".js")):
            kind = path.rpartition(".")[2]
        elif path.endswith(".woff2"):
            kind = "font"
        else:
            kind = "img"
            if not size:  # The storage is another host and does not tell; ask for it once more.
                size = len(page.request.get(entry["name"]).body())
        kinds[kind] += size / 1000
    return kinds


def measure_shift(page: Page) -> float:
    """Return the page's cumulative layout shift so far."""
    shift: float = page.evaluate(
        """() => new Promise((resolve) => {
          let total = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) total += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => resolve(total), 100);
        })"""
    )
    return shift


# --- Lighthouse -----------------------------------------------------------------------------------


def rate_pages(url: str, paths: dict[str, str], folder: Path) -> None:
    """Print the scores on a simulated phone and the times behind them."""
    npm = find_npm()
    environment = {
        **os.environ,
        "PATH": f"{Path(npm[0]).parent}:{os.environ.get('PATH', '')}",
        "CHROME_PATH": require("chromium"),
    }
    subprocess.run(
        [*npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund",
         "--loglevel=error", LIGHTHOUSE],
        check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    heads = "".join(f"{name:>16}" for name in CATEGORIES)
    print(f"\n  {'Lighthouse':<12}{heads}{'LCP':>8}{'TBT':>8}{'CLS':>8}")
    for name, path in paths.items():
        reports = [run_lighthouse(url + path, folder, environment) for _ in range(RUNS)]
        reports.sort(key=lambda report: report["categories"]["performance"]["score"])
        report = reports[RUNS // 2]
        scores = "".join(
            f"{round(report['categories'][one]['score'] * 100):>16}" for one in CATEGORIES
        )
        audits = report["audits"]
        print(
            f"  {name:<12}{scores}"
            f"{audits['largest-contentful-paint']['numericValue'] / 1000:>7.1f}s"
            f"{audits['total-blocking-time']['numericValue']:>6.0f}ms"
            f"{audits['cumulative-layout-shift']['numericValue']:>8.3f}"
        )


def run_lighthouse(url: str, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Return a report; a browser that crashes is started once more."""
    target = folder / "report.json"
    command = ["node", str(folder / "node_modules" / "lighthouse" / "cli" / "index.js"), url]
    command += ["--quiet", f"--chrome-flags={' '.join(FLAGS)}"]
    command += ["--output=json", f"--output-path={target}"]
    for _ in range(2):
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            report: dict[str, Any] = json.loads(target.read_text())
            return report
    raise SystemExit(f"Lighthouse failed:\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
