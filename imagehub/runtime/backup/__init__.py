"""Backups: copies of an embedded hub, manifests of any hub, checks of the stores, rebuilding."""
