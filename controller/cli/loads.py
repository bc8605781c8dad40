"""Loads that come from files: archives' indexes as plain columns, and traces of all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from math import log
from pathlib import Path
from statistics import median, pstdev

import numpy as np

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import INDEX_ENDINGS, open_archive
from controller.apps.argo.catalogue import profile_indexes, read
from controller.apps.argo.index import rows_by_kind
from controller.apps.argo.orders import ArchiveAddress
from controller.apps.argo.rows import (
    TICKS_PER_DEGREE,
    Int64s,
    Kind,
    Rows,
    float_keys,
    no_rows,
    recode,
    stems,
)
from controller.config.settings import ARGO_DOI
from controller.delivery import DELIVERIES_MAX
from controller.errors import ArchiveError
from partitioners.catalogue import Partitioners
from planner.extent import Floats, Period
from planner.model import NodeOffer
from sim.scenario import Archived, Scenario, TraceFile
from sim.simulator import OpenLoad, open_load
from sim.traces.archive import Archive, Wanted, generate
from sim.traces.deadlines import DeadlineRule
from sim.traces.journal import TraceLoad
from sim.traces.opening import NATIVE, kind_of, open_trace, outside
from sim.traces.record import Told
from sim.workload import Load

COMBINING_MAX = 1
"""Products that a live service combines at the same time."""

BOOTS_MIN = 5
"""So many boots tell how much they scatter."""


def archive_columns(url: str) -> Archive:
    """Read an archive's index as the columns that arrivals are made of.

    Parameters
    ----------
    url : str
        Folder or fsspec URL of an archive, whose indexes are those that the GDAC knows; or of one
        index file, wherever it lies.

    Returns
    -------
    Archive
        Of its core profiles, with what their synthetic files hold beside.

    Raises
    ------
    ArchiveError
        There is no archive or no index, or it cannot be read.
    """
    folder, _, name = url.rpartition("/")
    is_index = name.endswith(INDEX_ENDINGS)
    archive = open_archive(ArchiveAddress(url=(folder or ".") if is_index else url))
    names = (name,) if is_index else profile_indexes(archive)
    tables = rows_by_kind([read(archive, name) for name in names])
    rows = tables.get(Kind.CORE, no_rows())
    rows = rows.taken(rows.located)
    parameter_set, parameter_sets = _held(rows, tables.get(Kind.SYNTHETIC, no_rows()))
    return Archive(
        time_s=rows.time_s.astype(np.float64),
        longitude=rows.longitude_ticks / TICKS_PER_DEGREE,
        latitude=rows.latitude_ticks / TICKS_PER_DEGREE,
        updated_s=_seconds(rows.date_update),
        float_key=float_keys(rows.profile),
        parameter_set=parameter_set,
        parameter_sets=parameter_sets,
        dataset=ARGO_DOI,
        application=ArgoApplication.name,
    )


def opener_of(scenario: Scenario, folder: Path, archive: str | None) -> OpenLoad:
    """Return what opens the load of a scenario, in this process or in another.

    Parameters
    ----------
    scenario : Scenario
    folder : Path
        That the path of a trace counts from.
    archive : str or None
        Folder or URL of the archive whose arrivals are played.

    Raises
    ------
    ArchiveError
        The scenario plays an archive's arrivals, and none is given.
    """
    match scenario.load:
        case Archived():
            if archive is None:
                raise ArchiveError(
                    f"scenario {scenario.name} plays the arrivals of an archive, and none is given",
                    fix="Give one: --archive DIR",
                )
            return partial(_archived, archive)
        case TraceFile():
            return partial(_traced, str(folder))
    return open_load


def _archived(url: str, scenario: Scenario, seed: int) -> Load:
    load = scenario.load
    assert isinstance(load, Archived)
    archive = _columns_once(url)
    wanted = Wanted(
        period=period_of(load.year, load.days),
        subscriptions=load.subscriptions,
        seed=seed,
        deadline_s=load.deadline_s,
        reprocessed=load.reprocessed,
    )
    return TraceLoad(lambda: outside(generate(archive, wanted)), Partitioners())


def _traced(folder: str, scenario: Scenario, seed: int) -> Load:
    load = scenario.load
    assert isinstance(load, TraceFile)
    rule = DeadlineRule(factor=load.deadline_factor, grace_s=load.deadline_grace_s, seed=seed)
    path = Path(folder) / load.path
    return open_trace(path, rule, Partitioners(), load.jobs_max).load


_columns_once = lru_cache(1)(archive_columns)
"""Read once in a process: a comparison plays the same archive again and again."""


def scenario_of_trace(path: Path) -> Scenario:
    """Return a world to play a trace in: as the trace tells of its own, where it does.

    A record tells its settings, the nodes that were offered, and how long they took to boot and
    products to combine and deliver; of these the medians are taken.
    """
    load = TraceFile(kind="trace", path=path.name)
    if kind_of(path) != NATIVE:
        return Scenario(name=path.name, load=load)
    trace = open_trace(path, partitioners=Partitioners())
    assert trace.header is not None
    assert isinstance(trace.load, TraceLoad)
    told = trace.load.told
    world: dict[str, object] = {"settings": asdict(trace.header.settings)}
    if trace.offers:
        world["fleet"] = [_node_type(each, told.boots_s) for each in trace.offers[0].offers]
    if storage := _storage(told):
        world["storage"] = storage
    return Scenario.model_validate({"name": path.name, "load": load.model_dump(), **world})


def _node_type(offer: NodeOffer, boots_s: Mapping[str, Sequence[float]]) -> dict[str, object]:
    kind: dict[str, object] = {
        "name": offer.node_type,
        "slots": offer.slots,
        "slots_max": offer.slots_max,
        "speed": offer.speed,
        "price_per_h": offer.price_per_h,
        "quantum_s": offer.quantum_s,
        "boot_s": offer.boot_s,
        "nodes_max": max(1, offer.nodes_max),
    }
    seen_s = [boot_s for boot_s in boots_s.get(offer.node_type, ()) if boot_s > 0]
    if seen_s:
        kind["boot_s"] = median(seen_s)
    if len(seen_s) >= BOOTS_MIN:
        kind["boot_sigma"] = pstdev(map(log, seen_s))
    return kind


def _storage(told: Told) -> dict[str, object]:
    combined_s = [task.combine_s for task in told.tasks.values() if task.combine_s is not None]
    delivered_s = [task.deliver_s for task in told.tasks.values() if task.deliver_s is not None]
    if not (combined_s and delivered_s):
        return {}
    # Moving bytes is in what was measured, so it takes no further time.
    return {
        "tier": "memory",
        "combine_s": median(combined_s),
        "deliver_s": median(delivered_s),
        "combining_max": COMBINING_MAX,
        "deliveries_max": DELIVERIES_MAX,
    }


def period_of(year: int, days: int = 366) -> Period:
    """Return a year, or so many days of it from its start."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    end = min(start + timedelta(days=days), datetime(year + 1, 1, 1, tzinfo=UTC))
    return Period(start_at=start.timestamp(), end_at=end.timestamp())


