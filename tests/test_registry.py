"""Plug-ins of third parties come through the same table as the built-in ones, and never replace one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kpkit
from kpkit import registry
from kpkit.errors import DefinitionError, MissingExtraError, UsageError
from kpkit.pipelines.find import all_formats, get_format
from tests.coco_files import document, save

PLUGIN = '''
from kpkit.formats.coco import CocoFormat

class Mine(CocoFormat):
    """COCO under a name of its own."""

    name = "mine"
    usual = ()

    def sniff(self, path):
        return None
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a distribution with entry points on the path, as pip would."""

    def run(distribution: str, **points: str) -> None:
        site = tmp_path / distribution
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{registry.FORMATS}]", *lines]))
        (site / f"{distribution}_formats.py").write_text(PLUGIN)
        monkeypatch.syspath_prepend(str(site))
        forget()

    def forget() -> None:
        registry.table.cache_clear()
        registry.load.cache_clear()

    yield run
    monkeypatch.undo()
    forget()


def test_a_third_party_format_is_used_like_a_built_in(install, tmp_path):
    install("plugins", mine="plugins_formats:Mine")
    path = save(tmp_path / "labels.json", document())
    assert registry.names(registry.FORMATS)[-1] == "mine"
    assert registry.distribution_of(registry.FORMATS, "mine") == "plugins"
    assert kpkit.convert("mine", "coco", path, output=tmp_path / "out.json").counts["instances"] == 1


def test_nobody_replaces_a_built_in(install):
    install("plugins", coco="plugins_formats:Mine")
    with pytest.raises(DefinitionError) as caught:
        get_format("coco")
    assert caught.value.code == "KP-PLUGIN-DUPLICATE"
    assert "package plugins 1.0" in caught.value.got
    assert "kpkit.formats.coco:CocoFormat" in caught.value.got


def test_two_third_parties_of_one_name_are_refused(install):
    install("first", mine="first_formats:Mine")
    install("second", mine="second_formats:Mine")
    with pytest.raises(DefinitionError, match="two plug-ins are called 'mine'"):
        get_format("coco")


def test_a_missing_library_says_what_to_install(install):
    install("plugins", mine="no_such_library.sub:Mine")
    with pytest.raises(MissingExtraError) as caught:
        get_format("mine")
    assert caught.value.help == "pip install no_such_library, or reinstall plugins"


def test_a_plug_in_that_cannot_be_loaded_does_not_hide_the_others(install):
    install("plugins", mine="no_such_library:Mine")
    assert [one.name for one in all_formats()] == ["coco", "mpii", "six2", "yolo-pose", "native"]


def test_an_object_that_is_not_there_is_said(install):
    install("plugins", mine="plugins_formats:Yours")
    with pytest.raises(DefinitionError) as caught:
        get_format("mine")
    assert caught.value.code == "KP-PLUGIN-OBJECT"
    assert "package plugins 1.0" in caught.value.place


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError) as caught:
        get_format("yolo-poze")
    assert caught.value.help == "did you mean 'yolo-pose'?"


@pytest.mark.parametrize(
    ("alias", "name"), [("6-2", "six2"), ("YOLO", "yolo-pose"), ("kpk", "native"), ("coco", "coco")]
)
def test_aliases_are_names(alias, name):
    assert registry.canonical_name(alias) == name


def test_naming_the_formats_imports_none_of_them():
    script = (
        "import sys; from kpkit import registry; registry.names(registry.FORMATS);"
        "print([name for name in sys.modules if name.startswith('kpkit.formats') or name == 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["kpk", "yolo", "nosuch"])
def test_another_name_of_a_format_is_not_offered_as_a_codec(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.load(registry.CODECS, name)
    assert not any(f"'{alias}'" in caught.value.help or f" {alias}," in caught.value.help for alias in registry.ALIASES)
