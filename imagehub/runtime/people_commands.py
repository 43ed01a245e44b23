"""The commands about the accounts of admins; :mod:`imagehub.cli` adds them to its own."""

import sys

import click
from sqlalchemy.orm import Session

from imagehub.models import User
from imagehub.runtime.open_app import open_app


def _ask_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.ClickException(
            "There is no terminal for a password prompt; use --password-stdin."
        )
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _get_admin(session: Session, name: str) -> User:
    from imagehub.domain.people import users

    user = users.find_user(session, name)
    if user is None:
        raise click.ClickException(f"There is no admin called {name}.")
    return user


def _get_site_title() -> str:
    from imagehub.wiring import get_settings, refresh_settings

    refresh_settings()
    return get_settings().title


@click.command("create-admin")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create_admin(name: str, password_stdin: bool) -> None:
    """Create an admin called NAME."""
    from imagehub.domain.people import audit, users

    password = _ask_password(password_stdin)
    with open_app(migrated=True) as session:
        user = users.create_admin(session, name, password, _get_site_title())
        audit.record(session, None, "create_account", user.id, name=user.name)
        session.commit()
    click.echo(f"{name} can sign in now.")


@click.command("set-password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--reset-second-factor",
    is_flag=True,
    help="Also turn off two-factor authentication, if the phone and recovery codes are lost.",
)
def set_password(name: str, password_stdin: bool, reset_second_factor: bool) -> None:
    """Set a new password for the admin NAME, end their sessions and revoke their tokens."""
    from imagehub.domain.people import api_tokens, audit, second_factor, users

    with open_app(migrated=True) as session:
        user = _get_admin(session, name)
        users.change_password(session, user, _ask_password(password_stdin), _get_site_title())
        api_tokens.revoke_all_tokens(session, user)
        was_on = reset_second_factor and second_factor.turn_off(session, user)
        audit.record(session, None, "set_password", user.id, name=user.name)
        if was_on:
            audit.record(session, None, "reset_two_factor", user.id, name=user.name)
        session.commit()
        has_step, is_disabled = second_factor.is_on(session, user.id), not user.is_active
    click.echo(f"{name} has a new password.")
    if is_disabled:
        click.echo("The account is still disabled (`imagehub enable-admin` enables it).")
    if was_on:
        click.echo("Two-factor authentication is off.")
    elif has_step:
        click.echo("Two-factor authentication is still on (--reset-second-factor turns it off).")


@click.command("disable-admin")
@click.argument("name")
def disable_admin(name: str) -> None:
    """Disable the admin NAME, end their sessions and revoke their tokens.

    `imagehub enable-admin NAME` enables the account again.
    """
    from imagehub.domain.people import admins, audit

    with open_app(migrated=True) as session:
        user = _get_admin(session, name)
        if not user.is_active:
            click.echo(f"{user.name} is disabled already.")
            return
        user_id = user.id
        session.rollback()
        user = admins.disable_admin(session, user_id)
        name = user.name
        audit.record(session, None, "disable_account", user_id, name=name)
        session.commit()
    click.echo(f"{name} cannot sign in any more.")


@click.command("enable-admin")
@click.argument("name")
def enable_admin(name: str) -> None:
    """Enable the admin NAME again after `imagehub disable-admin`."""
    from imagehub.domain.people import admins, audit

    with open_app(migrated=True) as session:
        user = _get_admin(session, name)
        if user.is_active:
            click.echo(f"{user.name} is not disabled.")
            return
        name = user.name
        admins.enable_admin(session, user.id)
        audit.record(session, None, "enable_account", user.id, name=name)
        session.commit()
    click.echo(f"{name} can sign in again.")


COMMANDS = (create_admin, set_password, disable_admin, enable_admin)
