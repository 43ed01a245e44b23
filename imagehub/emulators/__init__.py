"""Emulators of external services, each run as a separate program.

ImageHub does not import them and they do not import ImageHub: they are started as programs and
called over HTTP, like the real services.
"""
