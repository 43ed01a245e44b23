"""The program: read the command line, create the parts, run the server."""

import argparse
import re
import signal
import sys
import threading
import traceback
import uuid
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from types import FrameType

from .content import HOST_PATHS, ContentHosts
from .control import PREFIX, Control
from .faults import Faults, RequestLog, hide_secrets
from .graph import Graph
from .identity import PERSONAL_TENANT, IdentityPlatform, answer_identity
from .items import Account, ItemWriter
from .refusals import answer_common_faults, write_refusal
from .server import (
    ConnectionDropped,
    Refusal,
    Request,
    Response,
    Server,
    answer_json,
    is_writable_folder,
)
from .state import State, StateInUseError
from .subscriptions import Subscriptions
from .tree import Tree, remove_old_thumbnails
from .uploads import Uploads

_DEFAULT_QUOTA_BYTES = 5 << 30
_END_SECONDS = 5.0


class Emulator:
    """All parts for one folder; the server calls ``answer``."""

    def __init__(self, options: argparse.Namespace) -> None:
        root: Path = options.root.resolve()
        self.state = State(options.state or root.parent / f".{root.name}-onedrive-state")
        self.log = RequestLog()
        self.faults = Faults(self.state)
        self.tree = Tree(
            root,
            options.kind,
            self.state,
            lambda: self.faults.fire("special_characters_forbidden") is not None,
        )
        remove_old_thumbnails(self.state.thumbnails)
        account = _make_account(options, self.state, self.tree.drive_id)
        self.identity = IdentityPlatform(
            self.state,
            account,
            self.faults,
            client_secret=options.client_secret,
            client_id=options.client_id,
            redirect_uris=tuple(options.redirect_uri),
            auto_consent=options.auto_consent,
        )
        self.content = ContentHosts(self.tree, self.state, self.faults)
        writer = ItemWriter(
            self.tree,
            self.state,
            account,
            self.faults,
            options.quota_bytes,
            self.content.make_download_url,
        )
        self.uploads = Uploads(self.tree, self.state, self.faults, writer)
        self.subscriptions = Subscriptions(self.tree, self.state, account, self.faults)
        self.graph = Graph(
            self.tree,
            account,
            self.identity,
            writer,
            self.content,
            self.uploads,
            self.subscriptions,
            self.faults,
            options.page_seconds,
        )
        self.control = Control(
            self.tree,
            self.state,
            account,
            self.identity,
            self.faults,
            self.log,
            self.subscriptions,
        )

    def answer(self, request: Request) -> Response:
        """Answer any request.

        :raise ConnectionDropped: close the connection without an answer.
        """
        query = f"?{request.query_string}" if request.query_string else ""
        self.faults.enter(request.method, request.path + query)
        try:
            if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
                return self.control.answer(request)
            faulty = answer_common_faults(self.faults, request)
            response = faulty if faulty is not None else self._answer(request)
            if self.faults.fire("lost_answer"):
                raise ConnectionDropped
            return response
        except Refusal as refusal:
            return write_refusal(refusal, request)
        except ConnectionDropped:
            raise
        except Exception:
            traceback.print_exc()
            failure = Refusal(500, "generalException", "The emulator made a mistake.")
            return write_refusal(failure, request)

    def _answer(self, request: Request) -> Response:
        path = request.path
        if path == "/v1.0" or path.startswith("/v1.0/"):
            return self.graph.answer(request)
        if path.startswith(tuple(f"{host}/" for host in HOST_PATHS.values())):
            if self.uploads.is_address(path):
                return self.uploads.answer(request)
            return self.content.answer(request)
        answer = answer_identity(self.identity, request)
        if answer is not None:
            return answer
        if path == "/" and request.method == "GET":
            return answer_json({"what": "ImageHub’s OneDrive emulator", "control": f"{PREFIX}/"})
        return answer_json({"error": {"code": "itemNotFound", "message": "Nothing here."}}, 404)

    def finish(self, request: Request, response: Response | None, seconds: float) -> None:
        """Log a request that was answered, or dropped (status 0)."""
        if request.path.startswith(PREFIX):
            return
        entry = {
            "method": request.method,
            "path": request.path,
            "query": hide_secrets(request.query_string),
            "status": response.status if response is not None else 0,
            "seconds": round(seconds, 4),
            "has_authorization": "authorization" in request.headers,
        }
        for header in (
            "range",
            "content-range",
            "content-length",
            "user-agent",
            "client-request-id",
            "prefer",
            "if-match",
        ):
            if header in request.headers:
                entry[header.replace("-", "_")] = request.headers[header]
        self.log.add(entry | request.notes, monotonic() - seconds)

    def close(self) -> None:
        self.subscriptions.stop()
        self.state.close()


