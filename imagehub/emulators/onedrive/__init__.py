"""Serve a local folder as a OneDrive drive, with Microsoft's sign-in and Graph.

Run it as a separate program::

    python -m imagehub.emulators.onedrive --root DIR --port 9400 --kind personal

It prints ``ready: http://127.0.0.1:9400`` when it accepts requests, and ends on SIGTERM. Clients
set their Graph address to ``…/v1.0`` and send requests for ``https://login.microsoftonline.com`` to
the same server. The control address ``/_emulator/`` (:mod:`.control`) injects faults, shows a log
of requests and resets the emulator; :mod:`.faults` lists the kinds of faults.

=================  ===============================================================================
``program``        the command line; creates and connects the parts
``server``         HTTP: threads, files, dropped connections
``state``          SQLite and folders: everything kept across restarts
``index``          a row for each item: ids, versions, numbered changes
``watch``          detects changes that other programs make to the folder; ``removals``
                   belongs to it
``tree``           changes the folder and the index together; recycle bin
``items``          the JSON of items
``hashes``         quickXorHash and SHA-1
``pictures``       facets and thumbnails, by Pillow
``names``          which names are valid
``identity``       sign-in, tokens, discovery; ``pages`` and ``aadsts`` belong to it
``graph``          Graph's calls; ``calls``, ``refusals``, ``feed`` (delta), ``thumbnails`` and
                   ``batch`` belong to it
``content``        the hosts that serve file contents
``uploads``        upload sessions
``subscriptions``  change notifications
``faults``         injected faults, and the request log
``control``        the control address
=================  ===============================================================================
"""


def main(argv: "list[str] | None" = None) -> int:
    """Run the emulator; see :func:`.program.main`."""
    from .program import main as run

    return run(argv)
