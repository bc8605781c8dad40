"""Chaos: hosts die, freeze and are cut off, a cloud's API fails, the service is killed.

A plan says when which of that happens in a run, and is drawn from a seed alone. A bed is where it
happens: a cloud with real hosts, on which a service has real workers. `Chaos` brings a plan to a
bed while the service works.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import count
from typing import Protocol

from tests.controller.disturbed import NAMES
from tests.controller.served import Serving
from tests.fleet.faulty_api import Fault


class What(StrEnum):
    """What happens."""

    KILL = "host killed"
    FREEZE = "host frozen"
    CUT = "host cut off"
    SERVICE = "service killed"
    ALL = "service and scheduler killed"
    FAILED = "500 after it was done"
    BUSY = "429"
    AWAY = "503"
    BROKEN = "no answer"
    SLOW = "slow answer"


HOST_BLOWS = (What.KILL, What.FREEZE, What.CUT)
SERVICE_BLOWS = (What.SERVICE, What.SERVICE, What.ALL)
API_BLOWS = (What.FAILED, What.BUSY, What.AWAY, What.BROKEN, What.SLOW)
STATUS = {What.FAILED: 500, What.BUSY: 429, What.AWAY: 503}
VERBS = ("create", "delete", "look")
"""What an API is asked to do, as each bed translates it."""

ANSWERS_MAX = 3
"""So many answers in a row go wrong at most: a provider tries four times."""

PATIENCE_S = 400.0
"""A run takes a minute on an idle machine; one that other work goes on at is slower by far."""

AGAIN_S = 0.5
"""Where no host has a node yet, it is looked again so much later [s]."""

SLOW_S = (1.0, 6.0)
LASTS_S = (2.0, 12.0)
"""A host is frozen, cut off or without power for so long [s]: below and above the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """One thing that happens.

    Parameters
    ----------
    at_s : float
        After the service has begun to serve [s]; 0 is before it starts.
    what : What
    which : float
        0 to 1: which of the hosts that have nodes at that moment.
    verb : str
        What the API was asked to do when it fails.
    times : int
        So many answers are wrong, one after the other.
    lasts_s : float
        A host is away, or an answer takes, so long [s].
    """

    at_s: float
    what: What
    which: float = 0.0
    verb: str = ""
    times: int = 1
    lasts_s: float = 0.0


def plan(seed: int, span_s: float) -> tuple[Blow, ...]:
    """Return what happens in the run of a seed, within a span from its start [s].

    In every run a host is struck, an API fails and the service is killed. Seeds in turn begin with
    another blow to a host and to an API; the rest is chance.
    """
    chance = random.Random(seed)
    hosts = [HOST_BLOWS[seed % 3], *chance.choices(HOST_BLOWS, k=chance.randint(0, 2))]
    apis = [API_BLOWS[seed % 5], *chance.choices(API_BLOWS, k=chance.randint(1, 3))]
    services = chance.choices(SERVICE_BLOWS, k=chance.randint(1, 2))
    blows = [_host_blow(what, chance, span_s) for what in hosts]
    # The first is there when the first node is asked for.
    blows += [_api_blow(what, chance, span_s if n else 0.0) for n, what in enumerate(apis)]
    blows += [Blow(at_s=chance.uniform(1.0, span_s), what=what) for what in services]
    return tuple(sorted(blows, key=lambda each: each.at_s))


def _host_blow(what: What, chance: random.Random, span_s: float) -> Blow:
    at_s = chance.uniform(0.3 * span_s, span_s)
    return Blow(at_s=at_s, what=what, which=chance.random(), lasts_s=chance.uniform(*LASTS_S))


def _api_blow(what: What, chance: random.Random, span_s: float) -> Blow:
    verb = chance.choice(VERBS) if span_s else "create"
    return Blow(
        at_s=chance.uniform(0.0, span_s),
        what=what,
        verb=verb,
        times=chance.randint(1, ANSWERS_MAX),
        lasts_s=chance.uniform(*SLOW_S) if what is What.SLOW else 0.0,
    )


