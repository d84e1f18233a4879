"""The catalog: every definition file is sound, names are found, and mappings between all pairs make sense."""

from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit import resources
from kpkit.core import catalog
from kpkit.core.mapping import MappedPoints, Mapping, compose
from kpkit.core.skeleton import Skeleton
from kpkit.errors import DefinitionError, UsageError

SKELETONS = catalog.skeleton_names()
FILES = catalog.mapping_names()
PAIRS = list(product(SKELETONS, SKELETONS))
LIMBS = {
    f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
}


def between(source: str, target: str) -> Mapping:
    return catalog.mapping(catalog.skeleton(source), catalog.skeleton(target))


def rules(source: str, target: str) -> dict[str, str]:
    found = between(source, target)
    return {joint: found.rule_text(index) for index, joint in enumerate(found.target.keypoints)}


def document(kind: str, name: str) -> dict[str, Any]:
    return resources.read_toml(resources.schemas_dir() / kind / f"{name}.toml")


def random_points(skeleton: Skeleton, seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    visibility = rng.integers(0, 3, (3, skeleton.size)).astype(np.uint8)
    xy = np.where(visibility[..., None] > 0, rng.uniform(0, 640, (3, skeleton.size, 2)), np.nan)
    return xy, visibility, (visibility < 2) & (rng.random(visibility.shape) < 0.3)


def mirrored(points: tuple[Any, Any, Any], skeleton: Skeleton) -> tuple[Any, Any, Any]:
    xy, visibility, truncated = (array[:, skeleton.flip_index] for array in points)
    return xy * [-1.0, 1.0] + [639.0, 0.0], visibility, truncated


def arrays(mapped: MappedPoints) -> tuple[Any, Any, Any]:
    return mapped.xy, mapped.visibility, mapped.truncated


class TestDefinitionFiles:
    @pytest.mark.parametrize("kind", ["skeleton", "mapping"])
    def test_the_schema_itself_is_valid(self, kind: str) -> None:
        jsonschema.Draft202012Validator.check_schema(resources.json_schema(kind))

    @pytest.mark.parametrize("name", SKELETONS)
    def test_skeleton_file_fits_its_schema(self, name: str) -> None:
        jsonschema.validate(document("skeletons", name), resources.json_schema("skeleton"))

    @pytest.mark.parametrize("name", SKELETONS)
    def test_skeleton_written_by_kpkit_fits_the_same_schema(self, name: str) -> None:
        jsonschema.validate(catalog.skeleton(name).to_dict(), resources.json_schema("skeleton"))

    @pytest.mark.parametrize(("source", "target"), FILES)
    def test_mapping_file_fits_its_schema(self, source: str, target: str) -> None:
        jsonschema.validate(document("mappings", f"{source}--{target}"), resources.json_schema("mapping"))

    @pytest.mark.parametrize(("source", "target"), FILES)
    def test_mapping_file_joins_known_skeletons_and_maps_something(self, source: str, target: str) -> None:
        found = between(source, target)
        assert (found.source.name, found.target.name, found.via) == (source, target, ())
        assert any(rule.alternatives for rule in found.rules)

    @pytest.mark.parametrize("name", SKELETONS)
    def test_every_left_joint_has_its_right_one(self, name: str) -> None:
        assert catalog.skeleton(name).lateral_issues() == []

    @pytest.mark.parametrize("name", SKELETONS)
    def test_flip_index_is_an_involution(self, name: str) -> None:
        flip = catalog.skeleton(name).flip_index
        assert flip[flip].tolist() == list(range(len(flip)))

    @pytest.mark.parametrize("name", SKELETONS)
    def test_a_mirror_maps_edges_to_edges(self, name: str) -> None:
        skeleton = catalog.skeleton(name)
        edges = {frozenset(edge) for edge in skeleton.edges}
        assert {frozenset(int(skeleton.flip_index[end]) for end in edge) for edge in edges} == edges

    @pytest.mark.parametrize("name", SKELETONS)
    def test_aliases_are_of_joints_that_exist(self, name: str) -> None:
        assert set(document("skeletons", name).get("aliases", {})) <= set(catalog.skeleton(name).keypoints)

    def test_other_names_are_unique_and_in_lower_case(self) -> None:
        others = [other for name in SKELETONS for other in document("skeletons", name).get("other_names", [])]
        assert len({*others, *SKELETONS}) == len(others) + len(SKELETONS)
        assert all(other == other.lower() for other in others)

    @pytest.mark.parametrize("name", ["lsp14", "body25"])
    def test_a_skeleton_without_published_sigmas_says_so(self, name: str) -> None:
        assert catalog.skeleton(name).sigmas is None
        assert "No OKS sigmas are published" in catalog.skeleton(name).sigma_source

    @pytest.mark.parametrize(
        ("changes", "place"),
        [
            ({}, None),
            ({"flip_pairs": []}, "flip_pairs"),
            ({"name": "elsewhere"}, "name"),
            ({"sigma_note": ""}, "sigma_note"),
        ],
    )
    def test_a_careless_file_of_our_own_is_refused(self, changes: dict[str, Any], place: str | None) -> None:
        file = Path("eyes.toml")
        eyes = Skeleton("eyes", ("left_eye", "right_eye"), ((0, 1),), sigma_source="none are published")
        if place is None:
            assert catalog._read(eyes.to_dict() | changes, file, strict=True) == eyes
            return
        with pytest.raises(DefinitionError) as caught:
            catalog._read(eyes.to_dict() | changes, file, strict=True)
        assert caught.value.place == f"eyes.toml: {place}"

    def test_skeletons_differ_from_each_other(self) -> None:
        assert len({catalog.skeleton(name) for name in SKELETONS}) == len(SKELETONS)


class TestKnownNumbers:
    """Against numbers typed from the papers and tools, not from the files."""

    def test_coco(self) -> None:
        coco = catalog.skeleton("coco17")
        assert coco.flip_index.tolist() == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
        tenfold = [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
        assert coco.sigmas == pytest.approx([value / 10 for value in tenfold])

    def test_mpii_has_its_shoulders_on_the_thorax(self) -> None:
        mpii = catalog.skeleton("mpii16")
        assert mpii.flip_index.tolist() == [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]
        edges = {frozenset(edge) for edge in mpii.edges}
        assert {frozenset((7, 12)), frozenset((7, 13)), frozenset((7, 8)), frozenset((8, 9))} <= edges

    def test_six2(self) -> None:
        main = ("head", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "torso_center")
        knee, ankle = catalog.skeleton("six2_knee"), catalog.skeleton("six2_ankle")
        assert knee.keypoints == (*main, "left_knee", "right_knee")
        assert ankle.keypoints == (*main, "left_ankle", "right_ankle")
        assert knee.sigmas == (0.079, 0.079, 0.079, 0.107, 0.107, 0.107, 0.087, 0.087)
        assert ankle.sigmas == (0.079, 0.079, 0.079, 0.107, 0.107, 0.107, 0.089, 0.089)

    def test_posetrack_head_does_not_carry_the_sigmas_of_eyes(self) -> None:
        posetrack = catalog.skeleton("posetrack17")
        assert posetrack.sigmas is not None
        assert posetrack.sigmas[:5] == (0.026, 0.08, 0.06, 0.035, 0.035)

    def test_lsp_is_mpii_without_pelvis_and_thorax(self) -> None:
        lsp, mpii = catalog.skeleton("lsp14").keypoints, catalog.skeleton("mpii16").keypoints
        places = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9]
        assert [mpii[place].replace("upper_neck", "neck") for place in places] == list(lsp)


class TestSkeletonByName:
    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("coco17", "coco17"),
            ("coco", "coco17"),
            ("COCO", "coco17"),
            ("mpii", "mpii16"),
            ("six2", "six2_knee"),
            ("6-2", "six2_knee"),
            ("posetrack18", "posetrack17"),
            ("openpose", "body25"),
        ],
    )
    def test_other_names_are_known(self, name: str, found: str) -> None:
        assert catalog.skeleton(name).name == found

    def test_a_skeleton_is_read_once(self) -> None:
        assert catalog.skeleton("coco") is catalog.skeleton("coco17")

    def test_a_mistyped_name_gets_the_nearest_one(self) -> None:
        with pytest.raises(UsageError) as caught:
            catalog.skeleton("cocoo17")
        assert "coco17" in caught.value.help

    def test_a_file_of_the_user_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text(
            'schema = 1\nname = "hand"\nkeypoints = ["wrist", "left_thumb"]\nedges = [["wrist", "left_thumb"]]\n'
        )
        for given_as in (file, str(file)):
            assert catalog.skeleton(given_as) == Skeleton("hand", ("wrist", "left_thumb"), (), ((0, 1),))

    def test_an_unpaired_joint_in_a_file_of_the_user_is_a_finding_only(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text('schema = 1\nname = "hand"\nkeypoints = ["wrist", "left_thumb"]\n')
        assert len(catalog.skeleton(file).lateral_issues()) == 1

    @pytest.mark.parametrize(
        "text", ['schema = 1\nname = "x"\nkeypoints = ["a", "a"]\n', "schema = 1\n", "schema = \n", "\xff"]
    )
    def test_a_wrong_file_of_the_user_is_named(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "mine.toml"
        file.write_text(text, encoding="latin-1")
        with pytest.raises(DefinitionError) as caught:
            catalog.skeleton(file)
        assert caught.value.place.startswith(str(file))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DefinitionError) as caught:
            catalog.skeleton(tmp_path / "none.toml")
        assert caught.value.place == str(tmp_path / "none.toml")


class TestMatch:
    @pytest.mark.parametrize("name", SKELETONS)
    def test_every_skeleton_is_known_by_its_own_joints(self, name: str) -> None:
        assert catalog.match(catalog.skeleton(name).keypoints) is catalog.skeleton(name)

    def test_spelling_does_not_matter(self) -> None:
        spoken = [name.replace("_", " ").title() for name in catalog.skeleton("coco17").keypoints]
        assert spoken[1] == "Left Eye"
        assert catalog.match(spoken) is catalog.skeleton("coco17")

    def test_the_names_of_openpose_are_known(self) -> None:
        names = "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee RAnkle LHip LKnee LAnkle"
        names += " REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel"
        assert catalog.match(names.split()) is catalog.skeleton("body25")

    def test_both_names_of_the_top_of_the_head_are_crowdpose(self) -> None:
        joints = list(catalog.skeleton("crowdpose14").keypoints)
        joints[joints.index("head")] = "top_head"
        assert catalog.match(joints) is catalog.skeleton("crowdpose14")

    def test_the_order_matters(self) -> None:
        joints = list(catalog.skeleton("coco17").keypoints)
        joints[1], joints[2] = joints[2], joints[1]
        assert catalog.match(joints) is None

    def test_no_joints_are_no_known_skeleton(self) -> None:
        assert catalog.match([]) is None

    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("coco/cocomini_person_keypoints_val2017.json", "coco17"),
            ("coco/from_label_studio_test.json", "coco17"),
            ("coco/custom_nonstandard_val201701.json", None),
            ("crowdpose/crowdpose_val.json", "crowdpose14"),
            ("aic/mmpose_test_aic_cocostyle.json", "aic14"),
            ("jhmdb/test_jhmdb_sub1.json", "jhmdb15"),
            ("posetrack18/test_posetrack18_val.json", "posetrack17"),
        ],
    )
    def test_the_categories_of_published_files_are_known(self, real_data: Path, file: str, name: str | None) -> None:
        categories = json.loads((real_data / "data" / file).read_text(encoding="utf-8"))["categories"]
        found = catalog.match(categories[0]["keypoints"])
        assert (found.name if found else None) == name


