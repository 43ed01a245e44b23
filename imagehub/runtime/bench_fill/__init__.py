"""Fill an empty hub with made-up works, to measure how large ones behave.

``draw`` makes the rows of some groups at random; ``fill`` inserts them, with everything that the
hub derives from them: renditions, stored objects, imports, counts and the search index.
"""
