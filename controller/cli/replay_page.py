"""A journal as a page: what it came to, and figures 7 to 9 of the source chapter drawn of it."""

from __future__ import annotations

from dataclasses import asdict

from controller.cli.display import span
from sim.chapter.replayed import Replayed
from sim.chapter.scaling_figures import ttd_figure
from sim.metrics import Outcome
from sim.page import figure, page, paragraph, section, table

ABOUT = (
    "At the start of each task: the time that was left to its deadline, the nodes (VMs) and workers"
    " that stood, and, where the policy has one, the threshold below which more are asked for. Each"
    " point that was late in the end is a cross. So the chapter behind slackwater draws its"
    " figures 7 to 9."
)


def page_of(replayed: Replayed, journal: str, told: str) -> str:
    """Return the page of a journal.

    Parameters
    ----------
    replayed : Replayed
    journal : str
        Its name.
    told : str
        What the replay proved.
    """
    starts, outcome = replayed.starts, replayed.outcome
    title = f"A journal under the policy {replayed.policy}"
    sections = [
        paragraph(f"{journal}: {told}."),
        section("What it came to", table(("", ">"), rows_of(outcome))),
    ]
    if starts.starts:
        most = max(1, *(start.workers for start in starts.starts))
        drawing = ttd_figure(starts, f"policy {replayed.policy}", most)
        sections.append(section("When tasks started", figure(drawing, ABOUT)))
    data = {
        "outcome": asdict(outcome),
        "starts": [asdict(start) for start in starts.starts],
        "slacks": starts.slacks_s,
    }
    return page(title, sections, data)


def rows_of(outcome: Outcome) -> list[tuple[str, str]]:
    """Return what a run came to, line by line."""
    worst_s = outcome.worst_slack_s
    return [
        ("Tasks that ended", f"{outcome.tasks:,}"),
        ("Deadlines met", f"{outcome.on_time:,} of {outcome.due:,}"),
        ("Worst slack", "-" if worst_s is None else f"{worst_s:+,.1f} s"),
        ("Most nodes and workers at a time", f"{outcome.peak_nodes} and {outcome.peak_workers}"),
        ("Nodes were held for", span(outcome.node_seconds)),
        ("Of that, from request to ready", f"{outcome.boot_fraction:.0%}"),
        ("Of the workers' time, idle", f"{outcome.idle_fraction:.0%}"),
        ("Cost", f"{outcome.cost:.4f}"),
    ]
