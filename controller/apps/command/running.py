"""Runs a command line in a folder of its own, within its limits, and says how it ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.apps.command import guard
from controller.apps.command.orders import Tool
from controller.errors import CommandError, StorageError

TOLD_BYTES_MAX = 1000
"""Of what a command prints, the end is kept [bytes]: it travels in an event when it fails."""

BLOCK_BYTES = 2**16

TRY_AGAIN = os.EX_TEMPFAIL
"""Exit code by which a command asks to be run again: 75, as in sysexits.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended, as its guard told.

    Parameters
    ----------
    how : str
        "exit", or why it was ended: "limit", "processes"; "not started"; "" when the guard died.
    code : int or None
        Exit code, or less than 0: the signal that ended it.
    gone : bool
        Whether all its processes have gone.
    reason : str
        Why it could not be started.
    output : str
        The end of what it printed, fit for a message.
    """

    how: str
    code: int | None = None
    gone: bool = True
    reason: str = ""
    output: str = ""


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that only this user may enter, and remove it at the end.

    Raises
    ------
    StorageError
        It cannot be made.
    """
    try:
        # What a far file system keeps for a while must not fail a part that is done.
        folder = tempfile.TemporaryDirectory(
            prefix="slackwater-command-", ignore_cleanup_errors=True
        )
    except OSError as error:
        raise StorageError(
            f"no folder can be made for a command: {error.strerror}",
            fix="TMPDIR says where temporary files go",
        ) from error
    with folder as name:
        yield Path(name)


def write_input(path: Path, text: str) -> None:
    """Write a file that a command will read.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    try:
        path.write_text(text)
    except OSError as error:
        raise StorageError(
            f"what a command is to read cannot be written to {path}: {error.strerror}",
            fix="Free space there; TMPDIR says where temporary files go",
        ) from error


def environment(folder: Path, tool: Tool, more: Mapping[str, str]) -> dict[str, str]:
    """Return all variables that a command gets; nothing else of the service's own reaches it."""
    own = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
    }
    return {**own, **dict(tool.environment), **more}


def run_command(
    words: list[str], tool: Tool, folder: Path, variables: Mapping[str, str], stdin: Path
) -> str:
    """Run a command to its end and return the end of what it printed.

    Raises
    ------
    CommandError
        It could not be started, ended otherwise than with exit code 0, or had to be ended.
    """
    ended = _run(_job(words, tool, folder), variables, stdin)
    fault = _fault(words[0], tool, ended)
    if fault is not None:
        raise fault
    return ended.output


def _job(words: list[str], tool: Tool, folder: Path) -> dict[str, Any]:
    # One byte more than allowed, so that a file which was cut off there is seen to be too large:
    # some programs take no notice when the system refuses them the rest.
    limits = {"RLIMIT_FSIZE": tool.output_bytes_max + 1, "RLIMIT_CORE": 0}
    if tool.memory_bytes_max is not None:
        limits["RLIMIT_AS"] = tool.memory_bytes_max
    return {
        "command": words,
        "folder": str(folder),
        "limit_s": tool.limit_s,
        "processes_max": tool.processes_max,
        "limits": limits,
    }


def _run(job: dict[str, Any], variables: Mapping[str, str], stdin: Path) -> Ended:
    with ExitStack() as ends:
        life, ours = (ends.enter_context(_closing(end)) for end in os.pipe())
        report, their_report = (ends.enter_context(_closing(end)) for end in os.pipe())
        output, their_output = (ends.enter_context(_closing(end)) for end in os.pipe())
        pipes = (life.number, their_report.number)
        with stdin.open("rb") as given, _start_named():
            process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", guard.__file__),
                    *(*map(str, pipes), json.dumps(job)),
                ],
                stdin=given,
                stdout=their_output.number,
                stderr=their_output.number,
                env=dict(variables),
                cwd="/",
                pass_fds=pipes,
                start_new_session=True,
            )
        ends.callback(process.wait)
        # Whatever happens here: a guard whose pipe closes ends the command and then itself.
        ends.callback(ours.close)
        for end in (life, their_report, their_output):
            end.close()
        told, printed = _hear(report.number, output.number)
    return _read(told, printed)


@contextmanager
def _start_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"no process can be started here for a command: {error.strerror}", retry=True
        ) from error


