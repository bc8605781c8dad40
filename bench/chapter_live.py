"""The chapter's experiment of section 4.2, live: a hundred Argo tasks, VMs of a real OpenStack.

python -m bench.chapter_live [--out OUT] [--deadline S] [--boot S] [--seed N] [POLICY ...]: draws a
hundred subscriptions of the real subset with one deadline, and has `slackwater run` serve them once
under each policy, on at most 8 servers of 2 workers. OUT gets the journal and the log of each, and
`results.json`. Each journal is replayed exactly. The cloud is the tests' bed (`tests.fleet`), so
that no server costs anything.

What makes a server a unit of capacity is a *declared read latency*: each file that a worker reads
is waited for so long, as if the archive was far away. It is such that one worker ends 22 tasks in
time, as in the chapter. Thresholds are the corner of the simulated surface that the chapter
describes, for these tasks and the boot that is given: no task late, and the fewest workers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from controller.apps.request import iso_instant
from controller.cli.chapter import profiles_of
from controller.cli.replay import opened
from controller.cli.scenarios import chosen_scenario
from planner.durations import DEFAULT_COSTS
from planner.extent import Box, Extent, Period
from planner.journal import replay
from planner.scaling.catalogue import Policies
from sim.chapter.profiles import PARAMETERS, Profiles
from sim.chapter.replayed import Replayed
from sim.chapter.scaling import DYNAMIC, IN_TIME, UNJUDGED_S, Played, surface
from sim.chapter.tasks import TASKS, Piece, Task, ranked
from sim.metrics import Outcome
from sim.scenario import Scenario
from tests.controller.apps.argo.index_files import unpacked_subset
from tests.controller.runs import COMMAND, without_ours
from tests.fleet.hosts import BRIDGE, SCRIPT, run
from tests.fleet.openstack import openstack, provider_section

POLICIES = ("none", "static", "dynamic", "prefix")
DATASET = "argo"

SIDES_DEG, SPAN_D = (1.0, 120.0), (5.0, 9000.0)
"""Sides of the boxes [degrees] and lengths of the windows [days] that are drawn, each factor of two
as often as another: so areas and ranges differ much, and large ones hold more."""

FILES_MAX = 100
"""Of a task: the longest of a hundred must end well within the deadline."""

WALL_S_MAX = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    Parameters
    ----------
    tasks : list of Task
        The most important first.
    deadline_s : float
        Of all [s].
    boot_s : float
        Expected of a server, from decision to workers [s].
    latency_s : float
        Declared for each file [s].
    threshold_s, factor_s : float
        Of ``static`` and ``dynamic`` [s].
    """

    tasks: list[Task]
    deadline_s: float
    boot_s: float
    latency_s: float
    threshold_s: float
    factor_s: float


def drawn(profiles: Profiles, seed: int) -> list[Extent]:
    """Return a hundred extents, each around some profile."""
    rng = np.random.default_rng(seed)
    found: list[Extent] = []
    while len(found) < TASKS:
        at = int(rng.integers(len(profiles)))
        wide, high = (even_in_octaves(rng, *SIDES_DEG) for _ in range(2))
        span_s = even_in_octaves(rng, *SPAN_D) * 86400.0
        share = float(rng.random())
        west, south = profiles.longitude[at] - wide / 2, profiles.latitude[at] - high / 2
        start_at = round(float(profiles.time_s[at]) - share * span_s)
        extent = Extent(
            box=Box(
                west=round(float(max(-180.0, west)), 3),
                south=round(float(max(-89.0, south)), 3),
                east=round(float(min(179.0, west + wide)), 3),
                north=round(float(min(89.0, south + high)), 3),
            ),
            period=Period(start_at=start_at, end_at=start_at + round(span_s)),
            parameters=PARAMETERS,
        )
        if 0 < len(profiles.within(extent)) <= FILES_MAX:
            found.append(extent)
    return found


