"""`slackwater simulate`: one load, played once in virtual time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from controller.cli import Exit
from controller.cli.compare import percent
from controller.cli.display import messages, print_json, results, slack, span, table
from controller.cli.pages import refuse_unwritable, write
from controller.cli.scenarios import UnknownScenario, chosen_scenario, misused_archive
from controller.cli.telling import Telling
from controller.cli.trials import told, unknown
from controller.errors import ArchiveError
from controller.ownership import check_names
from sim.bounding import best_possible, question_of
from sim.experiment import policies
from sim.rows import Row, bounded, row_of
from sim.simulator import Run, Trial, simulate


def run_simulation(
    name: str,
    trial: Trial,
    *,
    archive: str | None,
    html: Path | None,
    as_json: bool,
    fail_late: bool,
) -> Exit:
    """Run the command and return its exit code."""
    check_names()
    try:
        chosen = chosen_scenario(name, archive)
    except (UnknownScenario, ArchiveError) as fault:
        told([str(fault)])
        return Exit.USAGE
    if told([*misused_archive(chosen, archive), *_unknown(trial)]):
        return Exit.USAGE
    refuse_unwritable(html)
    telling = Telling()
    with messages().status("simulating"):
        run = simulate(
            chosen.scenario,
            trial,
            load=chosen.open_load(chosen.scenario, trial.seed),
            policies=policies(),
            watch=telling.see if html else None,
            source=chosen.source,
        )
        row = _bounded(run)
    if html is not None:
        from controller.cli.simulate_page import page_of  # noqa: PLC0415 - draws with matplotlib

        write(html, page_of(run, row, telling, chosen))
    if as_json:
        print_json(asdict(row))
    else:
        _show(row)
    return Exit.LATE if fail_late and row.on_time < row.due else Exit.OK


def _bounded(run: Run) -> Row:
    question = question_of(run)
    return bounded(row_of(run), best_possible(question) if question else None)


def _unknown(trial: Trial) -> list[str]:
    return [
        fault
        for kind in ("policy", "partitioner", "order")
        for fault in unknown(kind, f"--{kind}", [getattr(trial, kind)])
    ]


def lines_of(row: Row) -> list[tuple[str, str]]:
    """Return what a run came to, in words."""
    regret = "no bound" if row.regret is None else f"{row.regret:.2f} times the least possible"
    lines = [
        ("Deadlines met", f"{row.on_time:,} of {row.due:,} ({percent(row.hit_rate)}){_most(row)}"),
        ("Worst slack", slack(row.worst_slack_s)),
        ("Cost", f"{row.cost:.4g}, {regret}"),
        ("Nodes", f"{row.launches:,} launched, at most {row.peak_nodes:,} at the same time"),
        ("Workers", f"at most {row.peak_workers:,}, {percent(row.idle_fraction)} of them idle"),
        ("Node time", f"{span(row.node_seconds)}, {percent(row.boot_fraction)} of it booting"),
    ]
    if row.undelivered:
        lines.insert(1, ("Not delivered", f"{row.undelivered:,} failed or expired"))
    return lines


def _most(row: Row) -> str:
    """Return how many deadlines can be met at most, where that is not all."""
    if row.hits_bound is None or row.hits_bound >= 1.0:
        return ""
    return f", at most {percent(row.hits_bound)} can be"


def _show(row: Row) -> None:
    tasks = "task" if row.tasks == 1 else "tasks"
    title = f"{row.tasks:,} {tasks} of {row.scenario}, policy {row.policy}, seed {row.seed}"
    results().print(table(title, ("=What", "It came to"), lines_of(row)))
