"""A service lets old products of every subscription go, and no fault of one holds up the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from controller.destinations import Destinations
from controller.retaining import retain
from planner.events import SubscriptionAdded
from tests.controller.recorded import NOW, life
from tests.controller.stores import Place, place, server
from tests.planner.building import subscription

__all__ = ["place", "server"]

DAY_S = 86400.0


def test_old_products_of_all_subscriptions_go(place: Place, tmp_path: Path) -> None:
    allowed = Destinations(roots=(str(tmp_path),))
    with life(place) as one:
        for name in ("first", "outside", "second"):
            folder = Path("/nowhere") if name == "outside" else tmp_path / name
            wish = replace(subscription(name), destination=f"file://{folder}")
            one.inbox.put(SubscriptionAdded(at=NOW, subscription=wish))
            if name != "outside":
                made(folder, f"{name}-v1-u1", created="1970-01-02T00:00:00Z", subscription=name)
                made(folder, f"{name}-v1-u2", created="1970-01-11T00:00:00Z", subscription=name)
        one.play()
        assert retain(one.store, allowed, 5.0, clock=lambda: 12 * DAY_S) == 2
    left = sorted(path.name for path in tmp_path.rglob("*.nc"))
    assert left == ["first-v1-u2.nc", "second-v1-u2.nc"]


def made(folder: Path, product: str, *, created: str, subscription: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{product}.nc").write_bytes(b"rows")
    told = f'{{"product": {{"id": "{product}", "file": "{product}.nc", "sha256": ""}},'
    told += f' "subscription": "{subscription}", "created": "{created}"}}'
    (folder / f"{product}.manifest.json").write_text(told)
