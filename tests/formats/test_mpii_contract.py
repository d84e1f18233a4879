"""Both variants of MPII keep the public contract."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from kpkit.core.dataset import Dataset
from kpkit.testing import FormatContract


class TestMpiiJson(FormatContract):
    format_name = "mpii"
    # Images have no list of their own: they stand in the order of the persons.
    ordered = False


class TestMpiiMat(FormatContract):
    format_name = "mpii"
    file_name = "labels.mat"
    # Each reading starts a process.
    share = 0.1
    # Persons are stored image by image.
    ordered = False

    def any_datasets(self) -> st.SearchStrategy[Dataset]:
        # A coordinate of more decimals than declared may survive all the same; what does not is counted, which
        # test_mpii_mat_write.py looks at.
        return super().any_datasets().map(lambda one: one.replace(xy=np.round(one.xy, 9)))