def fault_of(blow: Blow, method: str, path: str) -> Fault:
    """Return what a blow to an API is to the requests of one kind."""
    return Fault(
        method=method,
        path=path,
        times=blow.times,
        status=STATUS.get(blow.what, 0),
        after_s=1 if blow.what is What.BUSY else 0,
        done=blow.what is What.FAILED,
        delay_s=blow.lasts_s,
    )


class Bed(Protocol):
    """A cloud of real hosts.

    Attributes
    ----------
    name : str
    settings : str
        Of a service whose only nodes are there.
    span_s : float
        A run is disturbed within so long from its start [s].
    joined_s_max : float
        A node whose workers are not there for so long is given up [s].
    """

    name: str
    settings: str
    span_s: float
    joined_s_max: float

    def hosts(self) -> list[str]:
        """Return the hosts that have nodes now."""

    def strike(self, host: str, how: What) -> None:
        """Kill, freeze or cut off a host."""

    def heal(self, host: str, how: What) -> None:
        """End that, as far as it can be ended."""

    def fail(self, blow: Blow) -> None:
        """Have the next answers of the API be wrong."""

    def calm(self) -> None:
        """Have all answers be right again."""

    def left(self) -> dict[str, list[str]]:
        """Return what the account has of the service, by kind; what it has none of is left out."""


class Chaos:
    """Brings a plan to a bed while a service works.

    Parameters
    ----------
    serving : Serving
    bed : Bed
    blows : tuple of Blow

    Attributes
    ----------
    told : list of str
        What has happened, and when.
    """

    def __init__(self, serving: Serving, bed: Bed, blows: tuple[Blow, ...]) -> None:
        self.told: list[str] = []
        self._serving = serving
        self._bed = bed
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._struck: dict[str, What] = {}
        self._began = time.monotonic()
        self._blows = blows

    def work(self) -> None:
        """Bring what is due, until nothing is or nobody is left to be disturbed; then heal all."""
        for blow in self._blows:
            if blow.at_s:
                self._at(blow.at_s, partial(self._do, blow))
            else:
                self._do(blow)
        self._serving.start()
        self._serving.url()
        self._began = time.monotonic()
        while self._due and not self._is_over():
            at_s, _, act = heapq.heappop(self._due)
            self._serving.until("its time", partial(self._is_time, at_s))
            if not self._is_over():
                act()
        for host in list(self._struck):
            self._heal(host)
        self._bed.calm()

    def _now_s(self) -> float:
        now_s = time.monotonic() - self._began
        assert now_s < PATIENCE_S, f"not in time; so far: {self.told}"
        return now_s

    def _is_time(self, at_s: float) -> bool:
        return self._now_s() >= at_s or self._is_over()

    def _is_over(self) -> bool:
        return self._serving.delivered(len(NAMES))

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), act))

    def _do(self, blow: Blow) -> None:
        if blow.what in HOST_BLOWS:
            self._strike(blow)
        elif blow.what in API_BLOWS:
            self._bed.fail(blow)
            self._tell(f"{blow.what} to {blow.verb} x{blow.times}")
        else:
            self._tell(blow.what)
            self._serving.kill()
            if blow.what is What.ALL:
                self._serving.kill_rest()
            self._serving.start()

    def _strike(self, blow: Blow) -> None:
        """Strike one of the hosts that have nodes, as soon as one has."""
        hosts = [each for each in self._bed.hosts() if each not in self._struck]
        if not hosts:
            self._at(self._now_s() + AGAIN_S, partial(self._do, blow))
            return
        host = hosts[int(blow.which * len(hosts))]
        self._tell(f"{blow.what} for {blow.lasts_s:.0f} s")
        self._bed.strike(host, blow.what)
        self._struck[host] = blow.what
        self._at(self._now_s() + blow.lasts_s, partial(self._heal, host))

    def _heal(self, host: str) -> None:
        self._bed.heal(host, self._struck.pop(host))

    def _tell(self, what: str) -> None:
        self.told.append(f"{self._now_s():.0f} s: {what}")
