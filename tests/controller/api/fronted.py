"""A real service loop on a real store behind the real API, over HTTP on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from controller.api.app import api
from controller.api.door import Door
from controller.api.keys import Keys
from controller.api.server import listener, running_api
from controller.config.subscriptions import KnownDatasets
from controller.destinations import Destinations
from controller.telemetry import Telemetry
from planner.events import OffersChanged
from planner.scaling.policy import BUILT_IN
from planner.settings import PlannerSettings, ScalingSettings
from tests.controller.known import known_argo
from tests.controller.recorded import NOW, Life, life
from tests.controller.stores import Place
from tests.planner.building import OFFER, archive_stands

Found = TypeVar("Found")

TURN_S_MAX = 30.0
LOOK_S = 0.01

WISH = {
    "id": "med",
    "dataset": "argo",
    "bbox": [-6, 30, 36.5, 46],
    "parameters": ["TEMP", "PSAL"],
    "deadline": "PT1M",
}


@dataclass
class Front:
    """A service and how to ask it."""

    life: Life
    url: str
    keys: Keys
    door: Door
    client: httpx.Client = field(init=False)
    ends: ExitStack = field(init=False)

    def __post_init__(self) -> None:
        self.ends = ExitStack()
        self.client = self._client({})

    def as_(self, owner: str, *scopes: Any) -> httpx.Client:
        """Return a client with a new key."""
        _, text = self.keys.add(owner, scopes)
        return self._client({"Authorization": f"Bearer {text}"})

    def _client(self, headers: dict[str, str]) -> httpx.Client:
        client = httpx.Client(base_url=self.url, timeout=TURN_S_MAX, headers=headers)
        return self.ends.enter_context(client)


def begun(one: Life) -> None:
    """Let a service know of nodes and an archive."""
    one.inbox.put(OffersChanged(at=NOW, offers=(OFFER,)))
    one.inbox.put(archive_stands(NOW))
    one.play()


def wait_for(look: Callable[[], Found]) -> Found:
    """Return what is found as soon as there is anything."""
    over, until = threading.Event(), time.monotonic() + TURN_S_MAX
    while not (found := look()):
        assert time.monotonic() < until, "it never came"
        over.wait(LOOK_S)
    return found


@contextmanager
def fronted(  # noqa: PLR0913 - one for each thing that a test may be about
    place: Place,
    folder: Path,
    *,
    datasets: KnownDatasets | None = None,
    stalls: tuple[type, ...] = (),
    runs: bool = True,
    telemetry: bool = False,
    door: dict[str, Any] | None = None,
    app: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
) -> Iterator[Front]:
    """Serve; `runs` False has nobody take letters in."""
    with ExitStack() as ends:
        one = ends.enter_context(life(place, stalls))
        begun(one)
        counts = Telemetry(lambda: NOW)
        counts.read(one.service.board)
        one.watch = counts.see
        keys = Keys(one.database)
        asked = Door(
            **{
                "inbox": one.inbox,
                "store": one.store,
                "datasets": datasets or known_argo(),
                "destinations": Destinations(roots=(str(folder / "products"),), schemes=("file",)),
                "board": one.service.board,
                "settings": PlannerSettings(scaling=ScalingSettings(put_off_launches=False)),
                "policies": BUILT_IN,
                "clock": lambda: NOW,
                "telemetry": counts if telemetry else None,
                **(door or {}),
            }
        )
        front_app = api(asked, **(app or {"find_caller": keys.entrance(required=False)}))
        over = threading.Event()
        loop = threading.Thread(
            target=one.service.run, args=(lambda planner: over.is_set(),), daemon=True
        )
        url = ends.enter_context(
            running_api(front_app, listener("127.0.0.1", 0), 64, **(server or {}))
        )
        if runs:
            loop.start()
        front = Front(one, url, keys, asked)
        try:
            yield front
        finally:
            front.ends.close()
            over.set()
            if runs:
                one.inbox.put(OffersChanged(at=NOW, offers=(OFFER,)))  # It looks up at once.
                loop.join(TURN_S_MAX)
