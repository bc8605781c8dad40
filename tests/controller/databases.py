"""A real PostgreSQL of a test session's own, on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S_MAX = 60.0
POLL_S = 0.1
USER = "postgres"


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def why_not() -> str:
    """Return why no PostgreSQL can run here, empty when one can."""
    if programs() is None:
        return "PostgreSQL is not installed (Debian: postgresql)"
    if (
        os.geteuid() == 0
        and subprocess.run(["id", USER], capture_output=True, check=False).returncode
    ):
        return f"PostgreSQL does not run as root, and there is no user {USER}"
    return ""


class Postgres:
    """One server; its databases are reached by `url`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def make(self) -> str:
        """Make a new database and return its URL."""
        self._made += 1
        name = f"test{self._made}"
        self.tool("psql", "-h", str(self.folder), "-c", f"CREATE DATABASE {name}", USER)
        return self.url(name)

    def tool(self, name: str, *arguments: str) -> None:
        """Run one of its programs as its user."""
        bin_folder = programs()
        assert bin_folder is not None
        subprocess.run(
            [*_as_user(), str(bin_folder / name), *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
        )

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        bin_folder = programs()
        assert bin_folder is not None
        self.process = subprocess.Popen(
            [
                *_as_user(),
                str(bin_folder / "postgres"),
                *("-D", str(self.folder / "data"), "-k", str(self.folder), "-h", ""),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        give_up_at = time.monotonic() + START_S_MAX
        while time.monotonic() < give_up_at:
            try:
                self.tool("psql", "-h", str(self.folder), "-c", "SELECT 1", USER)
            except subprocess.CalledProcessError:
                time.sleep(POLL_S)
            else:
                return
        raise AssertionError("PostgreSQL did not start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: "fast" ends its clients in order, "immediate" is a crash."""
        assert self.process is not None
        self.tool("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "stop")
        self.process.wait()


def _as_user() -> list[str]:
    return ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server inside the block."""
    with tempfile.TemporaryDirectory(prefix="slackwater-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        server = Postgres(folder)
        server.tool("initdb", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
