"""`slackwater simulate`: one load, played once in virtual time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from controller.cli import Exit
from controller.cli.display import print_json, results, slack, span, table
from controller.cli.pages import refuse_unwritable
from controller.cli.scenarios import UnknownScenario, chosen_scenario
from controller.cli.trials import told, unknown
from controller.ownership import check_names
from sim.experiment import Row, policies, row_of
from sim.simulator import Trial, simulate


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
    except UnknownScenario as fault:
        told([str(fault)])
        return Exit.USAGE
    if told(_unknown(trial)):
        return Exit.USAGE
    refuse_unwritable(html)
    load = chosen.open_load(chosen.scenario, trial.seed)
    row = row_of(simulate(chosen.scenario, trial, load=load, policies=policies()))
    if as_json:
        print_json(asdict(row))
    else:
        _show(row)
    return Exit.LATE if fail_late and row.on_time < row.due else Exit.OK


def _unknown(trial: Trial) -> list[str]:
    return [
        fault
        for kind in ("policy", "partitioner", "order")
        for fault in unknown(kind, f"--{kind}", [getattr(trial, kind)])
    ]


def _show(row: Row) -> None:
    cells = [
        ("Deadlines met", f"{row.on_time:,} of {row.due:,} ({row.hit_rate:.1%})"),
        ("Worst slack", slack(row.worst_slack_s)),
        ("Nodes", f"{row.launches:,} launched, at most {row.peak_nodes:,} at a time"),
        ("Node time", f"{span(row.node_seconds)}, {row.idle_fraction:.1%} of it idle"),
        ("Cost", f"{row.cost:.4g}"),
    ]
    results().print(table(f"{row.scenario}, policy {row.policy}", ("=What", "It came to"), cells))
