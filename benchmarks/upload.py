"""Compare browser uploads with curl, and measure the drive page with large folders.

    python benchmarks/upload.py [--megabytes 128] [--rounds 3] [--line 100]
                                [--only photos|file|folder]

Upload: Chromium sends files to the OneDrive emulator through the drive page; then curl sends the
very same fragments, as the page cut them, to sessions that were opened before: one process, one
connection, one fragment after the other. Between them a bare page takes its turn, in the same
Chromium: it knows no queue, no resuming and no progress, and only sends the same fragments by
XMLHttpRequest, as many files at a time; what that one cannot reach, no page can. The drive page is
timed within itself, from its first fragment to the moment at which it shows that all is uploaded,
with the sessions that it opens on the way; curl from its start to its end. The rate of each is the
best of its rounds. Two cases: photographs of 8 MB, of which a page has three on the way at a time,
and one single file of the same size in all, at whose end the emulator takes its hash.

Without --line all run as fast as this machine's processors let them, and Chromium needs more of
those than curl; with it, a line of so many megabits a second lies between, as it does in life.

Drive page: the time of a folder's page with 10,000 files against that with 100, as JSON, in turn.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, Request, sync_playwright  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

from imagehub.wiring import get_clients  # noqa: E402
from tests.fixtures.browser import FLAGS  # noqa: E402
from tests.fixtures.onedrive import OneDrive  # noqa: E402
from tests.fixtures.site import NAME, PASSWORD, ConnectedSite, make_site  # noqa: E402
from tests.support import require  # noqa: E402


class Line:
    """Run a relay in front of a port with a limit of bytes per second.

    On the way back it adds nothing, so it is an asymmetric line as people have at home. Pieces of
    64 kB wait for the moment at which the line would have carried them.
    """

    def __init__(self, target_port: int, bytes_per_second: float) -> None:
        self._target = ("127.0.0.1", target_port)
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                for one, other, is_paced in ((near, far, True), (far, near, False)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(
                        target=self._carry, args=(one, other, is_paced), daemon=True
                    ).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_paced: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                if is_paced:
                    with self._lock:
                        now = time.perf_counter()
                        self._free_at = max(self._free_at, now) + len(piece) / self._rate
                        wait = self._free_at - now
                    time.sleep(wait)
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        pass


@contextmanager
def run_site(folder: Path, megabits: float = 0) -> Iterator[tuple[ConnectedSite, str]]:
    """Run a connected hub with an emulator, without object storage.

    :param megabits: bandwidth to the emulator per second; 0 for no limit.
    """
    drive = OneDrive(folder)
    own_port = urlsplit(drive.url).port or 0
    line = Line(own_port, megabits * 125_000) if megabits else None
    graph_url = drive.graph_url
    if line is not None:
        # The upload addresses of the emulator have the host of its caller.
        graph_url = graph_url.replace(f":{own_port}", f":{line.port}")
    app = make_site(
        folder / "site",
        ms_client_secret="a-secret-of-the-app",
        ms_spa_redirect_uri="https://app.example.org/signed-in",
        login_base_url=drive.url,
        graph_base_url=graph_url,
    ).app
    site = ConnectedSite(app, onedrive=drive, folder=folder)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        site.connect()
        yield site, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        if line is not None:
            line.close()
        drive.stop()


def enter(page: Page, url: str) -> None:
    page.goto(f"{url}/sign-in?next=/admin/drive")
    page.fill("[name=name]", NAME)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector("html.has-script")


@dataclass(frozen=True)
class Fragment:
    """``begin`` and ``end`` in bytes of the file with that place in the list."""

    file: int
    begin: int
    end: int


# Promises in `watched` the milliseconds from the first fragment to the words given.
WATCH = """(words) => {
    let started = 0;
    const plain = XMLHttpRequest.prototype.send;
    XMLHttpRequest.prototype.send = function (body) {
        started ||= performance.now();
        return plain.call(this, body);
    };
    window.watched = new Promise((resolve) => {
        const observer = new MutationObserver(() => {
            if (document.querySelector("#uploads h2")?.textContent !== words) return;
            observer.disconnect();
            XMLHttpRequest.prototype.send = plain;
            resolve(performance.now() - started);
        });
        const whole = { childList: true, subtree: true, characterData: true };
        observer.observe(document.querySelector("#uploads"), whole);
    });
}"""


def upload_by_browser(page: Page, files: list[Path]) -> tuple[float, list[Fragment]]:
    """Measure the seconds from the first fragment to "uploaded"; returns the fragments too."""
    fragments: list[Fragment] = []
    places: dict[str, int] = {}

    def note(request: Request) -> None:
        if request.method == "PUT":
            first, last = re.findall(r"\d+", request.headers["content-range"])[:2]
            # Files start in order, so the n-th address is that of the n-th file.
            place = places.setdefault(request.url, len(places))
            fragments.append(Fragment(place, int(first), int(last) + 1))

    page.on("request", note)
    done = "1 file uploaded" if len(files) == 1 else f"{len(files)} files uploaded"
    page.evaluate(WATCH, done)
    page.set_input_files("#pick-files", files)
    seconds = float(page.evaluate("() => window.watched")) / 1000
    page.remove_listener("request", note)
    page.locator("#uploads").get_by_role("button", name="Close").click()
    return seconds, fragments


# Sends each file's fragments, three files at a time; answers milliseconds.
BARE = """async ([urls, extents]) => {
    const files = [...document.querySelector("#bare").files];
    const send = (url, body, range) => new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open("PUT", url);
        request.setRequestHeader("Content-Range", range);
        request.onload = () => request.status < 300 ? resolve() : reject(request.status);
        request.onerror = reject;
        request.send(body);
    });
    let next = 0;
    const work = async () => {
        while (next < files.length) {
            const place = next++;
            const file = files[place];
            for (const [begin, end] of extents[place]) {
                const range = `bytes ${begin}-${end - 1}/${file.size}`;
                await send(urls[place], file.slice(begin, end), range);
            }
        }
    };
    const started = performance.now();
    await Promise.all([work(), work(), work()]);
    return performance.now() - started;
}"""


def open_sessions(site: ConnectedSite, label: str, count: int) -> list[str]:
    with site.app.app_context():
        drive = get_clients().open_drive(1)
        root = drive.get_root().id
        return [
            drive.create_upload_session(root, f"{label} {place}.bin", "replace").upload_url
            for place in range(count)
        ]


def upload_by_bare_page(
    page: Page, site: ConnectedSite, files: list[Path], fragments: list[Fragment]
) -> float:
    """Measure a page that only sends the fragments."""
    urls = open_sessions(site, "bare", len(files))
    extents: list[list[tuple[int, int]]] = [[] for _ in files]
    for fragment in fragments:
        extents[fragment.file].append((fragment.begin, fragment.end))
    page.evaluate("""() => {
        document.querySelector("#bare")?.remove();
        const input = Object.assign(document.createElement("input"), {
            type: "file", multiple: true, id: "bare",
        });
        document.body.append(input);
    }""")
    page.set_input_files("#bare", files)
    return float(page.evaluate(BARE, [urls, extents])) / 1000


def upload_by_curl(site: ConnectedSite, files: list[Path], fragments: list[Fragment]) -> float:
    """Measure one curl that sends all fragments, with its start."""
    urls = open_sessions(site, "curl", len(files))
    options: list[str] = []
    with tempfile.TemporaryDirectory(dir=files[0].parent) as folder:
        for number, fragment in enumerate(fragments):
            part = Path(folder) / str(number)
            with files[fragment.file].open("rb") as source:
                source.seek(fragment.begin)
                part.write_bytes(source.read(fragment.end - fragment.begin))
            total = files[fragment.file].stat().st_size
            extent = f"bytes {fragment.begin}-{fragment.end - 1}/{total}"
            options += ["--next"] if options else []
            options += ["-sS", "-f", "-o", os.devnull, "-X", "PUT", "-T", str(part)]
            options += ["-H", "Expect:", "-H", f"Content-Range: {extent}", urls[fragment.file]]
        started = time.perf_counter()
        subprocess.run([require("curl"), *options], check=True)
        return time.perf_counter() - started


def compare_uploads(
    site: ConnectedSite, page: Page, folder: Path, count: int, megabytes: int, rounds: int
) -> None:
    """Write ``count`` files of ``megabytes`` each."""
    ways: dict[str, list[float]] = {"browser": [], "bare page": [], "curl": []}
    for turn in range(rounds):
        files = []
        for n in range(count):
            files.append(folder / f"{count} {turn} {n:03}.jpg")
            files[-1].write_bytes(os.urandom(1_000_000) * megabytes)
        seconds, fragments = upload_by_browser(page, files)
        ways["browser"].append(seconds)
        ways["bare page"].append(upload_by_bare_page(page, site, files, fragments))
        ways["curl"].append(upload_by_curl(site, files, fragments))
        arrived = [path for path in site.onedrive.root.iterdir() if path.is_file()]
        assert len(arrived) == 3 * count
        assert {path.stat().st_size for path in arrived} == {megabytes * 1_000_000}
        for path in [*arrived, *files]:
            path.unlink()
    total = count * megabytes
    print(f"\n{count} x {megabytes} MB, {len(fragments)} fragments")
    print(f"{'round':>5}" + "".join(f"{way + ' MB/s':>16}" for way in ways))
    for turn, seconds_each in enumerate(zip(*ways.values(), strict=True), start=1):
        print(f"{turn:5}" + "".join(f"{total / seconds:16.1f}" for seconds in seconds_each))
    best = {way: total / min(times) for way, times in ways.items()}
    print(f"{'best':>5}" + "".join(f"{rate:16.1f}" for rate in best.values()))
    for other in ("bare page", "curl"):
        print(f"browser : {other} {best['browser'] / best[other]:.2f}", flush=True)


def compare_folders(site: ConnectedSite, rounds: int) -> None:
    times: dict[int, list[float]] = {100: [], 10_000: []}
    client = site.signed_in_client()
    ids = {}
    for count in times:
        site.put_files(f"with {count}", {f"{n:05}.jpg": b"x" for n in range(count)})
    for item in client.get("/admin/drive", headers={"Accept": "application/json"}).get_json()[
        "items"
    ]:
        ids[int(item["name"].removeprefix("with "))] = item["id"]
    for turn in range(rounds + 1):
        for count, folder_id in ids.items():
            started = time.perf_counter()
            answer = client.get(f"/admin/drive/{folder_id}", headers={"Accept": "application/json"})
            assert len(answer.get_json()["items"]) == 100, answer.text
            if turn:  # The first look makes the emulator read the folder from the disk.
                times[count].append(time.perf_counter() - started)
    medians = {count: statistics.median(values) for count, values in times.items()}
    print("\nfiles in the folder   median ms of its page")
    for count, median in medians.items():
        print(f"{count:19,} {median * 1000:14.1f}")
    print(f"ratio {medians[10_000] / medians[100]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--line", type=float, default=0, help="megabits a second")
    parser.add_argument("--only", choices=("photos", "file", "folder"), default="")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        run_site(Path(name), options.line) as (site, url),
    ):
        folder = Path(name) / "desk"
        folder.mkdir()
        if options.only != "folder":
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=require("chromium"), args=FLAGS
                )
                page = browser.new_page()
                enter(page, url)
                if options.only != "file":
                    count = max(1, options.megabytes // 8)
                    compare_uploads(site, page, folder, count, 8, options.rounds)
                if options.only != "photos":
                    compare_uploads(site, page, folder, 1, options.megabytes, options.rounds)
                browser.close()
        if options.only in ("", "folder"):
            compare_folders(site, 31)


if __name__ == "__main__":
    main()
