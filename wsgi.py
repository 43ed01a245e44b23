"""What a WSGI server loads: ``gunicorn wsgi:app``."""

from imagehub import create_app
from imagehub.runtime.garbage import collect_at_rest

app = create_app()
collect_at_rest()
