"""Draws figures 7 to 9 of the chapter of journals: what was left when each task started.

python docs/images/draw_starts.py JOURNAL... draws live-NAME.svg of each NAME.jsonl.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from controller.cli.replay import opened
from planner.journal import replay
from planner.scaling.catalogue import Policies
from sim.chapter.replayed import Replayed
from sim.chapter.scaling_figures import ttd_figure

STYLE = "<style>svg{color:#333}@media(prefers-color-scheme:dark){svg{color:#ddd}}</style>"


def picture(journal: Path) -> str:
    """Return the figure of one journal, as SVG."""
    with opened(journal) as (header, steps):
        replayed = Replayed(header.settings)
        _, difference = replay(header, steps, Policies(), watch=replayed.see)
    assert difference is None, difference
    svg = ttd_figure(replayed.starts, f"{replayed.policy}")
    svg = re.sub(r'(?<= d=")[^"]*', lambda path: _rounded(path[0]), svg)
    head, _, rest = svg.partition(">")
    return f"{head}>{STYLE}{rest}\n"


def _rounded(path: str) -> str:
    """Return a path to a tenth of a point, on one line."""
    return re.sub(r"-?\d+\.\d\d+", lambda found: f"{float(found[0]):.1f}", path.replace("\n", ""))


def main() -> None:
    """Draw each journal that is named beside this file."""
    for journal in map(Path, sys.argv[1:]):
        target = Path(__file__).with_name(f"live-{journal.stem}.svg")
        target.write_text(picture(journal), "utf-8")


if __name__ == "__main__":
    main()
