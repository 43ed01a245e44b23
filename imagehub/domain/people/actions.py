"""The actions that the activity log knows, each with its sentence.

A sentence may name ``%(name)s`` (the thing), ``%(names)s`` (all of several, in quotes), ``%(num)s``
(how many), ``%(fields)s`` (what was changed) and values of its own, see ``audit.record``.
"""

from dataclasses import dataclass

from imagehub.messages import mark

# Kinds of things in the order of the page's filter, with their names there.
KINDS = {
    "group": mark("Groups"),
    "image": mark("Images"),
    "series": mark("Series"),
    "page": mark("Pages"),
    "import": mark("Imports"),
    "drive": mark("OneDrive files"),
    "share": mark("Share links"),
    "enquiry": mark("Enquiries"),
    "print": mark("Print files"),
    "connection": mark("Connection"),
    "setting": mark("Settings"),
    "account": mark("Account and sign-in"),
    "token": mark("API tokens"),
}


@dataclass(frozen=True)
class Action:
    """``kind`` and ``verb`` are what entries are found by; ``many`` is the sentence for several."""

    kind: str
    verb: str
    one: str
    many: str = ""


def _counted(verb: str, one: str, many: str) -> tuple[str, str, str]:
    """Mark the two forms of a sentence with a count for translation."""
    return verb, one, many


