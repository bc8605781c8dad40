"""The nursery: a process that has imported what workers need, and forks a supervisor per node.

Importing Dask and netCDF4 costs a worker more than all the rest of its start; forked from a process
that has them, it joins in a tenth of a second. The nursery has one thread and nothing else to do,
so forking it is safe.

It ends when the pipe from its provider closes, be it that the provider was killed. Its nodes end
with it, but for those that are to outlive their service: they see for themselves how long they are
wanted (`controller.nodes.supervisor`).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import multiprocessing
import os
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from controller.config.variables import without_settings
from controller.nodes.supervisor import NodeStart, supervise
from controller.processes import ONE_THREAD

END_S_MAX = 10.0
"""A nursery whose nodes have not ended by then is killed [s]; longer than a node takes to end."""

_log = logging.getLogger(__name__)


class Nursery:
    """The provider's end of the pipe.

    Parameters
    ----------
    modules : tuple of str
        To import before the first fork; one that is missing is missed when a part needs it.
    log : Path
        Takes what the process writes.
    outlived : bool
        Its nodes do not end with it.
    """

    def __init__(self, modules: tuple[str, ...], log: Path, *, outlived: bool = False) -> None:
        self._requests, theirs = multiprocessing.Pipe()
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for the service; what it started ends with it, in its order.
                start_new_session=True,
                env=without_settings(os.environ) | ONE_THREAD | path,
            )
        self._requests.send((modules, outlived))

    def start(self, start: NodeStart) -> None:
        """Have a node started.

        Raises
        ------
        OSError
            The process is gone.
        """
        self._requests.send(start)

    def close(self) -> None:
        """End the process, and with it the nodes that it started, unless they outlive it."""
        self._requests.close()
        try:
            self._process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(requests: Connection[Any, Any]) -> None:
    """Import and fork as asked, until nobody can ask any more."""
    modules, outlived = requests.recv()
    preload(modules)
    forking = multiprocessing.get_context("fork")
    life, held = os.pipe()

    def become(start: NodeStart) -> None:
        """Turn a forked process into a supervisor; it keeps nothing of the nursery but its life."""
        os.close(held)
        requests.close()
        supervise(start, life)

    with contextlib.suppress(EOFError):
        while True:
            forking.Process(target=become, args=(requests.recv(),)).start()
    os.close(held)
    if outlived:
        os._exit(0)  # Else it would wait for its nodes.


def preload(modules: tuple[str, ...]) -> None:
    """Import what is there."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
        threads = sum(1 for _ in Path("/proc/self/task").iterdir())
        if threads > 1:
            _log.warning("importing %s started threads: its forks may hang", name)
    gc.freeze()  # The workers share this memory as long as nobody writes to it, not even counts.


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    serve(Connection(int(sys.argv[1])))
