"""The actions that the activity log knows, each with its sentence.

A sentence may name ``%(name)s`` (the thing), ``%(names)s`` (all of several, in quotes), ``%(num)s``
(how many), ``%(fields)s`` (what was changed) and values of its own, see ``audit.record``.
"""

from dataclasses import dataclass

from imagehub.messages import mark, mark_plural

# Kinds of things in the order of the page's filter, with their names there.
KINDS = {
    "group": mark("Groups"),
    "image": mark("Images"),
    "import": mark("Imports"),
    "drive": mark("OneDrive files"),
    "share": mark("Share links"),
    "connection": mark("Connection"),
    "setting": mark("Settings"),
    "account": mark("Account and sign-in"),
    "token": mark("API tokens"),
}


@dataclass(frozen=True)
class Action:
    """``verb`` and ``kind`` are what entries are found by; ``many`` is the sentence for several."""

    verb: str
    kind: str
    one: str
    many: str = ""


ACTIONS = {
    # Groups
    "edit_group": Action("change", "group", mark("Edited “%(name)s”: %(fields)s.")),
    "edit_groups": Action(
        "change",
        "group",
        *mark_plural("Edited %(num)s group: %(fields)s.", "Edited %(num)s groups: %(fields)s."),
    ),
    "join_groups": Action(
        "change",
        "group",
        *mark_plural(
            "Joined %(num)s group into “%(name)s”.", "Joined %(num)s groups into “%(name)s”."
        ),
    ),
    "move_group": Action(
        "order", "group", mark("Changed the position of “%(name)s” in the gallery.")
    ),
    "set_cover": Action("change", "group", mark("Changed the cover of “%(name)s”.")),
    "split_shots": Action(
        "create",
        "group",
        *mark_plural(
            "Split %(num)s shot of “%(name)s” into a new group.",
            "Split %(num)s shots of “%(name)s” into a new group.",
        ),
    ),
    "move_shots": Action(
        "change",
        "group",
        *mark_plural("Moved %(num)s shot to “%(name)s”.", "Moved %(num)s shots to “%(name)s”."),
    ),
    "delete_groups": Action(
        "delete",
        "group",
        *mark_plural("Deleted %(num)s group: %(names)s.", "Deleted %(num)s groups: %(names)s."),
    ),
    "restore_groups": Action(
        "create",
        "group",
        *mark_plural(
            "Restored %(num)s group from the trash: %(names)s.",
            "Restored %(num)s groups from the trash: %(names)s.",
        ),
    ),
    "purge_trash": Action(
        "delete",
        "group",
        *mark_plural(
            "Permanently deleted %(num)s entry from the trash.",
            "Permanently deleted %(num)s entries from the trash.",
        ),
    ),
    # Images
    "edit_shot": Action("change", "image", mark("Edited “%(shot)s” in “%(name)s”: %(fields)s.")),
    "edit_shots": Action(
        "change",
        "image",
        *mark_plural(
            "Edited %(num)s shot of “%(name)s”: %(fields)s.",
            "Edited %(num)s shots of “%(name)s”: %(fields)s.",
        ),
    ),
    "order_shots": Action("order", "image", mark("Changed the order of the shots of “%(name)s”.")),
    "delete_shots": Action(
        "delete",
        "image",
        *mark_plural("Deleted %(num)s shot of “%(name)s”.", "Deleted %(num)s shots of “%(name)s”."),
    ),
    "delete_images": Action(
        "delete",
        "image",
        *mark_plural(
            "Deleted %(num)s image through the API.", "Deleted %(num)s images through the API."
        ),
    ),
    "use_new_versions": Action(
        "change",
        "image",
        *mark_plural(
            "Used the new version of %(num)s image from OneDrive.",
            "Used the new versions of %(num)s images from OneDrive.",
        ),
    ),
    "check_images": Action(
        "check",
        "image",
        *mark_plural(
            "Checked %(num)s original in OneDrive again.",
            "Checked %(num)s originals in OneDrive again.",
        ),
    ),
    # Imports
    "start_import": Action(
        "create",
        "import",
        *mark_plural("Started an import of %(num)s file.", "Started an import of %(num)s files."),
    ),
    "import_uploads": Action(
        "create",
        "import",
        *mark_plural(
            "Uploaded %(num)s file to OneDrive and started its import.",
            "Uploaded %(num)s files to OneDrive and started their import.",
        ),
    ),
    "retry_import": Action(
        "retry",
        "import",
        *mark_plural(
            "Retried %(num)s failed file of an import.",
            "Retried %(num)s failed files of an import.",
        ),
    ),
    "dismiss_files": Action(
        "dismiss",
        "import",
        *mark_plural(
            "Dismissed %(num)s failed file of an import.",
            "Dismissed %(num)s failed files of an import.",
        ),
    ),
    "publish_import": Action(
        "change",
        "import",
        *mark_plural(
            "Published %(num)s group of an import.", "Published %(num)s groups of an import."
        ),
    ),
    # Files in OneDrive
    "create_folder": Action("create", "drive", mark("Created the folder “%(name)s” in OneDrive.")),
    "create_folders": Action(
        "make",
        "drive",
        *mark_plural(
            "Created %(num)s folder in OneDrive for uploads: %(names)s.",
            "Created %(num)s folders in OneDrive for uploads: %(names)s.",
        ),
    ),
    "rename_item": Action(
        "rename", "drive", mark("Renamed “%(before)s” to “%(name)s” in OneDrive.")
    ),
    "rename_item_to": Action("rename", "drive", mark("Renamed an item in OneDrive to “%(name)s”.")),
    "move_items": Action(
        "change",
        "drive",
        *mark_plural(
            "Moved %(num)s item to “%(folder)s” in OneDrive: %(names)s.",
            "Moved %(num)s items to “%(folder)s” in OneDrive: %(names)s.",
        ),
    ),
    "delete_items": Action(
        "delete",
        "drive",
        *mark_plural(
            "Deleted %(num)s item in OneDrive: %(names)s.",
            "Deleted %(num)s items in OneDrive: %(names)s.",
        ),
    ),
    "delete_item": Action("delete", "drive", mark("Deleted an item in OneDrive.")),
    "restore_items": Action(
        "restore",
        "drive",
        *mark_plural(
            "Restored %(num)s item from the OneDrive recycle bin: %(names)s.",
            "Restored %(num)s items from the OneDrive recycle bin: %(names)s.",
        ),
    ),
    "upload_files": Action(
        "upload",
        "drive",
        *mark_plural(
            "Started uploading %(num)s file to OneDrive: %(names)s.",
            "Started uploading %(num)s files to OneDrive: %(names)s.",
        ),
    ),
    "replace_files": Action(
        "replace",
        "drive",
        *mark_plural(
            "Started replacing %(num)s file in OneDrive: %(names)s.",
            "Started replacing %(num)s files in OneDrive: %(names)s.",
        ),
    ),
    # Share links
    "create_share": Action("create", "share", mark("Created the share link “%(name)s”.")),
    "replace_share": Action("change", "share", mark("Replaced the share link “%(name)s”.")),
    "revoke_share": Action("delete", "share", mark("Revoked the share link “%(name)s”.")),
    "reopen_share": Action("change", "share", mark("Restored the share link “%(name)s”.")),
    # The connection to OneDrive
    "connect": Action("connect", "connection", mark("Connected the OneDrive of %(name)s.")),
    "disconnect": Action(
        "disconnect", "connection", mark("Disconnected the OneDrive of %(name)s.")
    ),
    "set_secret_end": Action(
        "change", "connection", mark("Set the expiry date of the client secret to %(day)s.")
    ),
    "clear_secret_end": Action(
        "change", "connection", mark("Deleted the expiry date of the client secret.")
    ),
    "set_root_folder": Action("change", "connection", mark("Set the root folder to “%(name)s”.")),
    "check_originals": Action(
        "check", "connection", mark("Started a check of the originals in OneDrive.")
    ),
    # Settings
    "change_settings": Action("change", "setting", mark("Changed settings: %(fields)s.")),
    # Accounts and sign-in
    "create_account": Action(
        "create", "account", mark("Created the account “%(name)s” on the command line.")
    ),
    "set_password": Action(
        "change", "account", mark("Set a new password for “%(name)s” on the command line.")
    ),
    "reset_two_factor": Action(
        "change",
        "account",
        mark("Turned off two-factor authentication of “%(name)s” on the command line."),
    ),
    "rename_account": Action(
        "change", "account", mark("Changed the account’s name from “%(before)s” to “%(name)s”.")
    ),
    "change_password": Action(
        "change", "account", mark("Changed the password and signed out all other sessions.")
    ),
    "turn_on_two_factor": Action("change", "account", mark("Turned on two-factor authentication.")),
    "turn_off_two_factor": Action(
        "change", "account", mark("Turned off two-factor authentication.")
    ),
    "create_recovery_codes": Action("change", "account", mark("Created new recovery codes.")),
    "sign_in": Action("sign_in", "account", mark("Signed in with %(browser)s.")),
    "sign_in_by_recovery": Action(
        "sign_in", "account", mark("Signed in with %(browser)s and a recovery code.")
    ),
    "sign_in_by_api": Action("sign_in", "account", mark("Signed in through the API.")),
    "sign_out": Action("sign_out", "account", mark("Signed out in %(browser)s.")),
    "end_session": Action("end", "account", mark("Signed out a session in %(browser)s.")),
    "end_other_sessions": Action(
        "end",
        "account",
        *mark_plural("Signed out %(num)s other session.", "Signed out %(num)s other sessions."),
    ),
    "fail_sign_in": Action(
        "fail_sign_in",
        "account",
        *mark_plural(
            "%(num)s failed sign-in with the name “%(name)s”.",
            "%(num)s failed sign-ins, the last with the name “%(name)s”.",
        ),
    ),
    "fail_sign_in_unknown": Action(
        "fail_sign_in",
        "account",
        *mark_plural(
            "%(num)s failed sign-in with an unknown name.",
            "%(num)s failed sign-ins, the last with an unknown name.",
        ),
    ),
    "fail_sign_in_many": Action(
        "fail_sign_in",
        "account",
        *mark_plural(
            "%(num)s failed sign-in from one of many addresses, with the name “%(name)s”.",
            "%(num)s failed sign-ins from many addresses, the last with the name “%(name)s”.",
        ),
    ),
    "fail_sign_in_many_unknown": Action(
        "fail_sign_in",
        "account",
        *mark_plural(
            "%(num)s failed sign-in from one of many addresses, with an unknown name.",
            "%(num)s failed sign-ins from many addresses, the last with an unknown name.",
        ),
    ),
    # API tokens
    "create_token": Action(
        "create", "token", mark("Created the API token “%(name)s” for reading.")
    ),
    "create_write_token": Action(
        "create", "token", mark("Created the API token “%(name)s” for reading and writing.")
    ),
    "revoke_token": Action("end", "token", mark("Revoked the API token “%(name)s”.")),
    "revoke_own_token": Action(
        "end", "token", mark("Revoked the API token “%(name)s” through the API.")
    ),
}
