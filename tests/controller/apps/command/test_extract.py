"""A command is run for a part within its limits, whatever it does, and its bytes are handed on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from controller.apps.command.extract import extract, tool_version
from controller.apps.command.orders import Form, Join, Tool
from controller.errors import CommandError, StorageError
from planner.extent import ALWAYS
from planner.model import Fragment
from tests.controller.apps.command.orders import BINARY, CSV, part, python, shell

HELD_S = "4711.25"
"""An odd time to sleep, by which the tests find their processes again."""


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold that no test leaves a process or a folder of a command behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    yield
    assert sleepers() == []
    assert list(scratch.iterdir()) == []


def sleepers() -> list[psutil.Process]:
    return [
        each
        for each in psutil.process_iter(["cmdline", "status"])
        if HELD_S in (each.info["cmdline"] or ()) and each.info["status"] != psutil.STATUS_ZOMBIE
    ]


def bytes_of(fragment: Fragment) -> bytes:
    """Return what the command wrote, having checked the fragment against its receipt."""
    content = Path(fragment.url).read_bytes()
    assert fragment.size_bytes == len(content)
    assert fragment.sha256 == hashlib.sha256(content).hexdigest()
    head, _, body = content.partition(b"\n")
    assert json.loads(head)["sha256"] == hashlib.sha256(body).hexdigest()
    return body


def fails(folder: Path, tool: Tool, form: Form = CSV) -> CommandError:
    with pytest.raises(CommandError) as caught:
        extract(part(folder, tool, form))
    assert not list(folder.glob("fragments/*"))
    return caught.value


# --- what a command is given


def test_the_part_comes_on_stdin_in_a_file_and_in_the_environment(tmp_path: Path) -> None:
    tool = python(
        "import json, shutil\n"
        "told = [json.load(sys.stdin), json.load(open(sys.argv[2])),"
        " json.loads(os.environ['SLACKWATER_PART']), os.environ['SLACKWATER_FRAGMENT']]\n"
        "json.dump(told, open(fragment, 'w'))"
    )
    tool = replace(tool, command=(*tool.command, "{part}"))
    body = bytes_of(extract(part(tmp_path, tool, BINARY)))
    stdin, file, variable, fragment = json.loads(body)
    assert stdin == file
    assert stdin == variable | {"files": stdin["files"]}
    assert stdin.pop("fragment") == fragment
    assert Path(fragment).name == "fragment.bin"
    assert stdin == {
        "format": 1,
        "part": "t1-1.a1",
        "archive": "/data/quakes",
        "dataset": "10.5066/example",
        "bbox": [170.0, -10.0, -170.0, 10.5],
        "datetime": "1970-01-01T00:00:00Z/1970-01-02T00:00:00Z",
        "parameters": ["depth", "magnitude"],
        "options": {"magnitude_min": "4.5; rm -rf $HOME"},
        "updates": {"after": None, "upto": 0},
        "files": [{"path": "2020/01.csv", "size_bytes": 9, "stamp": "1.5"}],
    }


def test_placeholders_are_filled_word_by_word_and_no_shell_reads_them(tmp_path: Path) -> None:
    words = "{archive}/x {west},{east} {south} {north} {start}/{end} {parameters} {{part}}"
    tool = python("open(fragment, 'w').write('\\n'.join(sys.argv[2:]))")
    order = part(tmp_path, replace(tool, command=(*tool.command, *words.split(), "$(id) | {x y}")))
    order = replace(order, extent=replace(order.extent, period=ALWAYS))
    assert bytes_of(extract(order)).decode().split("\n") == [
        "/data/quakes/x",
        "170,-170",
        "-10",
        "10.5",
        "../..",
        "depth,magnitude",
        "{part}",
        "$(id) | {x y}",
    ]


def test_nothing_of_the_services_environment_reaches_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_SECRET", "hunter2")
    tool = python(
        "import json; json.dump([dict(os.environ), os.getcwd()], open(fragment, 'w'))",
        environment=(("TOOL_LICENCE", "abc"), ("LANG", "de_DE.UTF-8")),
    )
    variables, folder = json.loads(bytes_of(extract(part(tmp_path, tool, BINARY))))
    for name in ("SLACKWATER_PART", "SLACKWATER_FRAGMENT"):
        del variables[name]
    variables.pop("LC_CTYPE", None)  # Python's own doing.
    assert variables == {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "de_DE.UTF-8",
        "TOOL_LICENCE": "abc",
    }
    assert Path(folder).parent == tmp_path / "scratch"


def test_a_command_starts_with_clean_descriptors_and_signals(tmp_path: Path) -> None:
    tool = python(
        "import json, signal\n"
        "ignored = [int(n) for n in signal.valid_signals() if n not in (13, 25)"
        " and signal.getsignal(n) == signal.SIG_IGN]\n"
        "blocked = sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())))\n"
        "opened = sorted(set(map(int, os.listdir('/proc/self/fd'))) - {3})\n"
        "mode = os.stat('.').st_mode & 0o777\n"
        "json.dump([ignored, blocked, opened, os.getsid(0) == os.getpid(), mode],"
        " open(fragment, 'w'))"
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        body = bytes_of(extract(part(tmp_path, tool, BINARY)))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    assert json.loads(body) == [[], [], [0, 1, 2], True, 0o700]


# --- what it leaves


@pytest.mark.parametrize(
    ("form", "written", "rows"),
    [
        (CSV, "a,b\n1,2\n3,4\n", 2),
        (CSV, "a,b\n1,2\n3,4", 2),
        (CSV, "a,b\n", 0),
        (CSV, "", 0),
        (Form(join=Join.LINES, ending=".txt"), "1\n2\n", 2),
        (BINARY, "\0\n\n", 1),
        (BINARY, "", 0),
    ],
)
def test_rows_are_lines_of_text_and_one_for_other_bytes(
    form: Form, written: str, rows: int, tmp_path: Path
) -> None:
    fragment = extract(part(tmp_path, python(f"open(fragment, 'w').write({written!r})"), form))
    assert bytes_of(fragment) == written.encode()
    assert fragment.rows == rows


HOSTILE_FRAGMENTS = {
    "pass": "wrote no fragment",
    "os.symlink('/etc/passwd', fragment)": "is no regular file",
    "os.mkdir(fragment)": "is no regular file",
    "os.mkfifo(fragment)": "is no regular file",
    "open(fragment + '.other', 'w').write('x')": "wrote no fragment",
    "open(fragment, 'wb').truncate(1001)": "more than 1,000 bytes",
    # Its own file is cut off at the limit, and it takes no notice.
    "open(fragment, 'wb').write(b'x' * 5000)": "more than 1,000 bytes",
}


@pytest.mark.parametrize("program", HOSTILE_FRAGMENTS)
def test_only_a_regular_file_within_the_limit_is_a_fragment(program: str, tmp_path: Path) -> None:
    fault = fails(tmp_path, python(program, output_bytes_max=1000))
    assert HOSTILE_FRAGMENTS[program] in str(fault)
    assert not fault.retry


def test_a_fragment_of_just_the_size_allowed_is_taken(tmp_path: Path) -> None:
    tool = python("open(fragment, 'wb').write(b'x' * 1000)", output_bytes_max=1000)
    assert len(bytes_of(extract(part(tmp_path, tool, BINARY)))) == 1000


# --- how it ends

ENDS: list[tuple[Tool, str, bool]] = [
    (python("sys.exit('no such model: ETOPO')"), "exit code 1, having said: no such model", False),
    (python("print('busy'); sys.exit(75)"), "exit code 75, having said: busy", True),
    (shell("kill -SEGV $$"), "was ended by SIGSEGV", True),
    (shell("kill -KILL $$"), "was ended by SIGKILL", True),
    (shell("kill -KILL $PPID; exec sleep 60"), "its guard ended without a word", True),
    (Tool(command=("nonesuch-tool",)), "nonesuch-tool cannot be started: No such file", False),
    (Tool(command=("/etc/passwd",)), "cannot be started: Permission denied", False),
    (shell("yes > $1", output_bytes_max=100_000), "wrote a file of more than 100,000", False),
    (python("x = bytearray(10**9)", memory_bytes_max=300_000_000), "MemoryError", False),
]


@pytest.mark.parametrize(("tool", "told", "retry"), ENDS, ids=range(len(ENDS)))
def test_a_command_that_fails_says_how_and_whether_to_try_again(
    tool: Tool, told: str, retry: bool, tmp_path: Path
) -> None:
    fault = fails(tmp_path, tool)
    assert told in str(fault)
    assert fault.retry is retry


def test_huge_output_is_kept_to_its_end_and_is_fit_for_a_terminal(tmp_path: Path) -> None:
    tool = python(
        "os.write(1, b'x' * 50_000_000)\n"
        "os.write(2, b'\\n\\x1b[2Jlast\\xff words\\r\\n\\n')\n"
        "sys.exit(1)"
    )
    said = fails(tmp_path, tool).what.partition("having said: ")[2]
    assert said.endswith("x | [2Jlast\ufffd words")
    assert said.isprintable()
    assert len(said) < 1100


def test_a_command_need_not_read_its_stdin(tmp_path: Path) -> None:
    order = part(tmp_path, python("os.close(0); open(fragment, 'w').write('a\\n1\\n')"))
    assert order.files is not None
    extract(replace(order, files=order.files * 50_000))


# --- what it starts ends with it

STRAYS = {
    "in the background": f"sleep {HELD_S} & ",
    "in a session of its own": f"setsid sleep {HELD_S} & ",
    "deaf to signals": f"(trap '' TERM INT HUP; sleep {HELD_S}; sleep {HELD_S}) & ",
    "left by its parent": f"(setsid sh -c 'sleep {HELD_S} & exit' &) ",
}
strays = pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)


@strays
def test_what_still_runs_at_the_end_is_ended(stray: str, tmp_path: Path) -> None:
    fragment = extract(part(tmp_path, shell(f"{stray}\necho a > $1; echo 1 >> $1")))
    assert bytes_of(fragment) == b"a\n1\n"


@strays
def test_at_the_limit_all_of_it_is_ended(stray: str, tmp_path: Path) -> None:
    began = time.monotonic()
    fault = fails(tmp_path, shell(f"trap '' TERM INT\n{stray}\nsleep {HELD_S}", limit_s=0.5))
    assert "was ended after 0.5 s" in str(fault)
    assert fault.retry
    assert time.monotonic() - began < 10.0


def test_a_bomb_of_processes_is_ended_when_there_are_too_many(tmp_path: Path) -> None:
    # Each of them starts two more, seven times over: 255 in all, were they let.
    before = psutil.Process().children(recursive=True)
    bomb = f"import time\nfor _ in range(7): os.fork()\ntime.sleep({HELD_S})"
    fault = fails(tmp_path, python(bomb, processes_max=40))
    assert "more than 40 processes" in str(fault)
    assert psutil.Process().children(recursive=True) == before


RUN = "import pickle, sys; extract, order = pickle.load(sys.stdin.buffer); extract(order)"


def test_all_of_it_ends_with_its_worker(tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415

    order = part(tmp_path, shell(f"{''.join(STRAYS.values())}\n: > {tmp_path}/on; sleep {HELD_S}"))
    scratch = {"TMPDIR": str(tmp_path / "scratch")}
    with subprocess.Popen(
        [sys.executable, "-c", RUN], stdin=subprocess.PIPE, env=os.environ | scratch
    ) as worker:
        assert worker.stdin is not None
        pickle.dump((extract, order), worker.stdin)
        worker.stdin.close()
        until(lambda: (tmp_path / "on").exists() and len(sleepers()) >= 5)
        worker.kill()
    until(lambda: not sleepers() and not list((tmp_path / "scratch").iterdir()))


def until(condition: Any) -> None:
    give_up_at = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


# --- the version of the tool


def test_a_version_is_asked_once_and_travels_in_the_fragment(tmp_path: Path) -> None:
    count = tmp_path / "asked"
    ask = ("/bin/sh", "-c", f"echo . >> {count}; echo cutter 2.1")
    tool = replace(shell("echo a > $1"), version_command=ask)
    for name in ("t1-1.a1", "t1-2.a1"):
        fragment = extract(part(tmp_path, tool, name=name))
        head = Path(fragment.url).read_bytes().partition(b"\n")[0]
        assert json.loads(head)["tool_version"] == "cutter 2.1"
    assert count.read_text() == ".\n"


def test_a_version_command_that_fails_fails_the_part(tmp_path: Path) -> None:
    tool = replace(shell("echo a > $1"), version_command=("false",))
    tool_version.cache_clear()
    assert "command false ended with exit code 1" in str(fails(tmp_path, tool))


def test_a_full_disk_is_told_and_tried_again(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = part(tmp_path, shell("echo a > $1"))
    assert order.files is not None
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(small_disk))
        with pytest.raises(StorageError, match="No space left on device") as caught:
            extract(replace(order, files=order.files * 50_000))
    assert caught.value.retry
    assert list(small_disk.iterdir()) == []
