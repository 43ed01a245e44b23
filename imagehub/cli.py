"""The ``imagehub`` command."""

import click
from flask import Flask


@click.group()
def main() -> None:
    """ImageHub: one artist's pictures, kept in OneDrive, shown to the world."""


def init_app(app: Flask) -> None:
    """Nothing yet: the commands build the application themselves."""
