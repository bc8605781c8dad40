"""What changed between two states of an index."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.apps.argo.changes import Changes, changes_between, observations
from controller.apps.argo.rows import Rows, no_rows, together
from tests.controller.apps.argo.index_files import Line, bgc_index, core_index, index_of, instant

R1, R2, R3 = (Line(file=f"aoml/13857/profiles/R13857_00{cycle}.nc") for cycle in (1, 2, 3))
D1 = Line(file="aoml/13857/profiles/D13857_001.nc", date_update="20200101000000")


def rows(*lines: Line) -> Rows:
    return index_of(core_index(*lines)).rows


def paths(table: Rows) -> list[str]:
    return [file.path for file in table.source_files(np.arange(len(table)))]


def listed(table: Rows) -> set[tuple[object, ...]]:
    """Return all that rows say, comparable however they are coded."""
    files = table.source_files(np.arange(len(table)))
    names = [table.parameter_sets[code] for code in table.parameter_set]
    columns = (table.time_s, table.latitude_ticks, table.longitude_ticks)
    return set(zip(files, names, *(column.tolist() for column in columns), strict=True))


def told(changes: Changes) -> dict[str, list[str]]:
    kinds = ("added", "updated", "superseded", "removed")
    return {kind: paths(getattr(changes, kind)) for kind in kinds if len(getattr(changes, kind))}


class TestOneProfile:
    def test_nothing(self) -> None:
        assert len(changes_between(rows(R1, R2), rows(R2, R1))) == 0
        assert len(changes_between(no_rows(), no_rows())) == 0

    def test_added(self) -> None:
        assert told(changes_between(rows(R1), rows(R1, R2))) == {"added": [R2.file]}
        assert told(changes_between(no_rows(), rows(R1))) == {"added": [R1.file]}

    def test_removed(self) -> None:
        assert told(changes_between(rows(R1, R2), rows(R2))) == {"removed": [R1.file]}

    def test_nothing_is_removed_by_an_index_that_lists_only_what_is_new(self) -> None:
        changes = changes_between(rows(R1, R2), rows(R2, R3), whole=False)
        assert told(changes) == {"added": [R3.file]}

    @pytest.mark.parametrize(
        "change",
        [
            Line(date_update="20230101000000"),
            Line(date="19970729200301"),
            Line(date=""),
            Line(latitude="0.268"),
            Line(longitude="-16.031"),
            Line(latitude=""),
        ],
    )
    def test_updated(self, change: Line) -> None:
        assert told(changes_between(rows(Line()), rows(change))) == {"updated": [Line().file]}

    def test_updated_parameters(self) -> None:
        name = "coriolis/1/profiles/SR1_001.nc"
        old = index_of(bgc_index(Line(file=name, parameters="PRES"))).rows
        new = index_of(bgc_index(Line(file=name, parameters="PRES DOXY"))).rows
        assert told(changes_between(old, new)) == {"updated": [name]}

    def test_superseded_by_its_delayed_mode_file(self) -> None:
        changes = changes_between(rows(R1, R2), rows(D1, R2))
        assert told(changes) == {"superseded": [D1.file]}
        assert changes.outdated.tolist() == rows(R1).profile.tolist()

    def test_superseded_by_a_file_of_another_data_centre(self) -> None:
        moved = Line(file="coriolis/13857/profiles/R13857_001.nc")
        assert told(changes_between(rows(R1), rows(moved))) == {"superseded": [moved.file]}

    def test_what_was_renamed_and_updated_is_told_once(self) -> None:
        assert len(changes_between(rows(R1), rows(D1))) == 1

    def test_a_descending_profile_and_other_kinds_are_profiles_of_their_own(self) -> None:
        others = [
            Line(file="aoml/13857/profiles/R13857_001D.nc", parameters="PRES"),
            Line(file="aoml/13857/profiles/BR13857_001.nc", parameters="PRES"),
            Line(file="aoml/13857/profiles/SR13857_001.nc", parameters="PRES"),
        ]
        new = together([rows(R1), index_of(bgc_index(*others)).rows])
        assert told(changes_between(rows(R1), new)) == {"added": [line.file for line in others]}


def test_observations_are_what_arrived_with_a_time_and_a_place() -> None:
    name = "coriolis/1/profiles/SR1_{}.nc".format
    unused = Line(file=name("000"), parameters="PRES CHLA")
    new = (
        unused,
        Line(file=name("001"), parameters="PRES DOXY", date="20200102000000", longitude="190"),
        Line(file=name("002"), parameters="TEMP PRES", date="20200101000000", latitude="90"),
        Line(file=name("003"), parameters="PRES DOXY", date=""),
        Line(file=name("004"), parameters="PRES DOXY", latitude="-99.999"),
    )
    old = index_of(bgc_index(unused)).rows
    found = observations(changes_between(old, index_of(bgc_index(*new)).rows))
    assert found.time_s == (instant(2020, 1, 1), instant(2020, 1, 2))
    assert found.longitude == (-16.032, -170.0)
    assert found.latitude == (90.0, 0.267)
    assert [found.parameter_sets[code] for code in found.parameter_set] == [
        ("PRES", "TEMP"),
        ("DOXY", "PRES"),
    ]
    assert len(found.parameter_sets) == 2, "sets that no profile has are not told"


def test_removals_are_no_observations() -> None:
    assert len(observations(changes_between(rows(R1), no_rows()))) == 0


lines = st.builds(
    Line,
    file=st.builds(
        "{}/1/profiles/{}{}1_00{}{}.nc".format,
        st.sampled_from(["aoml", "bodc"]),
        st.sampled_from(["", "B", "S"]),
        st.sampled_from("RD"),
        st.integers(1, 5),
        st.sampled_from(["", "D"]),
    ),
    date=st.sampled_from(["20200101000000", "20210101000000", ""]),
    latitude=st.sampled_from(["1", "2", ""]),
    parameters=st.sampled_from(["PRES", "DOXY PRES", "TEMP"]),
    date_update=st.sampled_from(["20220101000000", "20230101000000", ""]),
)
states = st.lists(lines, max_size=12)


def state(some: Sequence[Line]) -> Rows:
    return index_of(bgc_index(*some)).rows


@given(states, states)
def test_changes_turn_the_old_state_into_the_new(old: list[Line], new: list[Line]) -> None:
    before, after = state(old), state(new)
    changes = changes_between(before, after)
    kept = before.taken(~np.isin(before.profile, changes.outdated))
    assert listed(together([kept, changes.arrived])) == listed(after)
    concerned = np.concatenate([changes.arrived.profile, changes.removed.profile])
    assert len(np.unique(concerned)) == len(changes), "each profile is told once"
    assert not listed(changes.updated) & listed(before)


@given(states, st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(some: list[Line], chance: random.Random) -> None:
    shuffled = chance.sample(some, len(some))
    assert len(changes_between(state(some), state(shuffled))) == 0


@given(states, states)
def test_the_way_back_mirrors_the_way_there(old: list[Line], new: list[Line]) -> None:
    there, back = changes_between(state(old), state(new)), changes_between(state(new), state(old))
    assert listed(there.added) == listed(back.removed)
    assert sorted(there.superseded.profile) == sorted(back.superseded.profile)
    assert sorted(there.updated.profile) == sorted(back.updated.profile)
