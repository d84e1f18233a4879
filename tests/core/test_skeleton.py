"""Skeletons: content, flip index, joint names, and what the constructor refuses."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.core.skeleton import Skeleton, infer_flip_pairs, normalise_joint_name
from kpkit.errors import DefinitionError, UsageError

FACE = Skeleton(
    name="face",
    keypoints=("nose", "left_eye", "right_eye", "chin"),
    flip_pairs=((1, 2),),
    edges=((0, 1), (0, 2), (0, 3)),
    sigmas=(0.026, 0.025, 0.025, 0.05),
    sigma_source="a paper",
    source="a file",
    description="a face",
)


def document(**changes: Any) -> dict[str, Any]:
    return {**FACE.to_dict(), **changes}


@st.composite
def skeletons(draw: st.DrawFn) -> Skeleton:
    size = draw(st.integers(0, 9))
    order = draw(st.permutations(range(size)))
    pairs = draw(st.integers(0, size // 2))
    edge = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda ends: ends[0] != ends[1])
    return Skeleton(
        name=draw(st.text(max_size=5)),
        keypoints=tuple(f"joint {index}" for index in range(size)),
        flip_pairs=tuple((order[2 * i], order[2 * i + 1]) for i in range(pairs)),
        edges=tuple(draw(st.lists(edge, max_size=6))) if size > 1 else (),
        sigmas=draw(st.none() | st.tuples(*[st.floats(0.001, 1.0)] * size)),
    )


class TestContent:
    def test_name_and_prose_do_not_count(self) -> None:
        renamed = replace(FACE, name="x", source="y", description="z", sigma_source="w")
        assert renamed == FACE
        assert hash(renamed) == hash(FACE)
        assert renamed.content_hash == FACE.content_hash

    def test_order_and_direction_of_pairs_and_edges_do_not_count(self) -> None:
        turned = replace(FACE, flip_pairs=((2, 1),), edges=((3, 0), (2, 0), (1, 0)))
        assert turned == FACE
        assert turned.content_hash == FACE.content_hash

    @pytest.mark.parametrize(
        "changes",
        [
            {"keypoints": ("nose", "left_eye", "right_eye", "jaw")},
            {"keypoints": ("chin", "left_eye", "right_eye", "nose")},
            {"flip_pairs": ()},
            {"edges": ((0, 1), (0, 2))},
            {"sigmas": None},
            {"sigmas": (0.026, 0.025, 0.025, 0.06)},
        ],
    )
    def test_every_part_of_the_content_counts(self, changes: dict[str, Any]) -> None:
        other = replace(FACE, **changes)
        assert other != FACE
        assert other.content_hash != FACE.content_hash

    def test_equal_number_of_joints_is_not_equality(self) -> None:
        assert Skeleton("a", ("x", "y")) != Skeleton("a", ("y", "x"))

    def test_content_hash_is_that_of_the_content_in_canonical_json(self) -> None:
        content = (
            b'{"edges":[[0,1],[0,2],[0,3]],"flip_pairs":[[1,2]],'
            b'"keypoints":["nose","left_eye","right_eye","chin"],"sigmas":[0.026,0.025,0.025,0.05]}'
        )
        assert FACE.content_hash == hashlib.sha256(content).hexdigest()

    def test_another_type_is_not_equal(self) -> None:
        assert FACE != "face"

    @given(skeletons())
    def test_a_skeleton_comes_back_from_its_document(self, skeleton: Skeleton) -> None:
        again = Skeleton.from_dict(skeleton.to_dict())
        assert again == skeleton
        assert (again.flip_pairs, again.edges, again.name) == (skeleton.flip_pairs, skeleton.edges, skeleton.name)

    def test_prose_comes_back_from_the_document(self) -> None:
        again = Skeleton.from_dict(FACE.to_dict())
        assert (again.source, again.description, again.sigma_source) == ("a file", "a face", "a paper")

    def test_the_note_on_missing_sigmas_comes_back_from_the_document(self) -> None:
        assert Skeleton.from_dict(replace(FACE, sigmas=None).to_dict()).sigma_source == "a paper"

    def test_the_document_is_written_by_joint_name(self) -> None:
        assert FACE.to_dict()["flip_pairs"] == [["left_eye", "right_eye"]]
        assert FACE.to_dict()["edges"][2] == ["nose", "chin"]
        assert FACE.to_dict()["sigmas"]["chin"] == 0.05


class TestJoints:
    def test_index_finds_a_joint(self) -> None:
        assert FACE.index("right_eye") == 2

    def test_a_mistyped_joint_gets_the_nearest_name(self) -> None:
        with pytest.raises(UsageError) as caught:
            FACE.index("left_eey")
        assert "left_eye" in caught.value.help

    def test_same_joints_looks_at_names_and_order_only(self) -> None:
        assert FACE.same_joints(Skeleton("other", FACE.keypoints))
        assert not FACE.same_joints(Skeleton("other", FACE.keypoints[::-1]))

    def test_a_skeleton_may_have_no_joints_and_is_still_one(self) -> None:
        nothing = Skeleton("nothing", ())
        assert (len(nothing), nothing.size, bool(nothing)) == (0, 0, True)
        assert nothing.flip_index.shape == (0,)

    def test_lists_are_taken_as_tuples(self) -> None:
        loose = Skeleton("loose", ["a", "b"], [[0, 1]], [], [1, 2])  # type: ignore[arg-type]  # what a JSON reader has
        assert hash(loose) == hash(Skeleton("x", ("a", "b"), ((0, 1),), (), (1.0, 2.0)))

    def test_with_sigmas_replaces_sigmas_and_their_source(self) -> None:
        other = FACE.with_sigmas([0.1, 0.2, 0.3, 0.4], source="mine")
        assert (other.sigmas, other.sigma_source, other.keypoints) == ((0.1, 0.2, 0.3, 0.4), "mine", FACE.keypoints)


class TestFlipIndex:
    def test_partners_swap_and_single_joints_stay(self) -> None:
        assert FACE.flip_index.tolist() == [0, 2, 1, 3]
        assert FACE.flip_index.dtype == np.int64

    @given(skeletons())
    def test_it_is_an_involution(self, skeleton: Skeleton) -> None:
        flip = skeleton.flip_index
        assert flip[flip].tolist() == list(range(skeleton.size))

    def test_it_cannot_be_written_to_even_after_pickling(self) -> None:
        _ = FACE.flip_index
        for skeleton in (FACE, pickle.loads(pickle.dumps(FACE))):
            assert skeleton == FACE
            with pytest.raises(ValueError, match="read-only"):
                skeleton.flip_index[0] = 1


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"keypoints": ("nose", "left_eye", "right_eye", "nose")}, "keypoints[3]"),
            ({"keypoints": ("nose", "left_eye", "right_eye", " ")}, "keypoints[3]"),
            ({"flip_pairs": ((1, 4),)}, "flip_pairs[0]"),
            ({"flip_pairs": ((-1, 2),)}, "flip_pairs[0]"),
            ({"flip_pairs": ((1, 2), (2, 3))}, "flip_pairs[1]"),
            ({"flip_pairs": ((1, 2), (2, 1))}, "flip_pairs[1]"),
            ({"flip_pairs": ((1, 1),)}, "flip_pairs[0]"),
            ({"edges": ((0, 1), (0, 4))}, "edges[1]"),
            ({"edges": ((0, 0),)}, "edges[0]"),
            ({"sigmas": (0.1, 0.1, 0.1)}, "sigmas"),
            ({"sigmas": (0.1, 0.1, 0.1, 0.0)}, "sigmas['chin']"),
            ({"sigmas": (0.1, 0.1, 0.1, float("nan"))}, "sigmas['chin']"),
            ({"sigmas": (0.1, 0.1, float("inf"), 0.1)}, "sigmas['right_eye']"),
        ],
    )
    def test_a_contradiction_is_refused_with_its_field(self, changes: dict[str, Any], field: str) -> None:
        with pytest.raises(DefinitionError) as caught:
            replace(FACE, **changes)
        assert caught.value.place == f"skeleton 'face': {field}"

    @pytest.mark.parametrize(
        ("changes", "place"),
        [
            ({"schema": 2}, "schema"),
            ({"name": None}, "name"),
            ({"keypoints": "nose"}, "keypoints"),
            ({"keypoints": ["nose", 3]}, "keypoints[1]"),
            ({"description": 3}, "description"),
            ({"flip_pairs": {"left_eye": "right_eye"}}, "flip_pairs"),
            ({"flip_pairs": [["left_eye"]]}, "flip_pairs[0]"),
            ({"flip_pairs": [["left_eye", ["right_eye"]]]}, "flip_pairs[0]"),
            ({"edges": [["nose", "chin"], [0, 1]]}, "edges[1]"),
            ({"sigmas": [0.1, 0.1, 0.1, 0.1]}, "sigmas"),
            ({"sigmas": {"nose": 0.1}}, "sigmas"),
            ({"sigmas": {**FACE.to_dict()["sigmas"], "nose": True}}, "sigmas['nose']"),
            ({"sigmas": {**FACE.to_dict()["sigmas"], "ear": 0.1}}, "sigmas"),
        ],
    )
    def test_a_wrong_document_is_refused_with_its_field(self, changes: dict[str, Any], place: str) -> None:
        with pytest.raises(DefinitionError) as caught:
            Skeleton.from_dict(document(**changes))
        assert caught.value.place == place

    def test_an_unknown_field_gets_the_nearest_one(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            Skeleton.from_dict(document(flip_pair=[]))
        assert "flip_pairs" in caught.value.help

    def test_a_mistyped_joint_in_a_pair_gets_the_nearest_name(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            Skeleton.from_dict(document(flip_pairs=[["left_eye", "rigth_eye"]]))
        assert "right_eye" in caught.value.help


class TestLateralNames:
    def test_a_paired_skeleton_has_no_issues(self) -> None:
        assert FACE.lateral_issues() == []

    @pytest.mark.parametrize(
        "name", ["left_eye", "Left Eye", "eye_left", "LEye", "Leye", "Lsho", "l_eye", "eye.L", "leftEye"]
    )
    def test_a_lateral_name_without_partner_is_an_issue(self, name: str) -> None:
        issues = Skeleton("s", ("nose", name)).lateral_issues()
        assert len(issues) == 1
        assert f"'{name}' is left" in issues[0]

    @pytest.mark.parametrize(
        "name", ["nose", "Leg", "Lip", "Root", "L5", "rear", "leftover", "Rump", "light_spot", "hip"]
    )
    def test_a_name_that_only_begins_so_is_not_lateral(self, name: str) -> None:
        assert Skeleton("s", (name,)).lateral_issues() == []

    @pytest.mark.parametrize("wrong", [("left_eye", "left_ear"), ("left_eye", "right_ear"), ("left_eye", "nose")])
    def test_a_pair_of_names_that_do_not_mirror_each_other_is_an_issue(self, wrong: tuple[str, str]) -> None:
        issues = Skeleton("s", wrong, ((0, 1),)).lateral_issues()
        assert len(issues) == 1
        assert "mirror image" in issues[0]

    def test_unlateral_names_may_be_paired(self) -> None:
        assert Skeleton("s", ("face-0", "face-16"), ((0, 1),)).lateral_issues() == []

    @pytest.mark.parametrize(
        ("name", "spelled"),
        [
            ("Left Shoulder", "left_shoulder"),
            ("left-shoulder", "left_shoulder"),
            ("LShoulder", "left_shoulder"),
            ("shoulder_left", "left_shoulder"),
            ("r_knee", "right_knee"),
            ("rightKnee", "right_knee"),
            ("LBigToe", "left_big_toe"),
            ("MidHip", "mid_hip"),
            ("Head top", "head_top"),
            ("Nose", "nose"),
            ("face-12", "face_12"),
            ("Leg", "leg"),
            ("rear", "rear"),
            ("L5", "l5"),
            ("鼻", "鼻"),
            ("??", "??"),
        ],
    )
    def test_normalised_spelling(self, name: str, spelled: str) -> None:
        assert normalise_joint_name(name) == spelled

    @given(st.text(max_size=12) | st.text(alphabet="LRlreftighsho_ .2", max_size=12))
    def test_normalising_twice_changes_nothing_more(self, name: str) -> None:
        once = normalise_joint_name(name)
        assert normalise_joint_name(once) == once

    def test_pairs_are_inferred_from_every_common_spelling(self) -> None:
        names = ["neck", "Rsho", "Rfli", "Lsho", "Lfli", "eye_r", "eye_l", "LKnee", "RKnee", "lank", "rank"]
        assert infer_flip_pairs(names) == ((3, 1), (4, 2), (6, 5), (7, 8), (9, 10))

    def test_a_lateral_name_without_mirror_image_is_not_paired(self) -> None:
        assert infer_flip_pairs(["left_eye", "right_ear", "Lip", "nose"]) == ()

    def test_an_ambiguous_mirror_image_is_not_paired(self) -> None:
        assert infer_flip_pairs(["left_eye", "Left Eye", "right_eye"]) == ()

    def test_names_of_another_species_of_dataset_are_paired_too(self) -> None:
        assert infer_flip_pairs(["left_front_paw", "tail", "right_front_paw"]) == ((0, 2),)
