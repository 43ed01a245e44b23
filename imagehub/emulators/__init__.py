"""Stand-ins for services that ImageHub cannot bring along; each is a program of its own.

Nothing of ImageHub imports them, and they import nothing of ImageHub: they are started as programs
and spoken to over HTTP, as the real service would be.
"""
