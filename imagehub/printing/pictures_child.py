"""Make pictures for :class:`imagehub.printing.pictures.PictureMaker`, in a process of its own."""

import sys

from imagehub.imaging.child import describe_failure, limit_memory, open_pipes, read_status
from imagehub.imaging.pool import Frame, read_frame, write_frame
from imagehub.imaging.render import OpenedPicture, RenderOptions, RenditionSpec, forget_memory
from imagehub.printing.pictures import DPI, QUALITY


def run_child(parent: int) -> None:
    """Receive paths and answer with JPEGs, until the parent closes the pipe or ends.

    :param parent: process id of the parent.
    """
    source, target = open_pipes(parent)

    def read(count: int) -> bytes:
        data = source.read(count)
        if len(data) < count:
            sys.exit(0)
        return data

    limits = read_frame(read)[0]
    limit_memory(limits["memory_limit_bytes"])
    while True:
        task = read_frame(read)[0]
        blobs: list[bytes] = []
        try:
            answer, blobs = _make(task, limits)
        except Exception as error:
            answer = describe_failure(error)
        forget_memory()
        write_frame(target, {**answer, "peak_bytes": read_status("VmHWM")}, blobs)


def _make(task: Frame, limits: Frame) -> tuple[Frame, list[bytes]]:
    options = RenderOptions(
        specs=(RenditionSpec(task["longest_px"], QUALITY),),
        max_pixels=limits["max_pixels"],
        max_file_bytes=limits["max_file_bytes"],
        max_memory_bytes=limits["memory_limit_bytes"],
    )
    with open(task["path"], "rb") as file:
        width, height, data = OpenedPicture(file, options).render_for_print(DPI)
    return {"kind": "picture", "width": width, "height": height}, [data]
