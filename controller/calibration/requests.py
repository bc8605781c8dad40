"""Draws the requests that a calibration reads: in two designs, spread over strata.

*Boxes*: random places, windows and parameters, from narrow to wide. *Area*: one area and windows of
all lengths and ends, as the chapter had it. Each design answers another question: what makes two
requests differ, and what makes two windows of the same request differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from controller.apps.argo.catalogue import BASE_UPDATE, Catalogue
from controller.apps.argo.rows import CORE_PARAMETERS, Kind
from controller.errors import ArchiveError
from planner.density import Density
from planner.extent import Box, Extent, Floats, Period, wrap_longitude
from planner.model import Features, UpdateSpan

BASE = UpdateSpan(after=None, upto=BASE_UPDATE)

FILES_MAX = 300
"""Most files of one box: a second of reading, so that a calibration ends soon on any archive."""
AREA_FILES_MIN, AREA_FILES_MAX = 40, 1_200
"""Files of the one area: its windows hold a third of them on average. Few floats come and go, so a
small area has years without any, and a window's length says little of what it holds."""
AREA_SHARE, OTHER_KIND_SHARE = 0.25, 1.0 / 3.0
"""Of the requests, how many are windows of the one area; of the boxes, how many are of files other
than core files, where an archive has both."""
CANDIDATES = 8
"""Drawn for each request that is chosen from them."""
DRAWS_MAX = 60
"""Tries for each request wanted: most boxes of the ocean hold nothing, or too much."""
AREAS_TRIED = 40
STRATA, STRATA_OF_FILES = 4, 8
WIDTH_DEG_MIN, WINDOW_S_MIN = 1.0, 5 * 86400.0
AREA_JITTER = 0.1
"""Edges of the one area vary by so much of its width: without, its size would explain nothing."""


