"""Files of MPII's evaluation: the ground truth that PCKh is computed from, and lists of predictions.

Ground truth (HRNet's `gt_valid.mat`, MPII's `detections_our_format.mat`): `pos_gt_src` [16,2,N], `jnt_missing` [16,N],
`headboxes_src` [2,2,N] (corners). Predictions: `preds` [N,16,2] in a MATLAB 5 or HDF5 file, persons in the same order.
All coordinates are counted from 1.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.child import limited_call
from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.errors import FormatError, InputError
from kpkit.formats.mat5 import FIRST_NUMBER, LAST_NUMBER, Variable, variable_names, variables
from kpkit.guard import read_bytes

TRUTH = ("pos_gt_src", "jnt_missing", "headboxes_src")
PREDICTIONS = "preds"
HDF5 = b"\x89HDF\r\n\x1a\n"
JOINTS = 16

Arrays = dict[str, NDArray[Any]]


def is_truth(path: Path) -> bool:
    """Whether this is a MATLAB 5 file with such a ground truth; False for what cannot be read."""
    try:
        return TRUTH[0] in variable_names(path)
    except OSError:
        return False


def is_array_file(path: Path) -> bool:
    """Whether this is an HDF5 file, or a MATLAB file other than MPII's labels."""
    try:
        with path.open("rb") as stream:
            head = stream.read(520)
        if HDF5 in (head[:8], head[512:]):
            return True
        return head.startswith(b"MATLAB") and not {"RELEASE", "annolist"} & set(variable_names(path))
    except OSError:
        return False


def read_truth(path: Path) -> Dataset:
    """The ground truth of MPII's evaluation: one person an image, images known by their number only.

    Every joint that is not missing counts as visible: the file does not say more. Raises FormatError.
    """
    arrays = _read(path, TRUTH)
    missing = arrays["jnt_missing"]
    n = missing.shape[-1] if missing.ndim == 2 else 0
    expected = {"pos_gt_src": (JOINTS, 2, n), "jnt_missing": (JOINTS, n), "headboxes_src": (2, 2, n)}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise _shape(path, name, " x ".join(map(str, shape)), arrays[name])
    labelled: NDArray[np.bool_] = np.logical_not(missing.T)
    xy = np.where(labelled[..., None], arrays["pos_gt_src"].transpose(2, 0, 1).astype(np.float64) - 1.0, np.nan)
    if not np.isfinite(xy[labelled]).all():
        raise FormatError("a joint that is not missing has no position", code="KP-MPII-SCORES", place=str(path))
    corners = arrays["headboxes_src"].astype(np.float64)
    head = np.concatenate([corners[0] - 1.0, corners[1] - corners[0]]).T
    return Dataset.build(
        skeleton=catalog.skeleton("mpii16"),
        images=ImageTable.build(path=[""] * n),
        image_index=np.arange(n),
        xy=xy,
        visibility=2 * labelled.astype(np.uint8),
        head_box=head,
    )


def read_predictions(path: Path, truth: Dataset) -> Dataset:
    """Predicted joints for the persons of `truth`, in their order and with their ids.

    Raises FormatError where the file has no `preds`, InputError where it is not of these persons and joints.
    """
    values = _read(path, (PREDICTIONS,))[PREDICTIONS]
    n, k = len(truth), len(truth.skeleton)
    order = next((axes for axes in _orders(values) if tuple(values.shape[i] for i in axes) == (n, k, 2)), None)
    if order is None:
        raise InputError(
            "the predictions do not fit the ground truth",
            code="KP-EVAL-SHAPE",
            place=f"{path}: {PREDICTIONS}",
            expected=f"{n} persons x {k} joints ({truth.skeleton.name}) x 2",
            got=" x ".join(map(str, values.shape)),
            help="such a file has no names: give the ground truth whose persons it was made for, in the same order",
        )
    xy = values.transpose(order).astype(np.float64) - 1.0
    labelled: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(xy), axis=-1)
    return Dataset.build(
        skeleton=truth.skeleton,
        images=truth.images,
        image_index=truth.image_index,
        instance_id=truth.instance_id,
        category_id=truth.category_id,
        xy=np.where(labelled[..., None], xy, np.nan),
        visibility=2 * labelled.astype(np.uint8),
    )


def _orders(values: NDArray[Any]) -> list[tuple[int, ...]]:
    """Orders of three axes to try: as documented, reversed (as HDF5 shows MATLAB's arrays), then any."""
    if values.ndim != 3:
        return []
    return [(0, 1, 2), (2, 1, 0), *itertools.permutations(range(3))]


def _read(path: Path, names: tuple[str, ...]) -> Arrays:
    arrays: Arrays = limited_call(
        "kpkit.formats.mpii_scores:load", {"path": str(path), "names": list(names)}, place=str(path)
    )[0]
    for name, values in arrays.items():
        if values.dtype.kind not in "iufb":
            raise _shape(path, name, "numbers", values)
    return arrays


def load(path: str, names: list[str]) -> tuple[Arrays, None]:
    """The named arrays of a MATLAB 5 or HDF5 file; runs in a limited child process."""
    content = read_bytes(Path(path), limit=520)
    if HDF5 in (content[:8], content[512:]):
        return _from_hdf5(path, names), None
    found = {
        name: _array(path, name, variable)
        for name, variable in variables(read_bytes(Path(path)), frozenset(names))
        if variable is not None
    }
    _check_names(path, names, [*variable_names(Path(path))], found)
    return found, None


def _from_hdf5(path: str, names: list[str]) -> Arrays:
    import h5py

    found = {}
    try:
        with h5py.File(path, "r") as file:
            for name in names:
                # Links and storage outside the file would read what its sender may not see.
                if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                    continue
                values = file[name]
                if isinstance(values, h5py.Dataset) and not values.is_virtual and not values.external:
                    found[name] = values[()]
            _check_names(path, names, list(file), found)
    except (OSError, RuntimeError) as error:
        raise FormatError("the HDF5 file cannot be read", code="KP-EVAL-HDF5", place=path, got=str(error)) from None
    return found


def _check_names(path: str, names: list[str], there: list[str], found: Arrays) -> None:
    for name in names:
        if name not in found:
            raise FormatError(
                f"the file has no array '{name}'",
                code="KP-EVAL-PREDS" if name == PREDICTIONS else "KP-MPII-SCORES",
                place=path,
                expected=f"an array of numbers called '{name}'",
                got=", ".join(there) or "nothing",
                help="predictions are persons x joints x 2, counted from 1, as HRNet's pred.mat",
            )


def _array(path: str, name: str, variable: Variable) -> NDArray[Any]:
    """A whole numeric variable with all its dimensions."""
    matrix = variable.root()
    if not FIRST_NUMBER <= matrix.kind <= LAST_NUMBER:
        raise FormatError(f"'{name}' is no array of numbers", code="KP-EVAL-PREDS", place=path)
    _, at, _, _ = variable.element(0, matrix.end)
    flags = variable.element(at, matrix.end)
    _, start, size, _ = variable.element(flags[3], matrix.end)
    shape = np.frombuffer(variable.data, f"{variable.order}i4", size // 4, start)
    return variable.numbers(matrix).reshape(shape.tolist(), order="F")


def _shape(path: Path, name: str, expected: str, got: NDArray[Any]) -> FormatError:
    shape = " x ".join(map(str, got.shape)) or "one value"
    return FormatError(
        f"'{name}' has the wrong shape",
        code="KP-MPII-SCORES",
        place=str(path),
        expected=expected,
        got=f"{shape} of {got.dtype}",
    )
