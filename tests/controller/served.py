"""`slackwater serve` as people run it: a process, its data folder, and all that it starts."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from controller.apps.argo.product import content_digest
from controller.engines.launch import recorded
from controller.errors import StorageError
from controller.nodes.records import STANDING, Standing, read
from controller.serving import STORE_FILE
from controller.store.listed import TaskRow
from controller.store.opening import Address, opened
from controller.store.store import Store
from tests.controller.runs import COMMAND, without_ours

START_S_MAX = 120.0
"""A service starts in some 5 s on an idle machine; other work may go on beside it."""

PATIENCE_S = 180.0
POLL_S = 0.05

EVERY_TASK = {
    "after": 0,
    "count": 1000,
    "owner": "",
    "subscription_id": "",
    "open_only": 0,
    "delivered_only": 0,
}


@dataclass(kw_only=True)
class Serving:
    """A service and its folder; it can be started again and again.

    Parameters
    ----------
    folder : Path
    archive : Path or str
        A folder or a URL.
    wishes : str
        A subscriptions file.
    settings : str
        Of slackwater.yaml, besides the port.
    store_url : str
        Of PostgreSQL; empty is SQLite.
    command : tuple
        What `slackwater` is started by.
    restarts_max : int
        A service that ends with 1 is started again so often.
    """

    folder: Path
    archive: Path | str
    wishes: str
    settings: str = ""
    store_url: str = ""
    options: tuple[str, ...] = ()
    command: tuple[str | Path, ...] = (COMMAND,)
    restarts_max: int = 0
    process: subprocess.Popen[bytes] | None = None
    lives: int = 0
    seen: set[psutil.Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "wishes.yaml").write_text(self.wishes)
        self.use_store(self.store_url)

    def use_store(self, url: str) -> None:
        """Keep the store in a database of PostgreSQL."""
        self.store_url = url
        store = f"store: {{url: '{url}'}}\n" if url else ""
        text = f"service: {{port: 0}}\n{store}{self.settings}"
        (self.folder / "slackwater.yaml").write_text(text)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the present life has told."""
        return self.folder / f"log{self.lives}"

    def start(self) -> None:
        """Start a service; does not wait until it serves."""
        self.lives += 1
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(*self.command, "serve", "--archive", self.archive, "--data", self.data),
                    *("--config", self.folder / "slackwater.yaml"),
                    *("--subscriptions", self.folder / "wishes.yaml"),
                    *self.options,
                ],
                cwd=self.folder,
                env=without_ours(),
                stdout=output,
                stderr=output,
            )

    def url(self) -> str:
        """Wait until the service serves, and return its URL."""
        self.until("it serves", lambda: bool(self._served_at()))
        return self._served_at()

    def _served_at(self) -> str:
        found = re.search(r"Serving at (http://\S+);", self.log.read_text())
        if found:
            self.look()
        return found[1] if found else ""

    def get(self, path: str) -> Any:
        """Return what the API answers."""
        return httpx.get(self.url() + path, timeout=30.0).raise_for_status().json()

    def look(self) -> list[psutil.Process]:
        """Return the processes that the present life has started, and remember them."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            self.seen.update(psutil.Process(self.process.pid).children(recursive=True))
        self.seen.update(self._outliving())
        return [each for each in self.seen if each.is_running()]

    def _outliving(self) -> Iterator[psutil.Process]:
        """Yield scheduler, supervisors and workers of this data folder, whoever started them."""
        scheduler = recorded(self.data / "engine")
        marks = [scheduler.process] if scheduler else []
        for path in (self.data / "nodes").glob(f"*/{STANDING}"):
            with suppress(OSError):
                standing = read(path, Standing)
                marks += standing.running() if standing else []
        for mark in marks:
            with suppress(psutil.NoSuchProcess):
                if mark.runs():
                    yield psutil.Process(mark.pid)

    def until(self, what: str, done: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until something is so; the service must not end meanwhile."""
        assert self.process is not None
        give_up_at = time.monotonic() + patience_s
        while not done():
            code = self.process.poll()
            if code == 1 and self.restarts_max > 0:  # As a supervisor does: its database was away.
                self.restarts_max -= 1
                self.start()
                continue
            assert code is None, f"the service ended with {code}: {self.log.read_text()}"
            assert time.monotonic() < give_up_at, f"not in time: {what}: {self.log.read_text()}"
            time.sleep(POLL_S)

    def tasks(self) -> list[TaskRow]:
        """Return all tasks, read from the store beside the service."""
        if not self.store_url and not (self.data / STORE_FILE).exists():
            return []
        try:
            with self.reading() as store:
                return store.rows("list_tasks", TaskRow, EVERY_TASK)
        except StorageError:
            return []  # It is being made.

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """Read the store beside the service, or after its end."""
        address = Address(path=str(self.data / STORE_FILE), url=self.store_url)
        with opened(address) as database:
            yield Store(database, "test")

    def delivered(self, count: int) -> bool:
        """Tell whether so many tasks have ended, and all others too."""
        tasks = self.tasks()
        return len(tasks) == count and all(task.ended_at is not None for task in tasks)

    def kill(self) -> None:
        """Kill the service as the kernel would."""
        assert self.process is not None
        self.look()
        self.process.kill()
        self.process.wait()

    def kill_rest(self) -> None:
        """Kill all that a killed service has left on this machine."""
        for each in self.look():
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def stop(self, patience_s: float = PATIENCE_S) -> int:
        """Ask the service to end, and return its exit code."""
        assert self.process is not None
        self.look()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_s)

    def all_end(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait until all that the service has started has ended; tell whether it did."""
        _, alive = psutil.wait_procs(self.look(), timeout=patience_s)
        return not alive

    def close(self) -> None:
        """End the service and all that is left of it."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for each in self.seen:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def products(self) -> dict[str, str]:
        """Return the content digest of each product, each under one visible manifest."""
        found: dict[str, str] = {}
        for manifest in sorted((self.data / "products").rglob("*.manifest.json")):
            name = manifest.name.removesuffix(".manifest.json")
            assert name not in found
            found[name] = content_digest(manifest.with_name(f"{name}.nc"))
        return found
