"""`slackwater compare`: one load under several policies, partitioners, orders and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from controller.children import end_with_parent, out_of_reach_of_ctrl_c
from controller.cli import Exit
from controller.cli.display import messages, print_json, results, table
from controller.cli.pages import refuse_unwritable
from controller.cli.scenarios import Chosen, UnknownScenario, chosen_scenario
from controller.cli.trials import listed, told, unknown
from controller.ownership import check_names
from sim.experiment import Experiment, Fault, Findings, Processes, Row, cores, run_all, trials_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What stands on the command line, as it was written."""

    scenario: str
    policies: str
    partitioners: str
    orders: str
    seeds: int
    cap: int | None
    archive: str | None
    jobs: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where results go."""

    out: Path | None
    html: Path | None
    as_json: bool


def run_comparison(asked: Asked, output: Output, *, fail_late: bool) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    try:
        chosen = chosen_scenario(asked.scenario, asked.archive)
    except UnknownScenario as fault:
        told([str(fault)])
        return Exit.USAGE
    if told(_unknown(asked)):
        return Exit.USAGE
    refuse_unwritable(output.out, output.html)
    found = _run(_experiment(asked, chosen), asked.jobs or cores())
    told([_line(fault) for fault in found.faults])
    if output.as_json:
        print_json({"rows": [asdict(row) for row in found.rows]})
    else:
        _show(found.rows)
    return _exit(found, fail_late=fail_late)


def _unknown(asked: Asked) -> list[str]:
    return [
        *unknown("policy", "--policies", listed(asked.policies)),
        *unknown("partitioner", "--partitioners", listed(asked.partitioners)),
        *unknown("order", "--orders", listed(asked.orders)),
    ]


def _experiment(asked: Asked, chosen: Chosen) -> Experiment:
    trials = trials_of(
        policies=listed(asked.policies),
        partitioners=listed(asked.partitioners),
        orders=listed(asked.orders),
        seeds=range(1, asked.seeds + 1),
        cap=asked.cap,
    )
    return Experiment(
        scenario=chosen.scenario,
        trials=trials,
        source=chosen.source,
        open_load=chosen.open_load,
    )


def _run(experiment: Experiment, jobs: int) -> Findings:
    processes = Processes(jobs=jobs, starting=out_of_reach_of_ctrl_c, begin=end_with_parent)
    with _progress() as bar:
        task = bar.add_task("", total=len(experiment.trials))
        return run_all(experiment, processes, lambda: bar.advance(task))


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar on a terminal while runs are made; it is gone afterwards."""
    console = messages()
    bar = Progress(
        TextColumn("simulating"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield bar


def _line(fault: Fault) -> str:
    return f"{fault.what} (again: {fault.again})"


def _exit(found: Findings, *, fail_late: bool) -> Exit:
    if found.faults:
        return Exit.FAILED
    late = any(row.on_time < row.due for row in found.rows)
    return Exit.LATE if fail_late and late else Exit.OK


def _show(rows: Sequence[Row]) -> None:
    columns = ("=Policy", ">Seed", ">Hits", ">Cost", ">Nodes")
    cells = [
        (row.policy, f"{row.seed}", f"{row.hit_rate:.1%}", f"{row.cost:.4g}", f"{row.peak_nodes}")
        for row in rows
    ]
    results().print(table("", columns, cells))
