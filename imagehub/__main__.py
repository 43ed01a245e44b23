"""``python -m imagehub`` is the ``imagehub`` command."""

from imagehub.cli import main

main(prog_name="imagehub")
