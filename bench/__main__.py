"""`make bench`: every measure of docs/reference/performance.md, each ratio from one run.

python -m bench [NAME ...] [--json]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module

MODULES = (
    "handling",
    "simulating",
    "ranking",
    "evaluation",
    "matching",
    "engine",
    "sharing",
    "index",
    "following",
    "planning",
    "serving",
    "standing",
    "slow_cloud",
    "accuracy",
    "finish",
    "balance",
    "argopy_comparison",
)

LIMITS: Mapping[str, tuple[str, float]] = {
    "cost_ratio_100000_to_1000_waiting": ("<=", 2.0),
    "simulated_to_bare_callbacks_judged_at_every_tick": (">=", 0.1),
    "simulated_to_bare_callbacks_judged_every_60_s": (">=", 0.1),
    "event_cost_ratio_100000_waiting_to_none": ("<=", 1.5),
    "bytes_per_waiting_task": ("<=", 2000.0),
    "arrival_and_start_to_bare_heap_1000": ("<=", 2.0),
    "arrival_and_start_to_bare_heap_10000": ("<=", 2.0),
    "arrival_and_start_to_bare_heap_100000": ("<=", 2.0),
    "ratio_to_tree": ("<=", 3.0),
    "add_max_ms": ("<=", 50.0),
    "engine_ratio_to_plain_dask": ("<=", 1.5),
    "sharing_far_reads_a_file_max": ("<=", 3.0),
    "sharing_far_cpu_ratio": ("<=", 0.5),
    "sharing_near_cpu_ratio": ("<=", 0.5),
    "sharing_near_alone_cpu_ratio": ("<=", 1.4),
    "resident_mb": ("<=", 400.0),
    "plan_10000_s": ("<=", 30.0),
    "durable_to_bare_sqlite": (">=", 0.6),
    "restart_100000_waiting_s": ("<=", 10.0),
    "update_for_all_pause_max_ms": ("<=", 250.0),
    "letter_p99_ms_with_clients": ("<=", 100.0),
    "loop_pause_p99_ms_with_clients": ("<=", 100.0),
    "loop_pause_p99_ms_with_creations": ("<=", 100.0),
    "mediterranean_count_ms": ("<=", 50.0),
    "pacific_count_ms": ("<=", 50.0),
    "globe_count_ms": ("<=", 50.0),
    "run_time_coverage_90_off": ("<=", 0.05),
    **{
        f"balance_{archive}_predicted_max_to_mean_{name}": ("<=", 1.1)
        for archive in ("subset", "index")
        for name in ("balanced", "bisecting")
    },
    **{
        f"makespan_{archive}_{told}_{per_worker}_a_worker_{name}_to_better_of_old": ("<=", 1.0)
        for archive in ("subset", "index")
        for told in ("predicted", "measured")
        for per_worker in (1, 4)
        for name in ("balanced", "bisecting")
    },
    "argopy_arabian_sea_differences": ("<=", 0.0),
    "argopy_atlantic_differences": ("<=", 0.0),
    "argopy_south_china_sea_differences": ("<=", 0.0),
    "argopy_indian_ocean_differences": ("<=", 0.0),
}
"""What is promised; a figure without a limit is for reading."""

HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
}


def main(arguments: list[str]) -> int:
    """Run the measures that are named, or all; return 1 when one breaks its promise."""
    names = [name for name in arguments if name in MODULES] or list(MODULES)
    found: dict[str, float] = {}
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        found |= import_module(f"bench.{name}").measure()
    if "--json" in arguments:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:68} {value:14,.4g}  {_verdict(name, value)}")
    return 1 if any("BROKEN" in _verdict(name, value) for name, value in found.items()) else 0


def _verdict(name: str, value: float) -> str:
    if name not in LIMITS:
        return ""
    sign, limit = LIMITS[name]
    return f"{'ok' if HOLDS[sign](value, limit) else 'BROKEN'} (promised {sign} {limit:g})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
