"""Reads a Containerfile and, as root, carries its steps out in plain folders, without an engine.

Enough of the language for ours: FROM, ARG, ENV, WORKDIR, COPY (of a folder or a file, --from), RUN
in the shell's form, USER, and what only says something. A stage that begins with an image of Debian
begins with a copy of a root that debootstrap has made.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STEP_S_MAX = 900.0
"""The slowest step fetches and installs all wheels [s]."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What an engine finds programs by where an image says nothing."""

INSIDE = """
mount --bind "$2" "$1/build/offline"
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
exec chroot "$1" env PATH="$6" setpriv --reuid "$4" --regid "$4" --clear-groups sh -ec "cd $3; $5"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One instruction."""

    word: str
    rest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage and its steps; `base` is an image or an earlier stage."""

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    def said(self, word: str) -> list[str]:
        return [step.rest for step in self.steps if step.word == word]


def read(path: Path) -> list[Stage]:
    """Return the stages of a Containerfile."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(name=name or "final", base=base))
        else:
            stages[-1].steps.append(Step(word=word, rest=rest.strip()))
    return stages


class Build:
    """Carries stages out.

    Parameters
    ----------
    context : Path
        What COPY takes from.
    clean : Path
        A root that debootstrap has made.
    folder : Path
        For the roots of the stages.
    arguments : mapping of str to str
        What ARG is told besides its default.
    wheels : Path
        A folder of wheels that is seen as /build/offline.
    """

    def __init__(
        self,
        context: Path,
        clean: Path,
        folder: Path,
        *,
        arguments: Mapping[str, str],
        wheels: Path,
    ) -> None:
        self._context = context
        self._clean = clean
        self._folder = folder
        self._arguments = dict(arguments)
        self._wheels = wheels
        self.environment: dict[str, dict[str, str]] = {}
        self._workdir: dict[str, str] = {}

    def root(self, stage: str) -> Path:
        return self._folder / stage

    def carry_out(self, stage: Stage, known: list[Stage]) -> None:
        """Make the root of a stage; `known` are those before it."""
        root, earlier = self.root(stage.name), {each.name for each in known}
        base = self.root(stage.base) if stage.base in earlier else self._clean
        subprocess.run(["cp", "--archive", str(base), str(root)], check=True)
        self.environment[stage.name] = dict(self.environment.get(stage.base, {}))
        self._workdir[stage.name] = self._workdir.get(stage.base, "/")
        for step in stage.steps:
            self._do(stage.name, root, step)

    def _do(self, stage: str, root: Path, step: Step) -> None:
        match step.word:
            case "ENV" | "ARG":
                name, _, value = step.rest.partition("=")
                self.environment[stage][name] = self._arguments.get(name, value)
            case "WORKDIR":
                self._workdir[stage] = step.rest
                (root / step.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(stage, root, step.rest.split())
            case "RUN":
                self.run(stage, step.rest)

    def _copy(self, stage: str, root: Path, words: list[str]) -> None:
        source = self._context
        if words[0].startswith("--from="):
            source = self.root(words.pop(0).removeprefix("--from="))
        *names, target = words
        into = root / str(Path(self._workdir[stage], target)).lstrip("/")
        for name in names:
            found = source / name.lstrip("/")
            if found.is_dir():
                shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True)
            elif target.endswith("/"):
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, into)
            else:
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, into)

    def run(self, stage: str, command: str, *, user: int = 0) -> str:
        """Run a command in the root of a stage and return what it prints."""
        root = self.root(stage)
        environment = dict(self.environment[stage])
        path = environment.pop("PATH", PATH)  # The image's own need not find what enters it.
        offline = root / "build" / "offline"
        offline.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", INSIDE),
                *("sh", str(root), str(self._wheels), self._workdir[stage], str(user), command),
                path,
            ],
            env={"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"} | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=STEP_S_MAX,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout
