"""The Standard Workload Format as jobs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sim.traces.deadlines import DeadlineRule
from sim.traces.faults import LeftOut
from sim.traces.opening import open_trace
from sim.traces.swf import read_swf

SHARED = Path(__file__).parents[4] / "shared" / "data" / "traces" / "lublin_256.swf.gz"

LOG = b"""; Version: 2.2
; UnixStartTime: 1000
1 0 5 60 4 -1 -1 4 90 -1 1 7 1 1 1 1 -1 -1
2 10 5 0 -1 -1 -1 2 -1 -1 1 7 1 1 1 1 -1 -1
3 20 5 -1 8 -1 -1 8 100 -1 5 7 1 1 1 1 -1 -1
4 30 5 30
5 40 5 x 8 -1 -1 8 100 -1 1 7 1 1 1 1 -1 -1
6 5 5 30 1 -1 -1 1 100 -1 1 7 1 1 1 1 -1 -1

7 50 5 30 1 -1 -1 1 100 -1 2 7 1 1 1 1 -1 -1
1 60 5 30 6 -1 -1 6 -1 -1 0 7 1 1 1 1 -1 -1
"""


def test_processors_are_parts_and_what_was_asked_for_is_the_prediction() -> None:
    rule = DeadlineRule(factor=2.0, grace_s=100.0)
    first, second, third = read_swf(LOG.splitlines(), rule, LeftOut(), parts_max=4)
    assert (first.id, first.at) == ("1", 1000.0)
    assert (first.parts_s, first.true_parts_s) == ((90.0,) * 4, (60.0,) * 4)
    assert first.deadline_s == 2.0 * 90.0 + 100.0
    # Nobody asked for a time, the processors are those asked for, and it ran below a second.
    assert (second.parts_s, second.true_parts_s) == ((0.5,) * 2, (0.5,) * 2)
    # More processors than parts: the same work in longer parts. A number that came before.
    assert (third.id, third.parts_s) == ("1.11", (45.0,) * 4)


def test_lines_that_make_no_job_are_told_with_their_number() -> None:
    left_out = LeftOut()
    assert len(list(read_swf(LOG.splitlines(), DeadlineRule(), left_out))) == 3
    assert list(left_out.told()) == [
        "1 line left out: never ran, or nobody knows how long (line 5)",
        "1 line left out: not 18 fields (line 6)",
        "1 line left out: a field is no number (line 7)",
        "1 line left out: arrives before the line above it (line 8)",
        "1 line left out: tells of one stretch of a job only (line 10)",
    ]


def test_a_drawn_factor_stays_within_its_spread_and_is_the_same_again() -> None:
    rule = DeadlineRule(factor=3.0, grace_s=0.0, spread=0.5, seed=7)
    drawn = [rule.deadline_s(str(job), 1.0) for job in range(200)]
    assert all(1.5 <= deadline_s <= 4.5 for deadline_s in drawn)
    assert max(drawn) - min(drawn) > 2.0
    assert drawn == [rule.deadline_s(str(job), 1.0) for job in range(200)]


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not here")
def test_a_published_log_is_read_whole() -> None:
    trace = open_trace(SHARED)
    jobs = list(trace.jobs())
    assert len(jobs) == 10_000
    assert not list(trace.left_out.told())
    fields = [line.split() for line in gzip.decompress(SHARED.read_bytes()).splitlines()[-10_000:]]
    work_s = sum(max(float(run), 0.5) * float(count) for _, _, _, run, count, *_ in fields)
    assert sum(sum(job.true_parts_s or ()) for job in jobs) == pytest.approx(work_s)
    assert [job.at for job in jobs] == [float(line[1]) for line in fields]
