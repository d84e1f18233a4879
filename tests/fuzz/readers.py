"""The readers that are fed damaged files, and the sound files the damage starts from, written by kpkit itself."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import kpkit
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.formats.base import Format, ReadOptions
from kpkit.formats.mpii_mat import assemble
from kpkit.formats.mpii_walk import walk
from kpkit.formats.native_index import group_folder
from kpkit.formats.native_index import place as tables_of
from kpkit.formats.native_join import join
from kpkit.formats.native_parquet import footer_digest
from kpkit.guard import read_bytes
from kpkit.pipelines.find import get_format
from kpkit.pipelines.io import read_with, write
from kpkit.targets.shard_layout import MANIFEST
from kpkit.testing.samples import sample
from tests.fuzz.settings import pipeline_seeds, read_pipeline, read_recipe, recipe_seeds, validator
from tests.fuzz.shards import mend_hdf5, read_by_damaged_manifest, read_damaged_shards, shard_seeds

LAYOUTS = Path(__file__).resolve().parents[2] / "examples" / "layouts"
DOCUMENT = "dataset.json"

Read = Callable[[Path, Collector], Dataset | None]


@dataclass(frozen=True)
class Reader:
    """One reader and where its damaged inputs come from.

    seeds    writes sound inputs into a folder and returns them: files or folders
    read     what is tried
    format   whose reader it is, "" where it reads no labels       target  a format that convert is tried with
    damaged  endings of the files of a folder that are damaged; others stay
    mend     repairs checksums after the damage, so that what lies behind them is reached
    rate     inputs of this reader for each input of a quick one
    """

    name: str
    format: str
    seeds: Callable[[Path], list[Path]]
    read: Read
    target: str = "native"
    damaged: tuple[str, ...] = ("",)
    mend: Callable[[Path], None] | None = None
    rate: float = 1.0

    def sound(self) -> Format:
        """The format behind the reader."""
        return get_format(self.format)


def plain(name: str, options: ReadOptions | None = None) -> Read:
    """Read as every command does."""
    return lambda path, collector: read_with(get_format(name), path, options or ReadOptions(), collector)


def written(name: str, *files: str) -> Callable[[Path], list[Path]]:
    """The ordinary dataset, and one of a single person, in one format."""

    def seeds(folder: Path) -> list[Path]:
        keeps = get_format(name).keeps_for(Path(files[0]))
        whole = sample(keeps)
        made = []
        for number, file in enumerate(files):
            for part, dataset in (("whole", whole), ("one", whole.take([0]))):
                path = folder / f"{number}-{part}" / file
                path.parent.mkdir()
                write(dataset, path, name)
                made.append(path)
        return made

    return seeds


def coco_seeds(folder: Path) -> list[Path]:
    """COCO as others write it: segmentations, crowds, unknown fields, ghosts, no ids twice."""
    own = written("coco", "people.json")(folder)
    document = json.loads(own[0].read_text())
    document["licenses"] = [{"id": 1, "name": "none"}]
    for row in document["annotations"]:
        row["segmentation"] = [[1, 2, 30, 4, 5.5, 60]]
        row["keypoints"][-3:] = [5, 6, 0]
    document["annotations"][0] |= {"iscrowd": 1, "segmentation": {"size": [4, 4], "counts": [3, 4, 9]}}
    document["annotations"][1] |= {"track_id": 7, "score": 0.5, "attributes": {"a": [1]}}
    foreign = folder / "foreign.json"
    foreign.write_text(json.dumps(document, indent=1))
    return [*own, foreign]


def result_seeds(folder: Path) -> list[Path]:
    """A list of detections."""
    path = folder / "results.json"
    rows = [
        {"image_id": 1 + n, "category_id": 1, "keypoints": [1.5 + n, 2, 0.9] * 17, "score": 0.25 * n} for n in range(3)
    ]
    path.write_text(json.dumps(rows))
    return [path]


def mat_seeds(folder: Path) -> list[Path]:
    """A .mat file as it is written, and the same without compression, where the damage lies in the labels."""
    found = written("mpii", "people.mat")(folder)
    for packed in list(found):
        data = packed.read_bytes()
        unpacked = packed.with_name("unpacked.mat")
        kind, size = (int.from_bytes(data[at : at + 4], "little") for at in (128, 132))
        if kind == 15:
            unpacked.write_bytes(data[:128] + zlib.decompress(data[136 : 136 + size]))
            found.append(unpacked)
    return found


def read_mat_here(path: Path, collector: Collector) -> Dataset:
    """The .mat reader without its guarding process: what it would survive there, it must survive here."""
    columns, info = walk(read_bytes(path))
    return assemble(columns, info, path, ReadOptions(), collector)


def layout_seeds(name: str) -> Callable[[Path], list[Path]]:
    """A team's own file from the examples."""
    return lambda folder: [Path(shutil.copy(LAYOUTS / name, folder / name))]


def layout_reader(layout: str) -> Read:
    """A team's own file with a sound layout."""
    return plain("six2", ReadOptions(layout=LAYOUTS / layout))


def read_by_damaged_layout(path: Path, collector: Collector) -> Dataset:
    """A sound file with a damaged layout."""
    labels = LAYOUTS / ("frames_nested.json" if "nested" in path.name else "joints_long.csv")
    return read_with(get_format("six2"), labels, ReadOptions(layout=path), collector)


