"""The attempts under way with one scheduler, and the one report that each of them ends in.

Lives in the event loop of one Dask client and is touched from nowhere else. A worker is sent its
next part when it has none, and what a node was sent beyond that waits here, in the order it came:
Dask would bind each part to a worker at once, and one behind a long one would miss its turn. Only
where parts are so short that the way to the worker takes longer are some sent ahead, and taken back
when the one before them turns out to be long after all.

An attempt waits only for a worker that is there, and runs only on one that is there: when a node's
last worker leaves, what waits for it is lost, so nothing waits for ever.

A carriage that is attached to a scheduler with a ledger (`controller.engines.ledger`) begins with
what an earlier service left there, and remembers what it reported until that is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from distributed import Client, Future
from distributed.scheduler import KilledWorker

from controller.clock import now
from controller.engines.endings import Reported, ending, failed, in_words, lost
from controller.engines.ledger import ENDS_MAX, AttemptKey, PartKey, key_of
from controller.engines.messages import (
    TOPIC,
    Carried,
    End,
    Message,
    PartDone,
    PartOver,
    PartRefused,
    Roster,
    TakenOver,
    WorkerEnding,
    WorkerHung,
    from_wire,
    held_from_wire,
)
from controller.engines.part import pack, run_part
from controller.errors import EngineError
from controller.ports import AttemptListing, PartWork, Report, node_of
from planner.events import NodeReady

EPITAPHS_MAX = 1000
"""Reasons of ended workers that are remembered; each is wanted for moments only."""

AHEAD_S_MAX = 0.2
"""A part is sent ahead when, at the pace of its node, it will wait at the worker no longer [s]; one
that has waited longer is taken back."""

HELD_MAX = 4
"""Parts that a worker holds at most: one runs, and the rest bridge the 10 to 20 ms of the way."""

GATHER_S = 0.05
"""What is acknowledged within this time goes to the scheduler in one message [s]."""

SETTLE_S_MAX = 1.0
"""So long an engine that closes waits for the scheduler to hear its last word [s]. What it does not
hear is told again, and acknowledged again."""

CALL_S_MAX = 10.0
"""A scheduler answers what it holds by then, or not at all [s]."""


class Superseded(Exception):
    """Another service has attached itself to the scheduler; this one has to stop."""


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """One attempt: it waits for a worker of its node, then has one."""

    part_id: str
    attempt: int
    node_id: str
    limit_s: float = math.inf
    packed: bytes = b""
    worker: str | None = None
    first_at: float = math.inf
    """When it became the first of its worker's parts, and so began [monotonic s]."""
    key: PartKey | None = None
    follower: asyncio.Task[None] | None = None
    """Waits for its end; one that an earlier service sent has none, its end is told."""


