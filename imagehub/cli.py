"""The ``imagehub`` command. Each subcommand builds the application and calls one function."""

import json
import logging
import os
import secrets
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from cryptography.fernet import Fernet
from sqlalchemy.exc import DataError, DBAPIError

from imagehub.config import SettingsError, load_settings
from imagehub.database import db, explain_data_error, now_utc
from imagehub.errors import ImageHubError
from imagehub.logs import use_format
from imagehub.runtime import people_commands
from imagehub.runtime.backup import commands as backup_commands
from imagehub.runtime.data_lock import use_data_dir
from imagehub.runtime.open_app import open_app
from imagehub.runtime.private_files import UMASK, close_data_dir
from imagehub.runtime.supervisor import StartError

log = logging.getLogger(__name__)


class PlainErrors(click.Group):
    """Print the message of an expected error instead of a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (ImageHubError, SettingsError, StartError) as error:
            raise click.ClickException(str(error)) from None
        except DataError as error:
            raise click.ClickException(explain_data_error(error)) from None
        except DBAPIError as error:
            log.debug("The database failed", exc_info=True)
            kind = type(error.orig).__name__
            raise click.ClickException(
                f"The database cannot be used ({kind}). Run `imagehub doctor` for details."
            ) from None


@click.group(cls=PlainErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="imagehub", message="imagehub %(version)s")
@click.option("--verbose", is_flag=True, help="Print informational log messages too.")
@click.pass_context
def main(context: click.Context, verbose: bool) -> None:
    """ImageHub: publish one artist's pictures from OneDrive."""
    # Also for the programs that this one starts.
    context.call_on_close(partial(os.umask, os.umask(UMASK)))
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


# --- Running --------------------------------------------------------------------------------------


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def serve(host: str, port: int) -> None:
    """Run the whole hub: migrate, then start the web server and the embedded services."""
    from imagehub.domain.people import users
    from imagehub.runtime.serve import serve as run

    settings = load_settings()
    use_format(settings.log_format, "serve")
    with open_app(settings, migrated=True) as session:
        if not users.has_admins(session):
            click.echo("Nobody can sign in yet: run `imagehub create-admin NAME`.")
        db.session.remove()
        db.engine.dispose()
    click.get_current_context().with_resource(use_data_dir(settings.data_dir))
    run(settings, host, port, click.echo)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def web(host: str, port: int) -> None:
    """Run the web server only, for a hub on several machines."""
    from imagehub.runtime.serve import check_port, make_gunicorn_command

    settings = load_settings()
    close_data_dir(settings.data_dir)
    check_port(host, port)
    command = make_gunicorn_command(settings, host, port)
    os.environ.update(settings.to_environment())
    click.get_current_context().with_resource(use_data_dir(settings.data_dir))
    os.execv(command[0], command)  # noqa: S606 - our own command, no shell


@main.command()
def worker() -> None:
    """Run a worker only, which processes queued imports."""
    from imagehub.runtime.worker import run_worker

    settings = load_settings()
    use_format(settings.log_format, "worker")
    close_data_dir(settings.data_dir)
    click.get_current_context().with_resource(use_data_dir(settings.data_dir))
    sys.exit(run_worker(settings, on_ready=lambda: click.echo("ready: waiting for work")))


@main.command()
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Serve this folder as the drive instead of sample pictures.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the demo's own files (default: demo in the data folder).",
)
@click.option("--ephemeral", is_flag=True, help="Use a temporary folder and delete it on exit.")
@click.option(
    "--works",
    default=44,
    show_default=True,
    type=click.IntRange(1, 44),
    help="Number of sample works to draw.",
)
@click.option("--quick", is_flag=True, help="Draw smaller pictures, to test the demo itself.")
def demo(**options: Any) -> None:
    """Run a hub with sample pictures; needs no service, account or key.

    IMAGEHUB_DEMO_PASSWORD sets the admin's password.
    """
    from imagehub.runtime.demo import DemoOptions, run_demo

    run_demo(DemoOptions(**options), click.echo)


