"""A small archive and a scenario to play it in."""

from __future__ import annotations

import numpy as np

from planner.extent import Floats, Period
from sim.scenario import Scenario
from sim.traces.archive import YEAR_S, Archive, Wanted

NEW_YEAR = 1672531200.0
"""2023-01-01 [POSIX s]."""

SETS = (("PRES", "PSAL", "TEMP"), ("DOXY", "PRES", "PSAL", "TEMP"))


def an_archive(*, told: bool, floats: int = 40, cycles: int = 150) -> Archive:
    """Return floats that profile every ten days until mid-January 2023, all over the seas.

    Where updates are told, each float's profiles of more than a year ago were reprocessed at one
    instant in January, and newer ones came two hours after they were measured.
    """
    luck = np.random.default_rng(1)
    number = np.repeat(np.arange(floats), cycles)
    age_s: Floats = np.tile(np.arange(cycles, dtype=np.float64), floats) * 864000.0
    time_s: Floats = NEW_YEAR + 15 * 86400.0 - age_s
    phase_s = luck.uniform(0.0, 864000.0, floats)
    time_s = np.round(time_s + phase_s[number])
    visit_s = NEW_YEAR + luck.uniform(0.0, 30 * 86400.0, floats)[number]
    updated_s = np.where(time_s < NEW_YEAR - YEAR_S, visit_s, time_s + 7200.0)
    return Archive(
        time_s=time_s,
        longitude=luck.uniform(-180.0, 180.0, floats)[number] + luck.uniform(-1, 1, len(number)),
        latitude=luck.uniform(-70.0, 70.0, floats)[number] + luck.uniform(-1, 1, len(number)),
        updated_s=updated_s if told else np.full(len(number), np.nan),
        float_key=number,
        parameter_set=number % 2,
        parameter_sets=SETS,
        dataset="10.17882/42182",
        application="argo",
    )


def a_month(**changes: object) -> Wanted:
    """Return what is wanted of January 2023, changed as told."""
    plain = {
        "period": Period(start_at=NEW_YEAR, end_at=NEW_YEAR + 31 * 86400.0),
        "subscriptions": 12,
        "seed": 3,
        "file_s": 1.0,
    }
    return Wanted(**{**plain, **changes})  # type: ignore[arg-type]


def a_scenario(**changes: object) -> Scenario:
    """Return a world in which a load that is given is played."""
    load = {"kind": "archive", "year": 2023}
    return Scenario.model_validate({"name": "given", "load": load, **changes})