def _hear(report: int, output: int) -> tuple[bytes, bytes]:
    """Return what the guard reports, and the end of what is printed until it has reported."""
    told, printed = b"", b""
    os.set_blocking(output, False)
    with selectors.DefaultSelector() as ready:
        ready.register(report, selectors.EVENT_READ)
        ready.register(output, selectors.EVENT_READ)
        while report in ready.get_map():
            for key, _ in ready.select():
                block = _block(key.fd)
                if block == b"":
                    ready.unregister(key.fd)
                elif key.fd == report:
                    told += block or b""
                else:
                    printed = (printed + (block or b""))[-TOLD_BYTES_MAX:]
    # What the pipe still holds; one whose processes would not go is not waited for.
    while block := _block(output):
        printed = (printed + block)[-TOLD_BYTES_MAX:]
    return told, printed


def _block(descriptor: int) -> bytes | None:
    """Return what can be read now: nothing at the end, None where there is nothing yet."""
    try:
        return os.read(descriptor, BLOCK_BYTES)
    except BlockingIOError:
        return None


def _read(told: bytes, printed: bytes) -> Ended:
    # Who could not be started reports that first; then the guard reports its end.
    report, _ = json.JSONDecoder().raw_decode(told.decode() or "{}")
    return Ended(
        how=report.get("ended", ""),
        code=report.get("code"),
        gone=report.get("gone", True),
        reason=report.get("reason", ""),
        output=fit_for_message(printed),
    )


def fit_for_message(printed: bytes) -> str:
    """Return the end of what was printed on one line, without what a terminal would act on."""
    lines = printed.decode("utf-8", "replace").split("\n")
    shown = ("".join(c if c.isprintable() else " " for c in line).strip() for line in lines)
    return " | ".join(filter(None, shown))


def _fault(name: str, tool: Tool, ended: Ended) -> CommandError | None:
    """Return what went wrong, in words, and whether another try may help."""
    said = f", having said: {ended.output}" if ended.output else ""
    if ended.how != "exit" or ended.code is None:
        return _stopped(name, tool, ended, said)
    if ended.code < 0:
        return _killed(name, -ended.code, tool, said)
    if ended.code == 128 + signal.SIGXFSZ:  # How a shell tells that its child was ended so.
        return _killed(name, signal.SIGXFSZ, tool, said)
    if ended.code > 0:
        again = ended.code == TRY_AGAIN
        return CommandError(
            f"command {name} ended with exit code {ended.code}{said}",
            fix="" if again else f"Exit code {TRY_AGAIN} would have it tried again",
            retry=again,
        )
    if not ended.gone:
        return CommandError(f"command {name} left processes that cannot be ended", retry=True)
    return None


def _stopped(name: str, tool: Tool, ended: Ended, said: str) -> CommandError:
    """Return what is wrong with a command that did not end by itself."""
    match ended.how:
        case "not started":
            return CommandError(
                f"command {name} cannot be started: {ended.reason}",
                fix="Install it on every node, or name it by its whole path",
            )
        case "limit":
            return CommandError(
                f"command {name} was ended after {tool.limit_s:g} s{said}",
                fix="Raise limit_s of its dataset, or have more parts cut",
                retry=True,
            )
        case "processes":
            return CommandError(
                f"command {name} was ended: it ran more than {tool.processes_max} processes{said}",
                fix="Raise processes_max of its dataset if it may",
            )
    return CommandError(f"command {name}: its guard ended without a word{said}", retry=True)


def _killed(name: str, number: int, tool: Tool, said: str) -> CommandError:
    if number == signal.SIGXFSZ:
        return CommandError(
            f"command {name} wrote a file of more than {tool.output_bytes_max:,} bytes{said}",
            fix="Raise output_bytes_max of its dataset, or have more parts cut",
        )
    word = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return CommandError(
        f"command {name} was ended by {word}{said}",
        fix="SIGKILL is mostly the system's, short of memory" if number == signal.SIGKILL else "",
        retry=True,
    )


@dataclass(slots=True)
class _End:
    """One end of a pipe, closed once."""

    number: int
    is_open: bool = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.number)


@contextmanager
def _closing(number: int) -> Iterator[_End]:
    end = _End(number)
    try:
        yield end
    finally:
        end.close()
