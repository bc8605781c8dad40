"""Draws what journals tell: each product from arrival to delivery, its deadline, and the nodes.

python docs/images/draw_runs.py slackwater-demo/prefix.jsonl slackwater-demo/none.jsonl > runs.svg
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from planner.commands import CutTask
from planner.events import ProductDelivered, SubscriptionAdded
from planner.journal import decode_header, read_steps
from planner.results import Results, TaskResult

WIDTH, LEFT, RIGHT, ROW, NODE_ROW = 860, 200, 20, 20, 9
STYLE = (
    "text{fill:#333}.rule{stroke:#8886;stroke-width:1}.met{fill:#2a9d6f}.late{fill:#d1495b}"
    ".node{fill:#5b8db8}.due{stroke:#222;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.due{stroke:#eee}}"
)
CAPTION = "bar: a product, from arrival of its data to delivery; tick: its deadline"


@dataclass
class Run:
    """One journal: what became of each task, and when things happened [s after the first wish]."""

    policy: str
    results: Results
    began_at: float = 0.0
    arrived_s: dict[str, float] = field(default_factory=dict)
    delivered_s: dict[str, float] = field(default_factory=dict)

    @property
    def end_s(self) -> float:
        return self.results.ended_at - self.began_at


def read_run(path: Path) -> Run:
    """Read a journal."""
    with path.open("rb") as lines:
        header = decode_header(lines.readline())
        run = Run(policy=header.settings.scaling.policy, results=Results())
        for step in read_steps(lines):
            run.results.see(step.event, list(step.commands))
            run.results.ended_at = step.event.at
            if not run.began_at and isinstance(step.event, SubscriptionAdded):
                run.began_at = step.event.at
            at_s = step.event.at - run.began_at
            if isinstance(step.event, ProductDelivered):
                run.delivered_s[step.event.task_id] = at_s
            for command in step.commands:
                if isinstance(command, CutTask):
                    run.arrived_s[command.task_id] = at_s
    return run


def draw(runs: list[Run]) -> Iterator[str]:
    """Yield the lines of an SVG picture."""
    span_s = max(run.end_s for run in runs) * 1.02
    scale = (WIDTH - LEFT - RIGHT) / span_s
    panels: list[str] = []
    top = 0.0
    for run in runs:
        panels += _panel(run, top, scale)
        top += 60 + ROW * len(run.arrived_s) + NODE_ROW * len(run.results.fleet.launched_at)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 24:.0f}" '
        'role="img" aria-label="Products, deadlines and nodes of runs of the same load" '
        f'font-family="sans-serif" font-size="12"><style>{STYLE}</style>'
    )
    yield from panels
    for second in range(0, int(span_s) + 1, 10):
        x = LEFT + second * scale
        yield f'<line class="rule" x1="{x:.1f}" y1="28" x2="{x:.1f}" y2="{top - 12}"/>'
        yield f'<text x="{x:.1f}" y="{top + 8}" text-anchor="middle">{second} s</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="18" text-anchor="end">{CAPTION}</text>'
    yield "</svg>"


def _panel(run: Run, top: float, scale: float) -> Iterator[str]:
    tasks = [run.results.tasks[task_id] for task_id in run.arrived_s]
    due = [task for task in tasks if task.deadline_s is not None]
    met = len(due) - sum(task.missed for task in due)
    yield (
        f'<text x="8" y="{top + 18}" font-weight="bold">policy {run.policy}: '
        f"{met} of {len(due)} deadlines met</text>"
    )
    y = top + 30.0
    for task in sorted(tasks, key=lambda task: (run.arrived_s[task.task_id], _due_s(run, task))):
        yield from _bar(run, task, y, scale)
        y += ROW
    yield f'<text x="{LEFT - 8}" y="{y + 8}" text-anchor="end">nodes</text>'
    fleet = run.results.fleet
    for node_id, launched_at in fleet.launched_at.items():
        begin_s = launched_at - run.began_at
        end_s = fleet.gone_at.get(node_id, run.results.ended_at) - run.began_at
        yield _block("node", (begin_s, end_s), y, NODE_ROW - 3, scale)
        y += NODE_ROW


def _bar(run: Run, task: TaskResult, y: float, scale: float) -> Iterator[str]:
    begin_s = run.arrived_s[task.task_id]
    end_s = run.delivered_s.get(task.task_id, run.end_s)
    yield f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{task.product_id}</text>'
    yield _block("late" if task.missed else "met", (begin_s, end_s), y, ROW - 6, scale)
    if task.deadline_s is not None:
        x = LEFT + _due_s(run, task) * scale
        yield f'<line class="due" x1="{x:.1f}" y1="{y - 2}" x2="{x:.1f}" y2="{y + ROW - 4}"/>'


def _due_s(run: Run, task: TaskResult) -> float:
    deadline_s = float("inf") if task.deadline_s is None else task.deadline_s
    return run.arrived_s[task.task_id] + deadline_s


def _block(kind: str, span_s: tuple[float, float], y: float, height: float, scale: float) -> str:
    x, width = LEFT + span_s[0] * scale, (span_s[1] - span_s[0]) * scale
    return f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}"/>'


if __name__ == "__main__":
    print("\n".join(draw([read_run(Path(name)) for name in sys.argv[1:]])))
