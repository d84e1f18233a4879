"""A format that would take the place of a built-in one."""

from kpkit.formats.coco import CocoFormat


class OtherCoco(CocoFormat):
    title = "not kpkit's own COCO"
