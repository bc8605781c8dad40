"""Sends letters as they fall due, beside the decision loop and never in its way.

One thread asks the letterbox and writes down what became of letters; each attempt has a thread of
its own. There are few of them, and fewer for each host, so a receiver that hangs holds up only
what goes to it. A letter leaves the letterbox only when its fate is written there: a crash before
that sends it again, with the same id.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from controller.clock import now
from controller.errors import StorageError
from controller.notify.carrier import Carrier, verdict
from controller.notify.dialling import Allowance
from controller.notify.letterbox import Letter, Letterbox
from controller.notify.outcomes import Fate, LetterState, Outcome, Schedule, Verdict
from planner.errors import SlackwaterError

ATTEMPT_S_MAX = 20.0
"""An attempt ends after this long in all [s] (Standard Webhooks advises 15 to 30)."""

SENDS_MAX = 32
"""Attempts at the same time; each is a thread that mostly waits."""

LANE_SENDS_MAX = 2
"""Attempts at the same time to one host: a sixteenth, so that one that hangs costs no more."""

POLL_S = 1.0
"""The letterbox is asked at least this often [s], for what has become due again."""

KEPT_S = 30 * 86400.0
"""Settled letters and their notices are kept for listings this long [s]."""

BREATH_S = 0.02
"""Pause where there is more to sort [s]: the decision loop writes to the same store in between."""

FORGET_EVERY_S = 60.0
"""Pause between two removals of what is older [s]; each removes a bounded number."""

CLOSE_S_MAX = 1.0
"""What is under way at the end may take this long [s]; then it is cut off, and sent again later."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is sent at the same time, and for how long.

    Parameters
    ----------
    attempt_s_max : float
    sends_max, lane_sends_max : int
        Attempts at the same time, in all and to one host.
    poll_s, kept_s, close_s_max : float
    """

    attempt_s_max: float = ATTEMPT_S_MAX
    sends_max: int = SENDS_MAX
    lane_sends_max: int = LANE_SENDS_MAX
    poll_s: float = POLL_S
    kept_s: float = KEPT_S
    close_s_max: float = CLOSE_S_MAX


@dataclass(frozen=True, slots=True)
class _Ended:
    letter: Letter
    outcome: Outcome


class Notifier:
    """Sends what a letterbox holds until it is closed; begins at once.

    Parameters
    ----------
    letterbox : Letterbox
        Used by this notifier's thread only.
    carrier : Carrier
    schedule : Schedule
    limits : Limits
    clock : callable
        The time [POSIX s] by which letters are due.
    chance : callable
        Draws the share of each pause that is jitter, in [0, 1).

    Attributes
    ----------
    attempts : Counter of Fate
        How attempts ended since the start, for metrics.
    """

    def __init__(
        self,
        letterbox: Letterbox,
        carrier: Carrier,
        *,
        schedule: Schedule | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._letterbox = letterbox
        self._carrier = carrier
        self._schedule = schedule or Schedule()
        self._limits = limits or Limits()
        self._clock = clock
        self._chance = chance
        self.attempts: Counter[Fate] = Counter()
        self._news: queue.SimpleQueue[_Ended | None] = queue.SimpleQueue()
        self._flying: dict[str, tuple[Letter, Allowance]] = {}
        self._ended: dict[str, _Ended] = {}
        self._closing = threading.Event()
        self._forget_at = 0.0
        self._is_troubled = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it is at work: for the readiness of the service."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Look into the letterbox now; never waits, any thread may."""
        self._news.put(None)

    def close(self) -> None:
        """Stop. What is under way may end within `close_s_max`; what does not is sent again."""
        self._closing.set()
        self.wake()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._hear(self._turn())
            self._finish()
        except SlackwaterError as error:  # another service has taken the store over
            _log.warning("no more notices are sent from here: %s", error)

    def _turn(self) -> float:
        """Write down what has ended, and send what is due; return until when that was all [s]."""
        more = False
        try:
            self._record()
            more = self._letterbox.sort()
            self._send_due()
            self._forget()
        except StorageError as error:
            if not self._is_troubled:
                _log.warning("notices wait, for the store cannot be used: %s", error)
            self._is_troubled = True
        else:
            self._is_troubled = False
        return BREATH_S if more else self._limits.poll_s

    def _hear(self, patience_s: float) -> None:
        """Wait for something to happen, then take in all that has."""
        with suppress(queue.Empty):
            self._take(self._news.get(timeout=patience_s))
            # A store that fails must be left alone for a while, whatever else happens.
            if self._is_troubled:
                self._closing.wait(patience_s)
            while True:
                self._take(self._news.get_nowait())

    def _take(self, news: _Ended | None) -> None:
        if news is None:
            return
        letter, outcome = news.letter, news.outcome
        del self._flying[letter.id]
        self.attempts[outcome.fate] += 1
        if outcome.fate is not Fate.ABANDONED:
            self._ended[letter.id] = news

    def _record(self) -> None:
        if not self._ended:
            return
        verdicts = [self._verdict(ended) for ended in self._ended.values()]
        self._letterbox.record(verdicts)
        for ended, one in zip(self._ended.values(), verdicts, strict=True):
            _tell(ended.letter, one)
        self._ended.clear()

    def _verdict(self, ended: _Ended) -> Verdict:
        return verdict(
            ended.letter,
            ended.outcome,
            self._schedule,
            now=self._clock(),
            chance=self._chance(),
        )

    def _send_due(self) -> None:
        limits = self._limits
        free = limits.sends_max - len(self._flying)
        if free <= 0:
            return
        # Those that fly are still due in the letterbox: ask for them and as many again.
        asked = limits.sends_max * 2
        lanes = Counter(letter.lane for letter, _ in self._flying.values())
        for letter in self._letterbox.due(self._clock(), asked, limits.lane_sends_max):
            if (
                free
                and letter.id not in self._flying
                and lanes[letter.lane] < limits.lane_sends_max
            ):
                self._send(letter)
                lanes[letter.lane] += 1
                free -= 1

    def _send(self, letter: Letter) -> None:
        allowance = Allowance(self._limits.attempt_s_max)
        self._flying[letter.id] = (letter, allowance)
        name = f"notice-{letter.id}"
        threading.Thread(
            target=self._carry, args=(letter, allowance), name=name, daemon=True
        ).start()

    def _carry(self, letter: Letter, allowance: Allowance) -> None:
        # What is not foreseen ends as a failure, so that it is retried with pauses, and shows.
        outcome = Outcome(fate=Fate.FAILED, reason="a fault of slackwater; see its log")
        try:
            outcome = self._carrier.carry(letter, allowance)
        finally:
            self._news.put(_Ended(letter, outcome))

    def _forget(self) -> None:
        now = self._clock()
        if now >= self._forget_at:
            self._letterbox.forget(now - self._limits.kept_s)
            self._forget_at = now + FORGET_EVERY_S

    def _finish(self) -> None:
        """Let what is under way end, then cut it off, and write down what became of it."""
        for is_patience_over in (False, True):
            if is_patience_over:
                for _, allowance in self._flying.values():
                    allowance.cancel()
            ends_at = time.monotonic() + self._limits.close_s_max
            while self._flying and (left_s := ends_at - time.monotonic()) > 0:
                self._hear(left_s)
        with suppress(StorageError):
            self._record()


def _tell(letter: Letter, one: Verdict) -> None:
    about = letter.notice.id if letter.notice else "a question"
    if one.disables:
        _log.warning("endpoint %s is disabled: %s", one.addressee_id, one.reason)
    elif one.state is LetterState.DEAD:
        _log.warning(
            "letter %s (%s) is dead after %d attempts: %s",
            letter.id, about, one.attempts, one.reason,
        )  # fmt: skip
    elif one.state is LetterState.WAITING:
        _log.info("letter %s failed, and is tried again: %s", letter.id, one.reason)
