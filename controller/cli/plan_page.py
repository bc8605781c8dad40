"""A plan as one page that an operator opens by double click, and can check and make again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from controller.cli.display import short_span, span
from controller.cli.planned import Plan, as_data, foremost, saving_line, unset_rates, verdict
from planner.report import RISK_MAX, Report, TaskReport, Usage
from sim.page import figure, page, paragraph, section, table
from sim.plan_figures import deadline_figure, fleet_figure

ROWS_DRAWN_MAX = 30
"""Tasks in the drawing of deadlines: more would be unreadable."""

ROWS_LISTED_MAX = 500
"""Tasks in the table; the numbers embedded in the page hold all."""

CASES = (
    "Two cases were rehearsed with the planner that would run the load. In the median case"
    " everything takes as long as predicted. In the 90 % case run times, boots and deliveries all"
    " take as long as nine out of ten do not exceed: a cautious case, for they are rarely all slow"
    " at once."
)

READING = (
    ("Importance", "Eq. 1 of the ranking: number of parameters, urgency, time range and area."),
    ("Parts", "Pieces that the request is cut into; workers read them side by side."),
    ("Run time", "All parts, one after the other, on one worker: in the median, and at 90 %."),
    ("Workers", "Fewest that would be in time if there were no other task, at 90 %, if any would."),
    ("Finish", "From arrival until the product is delivered, in the median and in the 90 % case."),
    ("Slack", "Deadline minus finish; negative is late."),
    (
        "State",
        f"On time; at risk: late with a chance above {RISK_MAX:g}; late: late in the median case;"
        " best effort: no deadline.",
    ),
)


def page_of(made: Plan, inputs: Mapping[str, Any]) -> str:
    """Return the page of a plan.

    Parameters
    ----------
    made : Plan
    inputs : mapping of str to object
        What it was made from, fit for JSON: command, build, archive, subscriptions, settings.
    """
    report = made.report
    sections = [
        _opening(made, inputs),
        section("What it takes", paragraph(CASES), _usage(report), *_unset(report)),
    ]
    if report.tasks:
        caption = "Workers that are busy. The dotted line is what may stand under the settings."
        sections.append(section("Workers over time", figure(fleet_figure(report), caption)))
        sections.append(_deadlines(report))
    if made.savings.tasks:
        sections.append(_savings(made))
    if made.notes:
        sections.append(section("What was simplified", *(paragraph(f"{n}.") for n in made.notes)))
    sections.append(_origin(inputs))
    return page("What this load will take", sections, {"plan": as_data(made), "inputs": inputs})


def _opening(made: Plan, inputs: Mapping[str, Any]) -> str:
    archive, report = inputs["archive"], made.report
    urls = " and ".join(each["url"] for each in archive["datasets"].values())
    since = f", what changed since {archive['since']}" if archive["since"] else ""
    deliveries = "delivery" if len(report.tasks) == 1 else "deliveries"
    facts = (
        f"{len(report.tasks):,} {deliveries} from {urls}{since}, policy"
        f" {report.policy}, at most {report.workers_max} workers."
    )
    return "\n".join(
        [
            f"<p><strong>{escape(verdict(made))}</strong></p>",
            *([paragraph(made.one_worker)] if made.one_worker else []),
            f'<p class="faint">{escape(facts)} Nothing was run.</p>',
        ]
    )


def _usage(report: Report) -> str:
    def row(name: str, usage: Usage) -> tuple[str, ...]:
        return (
            name,
            span(usage.span_s),
            f"{usage.worker_h:.4g}",
            f"{usage.node_h:.4g}",
            f"{usage.cost:.4g}" if usage.cost else "-",
            f"{usage.energy_kwh:.4g}" if usage.energy_kwh else "-",
            f"{usage.nodes}",
            f"{usage.workers}",
        )

    columns = (
        "Case",
        ">All delivered after",
        ">Worker-hours",
        ">Node-hours",
        ">Cost",
        ">Energy [kWh]",
        ">Nodes at most",
        ">Workers at most",
    )
    rows = (row("median", report.median), row("90 % case", report.cautious))
    return table(columns, rows)


def _unset(report: Report) -> list[str]:
    rates = unset_rates(report)
    return [paragraph(f"{rates}.")] if rates else []


def _deadlines(report: Report) -> str:
    drawn, listed = (foremost(report.tasks, most) for most in (ROWS_DRAWN_MAX, ROWS_LISTED_MAX))
    caption = (
        "A mark is the finish in the median case, and its line reaches to the 90 % case (which is"
        " earlier where others give way). The upright stroke is the deadline. A cross is late, a"
        " diamond at risk."
    )
    columns = (
        "Subscription",
        ">Importance",
        ">Parts",
        ">Run time",
        ">90 %",
        ">Workers",
        ">Finish",
        ">90 % case",
        ">Deadline",
        ">Slack",
        "State",
    )
    left = len(report.tasks) - len(listed)
    more = f" {left:,} more are in the numbers embedded in this page." if left else ""
    return section(
        "Deadlines",
        figure(deadline_figure(drawn), caption),
        table(columns, map(_row, listed), caption=f"In the order in which they would run.{more}"),
        table(("Column", "What it tells"), READING),
    )


def _row(task: TaskReport) -> tuple[str, ...]:
    return (
        task.subscription_id,
        f"{task.importance:.4g}",
        f"{task.parts:,}",
        short_span(task.work_s),
        short_span(task.work_90_s),
        "none" if task.workers is None else f"{task.workers:,}",
        span(task.finish_s),
        span(task.finish_90_s),
        span(task.deadline_s),
        span(task.slack_s),
        f"{task.state}: {task.why}",
    )


def _savings(made: Plan) -> str:
    troubled = {task.product_id: task for task in made.report.troubled}
    rows = [
        (
            saving.subscription_id,
            saving_line(saving, troubled[saving.product_id], made.savings.nodes_sought_max),
        )
        for saving in made.savings.tasks[:ROWS_LISTED_MAX]
    ]
    tried = (
        "Each way was tried on its own with the planner, in the 90 % case, before it is named here."
        " Deadlines were tried all together."
    )
    return section("What would save them", paragraph(tried), table(("Subscription", "How"), rows))


def _origin(inputs: Mapping[str, Any]) -> str:
    blocks = [paragraph(f"Made by {inputs['build']}:"), _verbatim(shlex.join(inputs["command"]))]
    blocks += [paragraph("from these subscriptions:"), _verbatim(inputs["subscriptions"])]
    if inputs["config"] is not None:
        blocks += [paragraph("and these settings, all others being the defaults:")]
        blocks += [_verbatim(inputs["config"])]
    last = "The page holds its inputs and all numbers as JSON, under the ids inputs and plan."
    return section("Made from", *blocks, paragraph(last))


def _verbatim(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
