"""A service under load for a long time: does anything of it grow?

python -m bench.soak [MINUTES]: a `slackwater serve` on the demo's archive; subscriptions come, get
their first product, and go again. Memory, open files and connections of the service are looked at
once a second. Exits 1 if one of them grows by more than 1 % an hour after warm-up.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil

from controller.demo.archive import make_archive
from tests.controller.runs import WISHES
from tests.controller.served import Serving

GROWTH_MAX = 0.01
"""Promised: what is held grows by less than this an hour, after warm-up."""

WARM_UP_SHARE = 0.3
LOOK_S = 1.0
ASKED_AT_ONCE = 4
"""Subscriptions that stand at a time."""

LIMITS = httpx.Limits(max_keepalive_connections=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the service held at an instant [s since the start]."""

    at_s: float
    resident_mb: float
    files: float
    connections: float
    threads: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What came of it: products delivered, and growth an hour as a share of what is held."""

    minutes: float
    products: int
    looks: int
    resident_mb: float
    growth_per_h: dict[str, float]
    rise: dict[str, float]
    """Mean of the last fifth less that of the first fifth after warm-up, as a share of it."""

    @property
    def is_steady(self) -> bool:
        """Whether nothing grows by more than is promised."""
        return all(growth <= GROWTH_MAX for growth in self.growth_per_h.values())


def soak(folder: Path, minutes: float, tell: Callable[[str], None] = lambda _: None) -> Soaked:
    """Serve for so long under load, and return what grew."""
    archive = make_archive(folder / "archive", profiles=200, seed=7)
    serving = Serving(
        folder=folder / "place",
        archive=archive.folder,
        wishes=WISHES,
    )
    serving.start()
    try:
        looks, products = _served(serving, minutes * 60.0, tell)
        assert serving.stop() == 0
    finally:
        serving.close()
    return judged(looks, products, minutes)


def _served(serving: Serving, span_s: float, tell: Callable[[str], None]) -> tuple[list[Look], int]:
    url = serving.url()
    assert serving.process is not None
    process = psutil.Process(serving.process.pid)
    looks: list[Look] = []
    began = time.monotonic()
    with httpx.Client(base_url=url, timeout=30.0, limits=LIMITS) as client:
        load = _load(client)
        while (at_s := time.monotonic() - began) < span_s:
            products = next(load)
            looks.append(_look(process, at_s))
            if len(looks) % 60 == 0:
                tell(f"{at_s / 60:.0f} min: {looks[-1].resident_mb:.0f} MB, {products} products")
            time.sleep(max(0.0, began + len(looks) * LOOK_S - time.monotonic()))
    return looks, products


def _load(client: httpx.Client) -> Iterator[int]:
    """Subscribe, and strike out what was delivered; yield how many products there were so far."""
    made = delivered = 0
    standing: list[str] = []
    while True:
        for name in list(standing):
            found = client.get("/v1/products", params={"subscription": name}).raise_for_status()
            if found.json()["items"]:
                client.delete(f"/v1/subscriptions/{name}").raise_for_status()
                standing.remove(name)
                delivered += 1
        while len(standing) < ASKED_AT_ONCE:
            made += 1
            name = f"soak-{made}"
            wish = {"id": name, "dataset": "argo", "parameters": "TEMP", "deadline": "PT10M"}
            client.post("/v1/subscriptions", json=wish).raise_for_status()
            standing.append(name)
        yield delivered


def _look(process: psutil.Process, at_s: float) -> Look:
    return Look(
        at_s=at_s,
        resident_mb=process.memory_info().rss / 1e6,
        files=float(process.num_fds()),
        connections=float(len(process.net_connections())),
        threads=float(process.num_threads()),
    )


def judged(looks: Sequence[Look], products: int, minutes: float) -> Soaked:
    warm = looks[int(len(looks) * WARM_UP_SHARE) :]
    at_h = [look.at_s / 3600.0 for look in warm]
    growth: dict[str, float] = {}
    rise: dict[str, float] = {}
    fifth = max(1, len(warm) // 5)
    for name in ("resident_mb", "files", "connections", "threads"):
        values = [getattr(look, name) for look in warm]
        mean = statistics.fmean(values) or 1.0
        growth[name] = statistics.linear_regression(at_h, values).slope / mean
        rise[name] = (statistics.fmean(values[-fifth:]) - statistics.fmean(values[:fifth])) / mean
    return Soaked(
        minutes=minutes,
        products=products,
        looks=len(looks),
        resident_mb=warm[-1].resident_mb,
        growth_per_h=growth,
        rise=rise,
    )


def main(arguments: list[str]) -> int:
    """Soak for so many minutes, 5 unless told otherwise; return 1 if anything grew."""
    minutes = float(arguments[0]) if arguments else 5.0
    with tempfile.TemporaryDirectory(prefix="slackwater-soak-") as name:
        found = soak(Path(name), minutes, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(asdict(found) | {"is_steady": found.is_steady}, indent=2))
    return 0 if found.is_steady else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
