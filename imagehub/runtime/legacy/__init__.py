"""Bring pictures, accounts and the OneDrive sign-in over from the first version of ImageHub.

``run`` does one after the other. ``source`` reads the old tables, ``content`` decodes pictures,
``ahead`` renders them before their turn, ``matching`` finds their files in OneDrive, ``uploading``
uploads the others, ``saving`` writes to the hub; ``accounts`` and ``pictures`` are the steps,
``taken`` is the memory of dry runs, and ``work`` is what all share.
"""
