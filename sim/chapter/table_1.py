"""The requests of the chapter's Table 1, and the time that each is predicted to take.

The chapter measured 550 requests. Here their times are those that the planner would predict from
what the index says will be read; `slackwater calibrate` measures them, on an archive with files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from planner.durations import DEFAULT_COSTS
from planner.extent import GLOBE, Box, Extent, Floats, Period, wrap_longitude
from planner.model import Features, UnitCosts
from sim.chapter.profiles import (
    GLOBE_TO_2024,
    MEDITERRANEAN,
    PARAMETERS,
    REQUEST,
    Profiles,
    years,
)

REQUESTS = 550
"""As many as the chapter measured."""

PROFILES_MAX = 100_000
"""Where areas vary each request is counted by a scan; beyond this many, one profile stands for
several: correlations stay the same to the third decimal."""

SIDE_DEG_MIN = 5.0
"""Least width and height of a varied area [degrees]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Which requests are drawn.

    Parameters
    ----------
    title : str
    extent : Extent
        Windows of any length lie inside its period.
    areas_vary : bool
        Boxes of any size inside its own, in place of that one.
    """

    title: str
    extent: Extent
    areas_vary: bool = False


DESIGNS = (
    Design(title="globe 1999-2024", extent=GLOBE_TO_2024),
    Design(title="Mediterr. 1999-2024", extent=Extent(box=MEDITERRANEAN, period=years(1999, 2024))),
    Design(title="Mediterr. 1999-2007", extent=REQUEST),
    Design(title="boxes 1999-2024", extent=GLOBE_TO_2024, areas_vary=True),
)
"""One area over all of Argo's years, which has the shape of the chapter's table; the chapter's own
sea, over all years and over its own; and areas that vary as in real subscriptions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requests:
    """Requests of one design; all columns are of shape (n,).

    Parameters
    ----------
    design : Design
    coverage_d : array
        Length of the time window [days].
    end_at : array
        Its end [POSIX s].
    area_km2 : array
    parameters : array
        Parameters asked for [count].
    files : array
        Profiles that it matches [count].
    run_s : array
        Predicted execution time [reference s].
    """

    design: Design
    coverage_d: Floats
    end_at: Floats
    area_km2: Floats
    parameters: Floats
    files: Floats
    run_s: Floats

    @property
    def traits(self) -> dict[str, Floats]:
        """Return what execution time is compared with; the first four are the chapter's."""
        return {
            "time coverage": self.coverage_d,
            "end date": self.end_at,
            "area": self.area_km2,
            "parameters": self.parameters,
            "matched files": self.files,
        }


def requests_of(
    profiles: Profiles,
    design: Design,
    seed: int,
    *,
    count: int = REQUESTS,
    costs: UnitCosts = DEFAULT_COSTS,
) -> Requests:
    """Return requests drawn at random, with the time each is predicted to take.

    Parameters
    ----------
    profiles : Profiles
    design : Design
    seed : int
    count : int
    costs : UnitCosts
    """
    rng = np.random.default_rng(seed)
    inside = profiles.within(design.extent)
    windows = _windows(design.extent.period, count, rng)
    boxes = _boxes(inside, count, rng) if design.areas_vary else [design.extent.box] * count
    wanted = rng.integers(1, len(PARAMETERS) + 1, count)
    files = _counted(inside, windows, boxes if design.areas_vary else None)
    return Requests(
        design=design,
        coverage_d=(windows[:, 1] - windows[:, 0]) / 86400.0,
        end_at=windows[:, 1],
        area_km2=np.array([box.area_km2 for box in boxes]),
        parameters=wanted.astype(np.float64),
        files=files,
        run_s=np.array(list(_run_s(files, wanted.tolist(), costs))),
    )


def _windows(period: Period, count: int, rng: np.random.Generator) -> Floats:
    """Return starts and ends [POSIX s]: from any instant to any later one, shape (count, 2)."""
    assert period.start_at is not None
    assert period.end_at is not None
    return np.sort(rng.uniform(period.start_at, period.end_at, (count, 2)), axis=1)


def _boxes(inside: Profiles, count: int, rng: np.random.Generator) -> list[Box]:
    """Return boxes about random profiles, of any size from a few degrees to the globe alike."""
    places = rng.integers(len(inside), size=count)
    widths, heights = (
        SIDE_DEG_MIN * (most / SIDE_DEG_MIN) ** rng.random(count) for most in (360.0, 180.0)
    )
    at = zip(inside.longitude[places], inside.latitude[places], widths, heights, strict=True)
    return [_box(*map(float, place)) for place in at]


def _box(longitude: float, latitude: float, width: float, height: float) -> Box:
    south, north = max(-90.0, latitude - height / 2), min(90.0, latitude + height / 2)
    west, east = wrap_longitude(longitude - width / 2), wrap_longitude(longitude + width / 2)
    if width >= 359.0:
        west, east = GLOBE.west, GLOBE.east
    return Box(west=west, south=south, east=east, north=north)


def _counted(inside: Profiles, windows: Floats, boxes: Sequence[Box] | None) -> Floats:
    """Return how many profiles lie in each window, and in its box where boxes are given."""
    if boxes is None:
        ends = np.searchsorted(inside.time_s, windows)
        return (ends[:, 1] - ends[:, 0]).astype(np.float64)
    thin, stands_for = inside.thinned(PROFILES_MAX)
    ends = np.searchsorted(thin.time_s, windows).tolist()
    held = (
        boxes[number].contains(thin.longitude[first:end], thin.latitude[first:end]).sum()
        for number, (first, end) in enumerate(ends)
    )
    return np.round(np.array([float(each) for each in held]) * stands_for)


def _run_s(files: Floats, wanted: Sequence[int], costs: UnitCosts) -> Iterator[float]:
    for matched, parameters in zip(files.tolist(), wanted, strict=True):
        yield costs.seconds(Features(files=int(matched), values=int(matched) * parameters))
