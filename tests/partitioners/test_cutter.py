"""Cutting a task: how many parts, at what price, nothing lost, and linear where a plug-in fails."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioners.catalogue import BUILT_IN, Partitioners
from partitioners.cutter import Cut, KnownLoad, Share, count_parts, cut_task
from partitioners.linear import Linear
from partitioners.protocol import CutRequest, Partitioner, PartitionerFailed
from planner.commands import CutTask
from planner.density import Density
from planner.events import TaskCut
from planner.extent import GLOBE, Box, Extent, Period
from planner.model import Features, Selection, UnitCosts, UpdateSpan, View
from tests.planner.drawing import densities, extents

PER_FILE = UnitCosts(base_s=0.2, file_s=1.0, megabyte_s=0.0, value_s=0.0)
PARTS_MAX = 4096
DECADE = Extent(period=Period(start_at=0.0, end_at=1000.0))


def cut_command(
    extent: Extent = DECADE,
    *,
    partitioner: str = "balanced",
    parts_wanted: int = 4,
    part_s_min: float = 10.0,
    part_s_max: float = 1000.0,
    after: int | None = None,
) -> CutTask:
    return CutTask(
        task_id="t-1",
        subscription_id="med",
        version=1,
        selections=(
            Selection(
                view=View(dataset="10.17882/42182", application="argo", extent=extent),
                updates=UpdateSpan(after=after, upto=1),
            ),
        ),
        partitioner=partitioner,
        parts_wanted=parts_wanted,
        parts_max=PARTS_MAX,
        part_s_min=part_s_min,
        part_s_max=part_s_max,
        costs=(PER_FILE,),
    )


def counted(command: CutTask, density: Density | None) -> int:
    share = Share(wanted=command.parts_wanted, parts_max=command.parts_max)
    return count_parts(command, 0, density, share)


def even_load(
    masses: int, *, files: float = 1.0, start: float = 0.0, end: float = 1000.0
) -> Density:
    """Return masses at even steps of time, all at one place."""
    return Density(
        time_s=np.linspace(start, end, masses, endpoint=False),
        longitude=np.zeros(masses),
        latitude=np.zeros(masses),
        files=np.full(masses, files),
        size_bytes=np.full(masses, 1000.0),
    )


@pytest.mark.parametrize(
    ("files", "parts", "why"),
    [
        (0, 1, "a task that reads nothing is one part"),
        (9, 1, "half of it is not worth a part"),
        (29, 2, "three parts would be too short"),
        (500, 4, "as many as wanted"),
        (4000, 4, "as many as wanted, each just short enough"),
        (4001, 5, "four would be too long"),
        (10_000_000, PARTS_MAX, "bounded, whatever the length"),
    ],
)
def test_parts_are_neither_too_short_nor_too_long(files: int, parts: int, why: str) -> None:
    density = even_load(1, files=float(files))
    assert counted(cut_command(), density) == parts, why


def test_a_task_of_unknown_size_gets_the_parts_wanted() -> None:
    assert counted(cut_command(parts_wanted=7), None) == 7
    cut = cut_task(cut_command(parts_wanted=7), [KnownLoad()], BUILT_IN)
    assert len(cut.parts) == 7
    assert {part.features for part in cut.parts} == {Features()}


def test_no_shortest_part_means_no_bound() -> None:
    assert counted(cut_command(part_s_min=0.0), even_load(2)) == 4


def test_parts_carry_what_they_read() -> None:
    cut = cut_task(cut_command(), [KnownLoad(density=even_load(100))], BUILT_IN)
    each = Features(files=25, size_bytes=25_000, values=25)
    assert [part.features for part in cut.parts] == [each] * 4
    assert (cut.partitioner, cut.version, cut.fallback) == ("balanced", "1", "")


def test_a_cut_becomes_its_event() -> None:
    cut = cut_task(cut_command(), [KnownLoad(density=even_load(100))], BUILT_IN)
    assert isinstance(cut, Cut)
    assert cut.event(at=5.0) == TaskCut(
        at=5.0, task_id="t-1", parts=cut.parts, partitioner="balanced", version="1", fallback=""
    )


def test_parts_that_hold_no_file_are_left_out() -> None:
    late = even_load(100, start=600.0)
    cut = cut_task(cut_command(partitioner="linear"), [KnownLoad(density=late)], BUILT_IN)
    assert [part.extent.period.start_at for part in cut.parts] == [500.0, 750.0]
    assert sum(part.features.files for part in cut.parts) == 100


def test_where_masses_stand_for_files_around_them_no_part_is_left_out() -> None:
    gathered = even_load(10, start=600.0, files=10.0)
    cut = cut_task(cut_command(partitioner="linear"), [KnownLoad(density=gathered)], BUILT_IN)
    assert [part.features.files for part in cut.parts] == [0, 0, 40, 60]


def test_a_task_without_files_is_one_part() -> None:
    elsewhere = Extent(box=Box(west=90.0, south=0.0, east=91.0, north=1.0), period=DECADE.period)
    cut = cut_task(cut_command(elsewhere), [KnownLoad(density=even_load(100))], BUILT_IN)
    assert [(part.extent, part.features) for part in cut.parts] == [(elsewhere, Features())]


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_open_period_is_cut_where_the_data_lie_and_stays_open(name: str) -> None:
    command = cut_command(Extent(), partitioner=name)
    cut = cut_task(
        command,
        [KnownLoad(density=even_load(100, start=600.0), period=Period(start_at=0.0, end_at=1.0))],
        BUILT_IN,
    )
    periods = [part.extent.period for part in cut.parts]
    assert len(periods) == 4
    assert (periods[0].start_at, periods[-1].end_at) == (None, None)
    assert all(600.0 < (period.start_at or 601.0) < 1000.0 for period in periods)


def test_an_open_period_without_a_load_map_is_cut_over_the_period_of_the_data() -> None:
    data = Period(start_at=0.0, end_at=400.0)
    cut = cut_task(cut_command(Extent(), partitioner="linear"), [KnownLoad(period=data)], BUILT_IN)
    cuts = [part.extent.period.end_at for part in cut.parts]
    assert cuts == [100.0, 200.0, 300.0, None]


@pytest.mark.parametrize("data", [None, Period(start_at=0.0, end_at=400.0)])
def test_what_no_data_can_close_is_one_part(data: Period | None) -> None:
    future = Extent(period=Period(start_at=500.0))
    cut = cut_task(cut_command(future, partitioner="linear"), [KnownLoad(period=data)], BUILT_IN)
    assert [part.extent for part in cut.parts] == [future]


@given(
    extent=extents,
    density=densities(),
    name=st.sampled_from(list(BUILT_IN)),
    parts_wanted=st.integers(1, 9),
)
def test_every_file_of_the_task_is_in_one_part(
    extent: Extent, density: Density, name: str, parts_wanted: int
) -> None:
    command = cut_command(extent, partitioner=name, parts_wanted=parts_wanted, part_s_min=1.0)
    cut = cut_task(command, [KnownLoad(density=density)], BUILT_IN)
    inside = extent.contains(density.time_s, density.longitude, density.latitude)
    held = sum(
        part.extent.contains(density.time_s, density.longitude, density.latitude).astype(int)
        for part in cut.parts
    )
    assert np.array_equal(held, inside.astype(int))
    assert sum(part.features.files for part in cut.parts) == inside.sum()
    assert 1 <= len(cut.parts) <= parts_wanted
    assert cut.fallback == ""


def test_updates_that_hold_nothing_are_no_part_and_a_first_delivery_is_one() -> None:
    nothing = [KnownLoad(density=even_load(0))]
    assert cut_task(cut_command(after=0), nothing, BUILT_IN).parts == ()
    assert len(cut_task(cut_command(after=None), nothing, BUILT_IN).parts) == 1
    unknown = cut_task(cut_command(after=0), [KnownLoad()], BUILT_IN)
    assert len(unknown.parts) == 4


def test_datasets_share_the_parts_by_their_work() -> None:
    one = cut_command(parts_wanted=10, part_s_min=0.0)
    (selection,) = one.selections
    command = replace(one, selections=(selection, selection), costs=(PER_FILE, PER_FILE))
    loads = [KnownLoad(density=even_load(800)), KnownLoad(density=even_load(200))]
    cut = cut_task(command, loads, BUILT_IN)
    assert [part.selection for part in cut.parts] == [0] * 8 + [1] * 2
    assert {part.features.files for part in cut.parts} == {100}
    loads[1] = KnownLoad()
    assert [p.selection for p in cut_task(command, loads, BUILT_IN).parts] == [0] * 5 + [1] * 5


def test_parts_max_is_for_all_datasets_of_a_task_together() -> None:
    command = cut_command(part_s_min=0.0, part_s_max=1.0)
    command = replace(
        command, selections=command.selections * 3, costs=(PER_FILE,) * 3, parts_max=10
    )
    loads = [KnownLoad(density=even_load(masses)) for masses in (100, 300, 1000)]
    assert len(cut_task(command, loads, BUILT_IN).parts) <= 10
    assert len(cut_task(replace(command, parts_wanted=10), loads, BUILT_IN).parts) <= 10


@dataclass(frozen=True)
class Halving:
    """A plug-in that cuts the globe, whatever it was asked to cut."""

    name: str = "halving"
    version: str = "0.3"

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        return tuple(replace(extent, box=box) for box in GLOBE.cut_latitude([0.0]))


def refusing(partitioner: Partitioner, request: CutRequest) -> tuple[Extent, ...]:
    raise PartitionerFailed(f"took longer than 30 s for {request.n} pieces")


def test_a_lawful_plugin_is_used() -> None:
    cut = cut_task(cut_command(partitioner="halving"), [KnownLoad()], {"halving": Halving()})
    assert [part.extent.box.north for part in cut.parts] == [0.0, 90.0]
    assert (cut.partitioner, cut.version, cut.fallback) == ("halving", "0.3", "")


def test_a_plugin_that_breaks_a_law_is_named_and_the_task_cut_linearly() -> None:
    europe = Extent(box=Box(west=-6.0, south=30.0, east=36.5, north=46.0), period=DECADE.period)
    command = cut_command(europe, partitioner="halving")
    cut = cut_task(command, [KnownLoad()], {"halving": Halving()})
    assert tuple(part.extent for part in cut.parts) == Linear().cut(europe, None, PER_FILE, 4)
    assert (cut.partitioner, cut.version) == ("linear", "1")
    assert cut.fallback == "partitioner 'halving': piece 0 leaves the extent"


def test_a_plugin_that_gives_no_answer_is_named_and_the_task_cut_linearly() -> None:
    command = cut_command(partitioner="halving")
    cut = cut_task(command, [KnownLoad()], {"halving": Halving()}, run=refusing)
    assert len(cut.parts) == 4
    assert cut.partitioner == "linear"
    assert cut.fallback == "partitioner 'halving': took longer than 30 s for 4 pieces"


@pytest.mark.parametrize("partitioners", [{}, Partitioners()])
def test_an_unknown_partitioner_is_named_and_the_task_cut_linearly(
    partitioners: dict[str, Partitioner],
) -> None:
    cut = cut_task(cut_command(partitioner="guillotine"), [KnownLoad()], partitioners)
    assert len(cut.parts) == 4
    assert cut.partitioner == "linear"
    assert "guillotine" in cut.fallback


def test_a_task_of_one_part_asks_no_partitioner() -> None:
    command = cut_command(partitioner="halving", parts_wanted=1)
    cut = cut_task(command, [KnownLoad()], {"halving": Halving()}, run=refusing)
    assert [part.extent for part in cut.parts] == [DECADE]
    assert cut.fallback == ""
