"""What a WSGI server loads: ``gunicorn wsgi:app``."""

import os

from imagehub import create_app
from imagehub.database import init_migrations
from imagehub.runtime.garbage import collect_at_rest
from imagehub.runtime.private_files import UMASK

os.umask(UMASK)
app = create_app()
init_migrations(app)  # for `flask --app wsgi db`
collect_at_rest()
