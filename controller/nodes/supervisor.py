"""The supervisor of one node: a process that keeps the wanted number of workers running.

It has one thread, so that it may fork workers at any time, and sleeps until something happens: a
worker ends, a signal comes (SIGHUP: read again what is wanted; SIGTERM: end), or the pipe to its
nursery closes. Workers hold the other end of a pipe to their supervisor and end when that closes.
So whatever is killed, what stands below it ends too.

What ties it to its service is told apart (`controller.nodes.ties`), so that a node on another
machine (`controller.nodes.joined`) is kept by the same code.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from controller.errors import NodeError, NodeFault
from controller.nodes import cgroup
from controller.nodes.records import Standing
from controller.nodes.signals import ENDING, HEARD
from controller.nodes.ties import LocalTie, Tie
from controller.ports import NodeState, WorkerConnection
from controller.processes import ProcessMark, mark
from controller.reach import is_there
from controller.returning import return_unseen
from controller.shared_reads import share
from planner.errors import SlackwaterError

RESTART_WINDOW_S = 60.0
"""Restarts are counted over this time [s]: a worker that lives longer is worth another one."""

REFUSED = 78
"""Exit code of a worker that may not or cannot serve: another one could not either (EX_CONFIG)."""

OUT_OF_REACH = 75
"""Exit code of a worker that could not reach its scheduler for too long (EX_TEMPFAIL)."""

REFUSAL = "refusal"
LOG = "log"
READS = "reads"
FRAGMENTS = "fragments"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStart:
    """What a node is started with.

    Parameters
    ----------
    node_id : str
    folder : Path
        The node's own in the registry.
    connection : WorkerConnection
    boot_s : float
        Workers are started only after this time [s].
    cpu_quota : float or None
        CPU time for all workers together [cores].
    reachable_urls : tuple of str
        Folders (fsspec) that a worker must see, or the node is broken.
    restarts_max : int
        Restarts for each worker wanted within `RESTART_WINDOW_S`; one more, and the node is broken.
    end_s_max : float
        A worker that was told to end is killed after this time [s].
    shared_reads_mb : float
        Room for what the workers have read and share [MB].
    returns : bool
        Fragments for folders that are not among those come back with their receipts.
    orphan_s : float or None
        The node ends when no service has been there for this long [s]; None ends with its nursery.
    """

    node_id: str
    folder: Path
    connection: WorkerConnection
    boot_s: float
    cpu_quota: float | None
    reachable_urls: tuple[str, ...]
    restarts_max: int
    end_s_max: float
    shared_reads_mb: float
    returns: bool = False
    orphan_s: float | None


@dataclass(slots=True, kw_only=True)
class Worker:
    """One worker process, and by when it has to have ended if it was told to."""

    process: ForkProcess
    mark: ProcessMark
    end_by: float | None = None


def supervise(start: NodeStart, life: int) -> None:
    """Be the supervisor of one node until it ends.

    Parameters
    ----------
    start : NodeStart
    life : int
        File descriptor of a pipe that closes when the nursery ends.
    """
    os.setsid()
    log = os.open(start.folder / LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    note = cgroup.enter(start.folder, start.cpu_quota) if start.cpu_quota else ""
    Supervisor(start, LocalTie(start.folder, life, start.orphan_s), note).run()
    if start.cpu_quota:
        cgroup.leave(start.folder)


class Supervisor:
    """Keeps one node's workers.

    Parameters
    ----------
    start : NodeStart
    tie : Tie
        What ties the node to its service.
    note : str
        What is not as wanted, though it works.

    Attributes
    ----------
    broken : str
        Why the node holds no workers any more; empty when it was told to end.
    code : int
        What a supervisor in the foreground exits with.
    """

    def __init__(self, start: NodeStart, tie: Tie, note: str = "") -> None:
        self._start = start
        self._tie = tie
        self._note = note
        self._mark = mark(os.getpid())
        self._workers_life, self._held = os.pipe()
        self._workers: dict[str, Worker] = {}
        self._has_started = False
        self._restarts: deque[float] = deque()
        self._boot_by = time.monotonic() + start.boot_s
        self._ending = tie.is_leaving()
        self.broken = ""
        self.code = 0
        self._told: Standing | None = None

    def run(self) -> None:
        """Supervise until the node is told to end or breaks, and all its workers are gone."""
        alarm, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.set_wakeup_fd(ring)
        signal.signal(signal.SIGHUP, lambda *_: None)
        for each in ENDING:
            signal.signal(each, lambda *_: self._end())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        while True:
            self._bury()
            self._break(self._tie.orphaned())
            self._fit()
            self._tell()
            if not self._workers and (self._ending or self.broken):
                return
            sentinels = [worker.process.sentinel for worker in self._workers.values()]
            life = [] if self._tie.life is None else [self._tie.life]
            ready = wait([*life, alarm, *sentinels], self._pause_s())
            if alarm in ready:
                os.read(alarm, 1024)
            if self._tie.life in ready:
                self._end()

    def _end(self) -> None:
        self._ending = True

    def _break(self, reason: str, code: int = 1) -> None:
        """Hold no workers any more, for the first reason that there is."""
        if reason and not self.broken:
            self.broken, self.code = reason, code

    def _pause_s(self) -> float | None:
        """Return how long nothing can be due [s]; None is until something happens."""
        dues = [worker.end_by for worker in self._workers.values() if worker.end_by is not None]
        if not self._has_started and not self._ending:
            dues.append(self._boot_by)
        if self._tie.next_look is not None:
            dues.append(self._tie.next_look)
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _bury(self) -> None:
        """Take leave of the workers that have ended, and judge how they did."""
        for name, worker in list(self._workers.items()):
            if not wait([worker.process.sentinel], 0):
                continue
            # A dead process still holds its number, so this meets only what it has left behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(worker.mark.pid, signal.SIGKILL)
            worker.process.join()
            del self._workers[name]
            shutil.rmtree(self._scratch(name), ignore_errors=True)
            if worker.end_by is None:
                self._judge(name, worker.process.exitcode or 0)

    def _judge(self, name: str, exit_code: int) -> None:
        """Decide whether a worker that ended by itself gets a successor."""
        how = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
        _log.info("worker %s ended: %s", name, how)
        if exit_code in (REFUSED, OUT_OF_REACH) and (refusal := self._refusal()):
            self._break(refusal, exit_code)
            return
        now = time.monotonic()
        self._restarts.append(now)
        while now - self._restarts[0] > RESTART_WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) > self._start.restarts_max * max(1, self._wanted()):
            count = len(self._restarts)
            self._break(
                f"its workers ended {count} times in {RESTART_WINDOW_S:.0f} s, the last: {how}"
            )

    def _refusal(self) -> str:
        """Return why a worker may not serve; empty when a part's own code ended it so."""
        try:
            return (self._start.folder / REFUSAL).read_text()
        except FileNotFoundError:
            return ""

    def _wanted(self) -> int:
        if self._ending or self.broken or time.monotonic() < self._boot_by:
            return 0
        return self._tie.wanted()

    def _fit(self) -> None:
        """Start the workers that are missing, end the newest that are too many, kill the tardy."""
        wanted = self._wanted()
        staying = [name for name, worker in self._workers.items() if worker.end_by is None]
        for _ in range(wanted - len(staying)):
            self._start_worker()
        for name in staying[wanted:]:
            self._workers[name].end_by = time.monotonic() + self._start.end_s_max
            self._workers[name].process.terminate()
        for worker in self._workers.values():
            if worker.end_by is not None and worker.end_by <= time.monotonic():
                worker.process.kill()
                worker.end_by = time.monotonic() + self._start.end_s_max

    def _start_worker(self) -> None:
        name = f"{self._start.node_id}/{self._tie.next_number()}"
        self._has_started = True
        forking = multiprocessing.get_context("fork")
        process = forking.Process(target=self._become_worker, args=(name,), name=name)
        try:
            process.start()
        except OSError as error:
            self._break(f"no process for worker {name}: {error}")
            return
        assert process.pid is not None
        self._workers[name] = Worker(process=process, mark=mark(process.pid))

    def _scratch(self, name: str) -> Path:
        return self._start.folder / f"scratch-{name.rpartition('/')[2]}"

    def _become_worker(self, name: str) -> None:
        """Turn this forked process into a worker."""
        os.setpgid(0, 0)
        os.close(self._held)
        self._tie.let_go()
        signal.set_wakeup_fd(-1)
        for each in HEARD:
            signal.signal(each, signal.SIG_DFL)
        threading.Thread(target=end_with, args=(self._workers_life,), daemon=True).start()
        scratch = self._scratch(name)
        scratch.mkdir(exist_ok=True)
        share(self._start.folder / READS, self._start.shared_reads_mb)
        if self._start.returns:
            return_unseen(scratch / FRAGMENTS, self._start.reachable_urls)
        try:
            check_reachable(self._start.reachable_urls)
            self._start.connection.join(name, scratch)
        except SlackwaterError as error:
            (self._start.folder / REFUSAL).write_text(str(error))
            os._exit(OUT_OF_REACH if error.retry else REFUSED)
        os._exit(0)  # What a part has left running must not keep the process.

    def _tell(self) -> None:
        """Write how the node stands, if that has changed."""
        state = NodeState.RUNNING if self._has_started else NodeState.BOOTING
        standing = Standing(
            supervisor=self._mark,
            state=NodeState.BROKEN if self.broken else state,
            reason=self.broken,
            note=self._note,
            workers={name: worker.mark for name, worker in self._workers.items()},
        )
        if standing == self._told:
            return
        self._told = standing
        try:
            self._tie.tell(standing)
        except FileNotFoundError:
            self._end()  # The node was deleted under us: there is nobody to tell.


def end_with(life: int) -> None:
    """End this process, and what it started, when the pipe to its supervisor closes."""
    os.read(life, 1)
    os.killpg(0, signal.SIGKILL)


def check_reachable(urls: tuple[str, ...]) -> None:
    """See that each folder is there, or, of a web server, that it answers.

    Raises
    ------
    NodeError
        One is not, as seen from this process.
    """
    for url in urls:
        try:
            found = is_there(url)
        except (OSError, ValueError, ImportError) as error:
            raise NodeError(f"{url} is out of reach: {error}", fault=NodeFault.OURS) from error
        if not found:
            raise NodeError(
                f"{url} does not exist as its workers see it",
                fault=NodeFault.OURS,
                fix="Make it, or name the folder that they see",
            )
