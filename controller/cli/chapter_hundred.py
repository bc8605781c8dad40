"""What figures 7 to 9 came to: as plain data, as rows, and against what was to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from controller.apps.request import iso_instant
from controller.cli.chapter_claim import FAILS, HOLDS, Claim
from sim.chapter.scaling import (
    CASES,
    DYNAMIC,
    IN_TIME,
    NONE,
    NONE_ADMITTING,
    PREFIX,
    PREFIX_2,
    STATIC,
    Case,
    Hundred,
    Played,
    least_vm_h,
)
from sim.chapter.tasks import Task

ABOUT_IN_TIME, SECONDS_LATE_MAX = 2, 60.0
""""Approximately 22" is 22 and so many less or more; "seconds" are fewer than these [s]."""

CASE_COLUMNS = (
    "=Policy",
    ">On time",
    ">Worst slack",
    ">VMs",
    ">Workers",
    ">VM-hours",
    ">At least",
    ">Other draws",
)


def case_rows(runs: Hundred) -> list[list[str]]:
    """Return a row for each case: deadlines met, what stood, what it took and must take."""
    return [_case(runs, run) for run in runs.cases]


def _case(runs: Hundred, run: Played) -> list[str]:
    outcome = run.outcome
    return [
        run.case.name,
        str(outcome.on_time),
        _slack(outcome.worst_slack_s),
        str(outcome.peak_nodes),
        str(outcome.peak_workers),
        f"{run.vm_h:.2f}",
        f"{least_vm_h(runs.scenario, runs.tasks, _slots(runs, run.case)):.2f}",
        _draws(runs, run.case),
    ]


def _slack(slack_s: float | None) -> str:
    """Return a slack in seconds, as the figures have it."""
    return "-" if slack_s is None else f"{slack_s:+,.0f} s"


def _slots(runs: Hundred, case: Case) -> int:
    """Return the workers that a VM may have under a case: `static` and `dynamic` add a second."""
    kind = runs.scenario.fleet[0]
    may_grow = case.policy in ("static", "dynamic")
    return (kind.slots_max or kind.slots) if may_grow else case.workers


def _draws(runs: Hundred, case: Case) -> str:
    """Return fewest and most deadlines met with other draws of the tasks."""
    place = CASES.index(case)
    met = sorted({draw[place].outcome.on_time for draw in runs.draws})
    if not met:
        return "-"
    return f"{met[0]}" if len(met) == 1 else f"{met[0]} to {met[-1]}"


def surface_columns(runs: Sequence[Played]) -> list[str]:
    """Return the heads of a surface: a column for each factor."""
    return [">Threshold", *(f">{factor:g} s" for factor in _factors(runs))]


def surface_rows(runs: Sequence[Played]) -> list[list[str]]:
    """Return a row for each threshold: tasks late and VM-hours at each factor."""
    factors = _factors(runs)
    cells = {(run.threshold_s, run.factor_s): f"{run.misses}/{run.vm_h:.1f}" for run in runs}
    thresholds = sorted({run.threshold_s for run in runs}, reverse=True)
    return [
        [f"{threshold:,.0f} s", *(cells[threshold, factor] for factor in factors)]
        for threshold in thresholds
    ]


def _factors(runs: Sequence[Played]) -> list[float]:
    return sorted({run.factor_s for run in runs})


STATIC_COLUMNS = (
    ">Threshold [s]",
    ">Late",
    ">Worst slack",
    ">VM-hours",
    ">Workers",
    ">All stand at task",
)


def static_rows(runs: Hundred) -> list[list[str]]:
    """Return a row for each threshold of ``static``."""
    return [
        [
            f"{run.threshold_s:,.0f}",
            str(run.misses),
            _slack(run.outcome.worst_slack_s),
            f"{run.vm_h:.2f}",
            str(run.outcome.peak_workers),
            str(run.reached(workers_max(runs)) or "-"),
        ]
        for run in runs.surfaces[0]
    ]


def workers_max(runs: Hundred) -> int:
    """Return how many workers may stand at most."""
    kind = runs.scenario.fleet[0]
    return runs.scenario.planner_settings().scaling.nodes_max * (kind.slots_max or kind.slots)


def about_hundred(runs: Hundred) -> Iterator[Claim]:
    """Return what was to be seen in figures 7 to 9, and whether it was."""
    yield _no_scaling(runs)
    yield _static(runs)
    yield _dynamic(runs)
    yield _prefix(runs, PREFIX)
    yield _prefix(runs, PREFIX_2)


def _no_scaling(runs: Hundred) -> Claim:
    run, admitting = runs.of(NONE), runs.of(NONE_ADMITTING)
    late = run.late_starts
    first = late[0] if late else len(run.starts) + 1
    for_good = late == list(range(first, len(run.starts) + 1))
    near = abs(first - 1 - IN_TIME) <= ABOUT_IN_TIME
    return Claim(
        where="Fig. 7",
        said=f"without scaling, misses begin after about {IN_TIME} tasks and never stop",
        verdict=HOLDS if near and for_good else FAILS,
        found=f"{first - 1} tasks are in time (that is what their length is fitted to), and of the"
        f" rest {len(late)} are late. Where tasks that cannot be met give way, as in the live"
        f" planner, the same worker has {admitting.outcome.on_time} in time.",
    )


def _static(runs: Hundred) -> Claim:
    run, most = runs.of(STATIC), workers_max(runs)
    all_at = run.reached(most)
    first_at = run.reached(2)
    stood = f"a second worker stands at task {first_at}, all {most} at task {all_at}"
    fewer = f"no more than {run.outcome.peak_workers} workers ever stand"
    return Claim(
        where="Fig. 8",
        said=f"a static threshold: no task is late, and all {most} workers soon stand",
        verdict=HOLDS if not run.misses and all_at else FAILS,
        found=f"{run.misses} late, threshold {run.threshold_s:,.0f} s; {stood if all_at else fewer}"
        f" of {len(run.starts)}.",
    )


def _dynamic(runs: Hundred) -> Claim:
    run, static = runs.of(DYNAMIC), runs.of(STATIC)
    late, worst_s = run.late_starts, run.outcome.worst_slack_s or 0.0
    only_last = set(late) <= {len(run.starts)} and worst_s > -SECONDS_LATE_MAX
    fewer = run.outcome.peak_workers < static.outcome.peak_workers
    which = f", number {late[0]} of {len(run.starts)}" if len(late) == 1 else ""
    return Claim(
        where="Fig. 9",
        said="a dynamic threshold: just enough workers, and at most the last task is late, by"
        " seconds",
        verdict=HOLDS if only_last and fewer else FAILS,
        found=f"{len(late)} late{which}, the worst slack is {worst_s:+.0f} s;"
        f" {run.outcome.peak_workers} workers (threshold {run.threshold_s:,.0f} s, factor"
        f" {run.factor_s:,.0f} s).",
    )


def _prefix(runs: Hundred, case: Case) -> Claim:
    run = runs.of(case)
    rivals = [
        other
        for other in runs.cases
        if other.case.workers == case.workers and not other.misses and other is not run
    ]
    cheaper = [other for other in rivals if other.vm_h < run.vm_h]
    least = least_vm_h(runs.scenario, runs.tasks, _slots(runs, case))
    told = ", ".join(f"{other.case.name} {other.vm_h:.2f}" for other in rivals)
    against = f"; in time too: {told}" if told else ""
    if any(other.outcome.peak_workers > other.outcome.peak_nodes for other in cheaper):
        against += ", whose VMs are given a second worker at no price; prefix asks for none"
    kind = "one worker" if case.workers == 1 else f"{case.workers} workers"
    return Claim(
        where="prefix",
        said=f"no task is late, and no policy that is in time is cheaper (new VMs of {kind})",
        verdict=HOLDS if not run.misses and not cheaper else FAILS,
        found=f"{run.misses} late, {run.vm_h:.2f} VM-hours, at least {least:.2f}{against}.",
    )


def told_hundred(runs: Hundred, text: str) -> dict[str, Any]:
    """Return all numbers of figures 7 to 9, fit for JSON."""
    weights = runs.scenario.planner_settings().weights
    return {
        "scenario": text,
        "tasks": [
            {**_told_task(task), "importance": task.importance(weights)} for task in runs.tasks
        ],
        "cases": [
            {
                **_told_run(run),
                "least_vm_hours": least_vm_h(runs.scenario, runs.tasks, _slots(runs, run.case)),
                "starts": [
                    {**asdict(start), "slack_s": run.slacks_s.get(start.task_id)}
                    for start in run.starts
                ],
            }
            for run in runs.cases
        ],
        "surfaces": [[_told_run(run) for run in surface] for surface in runs.surfaces],
        "other_draws": [[_told_run(run) for run in draw] for draw in runs.draws],
    }


def _told_task(task: Task) -> dict[str, Any]:
    period = task.extent.period
    assert period.start_at is not None
    assert period.end_at is not None
    return {
        "id": task.id,
        "bbox": str(task.extent.box),
        "datetime": f"{iso_instant(period.start_at)}/{iso_instant(period.end_at)}",
        "files": task.files,
        "predicted_s": task.predicted_s,
        "true_s": task.true_s,
    }


def _told_run(run: Played) -> dict[str, Any]:
    outcome = run.outcome
    return {
        "case": run.case.name,
        "policy": run.case.policy,
        "workers_of_a_new_vm": run.case.workers,
        "threshold_s": run.threshold_s,
        "factor_s": run.factor_s,
        "due": outcome.due,
        "on_time": outcome.on_time,
        "worst_slack_s": outcome.worst_slack_s,
        "peak_vms": outcome.peak_nodes,
        "peak_workers": outcome.peak_workers,
        "vm_hours": run.vm_h,
    }
