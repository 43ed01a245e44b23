"""Print files: pictures at the size at which they are printed, pages by Typst, and the PDF of both.

``pictures`` decodes originals in a child process, ``typeset`` lays the pages out in another one,
with a tiny stand-in for each picture, and ``assemble`` writes the PDF with the real pictures, one
after the other, so that memory does not depend on how many there are.
"""