class Carriage:
    """Carries attempts with one client.

    Parameters
    ----------
    client : Client
        Asynchronous, of the running loop.
    report : Report
    on_hung : callable
        Is told the name of a worker that does not answer any more, so that somebody kills it.
    """

    def __init__(self, client: Client, report: Report, on_hung: Callable[[str], None]) -> None:
        self._client = client
        self._report = report
        self._on_hung = on_hung
        self._attempts: dict[AttemptKey, Attempt] = {}
        self._waiting: defaultdict[str, deque[Attempt]] = defaultdict(deque)
        self._addresses: dict[str, str] = {}
        self._held: defaultdict[str, list[Attempt]] = defaultdict(list)
        self._pace_s: dict[str, float] = {}
        self._epitaphs: dict[str, str] = {}
        # Later than all that an earlier service has sent, be it of the same attempt.
        self._serials = itertools.count(time.time_ns() // 1000)
        self._heard = False
        self._closed = False
        self._service = ""
        self._reported: dict[AttemptKey, Reported] = {}
        self._acknowledged: list[AttemptKey] = []
        self._early: list[Message] | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self.taken_over = asyncio.Event()
        client.subscribe_topic(TOPIC, self._hear)

    async def attach(self, service: str, lease_s: float, orphan_s: float) -> None:
        """Take over what the scheduler's ledger holds: report its ends, follow what is under way.

        Raises
        ------
        EngineError
            The scheduler does not answer.
        """
        self._service = service
        self._early = []
        call = self._scheduler.attach(
            client=self._client.id, service=service, lease_s=lease_s, orphan_s=orphan_s
        )
        try:
            held = held_from_wire(await asyncio.wait_for(call, CALL_S_MAX))
        except (TimeoutError, msgspec.ValidationError) as error:
            raise EngineError(f"the scheduler does not tell what it holds: {error}") from error
        for end in held.ended:
            self._tell(ending(end))
        for carried in held.carried:
            self._adopt(carried)
        for name in held.hung:
            self._on_hung(name)
        early, self._early = self._early, None
        for message in (held.roster, *early):
            self._take_in(message)

    def acknowledge(self, attempts: Sequence[AttemptKey]) -> None:
        """Note that the ends of these attempts are written down."""
        for key in attempts:
            self._reported.pop(key, None)
        if not self._service or self._closed:
            return
        if not self._acknowledged:
            asyncio.get_running_loop().call_later(GATHER_S, self._pass_on)
        self._acknowledged += attempts

    def _pass_on(self) -> None:
        done, self._acknowledged = self._acknowledged, []
        if done and not self._closed:
            self._call(self._scheduler.acknowledge(attempts=[list(each) for each in done]))

    async def settle(self) -> None:
        """Have the scheduler know what was acknowledged just now, as far as it answers soon."""
        if self._acknowledged:
            self._pass_on()
        if self._calls:
            await asyncio.wait(self._calls, timeout=SETTLE_S_MAX)

    def attempts(self) -> tuple[AttemptListing, ...]:
        """Return what is under way, and what has ended and is not acknowledged."""
        under_way = [
            AttemptListing(part_id=each.part_id, attempt=each.attempt, node_id=each.node_id)
            for each in self._attempts.values()
        ]
        ended = [
            AttemptListing(part_id=part_id, attempt=attempt, ended=True)
            for part_id, attempt in self._reported
        ]
        return (*under_way, *ended)

    def workers(self) -> dict[str, int]:
        """Return how many workers of each node have joined."""
        return dict(head_count(self._addresses))

    @property
    def _scheduler(self) -> Any:
        """What is asked here is answered there, by `controller.engines.scheduler`."""
        return self._client.scheduler

    def heard(self) -> bool:
        """Return whether anything has been heard since this was last asked."""
        heard, self._heard = self._heard, False
        return heard

    def submit(self, works: Sequence[PartWork]) -> None:
        """Send a batch on its way; one that is under way already is left alone."""
        for work in works:
            key = (work.part_id, work.attempt)
            if key not in self._attempts and key not in self._reported:
                self._accept(work)
        for node_id in {work.node_id: None for work in works}:
            self._dispatch(node_id)

    def stop(self, part_id: str, attempt: int) -> None:
        """Forget an attempt. A part that runs already keeps its worker busy until it ends."""
        known = self._attempts.pop((part_id, attempt), None)
        if known and known.worker is None:
            self._waiting[known.node_id].remove(known)

    def close(self, reason: str | None) -> None:
        """Give up all attempts: lost for this reason, or silently when there is none."""
        self._closed = True
        for attempt in itertools.chain(*self._held.values()):
            unfollow(attempt)
        for call in self._calls:
            call.cancel()
        if reason is not None:
            for attempt in list(self._attempts.values()):
                self._lose(attempt, reason)
            self._update_roster({}, {})

    def _accept(self, work: PartWork) -> None:
        try:
            packed = pack(work)
        except EngineError as error:
            self._tell(failed(work.part_id, work.attempt, str(error), retry=False))
            return
        attempt = Attempt(
            part_id=work.part_id,
            attempt=work.attempt,
            node_id=work.node_id,
            limit_s=work.limit_s,
            packed=packed,
        )
        self._attempts[work.part_id, work.attempt] = attempt
        self._waiting[work.node_id].append(attempt)

    def _dispatch(self, node_id: str) -> None:
        """Give the workers of a node the next parts; lose them where there is no worker."""
        waiting = self._waiting[node_id]
        crew = [name for name in self._addresses if node_of(name) == node_id]
        brisk = [name for name in crew if not self._stalls(name)]
        held_max = self._held_max(node_id)
        while brisk and waiting:
            worker = min(brisk, key=lambda name: len(self._held[name]))
            if len(self._held[worker]) >= held_max:
                break
            self._send(waiting.popleft(), worker)
        if not crew:
            for attempt in list(waiting):
                self._lose(attempt, f"node {node_id} has no worker")
        if not waiting:
            del self._waiting[node_id]

    def _held_max(self, node_id: str) -> int:
        """Return how many parts a worker of this node may hold now."""
        pace_s = self._pace_s.get(node_id, math.inf)
        return min(HELD_MAX, 1 + int(AHEAD_S_MAX / max(pace_s, AHEAD_S_MAX / HELD_MAX)))

    def _stalls(self, worker: str) -> bool:
        """Return whether a worker is at a part too long for others to be sent after it."""
        held = self._held[worker]
        return bool(held) and time.monotonic() - held[0].first_at > AHEAD_S_MAX

    def _take_back(self) -> None:
        """Let parts wait here again that were sent ahead and then did not get their turn."""
        taken_back: list[PartKey | None] = []
        for worker in [name for name in self._held if self._stalls(name)]:
            first, *ahead = self._held[worker]
            self._held[worker] = [first]
            for attempt in reversed(ahead):
                if attempt.follower is None:
                    self._held[worker].append(attempt)  # It was sent by an earlier service.
                    continue
                taken_back.append(attempt.key)
                unfollow(attempt)
                attempt.worker = None
                if self._wanted(attempt):
                    self._waiting[attempt.node_id].appendleft(attempt)
        if self._service and taken_back:
            keys = [list(key[1:]) for key in taken_back if key]
            self._call(self._scheduler.take_back(keys=keys))

    def _send(self, attempt: Attempt, worker: str) -> None:
        serial = next(self._serials)
        attempt.key = key_of(attempt.part_id, attempt.attempt, worker, serial)
        future = self._client.submit(
            run_part,
            attempt.part_id,
            attempt.attempt,
            attempt.packed,
            attempt.limit_s,
            key=attempt.key,
            priority=-serial,
            workers=[self._addresses[worker]],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        attempt.worker = worker
        self._held[worker].append(attempt)
        self._held[worker][0].first_at = min(self._held[worker][0].first_at, time.monotonic())
        attempt.follower = asyncio.create_task(self._see_through(attempt, worker, future))

    async def _see_through(self, attempt: Attempt, worker: str, future: Future[None]) -> None:
        """Wait until a part that was sent has ended. How it did was told before, but for faults."""
        error = await future.exception()
        if future.status == "cancelled":
            return  # The scheduler is gone: all attempts are about to be given up.
        if isinstance(error, KilledWorker):
            self._lose(attempt, self._epitaph(worker))
            return  # The roster will say that the worker has left.
        self._release(attempt, worker)
        self._dispatch(attempt.node_id)
        if error is not None:
            reason = await in_words(future, error)
            self._conclude(attempt, failed(attempt.part_id, attempt.attempt, reason, retry=True))
        self._lose(attempt, "it ended without a receipt")

    def _release(self, attempt: Attempt, worker: str) -> None:
        """Note that a worker has done with a part, and begins the next one that it holds."""
        held = self._held[worker]
        held.remove(attempt)
        if held:
            held[0].first_at = time.monotonic()

    def _wanted(self, attempt: Attempt) -> bool:
        return self._attempts.get((attempt.part_id, attempt.attempt)) is attempt

    def _lose(self, attempt: Attempt, reason: str) -> None:
        self._conclude(attempt, lost(attempt.part_id, attempt.attempt, reason))

    def _conclude(self, attempt: Attempt, event: Reported) -> None:
        """Report an attempt's end, the first that is known; a later one is dropped."""
        if self._wanted(attempt):
            self.stop(attempt.part_id, attempt.attempt)
            self._tell(event)

    def _tell(self, event: Reported) -> None:
        """Report an end; with a ledger, remember it until it is acknowledged."""
        if self._service:
            self._reported[event.part_id, event.attempt] = event
            if len(self._reported) > ENDS_MAX:
                del self._reported[next(iter(self._reported))]
        self._report(event)

    def _adopt(self, carried: Carried) -> None:
        """Take over a part that an earlier service sent; it may have ended in all but name."""
        attempt = Attempt(
            part_id=carried.part_id,
            attempt=carried.attempt,
            node_id=node_of(carried.name),
            worker=carried.name,
        )
        if (carried.part_id, carried.attempt) not in self._reported:
            self._attempts[carried.part_id, carried.attempt] = attempt
        self._held[carried.name].append(attempt)
        self._held[carried.name][0].first_at = -math.inf

    def _call(self, call: Coroutine[Any, Any, object]) -> None:
        """Have the scheduler do something; one that is gone needs not."""

        async def wait() -> None:
            with contextlib.suppress(OSError):
                await call

        task = asyncio.create_task(wait())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _hear(self, event: tuple[float, object]) -> None:
        # Taken in outside of Dask's handler, which would hide our own bugs in its log.
        asyncio.get_running_loop().call_soon(self._take_in, from_wire(event[1]))

    def _take_in(self, message: Message) -> None:
        """Take in what the scheduler or a worker tells."""
        if self._closed:
            return
        if self._early is not None:
            self._early.append(message)
            return
        self._heard = True
        match message:
            case PartDone() | PartRefused() as answer:
                self._take_answer(answer)
            case Roster(present=present, running=running):
                self._update_roster(present, running)
            case WorkerHung(name=name, reason=reason):
                self._bury(name, reason)
                self._on_hung(name)
            case WorkerEnding(name=name, reason=reason):
                self._bury(name, reason)
            case PartOver(name=name, end=end):
                self._let_go(name, end)
            case TakenOver(service=service):
                if self._service and service != self._service:
                    self.taken_over.set()

    def _let_go(self, worker: str, end: End) -> None:
        """Note that a part which an earlier service sent has ended, and its worker is free."""
        for attempt in self._held.get(worker, ()):
            if (attempt.part_id, attempt.attempt) == (end.part_id, end.attempt):
                self._release(attempt, worker)
                self._conclude(attempt, ending(end))
                self._dispatch(attempt.node_id)
                break
        self._dismiss(end)

    def _dismiss(self, end: End) -> None:
        """Have an end that nobody here wants to know forgotten."""
        key = (end.part_id, end.attempt)
        if self._service and key not in self._reported and key not in self._attempts:
            self.acknowledge([key])

    def _take_answer(self, answer: PartDone | PartRefused) -> None:
        attempt = self._attempts.get((answer.part_id, answer.attempt))
        if attempt is None:
            self._dismiss(answer)  # It was stopped or given up.
            return
        if isinstance(answer, PartDone):
            # One short part among long ones is no reason to send the next ones ahead.
            before_s = self._pace_s.get(attempt.node_id, 0.0)
            self._pace_s[attempt.node_id] = max(answer.run_s, before_s / 2)
        self._conclude(attempt, ending(answer))

    def _update_roster(self, present: dict[str, str], running: dict[str, str]) -> None:
        before, after = head_count(self._addresses), head_count(running)
        self._addresses = dict(running)
        for worker in sorted(self._held.keys() - present.keys()):
            for attempt in self._held.pop(worker):
                unfollow(attempt)
                self._lose(attempt, self._epitaph(worker))
        self._take_back()
        for node_id in list(self._waiting):
            self._dispatch(node_id)
        for node_id in sorted(before | after):
            if not after[node_id]:
                self._pace_s.pop(node_id, None)
            if before[node_id] != after[node_id]:
                joined = after[node_id]
                self._report(NodeReady(at=now(), node_id=node_id, workers=joined))

    def _bury(self, name: str, reason: str) -> None:
        self._epitaphs[name] = reason
        if len(self._epitaphs) > EPITAPHS_MAX:
            del self._epitaphs[next(iter(self._epitaphs))]

    def _epitaph(self, name: str) -> str:
        return f"worker {name} ended: {self._epitaphs.get(name, 'killed, crashed or cut off')}"


def head_count(roster: dict[str, str]) -> Counter[str]:
    """Return the number of workers of each node."""
    return Counter(map(node_of, roster))


def unfollow(attempt: Attempt) -> None:
    """Wait no longer for the end of an attempt; Dask forgets it, if nobody else wants it."""
    if attempt.follower is not None:
        attempt.follower.cancel()
        attempt.follower = None
