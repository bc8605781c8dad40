"""Jobs as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.traces.faults import BrokenTrace
from sim.traces.table import COLUMNS, read_table, write_table
from sim.workload import Job

SECONDS = st.floats(1e-3, 1e9)


@st.composite
def jobs(draw: st.DrawFn) -> list[Job]:
    ids = draw(st.lists(st.text(min_size=1).map(str.strip).filter(bool), unique=True, max_size=5))
    return [a_job(draw, one, at) for at, one in enumerate(ids) if "\0" not in one]


def a_job(draw: st.DrawFn, name: str, at: float) -> Job:
    parts_s = draw(st.lists(SECONDS, min_size=1, max_size=4).map(tuple))
    same = st.lists(SECONDS, min_size=len(parts_s), max_size=len(parts_s)).map(tuple)
    return Job(
        id=name,
        at=float(at),
        deadline_s=draw(st.none() | SECONDS),
        parts_s=parts_s,
        true_parts_s=draw(st.none() | same | st.just((parts_s[0],) * len(parts_s))),
        part_bytes=draw(st.integers(0, 10**12)),
        size_bytes=draw(st.integers(0, 10**12)),
        priority=draw(SECONDS),
    )


@given(jobs())
def test_what_is_written_is_read_back(some: list[Job]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(write_table(some))
    assert read_table(io.StringIO(text.getvalue(), newline=""), "t.csv") == some


def test_few_columns_are_enough_and_lengths_may_be_one_sum() -> None:
    text = """id,at,work_s,parts,true_work_s
b,2024-01-01T00:00:20Z,100,4,10 20 30 40
a,2024-01-01T00:00:10,7,,
"""
    first, second = read_table(io.StringIO(text), "t.csv")
    assert (first.id, first.at, first.parts_s, first.true_parts_s) == (
        "a",
        1704067210.0,
        (7.0,),
        None,
    )
    assert (second.parts_s, second.true_parts_s) == ((25.0,) * 4, (10.0, 20.0, 30.0, 40.0))
    assert (second.deadline_s, second.size_bytes, second.priority) == (None, 0, 1.0)


def test_all_faults_are_told_at_once_each_with_its_line() -> None:
    text = """id,at,deadline_s,parts,work_s
a,soon,-5,0,ten
b,1,2,3,1 2

b,1,2,3
a,1,1,1,1
a,1,1,1,1
"""
    with pytest.raises(BrokenTrace) as caught:
        read_table(io.StringIO(text), "t.csv")
    assert caught.value.faults == [
        "line 2: parts: '0' is no number from 1 to 4096",
        "line 2: work_s: 'ten' is no number",
        "line 2: at: 'soon' is neither seconds nor an ISO 8601 time",
        "line 2: deadline_s: '-5' is not above 0",
        "line 3: work_s: 2 lengths for 3 parts",
        "line 5: it has fewer fields than columns",
        "line 7: id 'a' is there twice",
    ]
    assert str(caught.value).endswith(f"Its columns are {', '.join(COLUMNS)}")


def test_a_column_of_another_name_is_guessed() -> None:
    with pytest.raises(BrokenTrace) as caught:
        read_table(io.StringIO("id,at,dedline_s\n"), "t.csv")
    assert caught.value.faults == [
        "line 1: there is no column 'dedline_s'; did you mean 'deadline_s'?",
        "line 1: it lacks the column work_s",
    ]
