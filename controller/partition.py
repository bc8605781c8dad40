"""One request, cut by every strategy: what each part is predicted to take, and what it takes.

Behind `slackwater partition`. Nothing is scheduled here: parts are read one after the other in this
process, and thrown away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.archive import open_archive
from controller.apps.argo.catalogue import BASE_UPDATE, Catalogue, profile_indexes
from controller.apps.argo.orders import ArchiveAddress
from controller.config.settings import ARGO_DOI
from controller.cutting import CuttingProcess
from controller.errors import ArchiveError
from partitioners.catalogue import Partitioners
from partitioners.comparison import Trial, tried
from partitioners.cutter import KnownLoad, cut_task
from planner.commands import CutTask
from planner.density import Density
from planner.durations import DEFAULT_COSTS
from planner.extent import Extent
from planner.model import Selection, UnitCosts, UpdateSpan, View

WHOLE = UpdateSpan(after=None, upto=BASE_UPDATE)
"""A first delivery: all that the archive holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is cut.

    Parameters
    ----------
    application : ArgoApplication
    view : View
    density : Density
        Where its files lie.
    parts : int
        Wanted.
    costs : UnitCosts
        What reading is believed to cost.
    """

    application: ArgoApplication
    view: View
    density: Density
    parts: int
    costs: UnitCosts = DEFAULT_COSTS


def opened(archive: str, folder: Path) -> ArgoApplication:
    """Return the application that reads an archive; reads its indexes.

    Parameters
    ----------
    archive : str
        Folder or fsspec URL.
    folder : Path
        Where fragments go.

    Raises
    ------
    ArchiveError
        There is no such archive, or its index cannot be read.
    """
    address = ArchiveAddress(url=archive)
    reached = open_archive(address)
    return ArgoApplication(
        dataset=ARGO_DOI,
        archive=address,
        fragments_url=str(folder),
        staging_url=str(folder),
        catalogue=Catalogue.load(reached, profile_indexes(reached)),
    )


def view_of(application: ArgoApplication, extent: Extent, options: dict[str, str]) -> View:
    """Return the view that a request means; no parameters means the application's own."""
    return application.view(
        extent.box, extent.period, extent.parameters, tuple(sorted(options.items()))
    )


def asked(
    application: ArgoApplication, view: View, parts: int, costs: UnitCosts = DEFAULT_COSTS
) -> Request:
    """Return a request with the load it means.

    Parameters
    ----------
    application : ArgoApplication
    view : View
    parts : int
        Wanted.
    costs : UnitCosts
        What reading is believed to cost.

    Raises
    ------
    ArchiveError
        It matches no file, so there is nothing to cut.
    """
    density = application.density(view, WHOLE)
    if not len(density):
        raise ArchiveError(
            "the request matches no profile of the archive",
            fix="Widen --bbox or --time, or ask for other --parameters",
        )
    return Request(application=application, view=view, density=density, parts=parts, costs=costs)


def cut_by(request: Request, strategies: Iterable[str]) -> list[Trial]:
    """Cut a request by each of these strategies; a plug-in is asked as the service would."""
    with CuttingProcess() as cutting:
        return [
            tried(
                name,
                cut_task(
                    _command(request, name),
                    [KnownLoad(density=request.density)],
                    Partitioners(),
                    cutting,
                ),
                request.costs,
                request.parts,
            )
            for name in strategies
        ]


def measured(request: Request, trial: Trial, begin: Callable[[], None]) -> Trial:
    """Really read each part of a cut, and return the trial with what that took.

    Parameters
    ----------
    request : Request
    trial : Trial
    begin : callable
        Is called before each part.
    """
    cpu_s, elapsed_s = [], []
    for number, part in enumerate(trial.parts):
        begin()
        with _fragment(request, part.extent, f"{trial.strategy}-{number}") as read:
            cpu, clock = time.process_time(), time.perf_counter()
            read()
            cpu_s.append(time.process_time() - cpu)
            elapsed_s.append(time.perf_counter() - clock)
    return replace(
        trial,
        measured=replace(trial.predicted, parts_s=tuple(cpu_s)),
        elapsed_s=tuple(elapsed_s),
    )


def warm_up(request: Request, trial: Trial) -> None:
    """Read one part unmeasured, so that the first one measured does not pay for imports."""
    with _fragment(request, trial.parts[0].extent, "warm-up") as read:
        read()


@contextmanager
def _fragment(request: Request, extent: Extent, stem: str) -> Iterator[Callable[[], object]]:
    """Yield what reads a part into a fragment, which is deleted at the end."""
    application = request.application
    order = application.part_order(request.view, extent, WHOLE, stem)
    try:
        yield lambda: application.extract(order)
    finally:
        Path(order.fragment_url).unlink(missing_ok=True)


def _command(request: Request, strategy: str) -> CutTask:
    """Return the command to cut a request into just so many parts, however short or long."""
    return CutTask(
        task_id="partition",
        subscription_id="partition",
        version=1,
        selections=(Selection(view=request.view, updates=WHOLE),),
        partitioner=strategy,
        parts_wanted=request.parts,
        part_s_min=0.0,
        part_s_max=math.inf,
        parts_max=request.parts,
        costs=(request.costs,),
    )
