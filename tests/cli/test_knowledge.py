"""`kpkit formats`, `skeletons`, `mappings` and `doctor`."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from kpkit import registry
from kpkit.core import catalog


@pytest.fixture
def broken_plugin(monkeypatch):
    """A third party's format whose module cannot be imported."""
    known = dict(registry.table(registry.FORMATS))
    known["theirs"] = EntryPoint("theirs", "kpkit_theirs.missing:Format", registry.FORMATS)
    monkeypatch.setattr(registry, "table", lambda group: known)


def test_formats_lists_every_registered_format_with_its_title(kpkit):
    ran = kpkit("formats")
    assert ran.code == 0
    for name in registry.names(registry.FORMATS):
        assert registry.load(registry.FORMATS, name).title in ran.out


def test_formats_says_what_is_kept_as_each_format_declares_it(kpkit):
    for one in kpkit("formats", "--json").json["formats"]:
        found = registry.load(registry.FORMATS, one["name"])()
        for variant in one["variants"]:
            keeps = found.keeps_for(Path(f"x{variant['suffix'] or (found.suffixes or ('',))[0]}"))
            assert ("bbox" in variant["keeps"]) == keeps.bbox
            assert variant["visibility"] == sorted(keeps.visibility)


def test_formats_tells_variants_apart_by_their_ending(kpkit):
    found = {one["name"]: one for one in kpkit("formats", "--json").json["formats"]}
    assert {variant["suffix"] for variant in found["mpii"]["variants"]} == {".json", ".mat"}


def test_broken_plugin_does_not_hide_the_other_formats(kpkit, broken_plugin):
    ran = kpkit("formats")
    assert ran.code == 0
    assert "kpkit_theirs" in ran.out
    assert "COCO" in ran.out


def test_skeletons_lists_the_whole_catalog(kpkit):
    ran = kpkit("skeletons")
    listed = [line.split()[0] for line in ran.out.splitlines()[1:]]
    assert listed == catalog.skeleton_names()


def test_skeleton_details_show_index_partner_and_sigma(kpkit):
    lines = [line.split() for line in kpkit("skeletons", "coco17").out.splitlines()]
    assert ["5", "left_shoulder", "left", "right_shoulder", "0.079"] in lines
    assert ["0", "nose", "0.026"] in lines


def test_skeleton_without_sigmas_says_so(kpkit):
    listed = {line.split()[0]: line.split()[4] for line in kpkit("skeletons").out.splitlines()[1:]}
    assert (listed["lsp14"], listed["coco17"]) == ("no", "yes")


def test_skeleton_json_is_a_document_the_catalog_reads_back(kpkit):
    document = kpkit("skeletons", "mpii16", "--json").json["skeleton"]
    skeleton = catalog.skeleton("mpii16")
    assert type(skeleton).from_dict(document) == skeleton


def test_skeleton_of_a_users_file_is_shown(kpkit, tmp_path):
    (tmp_path / "own.toml").write_text('schema = 1\nname = "own"\nkeypoints = ["top", "bottom"]\n')
    ran = kpkit("skeletons", "own.toml")
    assert ran.code == 0, ran.err
    assert "bottom" in ran.out


def test_plot_draws_a_picture(kpkit, tmp_path):
    ran = kpkit("skeletons", "coco17", "--plot", "coco17.png")
    assert ran.code == 0, ran.err
    assert (tmp_path / "coco17.png").read_bytes().startswith(b"\x89PNG")


def test_plot_does_not_replace_a_file_unless_forced(kpkit, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    refused = kpkit("skeletons", "coco17", "--plot", "mine.png")
    assert (refused.code, (tmp_path / "mine.png").read_bytes()) == (2, b"mine")
    assert "add --force" in refused.err
    assert kpkit("skeletons", "coco17", "--plot", "mine.png", "--force").code == 0


def test_plot_is_a_png(kpkit):
    ran = kpkit("skeletons", "coco17", "--plot", "coco17.bmp")
    assert ran.code == 2
    assert "the picture must be a PNG" in ran.err


def test_plot_without_a_name_is_wrong_usage(kpkit):
    ran = kpkit("skeletons", "--plot", "all.png")
    assert ran.code == 2
    assert "--plot needs the name of a skeleton" in ran.err


def test_mappings_lists_every_pair_with_a_file(kpkit):
    pairs = {(one["source"], one["target"]) for one in kpkit("mappings", "--json").json["mappings"]}
    assert pairs == set(catalog.mapping_names())


def test_mapping_shows_one_rule_a_target_joint(kpkit):
    lines = [line.split() for line in kpkit("mappings", "coco", "mpii").out.splitlines()]
    assert ["pelvis", "derived", "mean(left_hip,", "right_hip)"] in lines
    assert ["head_top", "absent"] in lines


def test_composed_mapping_says_through_what(kpkit):
    composed = kpkit("mappings", "body25", "mpii16")
    assert composed.out.splitlines()[0] == "body25 -> coco17 -> mpii16"
    assert kpkit("mappings", "body25", "mpii16", "--json").json["mapping"]["via"] == ["coco17"]


def test_mapping_of_one_skeleton_is_wrong_usage(kpkit):
    assert "a mapping needs two skeletons" in kpkit("mappings", "coco").err


def test_doctor_finds_nothing_broken_here(kpkit):
    ran = kpkit("doctor")
    assert ran.code == 0, ran.out
    assert ran.out.endswith("All is well.\n")


def test_doctor_names_a_broken_plugin(kpkit, broken_plugin):
    ran = kpkit("doctor")
    assert ran.code == 1
    assert "broken: plug-in theirs" in ran.out


def test_doctor_says_how_to_install_an_extra(kpkit):
    found = kpkit("doctor", "--json").json
    if not found["extras"]:
        pytest.skip("kpkit runs from a checkout that is not installed")
    assert {"fast", "albumentations", "qa", "dask", "torch", "s3", "zstd", "hotcoco"} == set(found["extras"])
    assert "numpy" in found["libraries"]
