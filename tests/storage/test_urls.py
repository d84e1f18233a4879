from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kpkit
from kpkit import storage
from kpkit.errors import InputError, MissingExtraError, OutputError, UsageError
from kpkit.guard import publish
from kpkit.pipelines.io import read, write
from kpkit.testing.compare import differences
from tests.augment_data import LABELS, dataset, hashes
from tests.cli.conftest import Ran

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra s3)")


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    yield filesystem
    filesystem.store.clear()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket/a/b.json", "s3://bucket/a/b.json"),
        ("memory://a/b", "memory://a/b"),
        ("file:///srv/a", "file:///srv/a"),
        ("zip://a/labels.json::s3://bucket/x.zip", "zip://a/labels.json::s3://bucket/x.zip"),
        ("https://example.org/a.json", "https://example.org/a.json"),
        ("labels/s3/a.json", None),
        ("/srv/s3:/a", None),
        ("s3:", None),
        ("s3x://a/b", None),
    ],
)
def test_a_path_gives_its_url_back(text: str, url: str | None) -> None:
    assert storage.url_of(Path(text)) == url


@pytest.mark.parametrize("text", ["s3://key:secret@bucket/a.json", "https://example.org/a.json?token=abc"])
def test_credentials_in_a_url_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        storage.url_of(Path(text))
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_labels_are_read_from_storage(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    labels = dataset(tmp_path)
    memory.pipe_file("/data/labels.json", labels.read_bytes())

    remote = kpkit.read("memory://data/labels.json")

    assert differences(remote, kpkit.read(labels)) == []


def test_labels_read_a_second_time_are_those_of_now(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    memory.pipe_file("/data/labels.json", dataset(tmp_path, images=1).read_bytes())
    first = kpkit.read("memory://data/labels.json")
    memory.pipe_file("/data/labels.json", dataset(tmp_path, images=2).read_bytes())

    assert len(kpkit.read("memory://data/labels.json").images) == len(first.images) + 1


def test_labels_are_read_from_an_archive(tmp_path: Path) -> None:
    labels = dataset(tmp_path)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.write(labels, "a/labels.json")

    found = kpkit.read(f"zip://a/labels.json::{tmp_path / 'data.zip'}")

    assert differences(found, kpkit.read(labels)) == []


def test_an_archive_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(OutputError, match="can only be read"):
        storage.put(tmp_path / "x", Path(f"zip://x::{tmp_path / 'data.zip'}"))


@pytest.mark.usefixtures("memory")
def test_a_missing_file_is_named_by_its_url(kpkit: Callable[..., Ran]) -> None:
    ran = kpkit("info", "memory://nowhere/labels.json")
    assert ran.code == 2
    assert "--> memory://nowhere/labels.json" in ran.err


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("install gcsfs to access gcs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError) as caught:
        storage.is_file(Path("gs://a-bucket/that-nobody-asked-for"))
    assert caught.value.help == "pip install gcsfs"


def test_a_conversion_from_and_to_storage_is_that_of_files(
    memory: fsspec.AbstractFileSystem, kpkit: Callable[..., Ran], tmp_path: Path
) -> None:
    labels = dataset(tmp_path / "coco")
    memory.put(str(labels), "/coco/annotations/person_keypoints_default.json")

    ran = kpkit("convert", "coco", "native", "memory://coco", "-o", "memory://out/people.kpk")
    kpkit("convert", "coco", "native", "coco", "-o", "local.kpk")

    assert ran.code == 0
    assert "memory://out/people.kpk" in ran.out
    assert str(storage.scratch()) not in ran.out + ran.err
    for file in sorted((tmp_path / "local.kpk").iterdir()):
        assert memory.cat_file(f"/out/people.kpk/{file.name}") == file.read_bytes(), file.name


def test_an_output_that_exists_in_storage_is_not_replaced(
    memory: fsspec.AbstractFileSystem, kpkit: Callable[..., Ran], tmp_path: Path
) -> None:
    labels = dataset(tmp_path / "coco")
    memory.pipe_file("/out/labels.six2.json", b"precious")
    ran = kpkit("convert", "coco", "six2", str(labels), "-o", "memory://out/labels.six2.json")
    assert ran.code == 2
    assert "KP-OUTPUT-EXISTS" in ran.err
    assert memory.cat_file("/out/labels.six2.json") == b"precious"


def test_a_forced_output_leaves_nothing_of_the_old_one(
    memory: fsspec.AbstractFileSystem, kpkit: Callable[..., Ran], tmp_path: Path
) -> None:
    dataset(tmp_path / "coco")
    memory.pipe_file("/out/people.kpk/old.parquet", b"old")
    ran = kpkit("convert", "coco", "native", "coco", "-o", "memory://out/people.kpk", "--force")
    assert ran.code == 0
    assert memory.find("/out/people.kpk") == [
        f"/out/people.kpk/{name}" for name in ("dataset.json", "images.parquet", "instances.parquet", "source.json")
    ]


@pytest.mark.parametrize("more", [(), ("--part-size", "2")], ids=["whole", "parts"])
def test_the_folder_of_the_pictures_is_found_from_wherever_the_labels_are(
    more: tuple[str, ...], memory: fsspec.AbstractFileSystem, kpkit: Callable[..., Ran], tmp_path: Path
) -> None:
    def root(place: str) -> str:
        found = read(place).image_root
        assert found is not None
        return found if storage.is_remote(found) else str(Path(found).absolute())

    pictures = str(tmp_path / "coco" / "images")
    write(read(dataset(tmp_path / "coco")).replace(image_root=pictures), tmp_path / "a.kpk")
    ways = [
        ("a.kpk", "b.kpk", pictures),
        ("a.kpk", "memory://far/b.kpk", pictures),
        ("memory://near/a.kpk", "memory://near/b.kpk", "memory:/near/coco/images"),
        ("memory://near/a.kpk", "memory://far/b.kpk", "memory:/near/coco/images"),
        ("memory://near/a.kpk", "c.kpk", "memory:/near/coco/images"),
    ]
    memory.put(str(tmp_path / "a.kpk"), "/near/a.kpk", recursive=True)
    for source, target, expected in ways:
        assert root(source) == expected
        ran = kpkit("convert", "native", "native", source, "-o", target, "--force", *more)
        assert ran.code == 0, ran.err
        assert root(target) == expected
    # From place to place the path stays relative: both may be moved together.
    assert b'"../coco/images"' in memory.cat_file("/near/b.kpk/dataset.json")


def test_no_picture_is_looked_for_in_the_copy_of_an_archive(kpkit: Callable[..., Ran], tmp_path: Path) -> None:
    pictures = str(tmp_path / "coco" / "images")
    write(read(dataset(tmp_path / "coco")).replace(image_root=pictures), tmp_path / "a.kpk")
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path, "a.kpk")

    ran = kpkit("convert", "native", "native", f"zip://a.kpk::{tmp_path / 'a.zip'}", "-o", "b.kpk", "--part-size", "2")

    assert ran.code == 0, ran.err
    assert read(tmp_path / "b.kpk").image_root is None


def test_pictures_are_augmented_from_and_to_storage(
    memory: fsspec.AbstractFileSystem, kpkit: Callable[..., Ran], tmp_path: Path
) -> None:
    dataset(tmp_path / "coco")
    memory.put(str(tmp_path / "coco"), "/coco", recursive=True)

    ran = kpkit("augment", "memory://coco", "--occlusion", "0.3", "-o", "memory://out")
    kpkit("augment", "coco", "--occlusion", "0.3", "-o", "local")

    assert ran.code == 0, ran.err
    memory.get("/out", str(tmp_path / "got"), recursive=True)
    assert hashes(tmp_path / "got") == hashes(tmp_path / "local")
    assert LABELS in hashes(tmp_path / "got")


def test_sizes_come_from_headers_of_pictures_in_storage(
    memory: fsspec.AbstractFileSystem, kpkit: Callable[..., Ran], tmp_path: Path
) -> None:
    dataset(tmp_path / "coco")
    assert kpkit("convert", "coco", "mpii", "coco", "-o", "mpii.json").code == 0
    memory.put(str(tmp_path / "coco" / "images"), "/pictures", recursive=True)

    ran = kpkit("convert", "mpii", "yolo-pose", "mpii.json", "--images", "memory://pictures", "-o", "yolo")

    assert ran.code == 0, ran.err
    assert len(list((tmp_path / "yolo").rglob("0*.txt"))) == 3


def test_the_index_is_uploaded_last_and_a_failed_upload_leaves_nothing(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    put_file = type(memory).put_file

    def refuse(self: object, local: str, remote: str, **options: object) -> None:
        order.append(remote.rpartition("/")[2])
        if remote.endswith("dataset.json"):
            raise OSError("the connection was reset")
        put_file(memory, local, remote, **options)

    monkeypatch.setattr(type(memory), "put_file", refuse)

    def make() -> None:
        with publish(Path("memory://out/x.kpk"), directory=True) as folder:
            for name in ("dataset.json", "a.parquet", "source.json"):
                (folder / name).write_text(name)

    with pytest.raises(OutputError, match="cannot be uploaded"):
        make()
    assert order == ["a.parquet", "source.json", "dataset.json"]
    assert memory.find("/out") == []


def test_an_upload_that_arrives_short_is_an_error(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(memory), "put_file", lambda self, local, remote, **options: memory.pipe_file(remote, b"sho")
    )
    (tmp_path / "x").write_text("whole")
    with pytest.raises(OutputError, match="not whole") as caught:
        storage.put(tmp_path / "x", Path("memory://out/x"))
    assert caught.value.got == "3 bytes"


def test_names_in_a_remote_folder_cannot_lead_out_of_the_copy(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    memory.store["/d/../../escaped.json"] = fsspec.implementations.memory.MemoryFile(
        memory, "/d/../../escaped.json", b"{}"
    )
    memory.pipe_file("/d/labels.json", b"{}")
    copy = storage.bring(Path("memory://d"))
    assert [file.name for file in copy.rglob("*")] == ["labels.json"]
    assert not list(storage.scratch().rglob("escaped.json"))


def test_storage_that_fails_is_an_input_error_with_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **options: object) -> None:
        raise RuntimeError("Secret key AKIA1234 was refused\nrequest: ...")

    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "cat_file", fail)
    with pytest.raises(InputError) as caught:
        storage.read_bytes(Path("memory://a/b"))
    assert caught.value.place == "memory://a/b"
