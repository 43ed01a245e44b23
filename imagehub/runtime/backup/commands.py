"""The commands that save, check and bring back a hub; :mod:`imagehub.cli` adds them to its own."""

import sys
from contextlib import ExitStack

import click

from imagehub.config import load_settings
from imagehub.database import MAX_ID


@click.command("backup")
@click.argument("file")
@click.option(
    "--without-objects",
    is_flag=True,
    help="Save no renditions; `imagehub rebuild` can make them again.",
)
def backup(file: str, without_objects: bool) -> None:
    """Save an embedded hub as the archive FILE (.tar, .tar.gz or .tar.xz; - for standard output).

    The hub may be running. The archive contains the secrets of the data folder: keep it safe.
    """
    from imagehub.runtime.backup import save

    settings = load_settings(makes_secrets=False)
    save.check_is_embedded(settings)
    is_shown = sys.stderr.isatty() and not without_objects
    length = save.count_objects(settings) if is_shown else 0
    with click.progressbar(
        length=length, label="Saving", show_pos=True, hidden=not is_shown, file=sys.stderr
    ) as bar:
        saved = save.save_hub(settings, file, not without_objects, lambda: bar.update(1))
    words = f"{saved.object_count:,} objects, " if saved.has_objects else ""
    click.echo(f"Saved {words}the database and secrets: {saved.size_bytes:,} bytes.", err=True)
    if not saved.has_objects and not settings.uses_embedded_s3:
        click.echo("The bucket is on another server and not part of the backup.", err=True)
    if saved.missing_count:
        click.echo(
            f"{saved.missing_count:,} objects are missing in the hub itself: `imagehub rebuild "
            "--missing-only` makes them again.",
            err=True,
        )
    given = [f"IMAGEHUB_{n.upper()}" for n in ("secret_key", "token_key") if n in settings.given]
    if given:
        click.echo(
            f"Keep these too, which are not in the data folder: {', '.join(given)}.", err=True
        )


@click.command("restore")
@click.argument("file")
@click.option(
    "--replace",
    is_flag=True,
    help="Move a hub that is in the data folder aside, to a folder in it.",
)
def restore(file: str, replace: bool) -> None:
    """Restore an embedded hub from the archive FILE (- for standard input) into the data folder.

    The archive is checked as a whole first. Stop the hub before.
    """
    from imagehub.runtime.backup.restore import restore_hub

    settings = load_settings(makes_secrets=False)
    restored = restore_hub(settings, file, replace)
    click.echo(f"Restored the hub of {restored.header.get('saved_at')} into {settings.data_dir}.")
    if restored.earlier is not None:
        click.echo(f"What was there is in {restored.earlier}; delete it when you do not need it.")
    for note in restored.notes:
        click.echo(note)
    click.echo("Start it with `imagehub serve`; `imagehub verify` checks it.")


@click.command("export")
@click.argument("file")
def export(file: str) -> None:
    """Write a manifest of the hub to FILE (- for standard output): what it knows, as JSON lines.

    It contains drafts and file names, but no password, token or key.
    """
    from imagehub.database import db
    from imagehub.domain.site.manifest import iter_lines, open_snapshot
    from imagehub.runtime.backup.files import open_target
    from imagehub.runtime.open_app import open_app

    with open_app(), open_snapshot(db.engine) as snapshot, open_target(file) as target:
        size_bytes = sum(target.write(line.encode()) for line in iter_lines(snapshot))
    click.echo(f"Wrote {size_bytes:,} bytes.", err=True)


@click.command("import-manifest")
@click.argument("file")
def import_manifest(file: str) -> None:
    """Read the manifest FILE (- for standard input) into an empty hub; groups keep their numbers.

    Connect OneDrive afterwards, then run `imagehub rebuild --missing-only`.
    """
    from imagehub.domain.site.manifest_import import read_manifest
    from imagehub.runtime.backup.files import open_source, read_lines
    from imagehub.runtime.open_app import open_app

    with open_app(migrated=True) as session, open_source(file) as source:
        imported = read_manifest(session, read_lines(source))
        session.commit()
    counts = imported.counts
    click.echo(f"Read {counts.get('group', 0):,} groups and {counts.get('image', 0):,} images.")
    for name in imported.unconnected:
        click.echo(f"Connect OneDrive as {name or 'before'} on the Connection page.")
    if shares := counts.get("share", 0):
        click.echo(
            f"{shares:,} share links need new addresses: see the page Share links. Those with a "
            "password have to be created again."
        )
    click.echo("Then run `imagehub rebuild --missing-only`.")


@click.command("verify")
@click.argument("manifest", default="")
@click.option("--deep", is_flag=True, help="Read every object and compare its content.")
@click.option("--originals", is_flag=True, help="Ask OneDrive for every original too.")
def verify(manifest: str, deep: bool, originals: bool) -> None:
    """Check that nothing is missing in the database, the object storage and a MANIFEST.

    Changes nothing. Exits with status 1 if something is missing.
    """
    from imagehub.runtime.backup.files import open_source, read_lines
    from imagehub.runtime.backup.verify import verify_hub
    from imagehub.runtime.open_app import open_app
    from imagehub.wiring import get_clients

    with ExitStack() as stack:
        session = stack.enter_context(open_app())
        lines = read_lines(stack.enter_context(open_source(manifest))) if manifest else None
        found = verify_hub(session, get_clients(), click.echo, lines, deep, originals)
    sys.exit(1 if found.lacks_something else 0)


@click.command("rebuild")
@click.option(
    "--missing-only", is_flag=True, help="Only images of which the storage lacks a rendition."
)
@click.option("--group", type=click.IntRange(1, MAX_ID), help="Only the group with this number.")
@click.option(
    "--match",
    "is_matching",
    is_flag=True,
    help="First look in the connected OneDrive for the originals of accounts that are not "
    "connected, by their content.",
)
def rebuild(missing_only: bool, group: int | None, is_matching: bool) -> None:
    """Make all renditions, logos and the watermark's picture again from OneDrive.

    The hub has to run meanwhile.

    It can be stopped and run again, and goes on where it was.
    """
    from imagehub.domain.onedrive.accounts import get_active_account
    from imagehub.runtime.backup.rebuild import match_originals, rebuild_renditions
    from imagehub.runtime.open_app import open_app
    from imagehub.wiring import get_clients, get_settings

    with open_app() as session:
        if is_matching:
            account_id = get_active_account(session).id
            session.rollback()
            count = match_originals(session, get_clients(), account_id)
            click.echo(f"{count:,} originals were found in the connected OneDrive.")
        rebuilt = rebuild_renditions(
            session, get_settings(), get_clients(), group, missing_only, click.echo
        )
    click.echo(rebuilt.describe())
    if rebuilt.is_stopped:
        click.echo("Stopped. Run the command again to go on.")
        sys.exit(130)
    sys.exit(1 if rebuilt.lacks_something else 0)


COMMANDS = (backup, restore, export, import_manifest, verify, rebuild)