def mend_native(folder: Path) -> None:
    """Sizes and checksums in dataset.json as the files now have them."""
    place = folder / DOCUMENT
    try:
        document = json.loads(place.read_bytes())
        for name, described in document["files"].items():
            file = folder / name
            data = file.read_bytes()
            described |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            if name.endswith(".parquet"):
                described["footer_sha256"] = footer_digest(file)
        for number, group in enumerate(document.get("parts", {}).get("folders", ())):
            content = mended_index(folder, number)
            group |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        return
    place.write_text(json.dumps(document))


def mended_index(folder: Path, group: int) -> bytes:
    """The index of a folder of parts, with sizes and checksums as its files now have them."""
    place = group_folder(folder, group) / "index.json"
    entries = json.loads(place.read_bytes())
    for number, entry in enumerate(entries):
        for name, file in zip(("instances_file", "images_file"), tables_of(folder, number), strict=True):
            data = file.read_bytes()
            digests = {"sha256": hashlib.sha256(data).hexdigest(), "footer_sha256": footer_digest(file)}
            entry[name] |= {"bytes": len(data), **digests}
    place.write_text(json.dumps(entries))
    return place.read_bytes()


def native_seeds(folder: Path) -> list[Path]:
    """One made by itself, and one with the raw rows of a COCO file."""
    found = written("native", "people.kpk")(folder)
    coco = coco_seeds(_made(folder / "coco"))[-1]
    with_rows = folder / "rows.kpk"
    write(read_with(get_format("coco"), coco, ReadOptions(), Collector()), with_rows, "native")
    return [*found, with_rows, *cut_seeds(folder)]


def cut_seeds(folder: Path) -> list[Path]:
    """One in parts."""
    kpkit.convert("coco", "native", folder / "coco" / "foreign.json", output=folder / "cut.kpk", part_size=2)
    return [folder / "cut.kpk"]


def read_in_parts(path: Path, collector: Collector) -> Dataset:
    """A COCO file as a large one is read."""
    parts = get_format("coco").parts(path, ReadOptions(), collector, 2)
    if parts is None:
        return plain("coco")(path, collector)
    return join([ref.load(collector) for ref in parts.refs()], parts.n, str(path))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


COCO = Reader("coco", "coco", coco_seeds, plain("coco"), target="six2")
NATIVE = Reader("native", "native", native_seeds, plain("native"), target="coco", damaged=(".json",), rate=0.5)
SHARDS = Reader("shards", "", shard_seeds, read_damaged_shards, damaged=(".h5",), rate=0.05)

READERS: tuple[Reader, ...] = (
    COCO,
    replace(COCO, name="coco, little memory", read=plain("coco", ReadOptions(low_memory=True))),
    replace(COCO, name="coco, in parts", read=read_in_parts, rate=0.5),
    Reader("coco results", "coco", result_seeds, plain("coco")),
    Reader("mpii json", "mpii", written("mpii", "people.json"), plain("mpii"), target="coco"),
    Reader("mpii mat, in process", "mpii", mat_seeds, read_mat_here, target="coco", rate=0.5),
    Reader("mpii mat", "mpii", mat_seeds, plain("mpii"), target="coco", rate=0.004),
    Reader("six2 json", "six2", written("six2", "people.six2.json"), plain("six2"), target="coco"),
    Reader("six2 csv", "six2", written("six2", "people.csv"), plain("six2"), target="coco"),
    Reader("layout csv", "six2", layout_seeds("joints_long.csv"), layout_reader("joints_long.layout.toml")),
    Reader("layout json", "six2", layout_seeds("frames_nested.json"), layout_reader("frames_nested.layout.toml")),
    Reader(
        "layout definition",
        "six2",
        lambda folder: [path for one in sorted(LAYOUTS.glob("*.toml")) for path in layout_seeds(one.name)(folder)],
        read_by_damaged_layout,
    ),
    Reader("yolo-pose", "yolo-pose", written("yolo-pose", "people"), plain("yolo-pose"), target="coco", rate=0.5),
    NATIVE,
    replace(NATIVE, name="native tables", damaged=(".parquet",), rate=0.25),
    replace(NATIVE, name="native tables, checksums mended", damaged=(".parquet",), mend=mend_native, rate=0.25),
    Reader("recipe", "coco", recipe_seeds, read_recipe),
    Reader("pipeline", "coco", pipeline_seeds, read_pipeline, rate=0.5),
    Reader("validate coco", "coco", coco_seeds, validator("coco"), rate=0.1),
    Reader("validate mpii json", "mpii", written("mpii", "people.json"), validator("mpii"), rate=0.1),
    Reader("validate six2 csv", "six2", written("six2", "people.csv"), validator("six2"), rate=0.1),
    Reader("validate yolo-pose", "yolo-pose", written("yolo-pose", "people"), validator("yolo-pose"), rate=0.1),
    Reader("manifest of shards", "", shard_seeds, read_by_damaged_manifest, damaged=(MANIFEST,), rate=0.25),
    SHARDS,
    replace(SHARDS, name="shards, checksums mended", mend=mend_hdf5),
)