# Kind → action → (verb, sentence, sentence for several).
_ACTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "group": {
        "edit_group": ("change", mark("Edited “%(name)s”: %(fields)s.")),
        "translate_group": (
            "change",
            mark("Translated “%(name)s” into %(language)s: %(fields)s."),
        ),
        "edit_groups": _counted(
            "change", "Edited %(num)s group: %(fields)s.", "Edited %(num)s groups: %(fields)s."
        ),
        "join_groups": _counted(
            "change",
            "Joined %(num)s group into “%(name)s”.",
            "Joined %(num)s groups into “%(name)s”.",
        ),
        "accept_words": (
            "change",
            mark("Accepted what the files of “%(name)s” say: %(fields)s."),
        ),
        "discard_words": (
            "change",
            mark("Discarded what the files of “%(name)s” say: %(fields)s."),
        ),
        "accept_many_words": _counted(
            "change",
            "Accepted what the files of %(num)s group say.",
            "Accepted what the files of %(num)s groups say.",
        ),
        "discard_many_words": _counted(
            "change",
            "Discarded what the files of %(num)s group say.",
            "Discarded what the files of %(num)s groups say.",
        ),
        "set_group_tiles": ("change", mark("Changed the deep zoom of “%(name)s”.")),
        "make_tiles_again": ("change", mark("Had the tiles of “%(name)s” made again.")),
        "move_group": ("order", mark("Changed the position of “%(name)s” in the gallery.")),
        "set_cover": ("change", mark("Changed the cover of “%(name)s”.")),
        "split_shots": _counted(
            "create",
            "Split %(num)s shot of “%(name)s” into a new group.",
            "Split %(num)s shots of “%(name)s” into a new group.",
        ),
        "move_shots": _counted(
            "change", "Moved %(num)s shot to “%(name)s”.", "Moved %(num)s shots to “%(name)s”."
        ),
        "delete_groups": _counted(
            "delete", "Deleted %(num)s group: %(names)s.", "Deleted %(num)s groups: %(names)s."
        ),
        "restore_groups": _counted(
            "create",
            "Restored %(num)s group from the trash: %(names)s.",
            "Restored %(num)s groups from the trash: %(names)s.",
        ),
        "purge_trash": _counted(
            "delete",
            "Permanently deleted %(num)s entry from the trash.",
            "Permanently deleted %(num)s entries from the trash.",
        ),
    },
    "image": {
        "edit_shot": ("change", mark("Edited “%(shot)s” in “%(name)s”: %(fields)s.")),
        "edit_shots": _counted(
            "change",
            "Edited %(num)s shot of “%(name)s”: %(fields)s.",
            "Edited %(num)s shots of “%(name)s”: %(fields)s.",
        ),
        "order_shots": ("order", mark("Changed the order of the shots of “%(name)s”.")),
        "delete_shots": _counted(
            "delete", "Deleted %(num)s shot of “%(name)s”.", "Deleted %(num)s shots of “%(name)s”."
        ),
        "delete_images": _counted(
            "delete",
            "Deleted %(num)s image through the API.",
            "Deleted %(num)s images through the API.",
        ),
        "use_new_versions": _counted(
            "change",
            "Used the new version of %(num)s image from OneDrive.",
            "Used the new versions of %(num)s images from OneDrive.",
        ),
        "play_videos": _counted(
            "change",
            "Made %(num)s video playable that was shown as a still.",
            "Made %(num)s videos playable that were shown as stills.",
        ),
        "use_file": (
            "change",
            mark("Chose the file “%(file)s” as an original of “%(name)s”."),
        ),
        "use_offered": _counted(
            "change",
            "Used the file in the place of the missing original of %(num)s image.",
            "Used the files in the places of the missing originals of %(num)s images.",
        ),
        "relink_originals": _counted(
            "relink",
            "Linked %(num)s image to its original in OneDrive again: %(names)s.",
            "Linked %(num)s images to their originals in OneDrive again: %(names)s.",
        ),
        "check_images": _counted(
            "check",
            "Checked %(num)s original in OneDrive again.",
            "Checked %(num)s originals in OneDrive again.",
        ),
    },
    "series": {
        "create_series": ("create", mark("Created the series “%(name)s”.")),
        "edit_series": ("change", mark("Edited the series “%(name)s”: %(fields)s.")),
        "translate_series": (
            "change",
            mark("Translated the series “%(name)s” into %(language)s: %(fields)s."),
        ),
        "publish_series": ("change", mark("Published the series “%(name)s”.")),
        "unpublish_series": ("change", mark("Unpublished the series “%(name)s”.")),
        "delete_series": ("delete", mark("Deleted the series “%(name)s”.")),
        "restore_series": ("change", mark("Restored the series “%(name)s”.")),
        "purge_series": _counted(
            "delete",
            "Permanently deleted %(num)s series: %(names)s.",
            "Permanently deleted %(num)s series: %(names)s.",
        ),
        "order_series": ("order", mark("Changed the position of the series “%(name)s”.")),
        "order_series_in_menu": (
            "order",
            mark("Changed the position of the series “%(name)s” in a menu."),
        ),
        "order_series_groups": (
            "order",
            mark("Changed the order of the works in the series “%(name)s”."),
        ),
        "set_series_cover": ("cover", mark("Changed the cover of the series “%(name)s”.")),
        "add_to_series": _counted(
            "add",
            "Added %(num)s group to the series “%(name)s”.",
            "Added %(num)s groups to the series “%(name)s”.",
        ),
        "remove_from_series": _counted(
            "remove",
            "Removed %(num)s group from the series “%(name)s”.",
            "Removed %(num)s groups from the series “%(name)s”.",
        ),
    },
    "page": {
        "create_page": ("create", mark("Created the page “%(name)s”.")),
        "edit_page": ("change", mark("Edited the page “%(name)s”: %(fields)s.")),
        "translate_page": (
            "change",
            mark("Translated the page “%(name)s” into %(language)s: %(fields)s."),
        ),
        "publish_page": ("change", mark("Published the page “%(name)s”.")),
        "unpublish_page": ("change", mark("Made the page “%(name)s” a draft.")),
        "delete_page": ("delete", mark("Deleted the page “%(name)s”.")),
        "order_menu": ("order", mark("Changed the position of “%(name)s” in a menu.")),
    },
    "import": {
        "start_import": _counted(
            "create", "Started an import of %(num)s file.", "Started an import of %(num)s files."
        ),
        "import_watched": _counted(
            "create",
            "Started an import of %(num)s new file of the watched folder “%(name)s”.",
            "Started an import of %(num)s new files of the watched folder “%(name)s”.",
        ),
        "watch_folder": ("create", mark("Started to watch the folder “%(name)s”.")),
        "change_watch": ("change", mark("Changed the series of the watched folder “%(name)s”.")),
        "unwatch_folder": ("end", mark("Stopped watching the folder “%(name)s”.")),
        "migrate_legacy": _counted(
            "create",
            "Brought %(num)s image over from the first version.",
            "Brought %(num)s images over from the first version.",
        ),
        "import_uploads": _counted(
            "create",
            "Uploaded %(num)s file to OneDrive and started its import.",
            "Uploaded %(num)s files to OneDrive and started their import.",
        ),
        "retry_import": _counted(
            "retry",
            "Retried %(num)s failed file of an import.",
            "Retried %(num)s failed files of an import.",
        ),
        "import_anyway": _counted(
            "retry",
            "Imported %(num)s file although it is not as OneDrive lists it.",
            "Imported %(num)s files although they are not as OneDrive lists them.",
        ),
        "dismiss_files": _counted(
            "dismiss",
            "Dismissed %(num)s failed file of an import.",
            "Dismissed %(num)s failed files of an import.",
        ),
        "publish_import": _counted(
            "change",
            "Published %(num)s group of an import.",
            "Published %(num)s groups of an import.",
        ),
    },
    "drive": {
        "create_folder": ("create", mark("Created the folder “%(name)s” in OneDrive.")),
        "create_folders": _counted(
            "make",
            "Created %(num)s folder in OneDrive for uploads: %(names)s.",
            "Created %(num)s folders in OneDrive for uploads: %(names)s.",
        ),
        "rename_item": ("rename", mark("Renamed “%(before)s” to “%(name)s” in OneDrive.")),
        "rename_item_to": ("rename", mark("Renamed an item in OneDrive to “%(name)s”.")),
        "move_items": _counted(
            "change",
            "Moved %(num)s item to “%(folder)s” in OneDrive: %(names)s.",
            "Moved %(num)s items to “%(folder)s” in OneDrive: %(names)s.",
        ),
        "delete_items": _counted(
            "delete",
            "Deleted %(num)s item in OneDrive: %(names)s.",
            "Deleted %(num)s items in OneDrive: %(names)s.",
        ),
        "delete_item": ("delete", mark("Deleted an item in OneDrive.")),
        "restore_items": _counted(
            "restore",
            "Restored %(num)s item from the OneDrive recycle bin: %(names)s.",
            "Restored %(num)s items from the OneDrive recycle bin: %(names)s.",
        ),
        "upload_files": _counted(
            "upload",
            "Started uploading %(num)s file to OneDrive: %(names)s.",
            "Started uploading %(num)s files to OneDrive: %(names)s.",
        ),
        "replace_files": _counted(
            "replace",
            "Started replacing %(num)s file in OneDrive: %(names)s.",
            "Started replacing %(num)s files in OneDrive: %(names)s.",
        ),
    },
    "share": {
        "create_share": ("create", mark("Created the share link “%(name)s”.")),
        "replace_share": ("change", mark("Replaced the share link “%(name)s”.")),
        "revoke_share": ("delete", mark("Revoked the share link “%(name)s”.")),
        "reopen_share": ("change", mark("Restored the share link “%(name)s”.")),
        "take_lists": (
            "change",
            mark("Turned on shortlists for the share link “%(name)s”."),
        ),
        "refuse_lists": (
            "change",
            mark("Turned off shortlists for the share link “%(name)s”."),
        ),
    },
    "print": {
        "request_print": ("create", mark("Created the print file “%(name)s”.")),
        "cancel_print": ("change", mark("Cancelled the print file “%(name)s”.")),
        "delete_print": ("delete", mark("Deleted the print file “%(name)s”.")),
    },
    # Without names: the log is kept longer than what visitors wrote.
    "enquiry": {
        "answer_enquiries": _counted(
            "change", "Marked %(num)s enquiry as answered.", "Marked %(num)s enquiries as answered."
        ),
        "reopen_enquiries": _counted(
            "change", "Marked %(num)s enquiry as new.", "Marked %(num)s enquiries as new."
        ),
        "refuse_enquiries": _counted(
            "change", "Marked %(num)s enquiry as spam.", "Marked %(num)s enquiries as spam."
        ),
        "note_enquiry": ("change", mark("Changed the note of an enquiry.")),
        "delete_enquiries": _counted(
            "delete", "Deleted %(num)s enquiry.", "Deleted %(num)s enquiries."
        ),
        "export_enquiries": _counted(
            "export", "Exported %(num)s enquiry.", "Exported %(num)s enquiries."
        ),
    },
    "connection": {
        "connect": ("connect", mark("Connected the OneDrive of %(name)s.")),
        "disconnect": ("disconnect", mark("Disconnected the OneDrive of %(name)s.")),
        "set_secret_end": ("change", mark("Set the expiry date of the client secret to %(day)s.")),
        "clear_secret_end": ("change", mark("Deleted the expiry date of the client secret.")),
        "set_root_folder": ("change", mark("Set the root folder to “%(name)s”.")),
        "check_originals": ("check", mark("Started a check of the originals in OneDrive.")),
    },
    "setting": {
        "add_logo": ("create", mark("Fetched “%(name)s” as a logo.")),
        "choose_mark_picture": (
            "change",
            mark("Chose “%(name)s” as the picture of the watermark."),
        ),
        "change_settings": ("change", mark("Changed settings: %(fields)s.")),
        "swap_main_language": (
            "change",
            mark("Made %(name)s the main language, and swapped all texts with their translations."),
        ),
        "change_main_language": ("change", mark("Made %(name)s the main language.")),
    },
    "account": {
        "create_account": ("create", mark("Created the account “%(name)s” on the command line.")),
        "set_password": ("change", mark("Set a new password for “%(name)s” on the command line.")),
        "reset_two_factor": (
            "change",
            mark("Turned off two-factor authentication of “%(name)s” on the command line."),
        ),
        "disable_account": ("change", mark("Disabled the account “%(name)s”.")),
        "enable_account": ("change", mark("Enabled the account “%(name)s” again.")),
        "rename_account": (
            "change",
            mark("Changed the account’s name from “%(before)s” to “%(name)s”."),
        ),
        "change_password": (
            "change",
            mark("Changed the password and signed out all other sessions."),
        ),
        "turn_on_two_factor": ("change", mark("Turned on two-factor authentication.")),
        "turn_off_two_factor": ("change", mark("Turned off two-factor authentication.")),
        "create_recovery_codes": ("change", mark("Created new recovery codes.")),
        "sign_in": ("sign_in", mark("Signed in with %(browser)s.")),
        "sign_in_by_recovery": ("sign_in", mark("Signed in with %(browser)s and a recovery code.")),
        "sign_in_by_api": ("sign_in", mark("Signed in through the API.")),
        "sign_out": ("sign_out", mark("Signed out in %(browser)s.")),
        "end_session": ("end", mark("Signed out a session in %(browser)s.")),
        "end_other_sessions": _counted(
            "end", "Signed out %(num)s other session.", "Signed out %(num)s other sessions."
        ),
        "fail_sign_in": _counted(
            "fail_sign_in",
            "%(num)s failed sign-in with the name “%(name)s”.",
            "%(num)s failed sign-ins, the last with the name “%(name)s”.",
        ),
        "fail_sign_in_unknown": _counted(
            "fail_sign_in",
            "%(num)s failed sign-in with an unknown name.",
            "%(num)s failed sign-ins, the last with an unknown name.",
        ),
        "fail_sign_in_many": _counted(
            "fail_sign_in",
            "%(num)s failed sign-in from one of many addresses, with the name “%(name)s”.",
            "%(num)s failed sign-ins from many addresses, the last with the name “%(name)s”.",
        ),
        "fail_sign_in_many_unknown": _counted(
            "fail_sign_in",
            "%(num)s failed sign-in from one of many addresses, with an unknown name.",
            "%(num)s failed sign-ins from many addresses, the last with an unknown name.",
        ),
    },
    "token": {
        "create_token": ("create", mark("Created the API token “%(name)s” for reading.")),
        "create_write_token": (
            "create",
            mark("Created the API token “%(name)s” for reading and writing."),
        ),
        "revoke_token": ("end", mark("Revoked the API token “%(name)s”.")),
        "revoke_own_token": ("end", mark("Revoked the API token “%(name)s” through the API.")),
    },
}
ACTIONS = {
    name: Action(kind, *sentences)
    for kind, actions in _ACTIONS.items()
    for name, sentences in actions.items()
}
# What an edit of one thing becomes when its entry is about several.
SEVERAL = {"edit_shot": "edit_shots"}
