"""The chapter's experiments, run one after the other, and their numbers as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import numpy as np

from controller.apps.request import iso_instant
from controller.build import BUILD
from controller.calibration.statistics import Correlation, pearson
from controller.cli.chapter_hundred import told_hundred
from controller.cli.pages import command_line
from controller.cli.scenarios import chosen_scenario
from controller.destinations import without_user
from planner.durations import DEFAULT_COSTS
from sim.chapter.costs import FileCosts, measured_costs
from sim.chapter.profiles import REQUEST, Profiles
from sim.chapter.scaling import DRAWS, FACTORS, THRESHOLDS, Hundred, hundred, runs_of
from sim.chapter.speed_up import SEEDS, VMS, Curve, Handing, curves
from sim.chapter.table_1 import DESIGNS, Requests, requests_of
from sim.chapter.tasks import drawn_tasks

REQUEST_PROFILES_MIN = 1000
"""Fewer cannot be shared among 32 parts so that the shares tell strategies apart."""

DESIGN_PROFILES_MIN = 100
"""A design of which the index lists fewer is left out of Table 1."""


SCENARIO = "chapter"
"""Of figures 7 to 9, in `sim/scenarios`."""

PARTS = 1
"""Of each of the hundred tasks: figures 7 to 9 count tasks, and nothing is said there of parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How much is run of figures 7 to 9 (see `sim.chapter.scaling.hundred`)."""

    draws: int = DRAWS
    thresholds: tuple[float, ...] = THRESHOLDS
    factors: tuple[float, ...] = FACTORS

    @property
    def runs(self) -> int:
        """How many runs that makes."""
        return runs_of(self.draws, self.thresholds, self.factors)


WHOLE = Sweep()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A column of Table 1: requests of one design, and how predicted time goes with each trait."""

    requests: Requests
    correlations: dict[str, Correlation | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """What the experiments came to.

    Parameters
    ----------
    archive : str
    seed : int
    profiles, floats : int
        Of the index.
    first_at, last_at : float
        First and last observation [POSIX s].
    request_profiles : int
        That the chapter's request matches.
    costs : FileCosts
    columns : tuple of Column
    curves : tuple of Curve
    hundred : Hundred
        The runs of figures 7 to 9.
    scenario_text : str
        As its file has it.
    """

    archive: str
    seed: int
    profiles: int
    floats: int
    first_at: float
    last_at: float
    request_profiles: int
    costs: FileCosts
    columns: tuple[Column, ...]
    curves: tuple[Curve, ...]
    hundred: Hundred
    scenario_text: str

    def about(self) -> dict[str, Any]:
        """Return what was read, for people."""
        return {
            "archive": self.archive,
            "profiles": self.profiles,
            "floats": self.floats,
            "first": iso_instant(self.first_at)[:10],
            "last": iso_instant(self.last_at)[:10],
            "seed": self.seed,
            "build": BUILD,
        }

    def result(self) -> dict[str, Any]:
        """Return all numbers, fit for JSON."""
        return {
            **self.about(),
            "command": command_line(),
            "prediction": asdict(DEFAULT_COSTS),
            "table_1": [_told_column(column) for column in self.columns],
            "speed_up": {
                "profiles": self.request_profiles,
                "bbox": str(REQUEST.box),
                "datetime": _interval(REQUEST.period.start_at, REQUEST.period.end_at),
                "vms": list(VMS),
                "draws": SEEDS,
                "part_s": self.costs.base_s,
                "file_cost_quantiles_s": self.costs.quantiles_s.tolist(),
                "lines": [_told_curve(curve) for curve in self.curves],
            },
            "scaling": told_hundred(self.hundred, self.scenario_text),
        }


def study_of(
    profiles: Profiles,
    *,
    seed: int,
    archive: str,
    tell: Callable[[str], None] = lambda what: None,
    sweep: Sweep = WHOLE,
) -> Study:
    """Run the experiments.

    Parameters
    ----------
    profiles : Profiles
        Of the index.
    seed : int
    archive : str
        Where the index lies.
    tell : callable
        Is told what begins.
    sweep : Sweep
        How much is run of figures 7 to 9.

    Raises
    ------
    TooFewProfiles
        The index lists too few profiles of the chapter's request.
    """
    inside = profiles.require(REQUEST, REQUEST_PROFILES_MIN, "the Mediterranean, 1999 to 2006")
    tell("drawing the requests of Table 1")
    columns = tuple(
        _column(requests_of(profiles, design, seed))
        for design in DESIGNS
        if len(profiles.within(design.extent)) >= DESIGN_PROFILES_MIN
    )
    tell("cutting the task of figures 5 and 6")
    costs = measured_costs()
    found = tuple(curves(inside, REQUEST, costs, range(seed, seed + SEEDS)))
    chosen = chosen_scenario(SCENARIO)
    runs = hundred(
        chosen.scenario,
        lambda of: drawn_tasks(inside, costs, of, PARTS),
        seed,
        draws=sweep.draws,
        thresholds=sweep.thresholds,
        factors=sweep.factors,
        done=_counted(sweep, tell),
    )
    return Study(
        archive=without_user(archive),
        seed=seed,
        profiles=len(profiles),
        floats=len(np.unique(profiles.float_number)),
        first_at=float(profiles.time_s[0]),
        last_at=float(profiles.time_s[-1]),
        request_profiles=len(inside),
        costs=costs,
        columns=columns,
        curves=found,
        hundred=runs,
        scenario_text=chosen.text,
    )


def _counted(sweep: Sweep, tell: Callable[[str], None]) -> Callable[[int], None]:
    """Return what counts runs of figures 7 to 9, and tells how many there have been."""
    ended = count(1)
    return lambda _: tell(f"figures 7 to 9: {next(ended)} of {sweep.runs} runs")


def _column(requests: Requests) -> Column:
    found = {name: pearson(values, requests.run_s) for name, values in requests.traits.items()}
    return Column(requests=requests, correlations=found)


def lines_of(found: Sequence[Curve], handing: Handing) -> dict[str, Curve]:
    """Return the lines under one way of handing out parts, by name."""
    return {curve.line.name: curve for curve in found if curve.handing is handing}


def _told_column(column: Column) -> dict[str, Any]:
    design = column.requests.design
    period, traits = design.extent.period, column.requests.traits
    return {
        "design": design.title,
        "bbox": str(design.extent.box),
        "datetime": _interval(period.start_at, period.end_at),
        "areas_vary": design.areas_vary,
        "requests": len(column.requests.run_s),
        "pearson": {name: found and asdict(found) for name, found in column.correlations.items()},
        "samples": {
            **{name.replace(" ", "_"): values.tolist() for name, values in traits.items()},
            "predicted_s": column.requests.run_s.tolist(),
        },
    }


def _told_curve(curve: Curve) -> dict[str, Any]:
    return {
        **asdict(curve.line),
        "handing": curve.handing,
        "speed_up": curve.means.tolist(),
        "speed_up_sd": curve.spreads.tolist(),
        "efficiency": curve.efficiencies.tolist(),
    }


def _interval(start_at: float | None, end_at: float | None) -> str:
    assert start_at is not None
    assert end_at is not None
    return f"{iso_instant(start_at)}/{iso_instant(end_at)}"
