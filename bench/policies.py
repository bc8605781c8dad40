"""The table of policies in docs/reference/quality.md, from what `slackwater compare --json` prints.

For each scenario once, and then all together:

    slackwater compare tight --policies $(python -m bench.policies) --cap 8 --json > tight.json
    python -m bench.policies tight.json batch.json ...

Without a file it prints the names of all policies. A cell is deadlines met, over the most that can
be met where that is not all, and mean regret.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from planner.scaling.policy import BUILT_IN
from sim.baselines.catalogue import BASELINES

Summary = Mapping[str, Mapping[str, Any]]


def table(columns: Mapping[str, Summary]) -> str:
    """Return policies by scenarios as a table in Markdown, in the order of the first scenario."""
    policies = list(dict.fromkeys(policy for column in columns.values() for policy in column))
    rows = [
        f"| `{policy}` | {' | '.join(cell(column.get(policy)) for column in columns.values())} |"
        for policy in policies
    ]
    heads = " | ".join(f"`{name}`" for name in columns)
    return "\n".join([f"| Policy | {heads} |", "|---" * (len(columns) + 1) + "|", *rows])


def cell(choice: Mapping[str, Any] | None) -> str:
    """Return what a policy came to on a scenario."""
    if choice is None:
        return ""
    met = percent(choice["on_time"] / choice["due"] if choice["due"] else 1.0)
    most = choice["hits_bound"]["mean"] if choice["hits_bound"] else 1.0
    of = f" of {percent(most)}" if most < 1.0 else ""
    regret = f"{choice['regret']['mean']:.2f}" if choice["regret"] else "-"
    return f"{met}{of} / {regret}"


def percent(share: float) -> str:
    """Return a share in percent; what is not all never reads as 100 %."""
    return "100 %" if share >= 1.0 else f"{min(99.9, 100 * share):.1f} %"


def main(paths: Sequence[str]) -> None:
    """Print the table of some files, or the names of all policies."""
    if not paths:
        print(",".join([*BUILT_IN, *BASELINES]))
        return
    columns: dict[str, Summary] = {}
    for path in paths:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        columns[told["rows"][0]["scenario"]] = {each["policy"]: each for each in told["summary"]}
    print(table(columns))


if __name__ == "__main__":
    main(sys.argv[1:])