@main.command(
    "emulate-onedrive", context_settings={"ignore_unknown_options": True}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def emulate_onedrive(arguments: tuple[str, ...]) -> None:
    """Serve a local folder as a OneDrive: --root DIR --port 9400 [--kind personal|business]."""
    from imagehub.runtime.demo import make_emulator_command

    command = make_emulator_command(arguments)
    os.execv(command[0], command)  # noqa: S606 - our own command, no shell


# --- Work -----------------------------------------------------------------------------------------


@main.command("import")
@click.argument("folder", default="")
@click.option("--one-group", is_flag=True, help="Import all pictures into a single group.")
@click.option(
    "--again", is_flag=True, help="Import files again, even if already imported, into new groups."
)
@click.option("--no-wait", is_flag=True, help="Return as soon as the import is queued.")
def import_folder(folder: str, one_group: bool, again: bool, no_wait: bool) -> None:
    """Import FOLDER (a path below the root folder) and its subfolders.

    Each folder with pictures becomes a group; new files of an imported folder are added to its
    group. A worker must be running.
    """
    from imagehub.runtime.folder_import import import_folders

    with open_app():
        result = import_folders(folder, one_group=one_group, again=again, wait=not no_wait)
    for failure in result.failed:
        click.echo(f"  {failure.file_name}: {failure.reason}", err=True)
    click.echo(result.sentence)
    sys.exit(1 if result.failed and not result.done_count else 0)


@main.command("migrate-legacy")
@click.option(
    "--from",
    "address",
    metavar="URL",
    envvar="IMAGEHUB_LEGACY_URL",
    required=True,
    help="Database of the first version: mysql+pymysql://user@host/database. Other users of this "
    "machine can see what is typed here: leave the password out of it.",
    show_envvar=True,
)
@click.option("--password-stdin", is_flag=True, help="Read its password from standard input.")
@click.option("--dry-run", is_flag=True, help="Only report what would be done.")
@click.option(
    "--upload-missing", is_flag=True, help="Upload pictures that are not in OneDrive to it."
)
def migrate_legacy(address: str, password_stdin: bool, dry_run: bool, upload_missing: bool) -> None:
    """Bring pictures, accounts and the OneDrive sign-in over from the first version of ImageHub.

    Its tables are only read. The command can be stopped and run again; it does nothing twice.
    """
    from dataclasses import replace

    from imagehub.runtime.legacy.run import migrate_legacy
    from imagehub.runtime.legacy.source import read_url
    from imagehub.runtime.legacy.work import Options
    from imagehub.runtime.worker import make_renderer
    from imagehub.wiring import get_clients, get_settings

    url = read_url(address)
    if password_stdin or (not url.password and sys.stdin.isatty()):
        prompt = partial(click.prompt, "Password of the old database", "", show_default=False)
        password = sys.stdin.readline() if password_stdin else str(prompt(hide_input=True))
        url = read_url(address, password.rstrip("\r\n"))
    with open_app(migrated=True), make_renderer(get_settings()) as renderer:
        clients = replace(get_clients(), renderer=renderer)
        options = Options(dry_run, upload_missing)
        report = migrate_legacy(db.engine, get_settings(), clients, url, options, click.echo)
    click.echo(report.describe())
    sys.exit(130 if report.is_interrupted else 1 if report.has_failed else 0)


@main.command("check-drive")
@click.option("--no-wait", is_flag=True, help="Leave the check to a worker and return at once.")
def check_drive(no_wait: bool) -> None:
    """Check OneDrive for originals that were changed, moved away or deleted."""
    from imagehub.domain.sync import check, schedule
    from imagehub.wiring import get_clients

    with open_app() as session:
        account_ids = schedule.list_watched_accounts(session)
        session.rollback()
        if not account_ids:
            raise click.ClickException(
                "OneDrive is not connected, or no images were imported from it."
            )
        for account_id in account_ids:
            schedule.ask_for_check(session, account_id)
        session.commit()
        if no_wait:
            click.echo("A worker will check OneDrive within seconds.")
            return
        problems = []
        for account_id in account_ids:
            report = check.check_drive(session, get_clients(), account_id)
            if report is None:
                click.echo("A worker is already checking OneDrive.")
            elif report.problem:
                problems.append(report.problem)
        counts = [schedule.count_originals(session, state) for state in ("changed", "missing")]
    if problems:
        raise click.ClickException(problems[0])
    click.echo(f"{counts[0]} changed, {counts[1]} missing in OneDrive.")


@main.command()
@click.option("--dry-run", is_flag=True, help="Only report what would be done.")
def reconcile(dry_run: bool) -> None:
    """Find and fix orphaned or missing objects and database rows."""
    from imagehub.domain.site import reconcile as site_reconcile
    from imagehub.wiring import get_clients, get_settings

    with open_app() as session:
        report = site_reconcile.reconcile(
            session, get_clients(), get_settings().data_dir, fix=not dry_run
        )
    click.echo(report.describe())


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check everything that the hub needs, and report what is wrong and how to fix it."""
    from imagehub.runtime.doctor import run_checks

    findings = run_checks(load_settings())
    if as_json:
        click.echo(json.dumps([finding.__dict__ for finding in findings], indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark = {"ok": "ok  ", "warning": "note", "fault": "FAIL"}[finding.state]
            click.echo(f"{mark}  {finding.name:<{width}}  {finding.sentence}")
            if finding.advice:
                click.echo(f"      {'':<{width}}  → {finding.advice}")
    sys.exit(1 if any(finding.state == "fault" for finding in findings) else 0)


@main.command("notify-test")
def notify_test() -> None:
    """Send a test message to every recipient of messages, and say what became of it."""
    from imagehub.domain.site import forwarding, letters, notices
    from imagehub.wiring import build_channels, get_settings, refresh_settings

    channels = build_channels(load_settings())
    if not channels:
        raise click.ClickException(
            "No way to send messages is set: set IMAGEHUB_NOTIFY_EMAILS and IMAGEHUB_SMTP_HOST, or "
            "IMAGEHUB_NOTIFY_WEBHOOK_URL."
        )
    failed = 0
    with open_app() as session:
        refresh_settings()
        translator = notices.find_translator(session, get_settings())
        for channel in channels:
            letter = letters.write_test(
                secrets.token_hex(16), get_settings(), translator, now_utc()
            )
            try:
                channel.send(letter)
            except ImageHubError as error:
                failed += 1
                click.echo(f"FAIL  {channel.recipient}: {error}")
                continue
            notices.forget_failures(session, channel.recipient)
            forwarding.retry_now(session, channel.recipient)
            session.commit()
            click.echo(f"ok    {channel.recipient}: the test message was accepted.")
    sys.exit(1 if failed else 0)


@main.command()
def settings() -> None:
    """Print all settings with their values; secrets are masked."""
    for row in load_settings().describe():
        unit = f" {row['unit']}" if row["unit"] else ""
        click.echo(f"{row['name']} = {row['value']}{unit}")
        click.echo(f"    {row['meaning']} (default: {row['default'] or 'empty'})")


@main.command("make-key")
def make_key() -> None:
    """Print new values for the two secrets that production requires."""
    click.echo(f"IMAGEHUB_SECRET_KEY={secrets.token_urlsafe(48)}")
    click.echo(f"IMAGEHUB_TOKEN_KEY={Fernet.generate_key().decode()}")


@main.command("reseal-tokens")
def reseal_tokens() -> None:
    """Re-encrypt what is encrypted with a former key, as `rotate-keys` does."""
    from imagehub.runtime import keys

    with open_app() as session:
        if not keys.reseal(session, click.echo):
            sys.exit(1)


@main.command("rotate-keys")
@click.option("--finish", is_flag=True, help="Delete the former keys, once nothing needs them.")
@click.option("--now", is_flag=True, help="With --finish: even if people must sign in again.")
def rotate_keys(finish: bool, now: bool) -> None:
    """Change the keys of sessions and tokens; nobody is signed out, and the hub may run.

    Changes the keys that the hub has generated, and re-encrypts all that they protect. For keys of
    the environment it says what to set.
    """
    from imagehub.runtime import keys

    if now and not finish:
        raise click.UsageError("--now needs --finish")
    settings = load_settings()
    with open_app(settings) as session:
        if not finish:
            keys.rotate(session, settings, click.echo)
        elif not keys.finish(session, settings, click.echo, is_forced=now):
            sys.exit(1)


@main.command("bench-fill", hidden=True)
@click.option("--groups", default=200_000, show_default=True, type=click.IntRange(min=1))
@click.option("--images", default=1_000_000, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=1, show_default=True, help="Other numbers draw other works.")
def bench_fill(groups: int, images: int, seed: int) -> None:
    """Fill an empty database with made-up works, to measure large hubs.

    The pictures themselves are not made. A hub that has works or a OneDrive account is refused.
    """
    from imagehub.runtime.bench_fill.fill import fill_hub
    from imagehub.runtime.serve import allow_long_statements

    with open_app(migrated=True), allow_long_statements(db.engine):
        fill_hub(db.engine, groups, images, click.echo, seed)


@main.command("migrate")
def migrate() -> None:
    """Upgrade the database to the newest migration (`serve` does this itself)."""
    with open_app(migrated=True):
        click.echo("The database is up to date.")


for _command in (*people_commands.COMMANDS, *backup_commands.COMMANDS):
    main.add_command(_command)
