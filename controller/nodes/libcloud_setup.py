"""Machines on their way to be workers: each is prepared once it runs, and again when that is due.

Preparing takes a minute or so a machine and is none of the cloud's calls, so it has threads of its
own. What came of it is remembered here only: after a restart every machine is prepared again, which
changes nothing on one that was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Protocol

from controller.errors import NodeError, NodeFault
from controller.nodes.steps import tell_step

BATCHES_MAX = 4
"""Batches of machines are prepared at the same time [count]: each is a process of Ansible's."""

TRIES_MAX = 2
"""A machine that was out of reach is prepared so often: its ssh may just have been starting."""

RENEW_S = 3600.0
"""Credentials of machines are looked at again after this time [s]."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningHost:
    """A machine that runs and is to be a worker.

    Parameters
    ----------
    node_id, address : str
    workers : int
    shared_reads_mb : float
        See `controller.nodes.plugins.NodeType`.
    """

    node_id: str
    address: str
    workers: int
    shared_reads_mb: float


Told = Callable[[str, NodeError | None], None]
"""Is told of a node as soon as it is prepared, or why it cannot be."""


class Preparation(Protocol):
    """Makes workers of running machines; may be asked again, with other numbers of workers."""

    def prepare(self, hosts: Sequence[RunningHost], told: Told) -> None:
        """Prepare machines, and tell of each."""

    def renew(self, node_id: str) -> bool:
        """Renew a machine's credentials if that is due; tell whether they are to be brought."""

    def forget(self, node_id: str) -> None:
        """Forget a machine that is gone."""

    def close(self) -> None:
        """End what is under way."""


class NoPreparation:
    """The image brings the worker up by itself, by the user data that it is given."""

    def prepare(self, hosts: Sequence[RunningHost], told: Told) -> None:
        """Tell that all are ready."""
        for host in hosts:
            told(host.node_id, None)

    def renew(self, node_id: str) -> bool:
        """Tell that nothing is to be brought: the image has what it needs."""
        return False

    def forget(self, node_id: str) -> None:
        """Do nothing: nothing was noted."""

    def close(self) -> None:
        """Do nothing: nothing is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a machine is.

    Parameters
    ----------
    workers : int
        What it was prepared for last; 0 before.
    is_under_way : bool
    tries : int
        That failed since it was prepared last.
    fault : str
        Why it cannot be prepared.
    is_stale : bool
        It works, but its credentials are new and not brought there yet.
    """

    workers: int = 0
    is_under_way: bool = False
    tries: int = 0
    fault: str = ""
    is_stale: bool = False


class Setups:
    """Has machines prepared.

    Parameters
    ----------
    preparation : Preparation
    """

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        self._lock = Lock()
        self._progress: dict[str, Progress] = {}
        self._told: set[str] = set()
        self._threads = ThreadPoolExecutor(BATCHES_MAX, thread_name_prefix="setting-up")
        self._fault: BaseException | None = None
        self._renew_at = time.monotonic() + RENEW_S

    def progress(self, node_id: str) -> Progress:
        """Return how far a machine is."""
        with self._lock:
            return self._progress.get(node_id, Progress())

    def see(self, hosts: Sequence[RunningHost]) -> None:
        """Begin to prepare those of the running machines that are not as they are to be."""
        with self._lock:
            due = [each for each in hosts if self._is_due(each)]
            for each in due:
                before = self._progress.get(each.node_id, Progress())
                self._progress[each.node_id] = replace(before, is_under_way=True)
            new = [each for each in due if each.node_id not in self._told]
            self._told.update(each.node_id for each in new)
        for each in new:
            tell_step("up", each.node_id, f"its machine runs at {each.address}, to be set up")
        if due:
            future = self._threads.submit(self._prepare, due)
            future.add_done_callback(self._ended)

    def renew(self, node_ids: Sequence[str]) -> None:
        """Now and then, have those prepared again whose credentials had to be renewed."""
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + RENEW_S
        for node_id in node_ids:
            known = self.progress(node_id)
            if known.is_under_way or not known.workers:
                continue  # It is brought what is new, or is looked at next time.
            if known.is_stale or self._preparation.renew(node_id):
                with self._lock:
                    if node_id in self._progress:
                        self._progress[node_id] = replace(known, is_stale=True, tries=0)

    def fault(self) -> BaseException | None:
        """Return what broke preparing itself, which no single machine is to blame for."""
        return self._fault

    def forget(self, node_id: str) -> None:
        """Forget a machine that is gone."""
        with self._lock:
            self._progress.pop(node_id, None)
            self._told.discard(node_id)
        self._preparation.forget(node_id)  # Also of one that an earlier service has prepared.

    def close(self) -> None:
        """End what is under way."""
        self._preparation.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _is_due(self, host: RunningHost) -> bool:
        known = self._progress.get(host.node_id, Progress())
        if known.is_under_way or known.fault:
            return False
        return known.workers != host.workers or (known.is_stale and known.tries < TRIES_MAX)

    def _prepare(self, hosts: Sequence[RunningHost]) -> None:
        wanted = {each.node_id: each.workers for each in hosts}

        def told(node_id: str, error: NodeError | None) -> None:
            with self._lock:
                before = self._progress.get(node_id)
                if before is not None:  # Else it is gone meanwhile.
                    self._progress[node_id] = _after(before, wanted[node_id], error)

        try:
            self._preparation.prepare(hosts, told)
        except OSError as error:
            fault = NodeError(
                f"machines cannot be set up from here: {error}",
                fault=NodeFault.RETRY,
                fix="Free disc space and processes of the service's machine; it is tried again",
            )
            for each in hosts:
                if self.progress(each.node_id).is_under_way:
                    told(each.node_id, fault)

    def _ended(self, preparing: Future[None]) -> None:
        """Keep what broke preparing itself: nobody else looks at how it ended."""
        if not preparing.cancelled() and (fault := preparing.exception()):
            _log.error("machines are not prepared any more", exc_info=fault)
            self._fault = fault


def _after(before: Progress, workers: int, error: NodeError | None) -> Progress:
    """Return how far a machine is after it was tried to prepare it."""
    if error is None:
        return Progress(workers=workers)
    tries = before.tries + 1
    if before.is_stale and before.workers == workers:
        _log.warning("a machine is not brought its new certificate: %s", error)
        # It works on, and there is a month to mend it.
        return replace(before, is_under_way=False, tries=tries if error.retry else TRIES_MAX)
    is_final = not error.retry or tries >= TRIES_MAX
    return Progress(workers=before.workers, tries=tries, fault=str(error) if is_final else "")
