"""Short makers of the planner's values, so that tests say only what they are about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from planner.commands import AnyCommand, CutTask, ProvisionNode, RunPart
from planner.core import Planner
from planner.events import (
    AnyEvent,
    NodeReady,
    OffersChanged,
    PartFinished,
    SubscriptionAdded,
    TaskCut,
    Ticked,
    UpdateArrived,
)
from planner.extent import Box, Extent, Period
from planner.model import (
    Features,
    Fragment,
    NodeOffer,
    Observations,
    PartSpec,
    Product,
    Subscription,
    UpdateSpan,
    View,
)
from planner.settings import PlannerSettings

ARGO = "10.17882/42182"
MEDITERRANEAN = Box(west=-6.0, south=30.0, east=36.5, north=46.0)
PACIFIC = Box(west=170.0, south=-10.0, east=-170.0, north=10.0)
OFFER = NodeOffer(node_type="local", slots=2, slots_max=2, boot_s=2.0, nodes_max=8)


def view(box: Box = MEDITERRANEAN) -> View:
    """Return a view of temperature and salinity in a box."""
    extent = Extent(box=box, period=Period(), parameters=("PSAL", "TEMP"))
    return View(dataset=ARGO, application="argo", extent=extent)


def subscription(
    name: str = "med",
    *,
    box: Box = MEDITERRANEAN,
    deadline_s: float | None = 60.0,
    backfill: bool = True,
    firm: bool = False,
    version: int = 1,
) -> Subscription:
    """Return a subscription, with a first delivery unless said otherwise."""
    return Subscription(
        id=name,
        version=version,
        views=(view(box),),
        destination=f"/products/{name}",
        deadline_s=deadline_s,
        backfill=backfill,
        firm=firm,
    )


def profiles(*places: tuple[float, float], time_s: float = 1.6e9) -> Observations:
    """Return core profiles at these places (longitude, latitude)."""
    return Observations(
        time_s=(time_s,) * len(places),
        longitude=tuple(longitude for longitude, _ in places),
        latitude=tuple(latitude for _, latitude in places),
        parameter_set=(0,) * len(places),
        parameter_sets=(("PRES", "PSAL", "TEMP"),),
    )


NOTHING = profiles()
IN_THE_MEDITERRANEAN = profiles((15.0, 38.0))


def archive_stands(at: float = 0.0) -> UpdateArrived:
    """Return the event by which a dataset's archive becomes known, at update 0."""
    return UpdateArrived(at=at, dataset=ARGO, number=0, observations=NOTHING)


def update(
    at: float, number: int, observations: Observations = IN_THE_MEDITERRANEAN
) -> UpdateArrived:
    """Return an update of the archive."""
    return UpdateArrived(at=at, dataset=ARGO, number=number, observations=observations)


def cut(task_id: str, at: float, *files: int, extent: Extent | None = None) -> TaskCut:
    """Return the answer to `CutTask`: one part for each count of files."""
    spec_extent = extent or view().extent
    specs = tuple(
        PartSpec(extent=spec_extent, features=Features(files=n, values=2 * n)) for n in files
    )
    return TaskCut(at=at, task_id=task_id, parts=specs, partitioner="balanced", version="1")


def fragment(name: str = "f") -> Fragment:
    """Return what an attempt left."""
    return Fragment(url=f"/fragments/{name}.npz", rows=10, size_bytes=1000, sha256="0" * 64)


def product(name: str = "p") -> Product:
    """Return a combined product."""
    return Product(
        url=f"/staging/{name}.nc", rows=10, size_bytes=1000, sha256="1" * 64, digest="2" * 64
    )


def finished(command: RunPart, at: float, run_s: float = 1.0) -> PartFinished:
    """Return the good end of an attempt."""
    return PartFinished(
        at=at,
        part_id=command.part_id,
        attempt=command.attempt,
        node_id=command.node_id,
        run_s=run_s,
        fragment=fragment(command.part_id),
    )


def opened(settings: PlannerSettings | None = None) -> Planner:
    """Return a planner that knows offers and an archive, and keeps one node while work waits."""
    settings = settings or PlannerSettings()
    scaling = replace(settings.scaling, policy="none")
    planner = Planner(replace(settings, scaling=scaling))
    feed(planner, OffersChanged(at=0.0, offers=(OFFER,)), archive_stands())
    return planner


def opened_task(planner: Planner, *files: int, at: float = 0.0, **wishes: Any) -> str:
    """Open a first delivery that has one part for each count of files; return the task's id."""
    added = SubscriptionAdded(at=at, subscription=subscription(**wishes))
    task_id = one(planner.handle(added), CutTask).task_id
    feed(planner, cut(task_id, at, *files))
    return task_id


def updates_of(command: CutTask) -> UpdateSpan:
    """Return the updates that a task of one dataset delivers."""
    (selection,) = command.selections
    return selection.updates


def node_up(planner: Planner, at: float = 0.0, ready_at: float = 2.0, workers: int = 2) -> str:
    """Tick, let the node that is asked for come up, and return its id."""
    node_id = one(planner.handle(Ticked(at=at)), ProvisionNode).node_id
    feed(planner, NodeReady(at=ready_at, node_id=node_id, workers=workers))
    return node_id


def feed(planner: Planner, *events: AnyEvent) -> list[AnyCommand]:
    """Handle events one by one and return all commands."""
    return [command for event in events for command in planner.handle(event)]


Kind = TypeVar("Kind", bound=AnyCommand)


def every(commands: list[AnyCommand], kind: type[Kind]) -> list[Kind]:
    """Return the commands of one kind."""
    return [command for command in commands if isinstance(command, kind)]


def one(commands: list[AnyCommand], kind: type[Kind]) -> Kind:
    """Return the only command of a kind."""
    (command,) = every(commands, kind)
    return command
