"""Stands between a worker and one command, and ends it with everything that it has started.

A process of its own, from the standard library alone, so that it starts in a few milliseconds. It
is what the orphans of the command fall to (a *subreaper*), so no process of the command escapes it:
not one in a session of its own, not one that ignores signals, not one whose parent has ended. It
ends all of them when the command has ended, when its time is over, when there are too many, and
when the worker has gone, which it learns from a pipe that closes.

The worker gives it, as arguments, the numbers of two pipes (the one that closes, and the one for
the report) and the job as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38

LOOK_S = 0.05
"""Pause between two looks at how many processes there are [s]: a bomb of processes doubles fast."""

END_S_MAX = 10.0
"""Processes that are killed may take this long to go [s]; what hangs in the system may not go."""

EVERY_SIGNAL = range(1, signal.NSIG)


def main() -> None:
    """Run the job and report how it ended."""
    life, report, job = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    os.set_inheritable(life, False)
    os.set_inheritable(report, False)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guard = os.getpid()
    command = os.fork()
    if not command:
        _become(job, guard, report)
    _let_go_of_output()
    told = Watch(command, job, life).told()
    if told["ended"] == "abandoned":
        _remove(job["folder"])
    else:
        os.write(report, json.dumps(told).encode())


class Watch:
    """What becomes of the command and of what it starts."""

    def __init__(self, command: int, job: dict[str, Any], life: int) -> None:
        self._command = command
        self._limit_s = job["limit_s"]
        self._processes_max = job["processes_max"]
        self._life = life
        self._status: int | None = None

    def told(self) -> dict[str, Any]:
        """Wait for the end, make sure of it, and return how it came."""
        ended = self._wait()
        gone = self._end_all()
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        return {"ended": ended, "code": code, "gone": gone}

    def _wait(self) -> str:
        give_up_at = time.monotonic() + self._limit_s
        poll = select.poll()
        poll.register(self._life, select.POLLIN)
        poll.register(os.pidfd_open(self._command), select.POLLIN)
        while True:
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                return "limit"
            ready = [descriptor for descriptor, _ in poll.poll(1000 * min(left_s, LOOK_S))]
            if self._life in ready:
                return "abandoned"
            self._bury()
            if self._status is not None:
                return "exit"
            if sum(1 for _ in descendants(os.getpid())) > self._processes_max:
                return "processes"

    def _bury(self) -> bool:
        """Take in all that have ended; tell whether none is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if not pid:
                return False
            if pid == self._command:
                self._status = status

    def _end_all(self) -> bool:
        """Kill until none is left: whose parent is killed becomes our child and is found again."""
        give_up_at = time.monotonic() + END_S_MAX
        # Stopped ones start no others, so that the second sweep finds all that the first one did.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in descendants(os.getpid()):
                _send(pid, number)
        while not self._bury():
            if time.monotonic() > give_up_at:
                return False
            for pid in descendants(os.getpid()):
                _send(pid, signal.SIGKILL)
            time.sleep(0.001)
        return True


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes below one, each after its parent."""
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            yield child
            waiting.append(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    return found


def _send(pid: int, number: int) -> None:
    with suppress(OSError):
        os.kill(pid, number)


def _become(job: dict[str, Any], guard: int, report: int) -> NoReturn:
    """Turn this process into the command; what keeps it from starting is reported."""
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        # A program that changes the user that it runs as could not be ended.
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        _restore_signals()
        for name, most in job["limits"].items():
            _limit(getattr(resource, name), most)
        os.chdir(job["folder"])
        os.execvp(job["command"][0], job["command"])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        os.write(report, json.dumps({"ended": "not started", "reason": reason}).encode())
    finally:
        os._exit(127)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _restore_signals() -> None:
    """Undo what Python, the worker and this guard have set: an ignored signal is inherited."""
    for number in EVERY_SIGNAL:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _let_go_of_output() -> None:
    """Leave the pipe for the output to the command, so that it closes when that has ended."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")


def _remove(folder: str) -> None:
    """Remove the command's folder in place of the worker that has gone."""
    from shutil import rmtree  # noqa: PLC0415

    rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