class TestRules:
    def test_mpii_to_coco_gives_the_twelve_limb_joints(self) -> None:
        found = rules("mpii16", "coco17")
        assert {joint for joint, rule in found.items() if rule != "absent"} == LIMBS
        assert all(found[joint] == joint for joint in LIMBS)

    def test_coco_to_mpii(self) -> None:
        found = rules("coco17", "mpii16")
        assert found["pelvis"] == "mean(left_hip, right_hip)"
        assert found["thorax"] == "mean(left_shoulder, right_shoulder)"
        assert found["upper_neck"] == found["head_top"] == "absent"
        assert all(found[joint] == joint for joint in LIMBS)

    @pytest.mark.parametrize(("target", "leg"), [("six2_knee", "knee"), ("six2_ankle", "ankle")])
    def test_coco_and_mpii_to_six2(self, target: str, leg: str) -> None:
        common = {
            "left_shoulder": "~left_shoulder",
            "right_shoulder": "~right_shoulder",
            "left_hip": "~left_hip",
            "right_hip": "~right_hip",
            "torso_center": "mean(left_shoulder, right_shoulder, left_hip, right_hip)",
            f"left_{leg}": f"left_{leg}",
            f"right_{leg}": f"right_{leg}",
        }
        assert rules("coco17", target) == {
            "head": "mean(left_ear, right_ear) | ~nose | mean(left_eye, right_eye)",
            **common,
        }
        assert rules("mpii16", target) == {"head": "mean(upper_neck, head_top)", **common}

    def test_six2_to_coco_invents_no_face(self) -> None:
        found = rules("six2_knee", "coco17")
        assert {joint for joint, rule in found.items() if rule == joint} == {"left_knee", "right_knee"}
        assert {joint for joint, rule in found.items() if rule.startswith("~")} == {
            "left_shoulder",
            "right_shoulder",
            "left_hip",
            "right_hip",
        }

    def test_six2_variants_share_the_six_main_joints_only(self) -> None:
        found = rules("six2_knee", "six2_ankle")
        assert [joint for joint, rule in found.items() if rule == "absent"] == ["left_ankle", "right_ankle"]
        assert sum(rule == joint for joint, rule in found.items()) == 6

    def test_every_approximate_joint_says_why(self) -> None:
        for source, target in FILES:
            for rule in between(source, target).rules:
                assert all(one.because for one in rule.alternatives if one.kind == "approximate")


