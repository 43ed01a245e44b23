"""Render pictures for a :class:`imagehub.imaging.pool.RenderPool`, in a process of its own.

The process imports :mod:`imagehub.imaging.render` and little else.
"""

import os
import select
import signal
import warnings

from imagehub.imaging.child import describe_failure, die_with, limit_memory, read_status, silence
from imagehub.imaging.marks import Mark
from imagehub.imaging.pool import Frame, pack_picture, read_frame, write_frame
from imagehub.imaging.render import (
    OpenedPicture,
    RenderOptions,
    RenditionSpec,
    forget_memory,
    make_logo,
    make_mark_picture,
    mark_rendition,
)

# A picture that needs less does not reserve memory: every process may use that much.
_SMALL_BYTES = 100_000_000
_IDLE_SECONDS = 5.0
_FILE: Frame = {"kind": "file"}


def run_child(parent: int) -> None:
    """Receive paths and answer them until the parent closes the pipe or ends.

    :param parent: process id of the parent.
    """
    die_with(parent)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # When the whole service stops, the parent decides whether a picture is finished.
        signal.signal(stop, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb")
    target = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # Output of a library must not get between the frames.
    warnings.simplefilter("ignore")  # About broken Exif and similar faults of a file.

    def receive() -> tuple[Frame, list[bytes]]:
        return read_frame(read)

    def read(count: int) -> bytes:
        data = source.read(count)
        if len(data) < count:
            os._exit(0)
        return data

    start, _ = receive()
    specs = tuple(RenditionSpec(**spec) for spec in start["options"].pop("specs"))
    options = RenderOptions(specs=specs, **start["options"])
    limit_memory(start["memory_limit_bytes"])
    write_frame(target, {"kind": "ready"}, [])
    silence()
    while True:
        if not select.select([source], [], [], _IDLE_SECONDS)[0]:
            forget_memory()
        asked, pictures = receive()
        blobs: list[bytes] = []
        try:
            wanted = Mark(**asked["mark"], picture=pictures[0]) if "mark" in asked else None
            with open(asked["path"], "rb") as file:
                if asked["act"] == "mark" and wanted is not None:
                    answer, blobs = _FILE, [mark_rendition(file, wanted, asked["label_px"])]
                elif asked["act"] == "picture":
                    answer, blobs = _FILE, [make_mark_picture(file, options)]
                elif asked["act"] == "logo":
                    data, width_px, height_px = make_logo(file, options)
                    answer, blobs = _FILE | {"width_px": width_px, "height_px": height_px}, [data]
                else:
                    opened = OpenedPicture(file, options)
                    if opened.memory_bytes > _SMALL_BYTES:
                        large = {"kind": "large", "memory_bytes": opened.memory_bytes}
                        write_frame(target, large, [])
                        receive()
                    answer, blobs = pack_picture(opened.render(wanted))
        except Exception as error:
            answer = describe_failure(error)
        opened = None  # type: ignore[assignment] # Free the picture before the next wait.
        write_frame(target, {**answer, "peak_bytes": read_status("VmHWM")}, blobs)