class Design(StrEnum):
    """How requests were drawn."""

    BOXES = "boxes"
    AREA = "area"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request and what the index says of it; its period is closed."""

    design: Design
    kind: Kind
    extent: Extent
    features: Features

    @property
    def coverage_d(self) -> float:
        """Its time range [days]."""
        return self.extent.period.span_s / 86400.0

    @property
    def end_at(self) -> float:
        """Where its time range ends [POSIX s]."""
        assert self.extent.period.end_at is not None
        return self.extent.period.end_at


def draw_requests(
    catalogue: Catalogue,
    count: int,
    seed: int,
    *,
    files_max: int = FILES_MAX,
    area_share: float = AREA_SHARE,
) -> list[Request]:
    """Return requests of both designs and of all kinds of files, in no order that means anything.

    Parameters
    ----------
    catalogue : Catalogue
    count : int
        How many; fewer where the archive does not hold so many different ones.
    seed : int
        The same seed draws the same requests of the same archive.
    files_max : int
        Most files of one box.
    area_share : float
        How many are windows of one area.

    Raises
    ------
    ArchiveError
        The archive lists no profile with a time and a place.
    """
    rng = np.random.default_rng(seed)
    fields = _fields(catalogue)
    if not fields:
        raise ArchiveError(
            "the archive lists no profile with a time and a place",
            fix="There is nothing to measure: look at the index",
        )
    of_area = round(count * area_share)
    others = round((count - of_area) * OTHER_KIND_SHARE / max(1, len(fields) - 1))
    found: list[Request] = []
    for field in fields[1:]:
        found += _boxes(field, others, rng, files_max)
    found += _boxes(fields[0], count - of_area - len(found), rng, files_max)
    return found + _windows(fields[0], of_area, rng)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Field:
    """All files of one kind: where they lie, and what may be asked of them."""

    catalogue: Catalogue
    kind: Kind
    density: Density
    parameters: tuple[str, ...]

    @property
    def start_at(self) -> float:
        return float(self.density.time_s[0])

    @property
    def span_s(self) -> float:
        return max(WINDOW_S_MIN, float(self.density.time_s[-1]) - self.start_at)

    def files(self, extent: Extent) -> int:
        return self.catalogue.count(extent, BASE, self.kind)

    def request(self, design: Design, extent: Extent) -> Request:
        features = self.catalogue.density(extent, BASE, self.kind).features(extent)
        return Request(design=design, kind=self.kind, extent=extent, features=features)


def _fields(catalogue: Catalogue) -> list[_Field]:
    """Return the kinds that the archive has: core files or else the most first, no bio beside."""
    kinds = set(catalogue.kinds)
    if Kind.SYNTHETIC in kinds:
        # They hold what bio files hold, and views are read from them.
        kinds -= {Kind.BIO}
    fields = []
    for kind in sorted(kinds):
        density = catalogue.density(Extent(), BASE, kind)
        if len(density):
            parameters = _parameters(catalogue, kind)
            fields.append(
                _Field(catalogue=catalogue, kind=kind, density=density, parameters=parameters)
            )
    return sorted(fields, key=lambda field: (field.kind is not Kind.CORE, -len(field.density)))


def _parameters(catalogue: Catalogue, kind: Kind) -> tuple[str, ...]:
    if kind is Kind.CORE:
        return CORE_PARAMETERS
    held = {name for names in catalogue.current(kind).parameter_sets for name in names}
    return tuple(sorted(held))


def _boxes(field: _Field, count: int, rng: np.random.Generator, files_max: int) -> list[Request]:
    drawn = _drawn(field, rng, files_max, DRAWS_MAX * count)
    extents = list(islice(drawn, CANDIDATES * count))
    candidates = [field.request(Design.BOXES, extent) for extent in extents]
    return [candidates[place] for place in chosen(_strata(candidates), count)]


def _drawn(field: _Field, rng: np.random.Generator, files_max: int, tries: int) -> Iterator[Extent]:
    for _ in range(tries):
        extent = Extent(
            box=_box_around(field.density, rng),
            period=_period_around(field, rng),
            parameters=_some(field.parameters, rng),
        )
        if 1 <= field.files(extent) <= files_max:
            yield extent


def _box_around(density: Density, rng: np.random.Generator) -> Box:
    """Return a box about a random profile, of any size from a degree to the globe alike."""
    place = int(rng.integers(len(density)))
    width, height = _log_uniform(rng, WIDTH_DEG_MIN, 360.0), _log_uniform(rng, WIDTH_DEG_MIN, 180.0)
    return _box(float(density.longitude[place]), float(density.latitude[place]), width, height)


def _box(longitude: float, latitude: float, width: float, height: float) -> Box:
    south, north = max(-90.0, latitude - height / 2), min(90.0, latitude + height / 2)
    if width >= 359.0:
        return Box(west=-180.0, south=south, east=180.0, north=north)
    west, east = wrap_longitude(longitude - width / 2), wrap_longitude(longitude + width / 2)
    return Box(west=west, south=south, east=east, north=north)


def _period_around(field: _Field, rng: np.random.Generator) -> Period:
    span_s = _log_uniform(rng, WINDOW_S_MIN, 1.05 * field.span_s)
    middle = float(field.density.time_s[int(rng.integers(len(field.density)))])
    start_at = middle - span_s * float(rng.random())
    first, last = field.start_at, field.start_at + field.span_s
    return Period(
        start_at=max(first, start_at), end_at=max(first, min(last, start_at + span_s)) + 1
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.random())


def _some(names: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    count = int(rng.integers(1, len(names) + 1))
    return tuple(sorted(rng.choice(names, count, replace=False).tolist()))


def _strata(candidates: Sequence[Request]) -> NDArray[np.intp]:
    """Return for each candidate the stratum of its files, coverage, end, area and parameters."""
    if not candidates:
        return np.empty((0, 5), np.intp)
    files = np.log([request.features.files for request in candidates])
    by_size = np.floor(files / max(float(files.max()), 1e-9) * (STRATA_OF_FILES - 1e-9))
    others = (
        [request.coverage_d for request in candidates],
        [request.end_at for request in candidates],
        [request.extent.box.area_km2 for request in candidates],
        [len(request.extent.parameters) for request in candidates],
    )
    columns = [by_size.astype(np.intp), *(_quarters(np.array(column)) for column in others)]
    return np.stack(columns, axis=1)


def _quarters(values: Floats) -> NDArray[np.intp]:
    edges = np.quantile(values, np.arange(1, STRATA) / STRATA)
    return np.searchsorted(edges, values, side="right")


def chosen(strata: NDArray[np.intp], count: int) -> list[int]:
    """Return the places of candidates that together fill all strata alike.

    Parameters
    ----------
    strata : array of shape (candidates, dimensions)
    count : int

    Notes
    -----
    One after the other, each time the candidate whose strata were used least so far; of equals the
    first. Each dimension is filled evenly, not their product, which no sample could fill.
    """
    taken: list[int] = []
    used = np.zeros((strata.shape[1], int(strata.max(initial=0)) + 1))
    free = np.ones(len(strata), np.bool_)
    dimensions = np.arange(strata.shape[1])
    for _ in range(min(count, len(strata))):
        crowding = used[dimensions, strata].sum(axis=1)
        place = int(np.argmin(np.where(free, crowding, math.inf)))
        taken.append(place)
        free[place] = False
        used[dimensions, strata[place]] += 1
    return taken


def _windows(field: _Field, count: int, rng: np.random.Generator) -> list[Request]:
    """Return windows of one area; none where no area holds enough files."""
    area = _area(field, rng)
    if area is None:
        return []
    inside = field.catalogue.density(Extent(box=area), BASE, field.kind)
    first, last = float(inside.time_s[0]), float(inside.time_s[-1]) + 1.0
    drawn = (
        Extent(
            box=_jittered(area, rng),
            period=_period_within(first, last, rng),
            parameters=_some(field.parameters, rng),
        )
        for _ in range(DRAWS_MAX * count)
    )
    held = (extent for extent in drawn if field.files(extent))
    candidates = [field.request(Design.AREA, e) for e in islice(held, CANDIDATES * count)]
    # Not by files: these would no longer be windows of all lengths alike, as the chapter's were.
    return [candidates[place] for place in chosen(_strata(candidates)[:, 1:], count)]


def _period_within(first: float, last: float, rng: np.random.Generator) -> Period:
    start_at, end_at = np.sort(rng.uniform(first, last, 2)).tolist()
    return Period(start_at=start_at, end_at=end_at + 1.0)


def _area(field: _Field, rng: np.random.Generator) -> Box | None:
    """Return the box whose files are spread most evenly over the archive's time.

    Of those that were tried: around random profiles, each as wide as `AREA_FILES_MAX` allows.
    """
    best, best_score = None, (0, 0)
    edges = np.linspace(field.start_at, field.start_at + field.span_s, 11)
    for _ in range(AREAS_TRIED):
        place = int(rng.integers(len(field.density)))
        box = _widest(field, place, AREA_FILES_MAX)
        time_s = field.catalogue.density(Extent(box=box), BASE, field.kind).time_s
        filled = int((np.histogram(time_s, edges)[0] > 0).sum())
        score = (filled, len(time_s))
        if AREA_FILES_MIN <= len(time_s) <= AREA_FILES_MAX and score > best_score:
            best, best_score = box, score
    return best


def _widest(field: _Field, place: int, files_max: int) -> Box:
    """Return the widest box around a mass that holds at most so many files, to a few per cent."""
    longitude = float(field.density.longitude[place])
    latitude = float(field.density.latitude[place])
    low, high = 0.01, 360.0
    while high / low > 1.02:
        width = math.sqrt(low * high)
        box = _box(longitude, latitude, width, width / 2)
        low, high = (width, high) if field.files(Extent(box=box)) <= files_max else (low, width)
    return _box(longitude, latitude, low, low / 2)


def _jittered(area: Box, rng: np.random.Generator) -> Box:
    """Return the area with each edge moved inward by up to a tenth of its width."""
    west, south, east, north = rng.uniform(0.0, AREA_JITTER, 4)
    width, height = area.width_deg, area.north - area.south
    return Box(
        west=wrap_longitude(area.west + west * width),
        south=area.south + south * height,
        east=wrap_longitude(area.east - east * width),
        north=area.north - north * height,
    )