class TestMappingBetweenAllPairs:
    @pytest.mark.parametrize("name", SKELETONS)
    def test_a_skeleton_maps_to_itself_unchanged(self, name: str) -> None:
        assert between(name, name).is_identity

    @pytest.mark.parametrize(("source", "target"), PAIRS)
    def test_mapping_commutes_with_the_mirror(self, source: str, target: str) -> None:
        found = between(source, target)
        points = random_points(found.source, seed=len(source) * 100 + len(target))
        one = mirrored(arrays(found.apply(*points)), found.target)
        other = arrays(found.apply(*mirrored(points, found.source)))
        np.testing.assert_allclose(one[0], other[0], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(one[1], other[1])
        np.testing.assert_array_equal(one[2], other[2])

    @given(pair=st.sampled_from(PAIRS), seed=st.integers(0, 2**32 - 1))
    def test_a_joint_is_unlabelled_exactly_where_it_is_nan(self, pair: tuple[str, str], seed: int) -> None:
        found = between(*pair)
        mapped = found.apply(*random_points(found.source, seed))
        assert (np.isnan(mapped.xy) == (mapped.visibility == 0)[..., None]).all()
        assert not (mapped.truncated & (mapped.visibility == 2)).any()

    @given(pair=st.sampled_from(PAIRS), seed=st.integers(0, 2**32 - 1))
    def test_a_composed_mapping_gives_what_its_steps_give(self, pair: tuple[str, str], seed: int) -> None:
        found = between(*pair)
        stops = [pair[0], *found.via, pair[1]]
        points = random_points(found.source, seed)
        stepwise = points
        for step in pairwise(stops):
            stepwise = arrays(between(*step).apply(*stepwise))
        mapped = found.apply(*points)
        np.testing.assert_array_equal(mapped.visibility, stepwise[1])
        np.testing.assert_allclose(mapped.xy, stepwise[0], rtol=0, atol=1e-9)

    @pytest.mark.parametrize("name", SKELETONS)
    def test_what_coco_gives_out_it_gets_back_or_not_at_all(self, name: str) -> None:
        there_and_back = compose(between("coco17", name), between(name, "coco17"))
        for rule in there_and_back.rules:
            assert all(one.sources == (rule.target,) for one in rule.alternatives)

    def test_of_two_shortest_paths_the_one_that_keeps_more_joints_is_taken(self) -> None:
        found = between("lsp14", "six2_knee")
        assert found.via == ("mpii16",)
        assert found.rule_text(0) == "mean(neck, head_top)"

    def test_a_composed_joint_of_another_definition_is_approximate(self) -> None:
        found = between("crowdpose14", "six2_knee")
        assert found.via == ("coco17",)
        assert found.kind(found.target.index("left_hip")) == "approximate"


class TestMappingOfSkeletonsFromFiles:
    def test_a_skeleton_spelled_otherwise_is_mapped_like_the_one_it_is(self) -> None:
        coco = catalog.skeleton("coco17")
        spoken = Skeleton("person", tuple(name.replace("_", " ").title() for name in coco.keypoints))
        found = catalog.mapping(spoken, catalog.skeleton("mpii16"))
        assert found.source is spoken
        assert found.rule_text(found.target.index("pelvis")) == "mean(Left Hip, Right Hip)"

    def test_it_becomes_the_catalogs_own_without_loss(self) -> None:
        coco = catalog.skeleton("coco17")
        spoken = Skeleton("person", tuple(name.replace("_", " ").title() for name in coco.keypoints))
        found = catalog.mapping(spoken, coco)
        assert found.is_identity
        assert (found.source, found.target) == (spoken, coco)

    def test_an_unknown_skeleton_is_mapped_by_equal_names(self) -> None:
        found = catalog.mapping(Skeleton("mine", ("tail", "Nose", "left_hip")), catalog.skeleton("coco17"))
        assert {found.rule_text(joint) for joint in range(17)} == {"absent", "Nose", "left_hip"}
        assert found.kind(0) == "exact"

    def test_equal_joints_with_other_sigmas_are_the_same_joints(self) -> None:
        mine = Skeleton("mine", ("tail", "nose"))
        assert catalog.mapping(mine, mine.with_sigmas([0.1, 0.2])).is_identity

    def test_nothing_in_common_is_refused(self) -> None:
        with pytest.raises(UsageError, match="no joint of 'coco17' can be made from 'fish'"):
            catalog.mapping(Skeleton("fish", ("fin", "tail")), catalog.skeleton("coco17"))


class TestMappingFromFile:
    TEXT = (
        'schema = 1\nsource = "coco17"\ntarget = "dot.toml"\n\n[joints]\ndot = [{ mean = ["left_eye", "right_eye"] }]\n'
    )

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "dot.toml").write_text('schema = 1\nname = "dot"\nkeypoints = ["dot"]\n')
        return tmp_path

    def test_a_file_of_the_user_maps_between_catalog_and_own_skeleton(self, folder: Path) -> None:
        (folder / "map.toml").write_text(self.TEXT)
        found = catalog.load_mapping(folder / "map.toml")
        assert (found.source.name, found.target.name) == ("coco17", "dot")
        assert found.rule_text(0) == "mean(left_eye, right_eye)"

    @pytest.mark.parametrize(
        ("old", "new", "place"),
        [
            ("schema = 1", "schema = 2", "schema"),
            ('source = "coco17"', "source = 17", "source"),
            ("[joints]", "[joint]", ""),
            ("dot = [", "dott = [", "joints.dott"),
            ("dot = [{", "# dot = [{", "joints"),
            ('[{ mean = ["left_eye", "right_eye"] }]', '"left_eye"', "joints.dot"),
            ('{ mean = ["left_eye", "right_eye"] }', '"left_eye"', "joints.dot[0]"),
            ('["left_eye", "right_eye"]', '["left_eye"]', "joints.dot[0]"),
            ('["left_eye", "right_eye"]', '["left_eye", "rigth_eye"]', "joints.dot[0]"),
            ('mean = ["left_eye", "right_eye"]', 'exact = "nose", mean = ["left_eye", "right_eye"]', "joints.dot[0]"),
            ('mean = ["left_eye", "right_eye"]', 'approximate = "nose"', "joints.dot[0]"),
            ('mean = ["left_eye", "right_eye"]', 'exact = "nose", why = "so"', "joints.dot[0]"),
            ('"left_eye", "right_eye"', '"left_eye", "left_eye"', "mapping 'coco17' to 'dot': joints['dot'][0]"),
        ],
    )
    def test_a_wrong_file_is_refused_with_its_place(self, folder: Path, old: str, new: str, place: str) -> None:
        file = folder / "map.toml"
        assert old in self.TEXT
        file.write_text(self.TEXT.replace(old, new))
        with pytest.raises(DefinitionError) as caught:
            catalog.load_mapping(file)
        assert caught.value.place == (f"{file}: {place}" if place else str(file))
