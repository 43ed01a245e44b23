"""Lay pages out for :func:`imagehub.printing.typeset.typeset`, in a process of its own."""

import sys
import traceback

import typst

from imagehub.imaging.child import limit_memory, open_pipes, read_status
from imagehub.imaging.pool import Frame, read_frame, write_frame


def run_child(parent: int) -> None:
    """Receive one task, make its PDF, and end.

    :param parent: process id of the parent.
    """
    source, target = open_pipes(parent)
    task = read_frame(source.read)[0]
    limit_memory(task["memory_limit_bytes"])
    try:
        # The fonts inside of Typst come first; those of the system fill in for missing scripts.
        made = typst.compile(
            task["source"],
            output=task.get("target"),
            root=task["root"],
            format=task.get("format"),
            sys_inputs=task.get("inputs", {}),
        )
        answer: Frame = {"kind": "pages"}
    except Exception:
        made = None
        answer = {"kind": "failed", "trace": traceback.format_exc(limit=5)[-5000:]}
    blobs: list[bytes] = [made] if isinstance(made, bytes) else []
    write_frame(target, {**answer, "peak_bytes": read_status("VmHWM")}, blobs)
    sys.exit(0)
