"""`slackwater compare`: one load under several policies, partitioners, orders and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from controller.children import end_with_parent, out_of_reach_of_ctrl_c
from controller.cli import Exit
from controller.cli.display import Column, fitting, messages, print_json, results, slack
from controller.cli.pages import refuse_unwritable, write
from controller.cli.run_tables import fault_of, write_rows
from controller.cli.scenarios import Chosen, UnknownScenario, chosen_scenario, misused_archive
from controller.cli.trials import listed, told, unknown
from controller.errors import ArchiveError
from controller.ownership import check_names
from sim.experiment import Experiment, Findings, Processes, cores, run_all, trials_of
from sim.summary import Choice, Spread, summary_of, verdict


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
    except (UnknownScenario, ArchiveError) as fault:
        told([str(fault)])
        return Exit.USAGE
    if told([*misused_archive(chosen, asked.archive), *_faults(asked, output)]):
        return Exit.USAGE
    refuse_unwritable(output.out, output.html)
    experiment = _experiment(asked, chosen, sketched=output.html is not None)
    found = _run(experiment, asked.jobs or cores())
    told([f"{fault.what} (again: {fault.again})" for fault in found.faults])
    choices = summary_of(found.rows)
    if output.out is not None:
        write_rows(output.out, found.rows)
    if output.html is not None and found.rows:
        from controller.cli.compare_page import page_of  # noqa: PLC0415 - draws with matplotlib

        write(output.html, page_of(found, choices, chosen))
    if output.as_json:
        print_json(as_data(found, choices))
    else:
        _show(choices)
    return _exit(found, fail_late=fail_late)


def as_data(found: Findings, choices: Sequence[Choice]) -> dict[str, object]:
    """Return what came of a comparison, as JSON holds it."""
    return {
        "rows": [asdict(row) for row in found.rows],
        "summary": [asdict(choice) for choice in choices],
        "verdict": verdict(choices),
        "failed": [
            {"seed": fault.trial.seed, "what": fault.what, "again": fault.again}
            for fault in found.faults
        ],
    }


def _faults(asked: Asked, output: Output) -> list[str]:
    """Return all that is wrong with the command line."""
    ending = fault_of(output.out)
    varied = any(map(listed, (asked.policies, asked.partitioners, asked.orders)))
    empty = [] if varied else ["name what to compare, as --policies prefix,none"]
    return [
        *empty,
        *unknown("policy", "--policies", listed(asked.policies)),
        *unknown("partitioner", "--partitioners", listed(asked.partitioners)),
        *unknown("order", "--orders", listed(asked.orders)),
        *([ending] if ending else []),
    ]


def _experiment(asked: Asked, chosen: Chosen, *, sketched: bool) -> Experiment:
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
        sketched=sketched,
    )


def _run(experiment: Experiment, jobs: int) -> Findings:
    processes = Processes(jobs=jobs, starting=out_of_reach_of_ctrl_c, begin=end_with_parent)
    with _progress() as bar:
        task = bar.add_task("", total=len(experiment.trials))
        return run_all(
            experiment,
            processes,
            lambda done, known: bar.update(task, completed=done, total=known),
        )


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar on a terminal while runs are made; it is gone afterwards."""
    console = messages()
    bar = Progress(
        TextColumn("simulating"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("runs and bounds"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield bar


def _exit(found: Findings, *, fail_late: bool) -> Exit:
    if found.faults:
        return Exit.FAILED
    late = any(row.on_time < row.due for row in found.rows)
    return Exit.LATE if fail_late and late else Exit.OK


# --- on a terminal


def spread(value: Spread | None, form: str = ".2f") -> str:
    """Return a mean with how far it went over the seeds, where it went anywhere."""
    if value is None:
        return "-"
    mean, least, most = (format(one, form) for one in (value.mean, value.least, value.most))
    return mean if least == most else f"{mean} ({least}-{most})"


_COLUMNS: tuple[Column[Choice], ...] = (
    ("=Policy", 0, lambda c: c.policy),
    ("=Partitioner", 0, lambda c: c.partitioner),
    ("=Order", 0, lambda c: c.order),
    (">Hits", 0, lambda c: percent(c.hit_rate.mean)),
    (">Hits at most", 1, lambda c: "-" if c.hits_bound is None else percent(c.hits_bound.mean)),
    (">Regret", 0, lambda c: spread(c.regret)),
    (">Cost", 0, lambda c: f"{c.cost.mean:.4g}"),
    (">Cost / first", 1, lambda c: spread(c.over_best)),
    (">Nodes", 4, lambda c: f"{c.peak_nodes:,}"),
    (">Idle", 3, lambda c: percent(c.idle_fraction)),
    (">Boot", 3, lambda c: percent(c.boot_fraction)),
    (">Worst slack", 2, lambda c: slack(c.worst_slack_s)),
)
"""Columns of the table, how readily each is dropped where there is no room, and its cells."""


def percent(share: float) -> str:
    """Return a share in percent; what is not all never reads as 100 %."""
    return f"{100 * (share if share >= 1.0 else min(share, 0.999)):.1f} %"


def _show(choices: Sequence[Choice]) -> None:
    console = results()
    if choices:
        columns = [one for one in _COLUMNS if not _says_nothing(one[0], choices)]
        console.print(fitting("", columns, choices, console.width))
    console.print(verdict(choices), highlight=False, soft_wrap=True)


def _says_nothing(head: str, choices: Sequence[Choice]) -> bool:
    """Return whether a column tells the same of every choice, or that all can be met."""
    if head == ">Hits at most":
        return all(choice.hits_bound is None or choice.hits_bound.mean >= 1.0 for choice in choices)
    if head == "=Partitioner":
        return len({choice.partitioner for choice in choices}) == 1
    return head == "=Order" and len({choice.order for choice in choices}) == 1