def _make_account(options: argparse.Namespace, state: State, drive_id: str) -> Account:
    """Return the owner: a personal id contains the drive's, a business id is a GUID."""
    if options.kind == "personal":
        cid = drive_id.lower()
        user_id = f"00000000-0000-0000-{cid[:4]}-{cid[4:]}"
        tenant_id, username = PERSONAL_TENANT, "demo.artist@outlook.com"
    else:
        user_id = str(uuid.UUID(bytes=state.get_secret("user_id")[:16], version=4))
        tenant_id = str(uuid.UUID(bytes=state.get_secret("tenant_id")[:16], version=4))
        username = "artist@contoso.com"
    return Account(
        options.kind, user_id, options.account or username, options.display_name, tenant_id
    )


def _read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="onedrive-emulator",
        description="Serve a local folder as a OneDrive drive, with sign-in and Microsoft Graph.",
    )
    parser.add_argument("--root", type=Path, required=True, help="the folder to serve")
    parser.add_argument("--port", type=int, default=9400, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--kind", choices=("personal", "business"), default="personal")
    parser.add_argument(
        "--state", type=Path, help="where to remember things (beside the folder, hidden)"
    )
    parser.add_argument("--quota-bytes", type=int, default=_DEFAULT_QUOTA_BYTES)
    parser.add_argument("--client-secret", default="", help="what clients must send")
    parser.add_argument("--client-id", default="", help="the one application that is known")
    parser.add_argument(
        "--redirect-uri", action="append", default=[], help="a registered one; may be repeated"
    )
    parser.add_argument("--auto-consent", action="store_true", help="sign in without asking")
    parser.add_argument("--account", default="", help="the account's user name")
    parser.add_argument("--display-name", default="Demo Artist")
    parser.add_argument(
        "--page-seconds", type=float, default=3.0, help="a page of a listing ends after this time"
    )
    parser.add_argument(
        "--public-url", default="", help="how others reach it, if not by the host they ask for"
    )
    options = parser.parse_args(argv)
    if not is_writable_folder(options.root):
        parser.error(f"{options.root} is no folder that can be read and written.")
    root = options.root.resolve()
    if options.state is not None and options.state.resolve().is_relative_to(root):
        parser.error("The state must not lie inside the folder.")
    if options.public_url and not re.match(r"https?://", options.public_url):
        parser.error("The public address must start with http:// or https://.")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    Prints ``ready: http://HOST:PORT`` when it accepts requests.

    :return: the exit status: 0 after a signal, 1 if it could not start.
    """
    options = _read_arguments(argv)
    try:
        emulator = Emulator(options)
    except StateInUseError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The state cannot be kept: {error}", file=sys.stderr)
        return 1
    try:
        server = Server(
            (options.host, options.port), emulator.answer, emulator.finish, options.public_url
        )
    except OSError as error:
        emulator.close()
        print(f"Cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1

    def end(number: int, frame: FrameType | None) -> None:
        # shutdown() waits for the loop that this handler interrupts, so call it in a thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    emulator.subscriptions.start()
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"ready: http://{host}:{server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.wait_until_idle(_END_SECONDS)
    emulator.close()
    return 0
