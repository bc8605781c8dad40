"""What Dask is told not to do by itself: it carries parts, and every decision is the planner's."""

from __future__ import annotations

import logging

import dask

MESSAGES_KEPT = 10
"""Messages that Dask keeps of each connection, and of each topic, for whoever debugs it: it would
keep 1,000 of up to a megabyte each, with all that a part is to read."""

SETTINGS: dict[str, object] = {
    # The planner counts attempts; a part that takes its worker down must not take the next one too.
    "distributed.scheduler.allowed-failures": 0,
    # A part runs on the node that it was planned for.
    "distributed.scheduler.work-stealing": False,
    # Leases are our own (see controller.engines.scheduler): Dask's cannot be shorter than 5 s.
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.idle-timeout": None,
    "distributed.scheduler.no-workers-timeout": None,
    # Receipts are small, and fetched at once: there is nothing to move, spill or watch.
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    # No page, no metrics of Dask's own: what is not behind TLS is not served.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Nothing of the user's own Dask settings is loaded into these processes.
    "distributed.scheduler.preload": [],
    "distributed.worker.preload": [],
    "distributed.client.preload": [],
    "distributed.worker.lifetime.duration": None,
    "distributed.worker.resources": {},
    # A batch of orders with thousands of file names each is no mistake.
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "distributed.admin.low-level-log-length": MESSAGES_KEPT,
}


def apply(log_level: int = logging.WARNING) -> None:
    """Make Dask a carrier in this process, that logs from this level on."""
    dask.config.set(SETTINGS)
    for name in ("distributed", "distributed.client"):  # Dask gives both a level of their own.
        logging.getLogger(name).setLevel(log_level)
