"""What a page of another origin can do, in a real browser that enforces CORS."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.emulators.person import STEP_BYTES, Person, make_authorize_url, read_answer
from tests.fixtures.onedrive import OneDrive


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>A page of another origin</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(chromium: Any, origin: str) -> Iterator[Any]:
    page = chromium.new_context().new_page()
    page.goto(origin)
    yield page
    chromium.close_context(page.context)


def test_a_page_uploads_in_fragments_and_reads_the_answer(onedrive: OneDrive, page: Any) -> None:
    url = Person(onedrive).start_upload("a.bin")["uploadUrl"]
    total = STEP_BYTES + 10
    statuses = page.evaluate(
        """async ([url, step, total]) => {
            const seen = [];
            for (let first = 0; first < total; first += step) {
                const last = Math.min(first + step, total) - 1;
                const answer = await fetch(url, {
                    method: "PUT",
                    headers: {"Content-Range": `bytes ${first}-${last}/${total}`},
                    body: new Uint8Array(last - first + 1).fill(7),
                });
                seen.push([answer.status, Object.keys(await answer.json())]);
            }
            return seen;
        }""",
        [url, STEP_BYTES, total],
    )
    assert [status for status, _ in statuses] == [202, 201]
    assert "nextExpectedRanges" in statuses[0][1]
    assert (onedrive.root / "a.bin").read_bytes() == b"\x07" * total


@pytest.mark.parametrize("header", ["Authorization", "X-Requested-With"])
def test_a_page_may_not_add_headers_of_its_own(onedrive: OneDrive, page: Any, header: str) -> None:
    person = Person(onedrive)
    url = person.start_upload("a.bin")["uploadUrl"]
    download_url = person.put("b.bin", b"bytes")["@microsoft.graph.downloadUrl"]
    onedrive.clear_log()
    script = """async ([url, method, header]) => {
        const body = method === "PUT" ? "x" : undefined;
        const headers = {[header]: "x"};
        return fetch(url, {method, headers, body}).then(() => "sent", () => "stopped");
    }"""
    assert page.evaluate(script, [url, "PUT", header]) == "stopped"
    assert page.evaluate(script, [download_url, "GET", header]) == "stopped"
    assert [entry["method"] for entry in onedrive.log()] == ["OPTIONS", "OPTIONS"]


def test_a_page_downloads_a_range(onedrive: OneDrive, page: Any) -> None:
    url = Person(onedrive).put("a.bin", b"0123456789")["@microsoft.graph.downloadUrl"]
    seen = page.evaluate(
        """async (url) => {
            const answer = await fetch(url, {headers: {Range: "bytes=2-4"}});
            return [answer.status, answer.headers.get("Content-Range"), await answer.text()];
        }""",
        url,
    )
    assert seen == [206, "bytes 2-4/10", "234"]


@pytest.mark.parametrize("button", ["Consent", "Cancel"])
def test_a_person_presses_a_button(onedrive: OneDrive, page: Any, origin: str, button: str) -> None:
    url = make_authorize_url(redirect_uri=f"{origin}/callback")
    page.goto(onedrive.to_local(url))
    assert page.get_by_text("Demo Artist").is_visible()
    page.get_by_role("button", name=button).click()
    page.wait_for_url(f"{origin}/callback*")
    answer = read_answer(page.url)
    assert ("code" in answer) == (button == "Consent")
    assert answer["state"] == "st&te"


def test_a_form_post_sends_itself(onedrive: OneDrive, page: Any, origin: str) -> None:
    url = make_authorize_url(redirect_uri=f"{origin}/callback", response_mode="form_post")
    page.goto(onedrive.to_local(url))
    with page.expect_request(f"{origin}/callback") as caught:
        page.get_by_role("button", name="Consent").click()
    assert caught.value.method == "POST"
    assert "code=" in caught.value.post_data
