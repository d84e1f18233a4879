"""The stored range of vector components."""

from __future__ import annotations

# As uint8 in steps of 130 / 16384 a stored 128 is 0 to the bit, and -1 and 1 are inside.
SIGNED = (-128 * 130 / 16384, 127 * 130 / 16384)
