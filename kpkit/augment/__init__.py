"""Image, points, boxes, polygons and masks moved by one matrix; occlusion; recipes; photometric changes."""

from kpkit.augment.rows import back

__all__ = ["back"]
