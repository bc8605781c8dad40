"""What reading each file of the real subset costs, float by float.

``python -m bench.file_costs > sim/chapter/file_costs.csv`` renews what the chapter's experiments
draw true costs from. Wants the real data beside the project (``../shared/data/argo``). It is CPU
time, the quickest of several readings, spread over some minutes, for other work on the machine
lengthens it for seconds on end; another machine has other seconds and, by and large, the same
ratios.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.balance import COPIES, DATA, REPEATS, Priced, measured_subset
from controller.apps.argo.rows import float_keys

SWEEPS = 4
"""So many times all files are read anew."""

QUANTILES = np.linspace(0.0, 1.0, 11)

HEAD = (
    "# CPU time of reading one core profile file of the real Argo subset [ms], float by float.",
    f"# Quickest of {SWEEPS * REPEATS} extractions, {COPIES} reads each."
    " Made by: python -m bench.file_costs",
    "# The row of float 0 is the time of a part without any file [ms].",
)


def main() -> int:
    """Print the table."""
    if not DATA.exists():
        print("the real data are not beside this checkout", file=sys.stderr)
        return 1
    subset, base_s = _quickest()
    floats = float_keys(subset.rows.profile)
    dacs = subset.rows.dac
    print("\n".join(HEAD))
    print(",".join(("float", "centre", "files", *(f"q{round(100 * q)}" for q in QUANTILES))))
    print(",".join(("0", "", "0", *[f"{1e3 * base_s:.3f}"] * len(QUANTILES))))
    for number in np.unique(floats).tolist():
        held = floats == number
        costs_ms = np.quantile(1e3 * subset.cost_s[held], QUANTILES)
        centre = subset.rows.dacs[int(dacs[held][0])]
        cells = (str(number & _WMO), centre, str(int(held.sum())), *(f"{c:.3f}" for c in costs_ms))
        print(",".join(cells))
    return 0


def _quickest() -> tuple[Priced, float]:
    found = []
    for _ in range(SWEEPS):
        with tempfile.TemporaryDirectory(prefix="slackwater-bench-") as folder:
            found.append(measured_subset(Path(folder)))
    subset = found[0][0]
    cost_s = np.min([each.cost_s for each, _ in found], axis=0)
    return replace(subset, cost_s=cost_s), min(base_s for _, base_s in found)


_WMO = 2**27 - 1

if __name__ == "__main__":
    sys.exit(main())
