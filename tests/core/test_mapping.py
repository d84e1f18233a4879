"""Mappings: which alternative is used, what becomes of visibility and of the truncated flag, and composition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kpkit.core.mapping import Alternative, JointRule, Mapping, by_name, compose, identity
from kpkit.core.skeleton import Skeleton
from kpkit.errors import DefinitionError, UsageError

HEAD = Skeleton("head", ("left_ear", "right_ear", "nose"), ((0, 1),))
DOT = Skeleton("dot", ("dot",))
NAN = float("nan")


def copied(*sources: int, kind: Any = "exact") -> Alternative:
    return Alternative(kind, sources, (1.0,) * len(sources))


def mean(*sources: int) -> Alternative:
    return Alternative("derived", sources, (1.0 / len(sources),) * len(sources))


def dot(*alternatives: Alternative, source: Skeleton = HEAD) -> Mapping:
    return Mapping(source, DOT, (JointRule(0, alternatives),))


def points(
    *persons: list[tuple[float, float, int]],
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.bool_]]:
    table = np.array(persons, np.float64)
    visibility = table[..., 2].astype(np.uint8)
    return np.where(visibility[..., None] > 0, table[..., :2], NAN), visibility, np.zeros(visibility.shape, np.bool_)


MEAN_OR_NOSE = dot(mean(0, 1), copied(2, kind="approximate"))


@st.composite
def labelled_points(draw: st.DrawFn, size: int) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.bool_]]:
    """Points as a Dataset holds them: NaN exactly where v is 0, truncated only with v 0 or 1."""
    persons = draw(st.integers(0, 4))
    flags = draw(st.lists(st.integers(0, 2), min_size=persons * size, max_size=persons * size))
    visibility = np.array(flags, np.uint8).reshape(persons, size)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    xy = np.where(visibility[..., None] > 0, rng.uniform(-50, 2000, (persons, size, 2)), NAN)
    return xy, visibility, (rng.random((persons, size)) < 0.4) & (visibility < 2)


@st.composite
def alternatives(draw: st.DrawFn, size: int) -> Alternative:
    sources = tuple(draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3, unique=True)))
    if len(sources) == 1:
        return copied(*sources, kind=draw(st.sampled_from(["exact", "approximate"])))
    shares = [draw(st.integers(1, 5)) for _ in sources]
    return Alternative("derived", sources, tuple(share / sum(shares) for share in shares))


@st.composite
def mappings(draw: st.DrawFn, source: Skeleton, target: Skeleton) -> Mapping:
    rules = [
        JointRule(joint, tuple(draw(st.lists(alternatives(source.size), max_size=3)))) for joint in range(target.size)
    ]
    return Mapping(source, target, tuple(rules))


def plain(prefix: str, size: int) -> Skeleton:
    return Skeleton(prefix, tuple(f"{prefix}{index}" for index in range(size)))


class TestApply:
    def test_the_first_alternative_whose_sources_are_all_labelled_is_used(self) -> None:
        mapped = MEAN_OR_NOSE.apply(
            *points(
                [(10, 20, 2), (30, 60, 2), (5, 5, 2)],
                [(10, 20, 2), (0, 0, 0), (5, 6, 2)],
                [(10, 20, 2), (0, 0, 0), (0, 0, 0)],
            )
        )
        assert mapped.alternative[:, 0].tolist() == [0, 1, -1]
        assert mapped.xy[:2, 0].tolist() == [[20, 40], [5, 6]]
        assert np.isnan(mapped.xy[2]).all()
        assert mapped.visibility[:, 0].tolist() == [2, 2, 0]

    @pytest.mark.parametrize(("left", "right", "merged"), [(2, 2, 2), (2, 1, 1), (1, 2, 1), (1, 1, 1)])
    def test_visibility_is_the_least_of_the_sources_used(self, left: int, right: int, merged: int) -> None:
        assert MEAN_OR_NOSE.apply(*points([(1, 1, left), (3, 3, right), (0, 0, 0)])).visibility.tolist() == [[merged]]

    def test_visibility_of_sources_that_are_not_used_does_not_count(self) -> None:
        assert MEAN_OR_NOSE.apply(*points([(1, 1, 2), (3, 3, 2), (0, 0, 1)])).visibility.tolist() == [[2]]

    def test_unequal_weights_are_kept(self) -> None:
        mapped = dot(Alternative("derived", (0, 2), (0.75, 0.25))).apply(*points([(0, 100, 2), (0, 0, 0), (40, 0, 2)]))
        assert mapped.xy.tolist() == [[[10.0, 75.0]]]

    def test_an_absent_joint_is_unlabelled_for_everybody(self) -> None:
        mapped = dot().apply(*points([(1, 1, 2)] * 3, [(1, 1, 1)] * 3))
        assert np.isnan(mapped.xy).all()
        assert not mapped.visibility.any()
        assert (mapped.alternative == -1).all()

    def test_a_copy_is_bit_identical(self) -> None:
        odd = 620.7000000000001
        mapped = dot(copied(2, kind="approximate")).apply(*points([(0, 0, 0), (0, 0, 0), (odd, -0.0, 1)]))
        assert mapped.xy.tobytes() == np.array([[[odd, -0.0]]]).tobytes()

    @given(st.data())
    def test_identity_changes_no_bit(self, data: st.DataObject) -> None:
        skeleton = plain("j", data.draw(st.integers(0, 5)))
        xy, visibility, truncated = data.draw(labelled_points(skeleton.size))
        mapped = identity(skeleton).apply(xy, visibility, truncated)
        assert mapped.xy.tobytes() == xy.tobytes()
        assert mapped.visibility.tobytes() == visibility.tobytes()
        assert mapped.truncated.tobytes() == truncated.tobytes()

    @given(st.data())
    def test_a_point_is_nan_exactly_where_it_is_unlabelled(self, data: st.DataObject) -> None:
        source, target = plain("a", data.draw(st.integers(1, 5))), plain("b", data.draw(st.integers(0, 4)))
        mapped = data.draw(mappings(source, target)).apply(*data.draw(labelled_points(source.size)))
        unlabelled = mapped.visibility == 0
        assert (np.isnan(mapped.xy) == unlabelled[..., None]).all()
        assert ((mapped.alternative == -1) == unlabelled).all()
        assert not (mapped.truncated & (mapped.visibility == 2)).any()

    def test_the_arrays_given_are_left_alone(self) -> None:
        given_points = points([(1, 1, 2), (3, 3, 2), (0, 0, 0)])
        copies = [array.copy() for array in given_points]
        MEAN_OR_NOSE.apply(*given_points).xy[:] = 7
        for array, copy in zip(given_points, copies, strict=True):
            np.testing.assert_array_equal(array, copy)

    @pytest.mark.parametrize("wrong", [0, 1, 2])
    def test_arrays_of_another_skeleton_are_refused(self, wrong: int) -> None:
        arrays: list[NDArray[Any]] = list(points([(1, 1, 2)] * 3))
        arrays[wrong] = arrays[wrong][:, :2]
        with pytest.raises(UsageError, match="skeleton 'head'"):
            MEAN_OR_NOSE.apply(arrays[0], arrays[1], arrays[2])


class TestTruncated:
    @pytest.mark.parametrize(("left", "right"), [(True, True), (True, False), (False, True), (False, False)])
    def test_a_mean_is_truncated_only_if_all_its_sources_are(self, left: bool, right: bool) -> None:
        xy, visibility, truncated = points([(1, 1, 1), (3, 3, 1), (0, 0, 0)])
        truncated[0, :2] = left, right
        assert MEAN_OR_NOSE.apply(xy, visibility, truncated).truncated.tolist() == [[left and right]]

    def test_an_unlabelled_copy_keeps_its_truncated_flag(self) -> None:
        xy, visibility, truncated = points([(1, 1, 1), (1, 1, 1), (0, 0, 0)], [(1, 1, 1), (1, 1, 1), (0, 0, 0)])
        truncated[0, 2] = True
        mapped = dot(copied(2)).apply(xy, visibility, truncated)
        assert mapped.truncated[:, 0].tolist() == [True, False]
        assert mapped.visibility[:, 0].tolist() == [0, 0]

    def test_an_unlabelled_mean_is_not_truncated(self) -> None:
        xy, visibility, truncated = points([(0, 0, 0), (0, 0, 0), (0, 0, 0)])
        truncated[:] = True
        assert MEAN_OR_NOSE.apply(xy, visibility, truncated).truncated.tolist() == [[False]]

    def test_a_fallback_that_is_used_does_not_inherit_the_flag_of_the_first_choice(self) -> None:
        xy, visibility, truncated = points([(0, 0, 0), (0, 0, 0), (4, 4, 2)])
        truncated[0, 0] = True
        assert dot(copied(0), copied(2)).apply(xy, visibility, truncated).truncated.tolist() == [[False]]


class TestReport:
    def test_the_rule_is_readable(self) -> None:
        rules = dot(mean(0, 1), copied(2, kind="approximate"), copied(0))
        assert rules.rule_text(0) == "mean(left_ear, right_ear) | ~nose | left_ear"

    def test_unequal_weights_are_shown(self) -> None:
        assert dot(Alternative("derived", (0, 2), (0.75, 0.25))).rule_text(0) == "0.75 left_ear + 0.25 nose"

    def test_kind_is_that_of_the_first_choice(self) -> None:
        assert MEAN_OR_NOSE.kind(0) == "derived"
        assert dot(copied(2, kind="approximate"), mean(0, 1)).kind(0) == "approximate"
        assert (dot().kind(0), dot().rule_text(0)) == ("absent", "absent")

    def test_counts_tell_who_got_a_joint_and_from_what(self) -> None:
        mapped = MEAN_OR_NOSE.apply(
            *points([(1, 1, 2)] * 3, [(1, 1, 2), (0, 0, 0), (2, 2, 1)], [(1, 1, 2)] * 3, [(0, 0, 0)] * 3)
        )
        assert MEAN_OR_NOSE.counts(mapped) == [
            {
                "joint": "dot",
                "kind": "derived",
                "rule": "mean(left_ear, right_ear) | ~nose",
                "sources": ["left_ear", "right_ear", "nose"],
                "persons_with": 3,
                "persons_without": 1,
                "by_alternative": [2, 1],
            }
        ]

    def test_counts_of_an_absent_joint(self) -> None:
        (row,) = dot().counts(dot().apply(*points([(1, 1, 2)] * 3)))
        assert (row["kind"], row["persons_with"], row["persons_without"], row["by_alternative"]) == ("absent", 0, 1, [])


class TestByName:
    def test_equal_names_are_copied_whatever_their_order_and_spelling(self) -> None:
        found = by_name(Skeleton("s", ("Nose", "LShoulder", "neck")), Skeleton("t", ("left_shoulder", "nose", "tail")))
        assert [found.rule_text(joint) for joint in range(3)] == ["LShoulder", "Nose", "absent"]

    def test_the_name_as_written_wins_over_the_spelling(self) -> None:
        found = by_name(Skeleton("s", ("Nose", "nose")), Skeleton("t", ("nose", "NOSE")))
        assert [found.rule_text(joint) for joint in range(2)] == ["nose", "absent"]

    def test_only_an_identity_is_called_one(self) -> None:
        assert identity(HEAD).is_identity
        assert not by_name(Skeleton("s", ("b", "a")), Skeleton("t", ("a", "b"))).is_identity
        assert not dot(copied(0)).is_identity


class TestCompose:
    @given(st.data())
    def test_composition_gives_what_the_two_steps_give(self, data: st.DataObject) -> None:
        first_size, middle_size, last_size = (data.draw(st.integers(1, 4)) for _ in range(3))
        source, middle, target = plain("a", first_size), plain("b", middle_size), plain("c", last_size)
        first, second = data.draw(mappings(source, middle)), data.draw(mappings(middle, target))
        xy, visibility, truncated = data.draw(labelled_points(first_size))
        between = first.apply(xy, visibility, truncated)
        expected = second.apply(between.xy, between.visibility, between.truncated)
        mapped = compose(first, second).apply(xy, visibility, truncated)
        np.testing.assert_array_equal(mapped.visibility, expected.visibility)
        np.testing.assert_allclose(mapped.xy, expected.xy, rtol=0, atol=1e-9)
        labelled = mapped.visibility > 0
        np.testing.assert_array_equal(mapped.truncated[labelled], expected.truncated[labelled])

    @given(st.data())
    def test_identity_is_neutral(self, data: st.DataObject) -> None:
        source, target = plain("a", data.draw(st.integers(1, 4))), plain("b", data.draw(st.integers(1, 3)))
        mapping = data.draw(mappings(source, target))
        points_of = data.draw(labelled_points(source.size))
        expected = mapping.apply(*points_of)
        for composed in (compose(identity(source), mapping), compose(mapping, identity(target))):
            mapped = composed.apply(*points_of)
            np.testing.assert_array_equal(mapped.visibility, expected.visibility)
            np.testing.assert_allclose(mapped.xy, expected.xy, rtol=0, atol=1e-9)

    def test_a_source_that_comes_twice_gets_its_weights_added(self) -> None:
        first = Mapping(HEAD, plain("b", 2), (JointRule(0, (mean(0, 1),)), JointRule(1, (copied(0),))))
        composed = compose(first, dot(mean(0, 1), source=plain("b", 2)))
        assert composed.rule_text(0) == "0.75 left_ear + 0.25 right_ear"

    @pytest.mark.parametrize(
        ("inner", "outer", "kind"),
        [
            ("exact", "exact", "exact"),
            ("exact", "approximate", "approximate"),
            ("approximate", "exact", "approximate"),
            ("approximate", "approximate", "approximate"),
        ],
    )
    def test_one_approximate_step_makes_the_whole_approximate(self, inner: str, outer: str, kind: str) -> None:
        first = Mapping(HEAD, DOT, (JointRule(0, (copied(2, kind=inner),)),))
        assert compose(first, dot(copied(0, kind=outer), source=DOT)).kind(0) == kind

    def test_one_derived_step_makes_the_whole_derived(self) -> None:
        assert compose(MEAN_OR_NOSE, dot(copied(0, kind="approximate"), source=DOT)).kind(0) == "derived"

    def test_what_is_absent_between_stays_absent(self) -> None:
        assert compose(dot(), dot(copied(0), source=DOT)).kind(0) == "absent"

    def test_an_alternative_that_can_never_be_used_is_left_out(self) -> None:
        first = Mapping(HEAD, plain("b", 2), (JointRule(0, (copied(0),)), JointRule(1, (mean(0, 1),))))
        assert compose(first, dot(copied(0), copied(1), source=plain("b", 2))).rule_text(0) == "left_ear"

    def test_the_reasons_of_both_steps_are_kept(self) -> None:
        first = dot(Alternative("approximate", (2,), (1.0,), "near"))
        second = dot(Alternative("approximate", (0,), (1.0,), "same name"), source=DOT)
        assert compose(first, second).rules[0].alternatives[0].because == "same name; near"

    def test_the_skeletons_between_are_remembered_in_order(self) -> None:
        step = dot(copied(0), source=DOT)
        assert compose(compose(MEAN_OR_NOSE, step), step).via == ("dot", "dot")

    def test_mappings_that_do_not_meet_are_refused(self) -> None:
        with pytest.raises(UsageError, match="do not meet"):
            compose(MEAN_OR_NOSE, MEAN_OR_NOSE)


class TestRefused:
    @pytest.mark.parametrize(
        ("alternative", "message"),
        [
            (Alternative("guessed", (0,), (1.0,)), "unknown kind"),  # type: ignore[arg-type]  # a wrong kind is the point
            (Alternative("derived", (), ()), "each once"),
            (Alternative("derived", (0, 0), (0.5, 0.5)), "each once"),
            (Alternative("exact", (3,), (1.0,)), "no such source joint"),
            (Alternative("exact", (-1,), (1.0,)), "no such source joint"),
            (Alternative("exact", (0, 1), (0.5, 0.5)), "one source"),
            (Alternative("derived", (0, 1), (1.0,)), "positive weight"),
            (Alternative("derived", (0, 1), (1.5, -0.5)), "positive weight"),
            (Alternative("derived", (0, 1), (NAN, 1.0)), "positive weight"),
            (Alternative("derived", (0, 1), (0.5, 0.6)), "add up to 1"),
        ],
    )
    def test_an_impossible_alternative_is_refused_with_its_place(self, alternative: Alternative, message: str) -> None:
        with pytest.raises(DefinitionError, match=message) as caught:
            dot(copied(0), alternative)
        assert caught.value.place == "mapping 'head' to 'dot': joints['dot'][1]"

    @pytest.mark.parametrize("targets", [(), (1,), (0, 0), (0, 1)])
    def test_rules_that_are_not_one_a_target_joint_are_refused(self, targets: tuple[int, ...]) -> None:
        with pytest.raises(DefinitionError, match="one rule for every target joint"):
            Mapping(HEAD, DOT, tuple(JointRule(target) for target in targets))

    def test_more_alternatives_than_the_record_can_number_are_refused(self) -> None:
        with pytest.raises(DefinitionError, match="too many alternatives"):
            dot(*[copied(0)] * 128)
