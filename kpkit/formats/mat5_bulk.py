"""Many small arrays of a MATLAB 5 variable decoded at once: the numbers inside struct arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError
from kpkit.formats.mat5 import CHAR, FIRST_NUMBER, LAST_NUMBER, MATRIX, NUMBERS, Fields, Offsets, Variable, damaged

NUMBER, TEXT, EMPTY, OTHER, ABSENT = range(5)

_WINDOW = 64  # tag, flags, dimensions, empty name and one double: the most that a scalar takes
_BLOCK = 1 << 16
_STEPS = 512
_COMPLEX = 0x800
_STORED = {**NUMBERS, 16: "u1"}  # 16: one byte of UTF-8

Kinds = NDArray[np.uint8]


class Scalars:
    """Decodes arrays of one element.

    `decode(at)` gives values [n] float64 and kinds [n] uint8: NUMBER with its value, TEXT (one character, its code as
    value), EMPTY, OTHER (anything else), ABSENT where the offset is -1; the value is NaN for the last three.
    """

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self._bytes = np.frombuffer(variable.data, np.uint8)
        self._eights = self._bytes[: len(self._bytes) & ~7].view(np.uint64)

    def decode(self, at: Offsets) -> tuple[NDArray[np.float64], Kinds]:
        """See the class. `at` [n] int64 are offsets that `Variable.offsets` or `columns` has checked."""
        values = np.full(len(at), np.nan)
        kinds = np.full(len(at), ABSENT, np.uint8)
        known = np.flatnonzero(at >= 0)
        for first in range(0, len(known), _BLOCK):
            rows = known[first : first + _BLOCK]
            near_end = at[rows] + _WINDOW > len(self._bytes)
            self._block(at[rows[~near_end]], rows[~near_end], values, kinds)
            self._one_by_one(rows[near_end], at[rows[near_end]], values, kinds)
        return values, kinds

    def columns(self, views: Sequence[Fields], names: Sequence[str]) -> Offsets:
        """Where the values of the named fields begin, [S, len(names)], a row a struct of all views; -1: no field."""
        flat, starts = self.walk(views)
        of_names = {
            view.names: [view.names.index(name) if name in view.names else -1 for name in names] for view in views
        }
        lengths = np.array([view.length for view in views], np.int64)
        view = np.repeat(np.arange(len(views)), lengths)
        within = np.arange(len(view)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        width = np.array([len(view.names) for view in views], np.int64)
        column = np.array([of_names[view.names] for view in views], np.int64).reshape(-1, len(names))[view]
        at = (starts[view] + within * width[view])[:, None] + column
        found = np.full(at.shape, -1, np.int64)
        found[column >= 0] = flat[at[column >= 0]]
        return found

    def walk(self, views: Sequence[Fields]) -> tuple[Offsets, Offsets]:
        """Where the values of all views begin, one view after the other, and where each view begins in that list.

        All views advance together, one value a step, which makes the steps few and long; huge ones go by themselves.
        """
        counts = np.array([view.length * len(view.names) for view in views], np.int64)
        ends = np.array([view.end for view in views], np.int64)
        at = np.array([view.start for view in views], np.int64)
        short = np.flatnonzero(counts <= _STEPS)
        starts = np.cumsum(counts) - counts
        flat = np.empty(int(counts.sum()), np.int64)
        for step in range(int(counts[short].max(initial=0))):
            active = short[counts[short] > step]
            flat[starts[active] + step] = at[active]
            at[active] = self._next(at[active], ends[active])
        for long in np.flatnonzero(counts > _STEPS).tolist():
            view, count = views[long], int(counts[long])
            flat[starts[long] : starts[long] + count] = self.variable.offsets(view.start, view.end, count)
        return flat, starts

    def _next(self, at: Offsets, ends: Offsets) -> Offsets:
        if (at + 8 > ends).any():
            raise damaged("an element begins behind the end of what holds it")
        tag = self._window(at, 8).view(f"{self.variable.order}u4")
        if (tag[:, 0] != MATRIX).any():
            raise damaged("an array was expected inside a struct or cell")
        after = at + 8 + (tag[:, 1].astype(np.int64) + 7 & ~7)
        if (after > ends).any():
            raise damaged("an element is longer than what holds it")
        return after

    def _window(self, at: Offsets, width: int) -> NDArray[np.uint8]:
        """The `width` bytes (a multiple of 8) from each offset on, [n, width]."""
        found: NDArray[np.uint8]
        if (at & 7).any():
            found = self._bytes[at[:, None] + np.arange(width)]
        else:
            # MATLAB pads everything to 8 bytes: gathering eight at a time is several times as fast.
            found = self._eights[(at >> 3)[:, None] + np.arange(width // 8)].view(np.uint8)
        return found

    def _block(self, at: Offsets, rows: Offsets, values: NDArray[np.float64], kinds: Kinds) -> None:
        window = self._window(at, _WINDOW)
        words = window.view(f"{self.variable.order}u4")
        # The usual shape: two dimensions, no name (see Variable.matrix); MATRIX itself was checked on the way.
        usual = (words[:, 2] == 6) & (words[:, 3] == 8) & (words[:, 6] == 5) & (words[:, 7] == 8)
        usual &= (words[:, 10] == 1) & (words[:, 11] == 0) & (words[:, 1] >= 40)
        kinds[rows] = OTHER
        kinds[rows[usual & ((words[:, 8] == 0) | (words[:, 9] == 0))]] = EMPTY
        sort = words[:, 4] & 0xFF
        real = (words[:, 4] & _COMPLEX == 0) & (sort >= FIRST_NUMBER) & (sort <= LAST_NUMBER)
        single = usual & (words[:, 8] == 1) & (words[:, 9] == 1) & (real | (sort == CHAR))
        short = words[:, 12] >> 16 != 0
        for is_short, start in ((True, 52), (False, 56)):
            tag = words[:, 12]
            stored, size = (tag & 0xFFFF, tag >> 16) if is_short else (tag, words[:, 13])
            room = single & (short == is_short) & (words[:, 1] >= start - 4)
            for code, name in _STORED.items():
                width = int(name[1])
                picked = np.flatnonzero(room & (stored == code) & (size == width))
                if len(picked) and (width <= 4 or not is_short):
                    raw = np.ascontiguousarray(window[picked, start : start + width])
                    values[rows[picked]] = raw.view(self.variable.order + name)[:, 0]
                    kinds[rows[picked]] = np.where(sort[picked] == CHAR, TEXT, NUMBER)
        self._one_by_one(rows[~usual], at[~usual], values, kinds)

    def _one_by_one(self, rows: Offsets, at: Offsets, values: NDArray[np.float64], kinds: Kinds) -> None:
        """Rare shapes (no bytes at all, a name, more than two dimensions) and the last arrays of the variable."""
        end = len(self.variable.data)
        for row, one in zip(rows.tolist(), at.tolist(), strict=True):
            try:
                value = self.variable.value(one, end)
            except FormatError:
                kinds[row] = OTHER
                continue
            if value is None:
                kinds[row] = EMPTY
            elif isinstance(value, str) and len(value) == 1:
                values[row], kinds[row] = ord(value), TEXT
            elif isinstance(value, int | float):
                values[row], kinds[row] = value, NUMBER
            else:
                kinds[row] = OTHER
