"""The admin pages (HTML) and the admin calls of the JSON API (``api_*``)."""

from flask import Blueprint, Flask

blueprint = Blueprint("admin", __name__)


def init_app(app: Flask) -> None:
    from imagehub.admin import (  # noqa: F401 - they add their views to the blueprint
        account_pages,
        activity,
        api_library,
        api_onedrive,
        connection_pages,
        drive,
        drive_acts,
        drive_deletion,
        drive_pages,
        home,
        import_board,
        import_plans,
        import_progress,
        library_bulk,
        library_group,
        library_list,
        library_shots,
        originals,
        settings_pages,
        share_pages,
        thumbnails,
        trash_pages,
        upload,
        words,
    )

    app.register_blueprint(blueprint)
