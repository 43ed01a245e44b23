"""What a WSGI server loads: ``gunicorn wsgi:app``."""

from imagehub import create_app

app = create_app()
