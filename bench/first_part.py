"""From the decision to add a node to the first part that runs on it, step by step.

python -m bench.first_part [process] [openstack] [slurm]: has `slackwater serve` deliver once with
nodes of each provider, and tells where the time went, from its journal and its log. OpenStack and
Slurm are the tests' beds; the archive is the demo's, served by HTTP where nodes see no folder of
this machine.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from controller.demo.archive import make_archive
from planner.commands import ProvisionNode, RunPart
from planner.events import NodeReady, PartFinished
from planner.journal import Step, decode_step
from tests.controller.runs import PRODUCTS, WISHES
from tests.controller.served import Serving
from tests.controller.sources.servers import web_server
from tests.fleet.hosts import BRIDGE, SCRIPT, run
from tests.fleet.openstack import openstack, provider_section
from tests.fleet.slurm import slurm

PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How long each step of a node took [s]; None where its provider does not tell it.

    Parameters
    ----------
    create_s : float
        From the decision until the provider has taken the order.
    boot_s : float or None
        Until its machine runs and has an address.
    configure_s : float or None
        Until it is set up; of a provider without machines, until its process or job runs.
    join_s : float
        Until its workers have joined.
    first_s : float
        Until the first part is sent there.
    run_s : float
        That this part then took, with its way there and back.
    """

    node_id: str
    create_s: float
    boot_s: float | None
    configure_s: float | None
    join_s: float
    first_s: float
    run_s: float

    @property
    def total_s(self) -> float:
        """From the decision to the first part."""
        steps = (self.create_s, self.boot_s, self.configure_s, self.join_s, self.first_s)
        return sum(each for each in steps if each is not None)


def ways(steps: Sequence[Step], log: Iterable[str]) -> Iterator[Way]:
    """Yield what each node did on which a part has finished."""
    logged = logged_steps(log)
    for step in steps:
        for command in step.commands:
            if isinstance(command, ProvisionNode):
                way = way_of(command.node_id, step.event.at, steps, logged)
                if way is not None:
                    yield way


def way_of(
    node_id: str, decided_at: float, steps: Sequence[Step], logged: dict[tuple[str, str], float]
) -> Way | None:
    events = [step.event for step in steps]
    ready = (e.at for e in events if isinstance(e, NodeReady) and e.node_id == node_id)
    sent = (s.event.at for s in steps for c in s.commands if is_sent_to(c, node_id))
    done = (e.at for e in events if isinstance(e, PartFinished) and e.node_id == node_id)
    instants = [next(each, None) for each in (ready, sent, done)]
    if None in instants:
        return None
    ready_at, sent_at, done_at = (each for each in instants if each is not None)
    asked_at = logged["asked", node_id]
    runs_at = min(ready_at, logged.get(("runs", node_id), ready_at))  # A look may come later.
    up_at = logged.get(("up", node_id))
    return Way(
        node_id=node_id,
        create_s=asked_at - decided_at,
        boot_s=None if up_at is None else up_at - asked_at,
        configure_s=runs_at - (asked_at if up_at is None else up_at),
        join_s=ready_at - runs_at,
        first_s=sent_at - ready_at,
        run_s=done_at - sent_at,
    )


def is_sent_to(command: object, node_id: str) -> bool:
    return isinstance(command, RunPart) and command.node_id == node_id


def logged_steps(log: Iterable[str]) -> dict[tuple[str, str], float]:
    """Return when each step of each node was logged first [POSIX s]."""
    found: dict[tuple[str, str], float] = {}
    for line in log:
        told = json.loads(line) if line.startswith("{") else {}
        if told.get("logger") == "controller.nodes.steps":
            at = datetime.fromisoformat(told["at"]).timestamp()
            found.setdefault((told["what"], told["node"]), at)
    return found


@contextmanager
def on_process(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"nodes": {"local": {"slots": 2, "nodes_max": 1}}}


@contextmanager
def on_openstack(folder: Path) -> Iterator[dict[str, Any]]:
    with openstack():
        run(str(SCRIPT), "net")
        kind = {"slots": 2, "slots_max": 2, "nodes_max": 1, "boot_s": 60, "provider": "cloud"}
        yield {
            "engine": {"host": BRIDGE},
            "providers": {"cloud": provider_section(folder)},
            "nodes": {"vm": {**kind, "options": {"size": "m1.tiny", "image": "debian-fake"}}},
        }


@contextmanager
def on_slurm(folder: Path) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="slurm-") as place, slurm(Path(place)) as bed:
        shared = {"kind": "slurm", "folder": str(folder / "shared"), "conf": str(bed.conf)}
        kind = {"provider": "hpc", "slots": 2, "slots_max": 2, "nodes_max": 1}
        yield {
            "providers": {"hpc": {**shared, "poll_s": 1, "end_s_max": 10}},
            "nodes": {"job": {**kind, "options": {"time_limit_min": 10}}},
        }


PROVIDERS: dict[str, Callable[[Path], Any]] = {
    "process": on_process,
    "openstack": on_openstack,
    "slurm": on_slurm,
}


def measured(name: str, folder: Path) -> list[Way]:
    """Have a service deliver once with nodes of a provider."""
    archive = make_archive(folder / "archive", profiles=200, seed=7).folder
    with PROVIDERS[name](folder) as settings, archive_for(name, archive) as url:
        service = {"log_format": "json", "port": 0}
        served = Serving(folder=folder / "place", archive=url, wishes=WISHES)
        told = yaml.safe_dump({"service": service, **settings})
        (served.folder / "slackwater.yaml").write_text(told)
        try:
            served.start()
            served.until("all is delivered", lambda: served.delivered(len(PRODUCTS)), PATIENCE_S)
            served.stop(PATIENCE_S)
            with served.reading() as store:
                steps = [decode_step(line, n) for n, line in dict(store.lines(0)).items()]
            return list(ways(steps, served.log.read_text().splitlines()))
        finally:
            served.close()


@contextmanager
def archive_for(name: str, folder: Path) -> Iterator[Path | str]:
    """Serve the archive where nodes see no folder of this machine."""
    if name != "openstack":
        yield folder
        return
    with web_server(folder, BRIDGE) as (url, _):
        yield url


def main(names: Sequence[str]) -> int:
    """Measure, and print a line for each node."""
    for name in names or PROVIDERS:
        with tempfile.TemporaryDirectory(prefix="slackwater-first-") as folder:
            for way in measured(name, Path(folder)):
                print(json.dumps({"provider": name, **rounded(way)}), flush=True)
    return 0


def rounded(way: Way) -> dict[str, Any]:
    told = {**asdict(way), "total_s": way.total_s}
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in told.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
