"""A plan as data and in words, for the terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from controller.cli.display import span
from planner.report import RISK_MAX, Moment, Report, State, TaskReport
from planner.savings import Saving, Savings

_SPARKS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A report, what would save its troubled tasks, and whether one worker is enough."""

    report: Report
    savings: Savings
    one_worker: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What was simplified or not tried."""
        return (*self.report.notes, *([self.savings.note] if self.savings.note else []))


def as_data(made: Plan) -> dict[str, object]:
    """Return a plan as JSON holds it."""
    report = made.report
    return {
        "policy": report.policy,
        "order": report.order,
        "workers_max": report.workers_max,
        "tasks": [asdict(task) for task in report.tasks],
        "median": asdict(report.median),
        "cautious": asdict(report.cautious),
        "savings": [asdict(saving) for saving in made.savings.tasks],
        "nodes_sought_max": made.savings.nodes_sought_max,
        "one_worker": made.one_worker,
        "notes": list(made.notes),
    }


def verdict(made: Plan) -> str:
    """Return the answer in one sentence."""
    report = made.report
    due, late, risky = len(report.due), report.counted(State.LATE), report.counted(State.AT_RISK)
    if not due:
        return "No task has a deadline."
    if not late + risky:
        all_due = "The deadline is" if due == 1 else f"All {due:,} deadlines are"
        return f"{all_due} met, in the median and in the 90 % case."
    told = [f"{late:,} will be missed"] * bool(late)
    told += [f"{risky:,} at risk (late with a chance above {RISK_MAX:g})"] * bool(risky)
    return f"Of {due:,} deadline{'s' * (due > 1)}, {' and '.join(told)}."


def saving_line(saving: Saving, task: TaskReport, sought_max: int) -> str:
    """Return in words what is wrong with a task, and what would save it."""
    ways = []
    if saving.nodes is not None:
        count = f"{saving.nodes} node{'s' * (saving.nodes > 1)}"
        ways.append(f"up to {count} ({saving.workers} workers)")
    ways += saving.cuts
    if saving.deadline_s is not None:
        ways.append(f"a deadline of {span(saving.deadline_s)}")
    told = f"{saving.hopeless or task.why}."
    if saving.nodes is None and not saving.hopeless and sought_max:
        told += f" More nodes do not help (tried up to {sought_max})."
    return f"{told} It would be met with {', or with '.join(ways)}." if ways else told


def costs(report: Report) -> str:
    """Return the bill of both cases in words."""
    usual, slow = report.median, report.cautious
    told = [
        f"Workers are busy for {_hours(usual.worker_h)} (90 % case: {_hours(slow.worker_h)})",
        f"nodes held for {_hours(usual.node_h)} ({_hours(slow.node_h)})",
    ]
    if slow.cost:
        told.append(f"cost {usual.cost:.4g} ({slow.cost:.4g})")
    if slow.energy_kwh:
        told.append(f"energy {usual.energy_kwh:.3g} kWh ({slow.energy_kwh:.3g})")
    rates = unset_rates(report)
    return f"{', '.join(told)}.{f' {rates}.' if rates else ''}"


def unset_rates(report: Report) -> str:
    """Return in words which rates are missing to tell cost and energy; empty where none is."""
    usage = report.cautious
    unset = ["price_per_h"] * (not usage.cost) + ["power_w"] * (not usage.energy_kwh)
    return f"No {' and no '.join(unset)} of nodes is set" if unset and usage.node_h else ""


def _hours(hours: float) -> str:
    return span(3600.0 * hours)


def sparks(moments: Sequence[Moment], span_s: float, most: int, width: int) -> str:
    """Return the busy workers over time, the most of each interval, as a line of blocks."""
    cells = [0] * width
    ends = [moment.at_s for moment in moments[1:]] + [span_s]
    for moment, end_s in zip(moments, ends, strict=False):
        first = min(width - 1, int(moment.at_s / max(span_s, 1e-9) * width))
        last = min(width - 1, max(first, int(end_s / max(span_s, 1e-9) * width - 1e-9)))
        for cell in range(first, last + 1):
            cells[cell] = max(cells[cell], moment.busy)
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[-(-busy * top // max(1, most))] for busy in cells)


def foremost(tasks: Sequence[TaskReport], most: int) -> list[TaskReport]:
    """Return so many tasks, the worst first chosen, in the order of the plan."""
    if len(tasks) <= most:
        return list(tasks)
    order = [State.LATE, State.AT_RISK, State.ON_TIME, State.BEST_EFFORT, State.NOTHING]
    worst = sorted(tasks, key=lambda task: (order.index(task.state), task.slack_90_s or 0.0))
    kept = {task.product_id for task in worst[:most]}
    return [task for task in tasks if task.product_id in kept]
