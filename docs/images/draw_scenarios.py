"""Draws how policies serve the scenarios that come with the program: nodes and tasks over time.

python docs/images/draw_scenarios.py [--archive DIR] [--policies P,P...] [NAME...]
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from controller.cli.scenarios import built_in, chosen_scenario
from planner.commands import AnyCommand, CutTask, Notify, ProvisionNode
from planner.events import AnyEvent, NodeLost, NodeRefused, NodeRemoved, TaskCut
from planner.results import ENDS
from sim.drawing import BLUE, FAINT, INK, ORANGE, drawn_rows, svg_of
from sim.experiment import policies
from sim.simulator import Trial, simulate

POLICIES = ("none", "static", "dynamic", "prefix")
SEED = 1
POINTS_MAX = 150
"""Steps of a curve: more are not told apart."""

STYLE = "<style>svg{color:#333}@media(prefers-color-scheme:dark){svg{color:#ddd}}</style>"


class Curves:
    """Nodes that stand or boot, and tasks that are open, whenever they change."""

    def __init__(self) -> None:
        self.nodes: dict[str, None] = {}
        self.tasks: dict[str, None] = {}
        self.points: list[tuple[float, int, int]] = []

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        """Take one step in."""
        if isinstance(event, NodeLost | NodeRefused | NodeRemoved):
            self.nodes.pop(event.node_id, None)
        if isinstance(event, TaskCut) and not event.parts:
            self.tasks.pop(event.task_id, None)
        for command in commands:
            match command:
                case CutTask():
                    self.tasks[command.task_id] = None
                case Notify() if command.kind in ENDS:
                    self.tasks.pop(command.task_id, None)
                case ProvisionNode():
                    self.nodes[command.node_id] = None
        point = (event.at, len(self.nodes), len(self.tasks))
        if not self.points or point[1:] != self.points[-1][1:]:
            self.points.append(point)


def picture(name: str, archive: str | None, names: Sequence[str]) -> str:
    """Return the picture of one scenario under policies of these names, as SVG."""
    chosen = chosen_scenario(name, archive)
    with drawn_rows(8.6, 1.25, len(names)) as (figure, rows):
        for axes, policy in zip(rows, names, strict=True):
            curves = Curves()
            trial = Trial(policy=policy, seed=SEED)
            run = simulate(
                chosen.scenario,
                trial,
                load=chosen.open_load(chosen.scenario, SEED),
                policies=policies(),
                with_demands=False,
                checked=False,
                watch=curves.see,
            )
            points = curves.points[:: max(1, len(curves.points) // POINTS_MAX)]
            hours = [(at - run.outcome.began_at) / 3600.0 for at, _, _ in points]
            tasks = axes.twinx()
            tasks.grid(visible=False)
            tasks.fill_between(
                hours, [n for _, _, n in points], color=ORANGE, alpha=0.25, step="post"
            )
            tasks.set_ylim(bottom=0)
            tasks.tick_params(colors=ORANGE)
            axes.set_zorder(tasks.get_zorder() + 1)
            axes.set_frame_on(False)
            axes.step(hours, [n for _, n, _ in points], color=BLUE, where="post", linewidth=1.4)
            axes.set_ylim(0, max(2, *(n for _, n, _ in points)) * 1.1)
            axes.tick_params(axis="y", colors=BLUE)
            for each in (axes, tasks):
                each.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            told = f"{policy}: {run.outcome.hit_rate:.1%} on time, cost {run.outcome.cost:.3g}"
            axes.set_title(told, fontsize=10, loc="left", color=INK)
        rows[-1].set_xlabel("hours; blue: nodes, orange: open tasks", color=FAINT)
    svg = svg_of(figure, f"Nodes and open tasks of {name} over time, by policy")
    svg = re.sub(r'(?<= d=")[^"]*', lambda path: _rounded(path[0]), svg)
    head, _, rest = svg.partition(">")
    return f"{head}>{STYLE}{rest}\n"


def _rounded(path: str) -> str:
    """Return a path to a tenth of a point, on one line."""
    return re.sub(r"-?\d+\.\d\d+", lambda found: f"{float(found[0]):.1f}", path.replace("\n", ""))


def main() -> None:
    """Draw the scenarios that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--archive")
    parser.add_argument("--policies", default=",".join(POLICIES))
    options = parser.parse_args()
    for name in options.names or built_in():
        text = picture(name, options.archive, options.policies.split(","))
        Path(__file__).with_name(f"scenario-{name}.svg").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
