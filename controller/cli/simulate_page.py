"""One run as a page: what came of it, the fleet, each task's slack, every decision and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape

from rich.text import Text

from controller.cli.display import span
from controller.cli.scenarios import Chosen
from controller.cli.simulate import lines_of
from controller.cli.simulated import inputs_of, origin, words
from controller.cli.telling import Decision, Telling
from planner.model import NoticeKind
from sim.chronicle import Ended
from sim.figures import deliveries_figure, fleets_figure
from sim.page import figure, page, paragraph, section, table
from sim.rows import Row
from sim.simulator import Run
from sim.sketch import Sketch, sketch_of

TASKS_LISTED_MAX = 40
"""Tasks in the table, those with the least slack."""

TASKS_HELD_MAX = 20_000
"""Tasks in the numbers of a page, those with the least slack."""

NAMED_MAX = 4
"""Nodes that a line of decisions names; more are counted."""


def page_of(run: Run, row: Row, telling: Telling, chosen: Chosen) -> str:
    """Return the page of a run."""
    inputs = inputs_of(chosen, [run.trial.seed])
    sketch = sketch_of(run, telling.chronicle, over_time=True)
    tasks = sorted(telling.chronicle.ended, key=_urgency)
    sections = [
        _opening(run, row),
        section("What it came to", table(("", ""), _lines(row))),
        *_fleet(row, sketch),
        *_tasks(tasks),
        _decisions(telling),
        words(),
        origin(inputs, chosen.text, "the ids inputs, row, drawn, tasks and decisions"),
    ]
    data = {
        "inputs": inputs,
        "row": asdict(row),
        "drawn": asdict(sketch),
        "tasks": [asdict(one) for one in tasks[:TASKS_HELD_MAX]],
        "decisions": [asdict(one) for one in telling.decisions],
    }
    return page(f"{row.scenario} under the policy {row.policy}", sections, data)


def _opening(run: Run, row: Row) -> str:
    missed = row.due - row.on_time
    met = f"All {row.due:,} deadlines were met" if not missed else f"{missed:,} were missed"
    if missed:
        met = f"Of {row.due:,} deadlines, {met}"
    bound = f", {row.regret:.2f} times the least possible" if row.regret else ""
    tried = (
        "Tasks arrive, each with a time by which its product must be delivered. Machines (nodes)"
        " that do the work cost money from the moment they are asked for. When to ask for how many,"
        f" and when to let them go, was decided here by the policy {row.policy}, with at most"
        f" {row.cap:,} nodes at the same time. {row.tasks:,} tasks were played in virtual time"
        f" under seed {row.seed}; nothing was run for real."
    )
    blocks = [
        f"<p><strong>{escape(f'{met}, at a cost of {row.cost:.4g}{bound}.')}</strong></p>",
        paragraph(tried),
    ]
    if run.scenario.about:
        blocks.append(paragraph(f"The scenario {row.scenario}: {run.scenario.about}"))
    return "\n".join(blocks)


def _lines(row: Row) -> list[tuple[str, str]]:
    settings = f"{row.partitioner} partitioner, {row.order} order"
    lines = [(name, Text.from_markup(text).plain) for name, text in lines_of(row)]
    return [*lines, ("Decided by", f"policy {row.policy}, {settings}")]


def _fleet(row: Row, sketch: Sketch) -> list[str]:
    if sketch.moments is None or not sketch.moments.at_s:
        return []
    caption = (
        "Workers that are ready, and how many of them are busy; nodes from the request until they"
        " are gone. The dotted line is the demand if each task's work was spread evenly over the"
        " time to its deadline."
    )
    drawing = fleets_figure([(f"policy {row.policy}", sketch)])
    return [section("The fleet over time", figure(drawing, caption))]


def _tasks(tasks: Sequence[Ended]) -> list[str]:
    if not tasks:
        return []
    blocks = []
    if any(one.slack_s is not None for one in tasks):
        caption = "Time to deadline (ttd) left at each delivery. What is below the line was late."
        blocks.append(figure(deliveries_figure(tasks), caption))
    shown = tasks[:TASKS_LISTED_MAX]
    rows = [
        (
            one.subscription_id,
            span(one.began_s),
            span(one.ended_s),
            span(one.slack_s),
            "in time" if one.outcome is NoticeKind.DELIVERED else one.outcome.value,
        )
        for one in shown
    ]
    few = f"The {len(shown):,} with the least slack, of {len(tasks):,}. " * (shown != tasks)
    told = f"{few}Times after the start."
    columns = ("Task", ">Arrived", ">Ended", ">Slack", "Outcome")
    return [section("Tasks", *blocks, table(columns, rows, caption=told))]


def _decisions(telling: Telling) -> str:
    rows = [(span(one.at_s), one.what, _about(one), one.why) for one in telling.decisions]
    more = f"{telling.untold:,} more followed." if telling.untold else ""
    said = "Each decision with its reason, and what went wrong; deliveries in time are left out."
    return section(
        "What happened",
        table((">After", "What", "Of", "Why"), rows, caption=f"{said} {more}".strip()),
    )


def _about(decision: Decision) -> str:
    names = decision.about
    left = len(names) - NAMED_MAX
    if left <= 0:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED_MAX])} and {left:,} more"


def _urgency(one: Ended) -> tuple[bool, float, float]:
    """Order tasks: least slack first, then those without a deadline as they ended."""
    return one.slack_s is None, one.slack_s or 0.0, one.ended_s
