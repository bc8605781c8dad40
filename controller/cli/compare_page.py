"""A comparison as one page that is read without the program, and can be checked and made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from statistics import fmean

from controller.cli.compare import as_data, percent, spread
from controller.cli.display import span
from controller.cli.scenarios import Chosen
from controller.cli.simulated import inputs_of, origin, words
from sim.experiment import Findings
from sim.figures import fleets_figure, regrets_figure, slacks_figure, trade_figure
from sim.page import figure, page, paragraph, section, table
from sim.rows import Row
from sim.sketch import Sketch
from sim.summary import Choice, verdict

FLEETS_MAX = 6
"""Choices that are drawn over time: the first ones, most hits first."""

RUNS_LISTED_MAX = 500
"""Runs in the table; the numbers embedded in the page hold all."""

Named = tuple[Row, Sketch]


def page_of(found: Findings, choices: Sequence[Choice], chosen: Chosen) -> str:
    """Return the page of a comparison."""
    seeds = sorted({row.seed for row in found.rows})
    drawn = [(row, one) for row, one in zip(found.rows, found.sketches, strict=True) if one]
    inputs = inputs_of(chosen, seeds)
    sections = [
        _opening(found, choices, chosen, seeds),
        section("What came of it", _table(choices)),
        _trade(found.rows, choices),
        *_regrets(choices),
        *_fleets(drawn, choices, seeds[0]),
        *_slacks(drawn, choices),
        section("Every run", _runs(found.rows)),
        words(),
        origin(inputs, chosen.text, "the ids inputs, comparison and drawn"),
    ]
    data = {
        "inputs": inputs,
        "comparison": as_data(found, choices),
        "drawn": [{**_key(row), **asdict(sketch)} for row, sketch in drawn],
    }
    title = f"{_counted(len(choices), 'choice')} compared on {chosen.scenario.name}"
    return page(title, sections, data)


def _opening(
    found: Findings, choices: Sequence[Choice], chosen: Chosen, seeds: Sequence[int]
) -> str:
    tasks, cap = found.rows[0].tasks, found.rows[0].cap
    tried = (
        "Tasks arrive, each with a time by which its product must be delivered. Machines (nodes)"
        " that do the work cost money from the moment they are asked for. When to ask for how many,"
        " and when to let them go, is decided by a policy. Here the same"
        f" {_counted(tasks, 'task')} were played in virtual time under"
        f" {_counted(len(choices), 'choice')}, {_counted(len(seeds), 'time')} each with other luck"
        " (how long work and boots truly take), the same luck for every choice. At most"
        f" {_counted(cap, 'node')} could stand at the same time. Nothing was run for real."
    )
    blocks = [f"<p><strong>{escape(verdict(choices))}</strong></p>", paragraph(tried)]
    if chosen.scenario.about:
        blocks.append(paragraph(f"The scenario {chosen.scenario.name}: {chosen.scenario.about}"))
    if found.faults:
        blocks.append(paragraph(f"{_counted(len(found.faults), 'run')} failed and left no row:"))
        blocks += [f"<pre>{escape(f'{one.what}: {one.again}')}</pre>" for one in found.faults]
    return "\n".join(blocks)


def _table(choices: Sequence[Choice]) -> str:
    columns = (
        "Choice",
        ">Deadlines met",
        ">At most",
        ">Regret",
        ">Cost",
        ">Cost / first",
        ">Node time",
        ">Nodes at most",
        ">Idle",
        ">Boot",
        ">Worst slack",
    )
    rows = [
        (
            choice.label,
            percent(choice.on_time / choice.due if choice.due else 1.0),
            "-" if choice.hits_bound is None else percent(choice.hits_bound.mean),
            spread(choice.regret),
            f"{choice.cost.mean:.4g}",
            spread(choice.over_best),
            span(choice.node_seconds),
            f"{choice.peak_nodes:,}",
            percent(choice.idle_fraction),
            percent(choice.boot_fraction),
            span(choice.worst_slack_s),
        )
        for choice in choices
    ]
    caption = (
        "Most deadlines met first, then the cheapest. Means of all seeds, in brackets the least and"
        " the most. Cost / first compares with the first line seed by seed, so that luck cancels"
        " out. Nobody can meet more deadlines on this fleet than At most says. The words are"
        " explained below."
    )
    return table(columns, rows, caption=caption)


def _trade(rows: Sequence[Row], choices: Sequence[Choice]) -> str:
    bounds = [row.bound_cost for row in rows if row.bound_cost is not None]
    caption = (
        "Up and to the left is better. The blue choices are those that no other beats in both; a"
        " cross tells how far the seeds lie apart."
    )
    if bounds:
        caption += " The dotted line is the bound: no schedule that meets all costs less."
    drawing = trade_figure(choices, fmean(bounds) if bounds else None)
    return section("Deadlines met and cost", figure(drawing, caption))


def _regrets(choices: Sequence[Choice]) -> list[str]:
    if not any(choice.regret for choice in choices):
        return []
    caption = (
        "Cost over the bound; a line spans the seeds. Green met every deadline. A pale bar did not,"
        " and may be short only because it left out or put off work."
    )
    return [section("How far from the best possible", figure(regrets_figure(choices), caption))]


def _fleets(drawn: Sequence[Named], choices: Sequence[Choice], seed: int) -> list[str]:
    first = [(choice.label, _first_of(choice, drawn)) for choice in choices]
    shown = [(name, sketch) for name, sketch in first if sketch is not None][:FLEETS_MAX]
    if not shown:
        return []
    caption = (
        f"Seed {seed}. Workers that are ready, and how many of them are busy. The dotted line is"
        " the demand if each task's work was spread evenly over the time to its deadline."
    )
    if len(first) > len(shown):
        caption += f" The first {len(shown)} of {len(first)} choices."
    return [section("The fleet over time", figure(fleets_figure(shown), caption))]


def _slacks(drawn: Sequence[Named], choices: Sequence[Choice]) -> list[str]:
    named = [(choice.label, _pooled(choice, drawn)) for choice in choices]
    shown = [(name, slacks_s) for name, slacks_s in named if slacks_s]
    if not shown:
        return []
    caption = (
        "Time left when each product was delivered: the stroke is the median, the thick line holds"
        " half of the deliveries, the middle one nine of ten, the thin one all."
    )
    return [section("Slack", figure(slacks_figure(shown), caption))]


def _runs(rows: Sequence[Row]) -> str:
    columns = (
        "Policy",
        "Partitioner",
        "Order",
        ">Seed",
        ">On time",
        ">Due",
        ">Cost",
        ">Bound",
        ">Regret",
        ">Launches",
        ">Nodes at most",
        ">Worst slack",
    )
    cells = [
        (
            row.policy,
            row.partitioner,
            row.order,
            f"{row.seed}",
            f"{row.on_time:,}",
            f"{row.due:,}",
            f"{row.cost:.4g}",
            "-" if row.bound_cost is None else f"{row.bound_cost:.4g}",
            "-" if row.regret is None else f"{row.regret:.3f}",
            f"{row.launches:,}",
            f"{row.peak_nodes:,}",
            span(row.worst_slack_s),
        )
        for row in rows[:RUNS_LISTED_MAX]
    ]
    left = len(rows) - len(cells)
    more = f"{left:,} more are in the numbers embedded in this page." if left else ""
    return table(columns, cells, caption=more)


def _key(row: Row) -> dict[str, object]:
    names = ("policy", "partitioner", "order", "seed")
    return {name: getattr(row, name) for name in names}


def _of(choice: Choice, drawn: Sequence[Named]) -> list[Sketch]:
    tried = (choice.policy, choice.partitioner, choice.order)
    return [one for row, one in drawn if (row.policy, row.partitioner, row.order) == tried]


def _first_of(choice: Choice, drawn: Sequence[Named]) -> Sketch | None:
    return next((one for one in _of(choice, drawn) if one.moments and one.moments.at_s), None)


def _pooled(choice: Choice, drawn: Sequence[Named]) -> list[float]:
    """Return the slack at each percentile, averaged over seeds; the ends are those of all seeds."""
    told = [one.slacks_s for one in _of(choice, drawn) if one.slacks_s]
    if not told:
        return []
    means = [fmean(column) for column in zip(*told, strict=True)]
    return [min(one[0] for one in told), *means[1:-1], max(one[-1] for one in told)]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
