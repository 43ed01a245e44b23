"""Write the modules of a page view, an import and an upload into ``docs/architecture.md``.

Run ``python -m pytest -q tests/trace_flows.py``. It counts every module of the hub with a function
that is called, except those that each request or each start needs (``web``, ``auth``, ``config``,
``wiring``) and those that only observe. The processes that render are not traced.
"""

import atexit
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from imagehub.config import load_settings
from imagehub.runtime.worker import run_worker
from imagehub.wiring import get_settings
from tests.admin.drive import Browser, make_jpeg
from tests.admin.pages import send
from tests.admin.test_upload import upload
from tests.fixtures.site import ConnectedSite, Site
from tests.support import ROOT

PACKAGE = ROOT / "imagehub"
PAGE = ROOT / "docs" / "architecture.md"
LEFT_OUT = {"auth", "config", "emulators", "logs", "metrics", "queries", "traces", "web", "wiring"}

_called: set[str] = set()


def _note(frame: FrameType, _event: str, _argument: object) -> None:
    _called.add(frame.f_code.co_filename)


def start_tracing() -> None:
    _called.clear()
    threading.setprofile(_note)
    sys.setprofile(_note)


@contextmanager
def trace(name: str) -> Iterator[None]:
    """Write the modules with a function that is called inside the block into the page."""
    start_tracing()
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    write_list(name, _called)


def write_list(flow: str, files: Iterable[str]) -> None:
    """Write a flow's number of modules into the page's table, and its list below."""
    paths = [Path(file) for file in files if file.startswith(f"{PACKAGE}/")]
    modules = sorted(
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
        if path.suffix == ".py"
    )
    shown = [module for module in modules if module.split(".")[0] not in LEFT_OUT]
    assert shown, "nothing was traced but what every request needs"
    words = f"**{flow}:** " + ", ".join(f"`{module}`" for module in shown)
    text, count = re.subn(
        rf"^\*\*{flow}:\*\* .*?(?=\n\n|\n\Z)",
        textwrap.fill(words, 110, break_long_words=False, break_on_hyphens=False),
        PAGE.read_text(),
        flags=re.M | re.S,
    )
    assert count == 1
    text, count = re.subn(
        rf"^(\| {flow.lower()} \|.*\| )\d+ \|$", rf"\g<1>{len(shown)} |", text, flags=re.M
    )
    assert count == 1
    PAGE.write_text(text)


@contextmanager
def working(site: ConnectedSite, trace_file: Path) -> Iterator[None]:
    """Run a worker that is traced from the moment it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.trace_flows", str(trace_file)],
        cwd=ROOT,
        env=os.environ | get_settings(site.app).to_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.terminate()


def test_a_page_view(site: Site) -> None:
    """A visitor opens the page of a second work, which is not in the cache of public pages."""
    first, second = (site.add_group(("front.jpg", "back.jpg")) for _ in range(2))
    client = site.client()
    client.get(f"/groups/{first}")
    with trace("Page view"):
        assert client.get(f"/groups/{second}").status_code == 200


def test_an_import(connected_site: ConnectedSite, tmp_path: Path) -> None:
    """A worker imports two files, from the wake-up call to the finished job."""
    connected_site.put_files("Studio", {"mill-1.jpg": make_jpeg(), "mill-2.jpg": make_jpeg("red")})
    client = connected_site.signed_in_client()
    folder, _ = connected_site.find_folder("Studio")
    plan = "/admin/import/plans/1"
    send(client, "/admin/import/plan", "/admin/account", item=folder)
    client.get(plan)
    with working(connected_site, tmp_path / "files.json"):
        send(client, f"{plan}/start", plan, state="published")
        state = {"state": "running"}
        while state["state"] == "running":
            state = client.get("/admin/import/1/progress").json
    assert state["done_count"] == 2
    write_list("Import", json.loads((tmp_path / "files.json").read_text()))


def test_an_upload(connected_site: ConnectedSite) -> None:
    """The hub opens an upload session; the bytes go to OneDrive without it."""
    (connected_site.onedrive.root / "Works").mkdir()
    browser = Browser(connected_site)
    works = browser.find("Works")
    with trace("Upload"):
        upload(browser, works, "new.jpg", make_jpeg())


def _begin() -> None:
    _called.clear()
    print("ready", flush=True)


if __name__ == "__main__":
    atexit.register(lambda: Path(sys.argv[1]).write_text(json.dumps(sorted(_called))))
    start_tracing()
    sys.exit(run_worker(load_settings(), on_ready=_begin))
