"""Calls to one cloud account: a driver a thread, pauses where it asks for them, typed errors.

Libcloud's own repetition stays off: it repeats what creates, too. Here only what reads is repeated.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from threading import Event, Lock, local
from typing import Any, TypeVar

from controller.errors import NodeError, NodeFault
from controller.nodes.libcloud_access import Login

TRIES_MAX = 3
"""A call that reads is tried so often; whoever asked asks again anyway."""

PAUSE_S, PAUSE_FACTOR = 0.5, 3.0
"""Before the second try [s], and how much longer before each further one."""

QUIET_S_MAX = 20.0
"""A call waits so long for a cloud that asked for a pause [s]; else it fails, to be made again."""

Answer = TypeVar("Answer")


class Account:
    """Calls a cloud, from any thread.

    Parameters
    ----------
    name : str
        Of the provider, for messages.
    login : callable
        Returns how to log in; asked at the first call.
    """

    def __init__(self, name: str, login: Callable[[], Login]) -> None:
        self._name = name
        self._login = login
        self._own = local()
        self._lock = Lock()
        self._quiet_until = 0.0
        self._closing = Event()
        self.calls: Counter[str] = Counter()

    def read(self, what: str, call: Callable[[Any], Answer]) -> Answer:
        """Make a call that changes nothing, again where that helps.

        Parameters
        ----------
        what : str
            As in "cannot ...".
        call : callable
            Is given this thread's driver.

        Raises
        ------
        NodeError
        """
        pause_s = PAUSE_S
        for left in reversed(range(TRIES_MAX)):
            try:
                return self.act(what, call)
            except NodeError as error:
                if error.fault is not NodeFault.RETRY or not left:
                    raise
                self.pause(pause_s)
                pause_s *= PAUSE_FACTOR
        raise AssertionError("it returned or raised")

    def act(self, what: str, call: Callable[[Any], Answer]) -> Answer:
        """Make a call once.

        Raises
        ------
        NodeError
        """
        from controller.nodes.libcloud_faults import (  # noqa: PLC0415 - Libcloud is slow to import
            CLOUD_FAULTS,
            refusal,
        )

        self._wait_until_welcome(what)
        with self._lock:
            self.calls[what] += 1
        try:
            return call(self._driver())
        except CLOUD_FAULTS as error:
            meant = refusal(error)
            if meant.retry_after_s:
                with self._lock:
                    until = time.monotonic() + meant.retry_after_s
                    self._quiet_until = max(self._quiet_until, until)
            raise meant.error(f"provider {self._name} cannot {what}") from None

    def pause(self, pause_s: float) -> None:
        """Wait for so long [s], or until it is closed."""
        self._closing.wait(pause_s)

    def close(self) -> None:
        """Wait no more; calls that are under way end by themselves."""
        self._closing.set()

    def _driver(self) -> Any:
        driver = getattr(self._own, "driver", None)
        if driver is None:
            driver = self._own.driver = self._login().new_driver()
        return driver

    def _wait_until_welcome(self, what: str) -> None:
        left_s = self._quiet_until - time.monotonic()
        if left_s > QUIET_S_MAX:
            raise NodeError(
                f"provider {self._name} cannot {what}: it asked for a pause of {left_s:.0f} s more",
                fault=NodeFault.RETRY,
            )
        if left_s > 0:
            self.pause(left_s)