def _held(core: Rows, synthetic: Rows) -> tuple[Int64s, tuple[tuple[str, ...], ...]]:
    """Return what each core profile holds, or its synthetic file where it has one."""
    sets = (*core.parameter_sets, *synthetic.parameter_sets)
    held = core.parameter_set.astype(np.int64)
    order = np.argsort(stems(synthetic.profile))
    known, wanted = stems(synthetic.profile)[order], stems(core.profile)
    place = np.searchsorted(known, wanted).clip(max=max(0, len(known) - 1))
    found = known[place] == wanted if len(known) else np.zeros(len(core), np.bool_)
    held[found] = len(core.parameter_sets) + synthetic.parameter_set[order[place[found]]]
    distinct = tuple(dict.fromkeys(sets))
    return recode(held, sets, distinct), distinct


def _seconds(stamps: Int64s) -> Floats:
    """Return instants [POSIX s] of numbers YYYYMMDDHHMMSS, NaN of 0."""
    days, clock = np.divmod(stamps, 1_000_000)
    months, day = np.divmod(days, 100)
    year, month = np.divmod(np.where(stamps > 0, months, 197001), 100)
    midnight = (12 * (year - 1970) + month - 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    minutes, second = np.divmod(clock, 100)
    hour, minute = np.divmod(minutes, 100)
    seconds = (midnight + day - 1) * 86400 + hour * 3600 + minute * 60 + second
    return np.where(stamps > 0, seconds.astype(np.float64), np.nan)
