"""A format that needs a library nobody has."""

import no_such_library

from kpkit.formats.base import Format


class BrokenFormat(Format):
    name = "broken"
    title = no_such_library.TITLE
