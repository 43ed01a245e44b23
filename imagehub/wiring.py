"""Builds what is outside from the settings, and hands both to whoever asks.

Kept in ``app.extensions["imagehub"]``, so that nothing is a global.
"""

from dataclasses import dataclass

from flask import Flask, current_app

from imagehub.clients import Clients
from imagehub.config import Settings


@dataclass
class Hub:
    """The settings and clients of one application."""

    settings: Settings
    clients: Clients | None


def init_app(app: Flask, settings: Settings, clients: Clients | None) -> None:
    app.extensions["imagehub"] = Hub(settings, clients)


def make_clients(app: Flask, settings: Settings) -> Clients:
    """The real ones: S3, Microsoft's sign-in, Graph."""
    raise NotImplementedError


def get_settings(app: Flask | None = None) -> Settings:
    """The settings of this (or the current) application."""
    hub: Hub = (app or current_app).extensions["imagehub"]
    return hub.settings


def get_clients(app: Flask | None = None) -> Clients:
    """The clients of this (or the current) application."""
    hub: Hub = (app or current_app).extensions["imagehub"]
    if hub.clients is None:
        hub.clients = make_clients(app or current_app, settings=hub.settings)
    return hub.clients
