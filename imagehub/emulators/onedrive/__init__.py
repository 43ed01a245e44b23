"""A local folder served as a OneDrive drive, with Microsoft's sign-in and Graph before it.

Started as a program of its own::

    python -m imagehub.emulators.onedrive --root DIR --port 9400 --kind personal

It prints ``ready: http://127.0.0.1:9400`` when it answers, and ends at SIGTERM. Clients set their
Graph address to ``…/v1.0`` and send what they would send to ``https://login.microsoftonline.com``
to the same server. Faults on purpose, a log of requests and a reset are found at the control
address ``/_emulator/`` (:mod:`.control`); the kinds of faults stand in :mod:`.faults`.

=================  ===============================================================================
``program``        the command line, and the parts put together
``server``         HTTP itself: threads, files, cut connections
``state``          SQLite and folders: all that outlives a restart
``index``          a row for each item: ids, versions, numbered changes
``watch``          noticing what other programs do to the folder
``tree``           changing the folder and the index at once; recycle bin
``items``          how items are written as JSON
``hashes``         quickXorHash and SHA-1
``pictures``       facets and thumbnails, by Pillow
``names``          which names are taken
``identity``       sign-in, tokens, discovery; ``pages`` and ``aadsts`` belong to it
``graph``          the calls of Graph; ``calls``, ``refusals``, ``feed`` (delta), ``thumbnails`` and
                   ``batch`` belong to it
``content``        the hosts that hand out bytes
``uploads``        upload sessions
``subscriptions``  change notifications
``faults``         faults on purpose, and the request log
``control``        the control address
=================  ===============================================================================
"""


def main(argv: "list[str] | None" = None) -> int:
    """Run the emulator; see :func:`.program.main`."""
    from .program import main as run

    return run(argv)