def even_in_octaves(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def planned(profiles: Profiles, given: argparse.Namespace) -> Plan:
    """Draw the tasks, fit the latency, and choose the thresholds by simulation."""
    deadline_s, boot_s = given.deadline, given.boot
    scenario = fitted_scenario(deadline_s, boot_s)
    weights = scenario.planner_settings().weights
    files = [(each, len(profiles.within(each))) for each in drawn(profiles, given.seed)]
    bare = ranked([task_of(n, *each, 1.0) for n, each in enumerate(files)], weights)
    counts = [task.files for task in bare]
    latency_s = (deadline_s - boot_s) / (sum(counts[:IN_TIME]) + 0.5 * counts[IN_TIME])
    tasks = [replace(task, pieces=(lasting(task, latency_s),)) for task in bare]
    threshold_s, factor_s = given.threshold, given.factor
    if threshold_s is None or factor_s is None:
        chosen = choose(list(surface(scenario, tasks, DYNAMIC)))
        threshold_s, factor_s = chosen.threshold_s, chosen.factor_s
    return Plan(
        tasks=tasks,
        deadline_s=deadline_s,
        boot_s=boot_s,
        latency_s=round(max(0.0, latency_s - DEFAULT_COSTS.file_s), 4),
        threshold_s=round(threshold_s),
        factor_s=round(factor_s),
    )


def fitted_scenario(deadline_s: float, boot_s: float) -> Scenario:
    """Return the scenario of the chapter with this deadline and this boot."""
    scenario = chosen_scenario("chapter").scenario
    load = scenario.load.model_copy(update={"deadline_s": (deadline_s, deadline_s)})
    fleet = tuple(each.model_copy(update={"boot_s": boot_s}) for each in scenario.fleet)
    return scenario.model_copy(update={"load": load, "fleet": fleet})


def task_of(number: int, extent: Extent, files: int, file_s: float) -> Task:
    piece = Piece(extent=extent, files=files, predicted_s=files * file_s, true_s=files * file_s)
    return Task(id=f"t{number:02}", extent=extent, pieces=(piece,))


def lasting(task: Task, file_s: float) -> Piece:
    return task_of(0, task.extent, task.files, file_s).pieces[0]


def choose(runs: Sequence[Played]) -> Played:
    """Return the run with the fewest workers among those with no task late."""
    met = [run for run in runs if not run.misses] or list(runs)
    return min(met, key=lambda run: (run.misses, run.outcome.peak_workers, run.vm_h))


def wishes_of(plan: Plan) -> str:
    """Return the subscriptions file."""
    subscriptions = [
        {
            "id": task.id,
            "dataset": DATASET,
            "bbox": str(task.extent.box),
            "time": "/".join(
                iso_instant(at)
                for at in (task.extent.period.start_at, task.extent.period.end_at)
                if at is not None
            ),
            "parameters": ["TEMP", "PSAL"],
            "deadline": f"PT{plan.deadline_s:.0f}S",
        }
        for task in sorted(plan.tasks, key=lambda task: task.id)
    ]
    return yaml.safe_dump({"subscriptions": subscriptions})


def settings_of(plan: Plan, policy: str, cloud: dict[str, Any]) -> str:
    """Return slackwater.yaml: that of the scenario, on servers."""
    scaling = {
        "policy": policy,
        "nodes_min": 1,
        "nodes_max": 8,
        "threshold_s": plan.threshold_s,
        "factor_s": plan.factor_s,
        # The chapter lets no task give way; under `none` that is all the difference.
        "judge_interval_s": UNJUDGED_S if policy == "none" else 0.0,
    }
    vm = {
        "provider": "cloud",
        "slots": 1,
        "slots_max": 2,
        "nodes_max": 8,
        "boot_s": plan.boot_s,
        "price_per_h": 0.1,
        "shared_reads_mb": 0,  # Each task reads all of its files: its length is what it is to be.
        "options": {"size": "m1.tiny", "image": "debian-fake"},
    }
    told = {
        "archive": {"read_latency_s": plan.latency_s},
        "engine": {"host": BRIDGE},
        "planner": {
            "cutting": {"parts_max": 1},
            "dispatch": {"order": "importance"},
            "scaling": scaling,
        },
        "providers": {"cloud": cloud},
        "nodes": {"vm": vm},
    }
    return yaml.safe_dump(told)


def served(plan: Plan, policy: str, out: Path, archive: str, cloud: dict[str, Any]) -> Path:
    """Serve the tasks once; return the journal."""
    journal, config = out / f"{policy}.jsonl", out / f"{policy}.yaml"
    config.write_text(settings_of(plan, policy, cloud))
    command = [str(COMMAND), "run", "--archive", archive, "--config", str(config)]
    command += ["--subscriptions", str(out / "subscriptions.yaml"), "--journal", str(journal)]
    with (out / f"{policy}.log").open("wb") as log:
        done = subprocess.run(
            [*command, "--out", str(out / "products" / policy)],
            env={**without_ours(), "COLUMNS": "200"},
            stdout=log,
            stderr=log,
            timeout=WALL_S_MAX,
            check=False,
        )
    if done.returncode not in (0, 3):  # 3: a deadline was missed, which is a result.
        sys.exit(f"{policy}: slackwater run exited with {done.returncode}, see {log.name}")
    return journal


def replayed_of(journal: Path, policy: str) -> Outcome:
    """Replay a journal exactly, and return what the run came to."""
    with opened(journal) as (header, steps):
        replayed = Replayed(header.settings)
        count, difference = replay(header, steps, Policies(), watch=replayed.see)
    if difference is not None:
        sys.exit(f"{journal}: step {difference.step} is decided otherwise in a replay")
    print(f"{policy}: {count} steps replayed, each with the commands of the record", flush=True)
    return replayed.outcome


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, with listings: `slackwater run` looks there for the index."""

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def archive_at(folder: Path) -> Iterator[str]:
    """Serve the real subset to the bed's servers."""
    run(str(SCRIPT), "net")
    with ThreadingHTTPServer((BRIDGE, 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{BRIDGE}:{server.server_port}"
        server.shutdown()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(prog="python -m bench.chapter_live")
    parser.add_argument("--out", type=Path, default=Path("build", "chapter-live"))
    parser.add_argument("--deadline", type=float, default=300.0, help="of all tasks [s]")
    parser.add_argument("--boot", type=float, default=60.0, help="expected of a server [s]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threshold", type=float, help="[s]; by default chosen by simulation")
    parser.add_argument("--factor", type=float, help="[s]; the same")
    parser.add_argument("--pool", default="10.77.0.100-10.77.0.180", help="the servers' addresses")
    parser.add_argument("policies", nargs="*", default=POLICIES)
    given = parser.parse_args(arguments)
    out = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    subset = unpacked_subset(out / "gdac")
    plan = planned(profiles_of(str(subset)), given)
    with openstack(), archive_at(subset) as url:
        cloud = {**provider_section(out), "subnet_pool": given.pool}
        (out / "subscriptions.yaml").write_text(wishes_of(plan))
        print(told(plan), flush=True)
        results: dict[str, Any] = {}
        for policy in given.policies or POLICIES:
            journal = served(plan, policy, out, url, cloud)
            results[policy] = asdict(replayed_of(journal, policy))
            print(json.dumps({policy: results[policy]}), flush=True)
            (out / "results.json").write_text(json.dumps(results, indent=1))
    return 0


def told(plan: Plan) -> str:
    """Tell what is run."""
    files = [task.files for task in plan.tasks]
    return (
        f"{len(files)} tasks of {min(files)} to {max(files)} files, {sum(files)} in all, deadline"
        f" {plan.deadline_s:.0f} s, latency {plan.latency_s} s a file, threshold"
        f" {plan.threshold_s:.0f} s, factor {plan.factor_s:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
