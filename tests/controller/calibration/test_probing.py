"""A dataset without an index is sampled: in virtual time, by parts that cost what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.apps.command.application import CommandApplication, CommandDataset
from controller.apps.command.orders import ExtractOrder, Form, Join, Tool
from controller.calibration.probing import ROUND_S_MAX, SHARE_FIRST, SHARE_MAX, Sampling, sample
from controller.calibration.record import keep, read
from controller.history import Histories, Sampled
from controller.ports import Dataset
from controller.sources.unlisted import UnlistedSource
from partitioners.catalogue import BUILT_IN
from partitioners.cutter import KnownLoad, cut_task
from planner.commands import CutTask
from planner.density import Density
from planner.extent import Extent
from planner.model import Fragment, Selection, UnitCosts, UpdateSpan
from tests.partitioners.unindexed import EUROPE, Unindexed

BASE_S = 0.05
FIRST = UpdateSpan(after=None, upto=0)


@dataclass
class Slow:
    """Parts that take time by what they hold, on a clock that stands still otherwise.

    `unrest` is by how much readings differ [s], whatever they read.
    """

    folder: Path
    hidden: Unindexed = field(default_factory=Unindexed)
    base_s: float = BASE_S
    unrest: float = 0.0
    now_s: float = 0.0
    reads: int = 0
    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(4))

    def dataset(self) -> Dataset:
        application = CommandApplication(
            dataset=CommandDataset(
                identifier="sky",
                archive=str(self.folder / "data"),
                period=EUROPE.period,
                parameters=("mag",),
                tool=Tool(command=("true",)),
                form=Form(join=Join.LINES, ending=".csv"),
            ),
            fragments_url=str(self.folder),
            staging_url=str(self.folder),
        )
        application.extract = self.extract
        return Dataset(
            alias="sky",
            identifier="sky",
            archive=str(self.folder / "data"),
            read_latency_s=0.0,
            application=application,
            source=UnlistedSource("sky"),
        )

    def extract(self, order: ExtractOrder) -> Fragment:
        assert list(self.folder.iterdir()) == []
        assert order.extent.parameters == ("mag",)
        self.reads += 1
        self.now_s += self.base_s + self.hidden.read_s(order.extent)
        self.now_s += float(self.chance.exponential(self.unrest)) if self.unrest else 0.0
        Path(order.fragment_url).write_bytes(b"")
        return Fragment(url=order.fragment_url, rows=0, size_bytes=0, sha256="")

    def sampled(self, strata: int, **more: Any) -> Sampling:
        return sample(
            self.dataset(), EUROPE, strata, folder=self.folder, clock=lambda: self.now_s, **more
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fragments").mkdir()
    return tmp_path / "fragments"


def first_cut(slow: Slow, found: Sampling | None, partitioner: str) -> float:
    """Return the largest part of the first task over the mean, with and without a sample."""
    view = slow.dataset().application.view(EUROPE.box, EUROPE.period, (), ())
    costs = UnitCosts(base_s=BASE_S, file_s=0.0, megabyte_s=0.0, value_s=0.0)
    density: Density | None = None
    if found is not None:
        costs = found.calibration.costs
        density = Histories(
            [
                Sampled(
                    dataset="sky",
                    application="command",
                    base_s=costs.base_s,
                    observations=found.calibration.history,
                )
            ]
        ).density(view, FIRST)
        assert density is not None
    command = CutTask(
        task_id="t1",
        subscription_id="all",
        version=1,
        selections=(Selection(view=view, updates=FIRST),),
        partitioner=partitioner,
        parts_wanted=16,
        parts_max=100,
        part_s_min=0.5,
        part_s_max=300.0,
        costs=(costs,),
    )
    cut = cut_task(command, [KnownLoad(density=density, period=EUROPE.period)], BUILT_IN)
    assert len(cut.parts) == 16
    if found is not None:
        predicted_s = sum(costs.seconds(part.features) for part in cut.parts)
        taken_s = sum(BASE_S + slow.hidden.read_s(part.extent) for part in cut.parts)
        assert predicted_s == pytest.approx(taken_s, rel=0.3)
    return slow.hidden.imbalance(tuple(part.extent for part in cut.parts))


@pytest.mark.parametrize("partitioner", ["balanced", "bisecting"])
def test_the_first_task_is_cut_in_balance_after_a_sample(folder: Path, partitioner: str) -> None:
    slow = Slow(folder)
    found = slow.sampled(120)
    assert found.base_s == pytest.approx(BASE_S)
    assert found.trust > 0.99
    assert found.readings == slow.reads
    assert first_cut(slow, None, partitioner) > 2.5
    assert first_cut(slow, found, partitioner) < 1.4


def test_what_is_kept_is_found_again_as_it_was(folder: Path, tmp_path: Path) -> None:
    found = Slow(folder).sampled(30)
    keep(found.calibration, tmp_path / "c.json")
    assert read(tmp_path / "c.json") == found.calibration
    assert len(found.calibration.history) == 30


def test_the_longest_history_can_be_read(folder: Path, tmp_path: Path) -> None:
    found = Slow(folder).sampled(30).calibration
    longest = replace(found, history=tuple(found.history[i % 30] for i in range(4096)))
    keep(longest, tmp_path / "c.json")
    assert len(read(tmp_path / "c.json").history) == 4096


def test_strata_that_differ_by_chance_only_are_held_to_be_alike(folder: Path) -> None:
    nothing = Unindexed(record_s=0.0)
    found = Slow(folder, hidden=nothing, unrest=0.3).sampled(60)
    costs_s = [seen.cost_s for seen in found.calibration.history]
    assert found.trust < 0.75
    # Scaled up, each reading's chance alone would be worth 1.9 s.
    assert np.std(costs_s) < 1.0
    calm = Slow(folder, hidden=nothing).sampled(60)
    assert calm.trust == 0.0
    assert calm.work_s == pytest.approx(0.0, abs=1e-9)


def test_a_machine_that_is_not_at_rest_does_not_spoil_the_cut(folder: Path) -> None:
    slow = Slow(folder, unrest=0.02)
    assert first_cut(slow, slow.sampled(120), "balanced") < 1.5


def test_probes_grow_only_while_that_is_cheap(folder: Path) -> None:
    dear = Slow(folder, hidden=Unindexed(record_s=5.0))
    found = dear.sampled(60)
    assert found.share == SHARE_FIRST
    full_s = dear.hidden.read_s(EUROPE)
    assert dear.now_s < 0.02 * full_s
    assert Slow(folder, Unindexed(record_s=0.002)).sampled(60).share == SHARE_MAX
    assert full_s > ROUND_S_MAX


def test_checks_were_not_learned_from_and_are_told(folder: Path) -> None:
    found = Slow(folder).sampled(120)
    probed = {probe.extent for *pair, _ in found.probes for probe in pair}
    assert len(found.checks) == found.calibration.accuracy.requests == 12
    assert not probed & {check.extent for check in found.checks}
    assert found.calibration.accuracy.r2 > 0.6
    assert found.calibration.common_error < 0.5


def test_the_order_of_reading_is_the_seeds(folder: Path) -> None:
    def order_of(seed: int) -> list[Extent]:
        slow, asked = Slow(folder), []
        read_one = slow.extract

        def noted(order: ExtractOrder) -> Fragment:
            asked.append(order.extent)
            return read_one(order)

        slow.extract = noted  # type: ignore[method-assign]
        slow.sampled(20, seed=seed)
        return asked

    assert order_of(1) == order_of(1) != order_of(2)
