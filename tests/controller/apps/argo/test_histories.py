"""A catalogue that was kept answers as the one that it was kept of, at every update before, too."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.changes import changes_between
from controller.apps.argo.histories import FORMAT, Kept, read_kept, write_kept
from controller.apps.argo.index import RowFault
from controller.apps.argo.rows import Kind
from controller.errors import StorageError
from planner.extent import Box, Extent
from planner.model import UpdateSpan
from tests.controller.apps.argo.index_files import Line, core_index, index_of

NORTH = Extent(box=Box(west=-180, south=0, east=180, north=90))
FAULT = RowFault(index="i.txt", rows=1, reason="no usable date", examples=("line 9",))

State = dict[int, tuple[str, str, bool]]
states_of_an_index = st.lists(
    st.dictionaries(
        st.integers(1, 6),
        st.tuples(st.sampled_from("RD"), st.sampled_from(["2020", "2021"]), st.booleans()),
    ),
    min_size=1,
    max_size=6,
)


def rows_of(state: State) -> str:
    return core_index(
        *(
            Line(
                file=f"aoml/1/profiles/{mode}1_{cycle:03d}.nc",
                date=f"1997{cycle:02}28200300",
                date_update=f"{year}0101000000",
                latitude="40" if north else "-40",
            )
            for cycle, (mode, year, north) in state.items()
        )
    )


def followed(states: list[State]) -> Iterator[Catalogue]:
    """Yield one catalogue that grows, after each state."""
    catalogue = Catalogue.from_indexes([index_of(rows_of(states[0]))])
    yield catalogue
    for number, state in enumerate(states[1:], start=1):
        rows = index_of(rows_of(state)).rows
        catalogue.apply(number, changes_between(catalogue.current(), rows))
        yield catalogue


def answers(catalogue: Catalogue, newest: int) -> dict[object, object]:
    """Return all that a catalogue says of every span of updates up to one."""
    found: dict[object, object] = {}
    for upto in range(newest + 1):
        for after in (None, *range(upto + 1)):
            span = UpdateSpan(after=after, upto=upto)
            for extent in (NORTH, Extent()):
                paths = [file.path for file in catalogue.files(catalogue.select(extent, span))]
                key = (extent is NORTH, after, upto)
                found[key] = paths, catalogue.superseded(extent, span)
    return found


def through_a_file(catalogue: Catalogue, newest: int) -> Catalogue:
    file = io.BytesIO()
    write_kept(file, Kept(histories=catalogue.histories(), faults=(FAULT,)))
    file.seek(0)
    kept = read_kept(file, "state")
    assert kept.faults == (FAULT,)
    return Catalogue.from_histories(kept.histories, newest, kept.faults)


@given(states_of_an_index, st.data())
@settings(deadline=None)
def test_what_was_kept_answers_as_before_at_every_update(
    states: list[State], data: st.DataObject
) -> None:
    newest = data.draw(st.integers(0, len(states) - 1))
    condensed_at = data.draw(st.sets(st.integers(0, len(states) - 1)))
    then: dict[object, object] = {}
    current: list[str] = []
    for number, catalogue in enumerate(followed(states)):
        if number in condensed_at:
            catalogue.condense()
        if number == newest:
            then = answers(catalogue, newest)
            current = sorted(str(key) for key in catalogue.current().profile.tolist())
    assert answers(catalogue, newest) == then
    again = through_a_file(catalogue, newest)
    assert again.newest == newest
    assert answers(again, newest) == then
    assert sorted(str(key) for key in again.current().profile.tolist()) == current


def test_a_row_that_came_and_went_between_is_superseded_by_nobody() -> None:
    states: list[State] = [
        {1: ("R", "2020", True), 2: ("R", "2020", True)},
        {1: ("R", "2021", True), 2: ("R", "2020", True)},
        {1: ("R", "2021", True), 2: ("R", "2021", True)},
        {1: ("R", "2021", True), 2: ("D", "2021", True)},
    ]
    *_, catalogue = followed(states)
    span = UpdateSpan(after=1, upto=3)
    then = catalogue.superseded(Extent(), span)
    catalogue.condense()
    assert catalogue.superseded(Extent(), span) == then
    assert [one.date_update for one in then[0]] == ["20200101000000"]


def test_numbers_outlive_the_putting_together() -> None:
    states: list[State] = [{1: ("R", "2020", True)}, {1: ("R", "2021", True)}, {}]
    *_, catalogue = followed(states)
    numbers = catalogue.select(Extent(), UpdateSpan(after=0, upto=1))
    before = catalogue.files(numbers)
    assert len(before) == 1
    catalogue.condense()
    assert catalogue.files(numbers) == before
    now = catalogue.select(Extent(), UpdateSpan(after=0, upto=1))
    assert catalogue.files(now) == before
    assert not set(now.tolist()) & set(numbers.tolist())


def test_kinds_stay_apart() -> None:
    lines = [Line(), Line(file="aoml/13857/profiles/BR13857_001.nc", parameters="DOXY")]
    catalogue = Catalogue.from_indexes([index_of(core_index(lines[0]))])
    again = through_a_file(catalogue, 0)
    assert again.kinds == {Kind.CORE}
    assert len(again.current(Kind.BIO)) == 0


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "other"])
def test_a_damaged_file_is_named(damage: str) -> None:
    catalogue = Catalogue.from_indexes([index_of(core_index(Line()))])
    file = io.BytesIO()
    write_kept(file, Kept(histories=catalogue.histories()))
    content = bytearray(file.getvalue())
    place = content.index(b"date_update.npy") + 200
    content[place] ^= 0xFF
    damaged = {
        "torn": file.getvalue()[:-200],
        "flipped": bytes(content),
        "empty": b"",
        "other": b"not numpy's",
    }[damage]
    with pytest.raises(StorageError, match="state-7 is damaged") as caught:
        read_kept(io.BytesIO(damaged), "state-7")
    assert not caught.value.retry


def test_a_newer_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue.from_indexes([index_of(core_index(Line()))])
    file = io.BytesIO()
    with monkeypatch.context() as newer:
        newer.setattr("controller.apps.argo.histories.FORMAT", FORMAT + 1)
        write_kept(file, Kept(histories=catalogue.histories()))
    file.seek(0)
    with pytest.raises(StorageError, match="newer than this version"):
        read_kept(file, "state-7")
