"""How a worker finds its scheduler and proves that it belongs: an address and a certificate.

Scheduler, service and nodes have certificates of one small authority (`controller.authority`): who
has none, or one of another authority, is refused in the TLS handshake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distributed.security import Security

from controller.authority import CERTIFICATE, Credentials

CREDENTIALS = "credentials.pem"
"""In a node's folder, beside the authority's certificate: its own certificate and key."""

RELOAD_S = 60.0
"""A process looks so often whether its certificate was renewed [s]."""


LOOPBACK = "127.0.0.1"

EVERYWHERE = "0.0.0.0"
"""Listens at all addresses of a machine, and is none that can be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a scheduler is found.

    Parameters
    ----------
    host : str
        Address or name that it listens at; workers on other machines need one of their network.
    address : str
        What workers on other machines call it, where that is another one; by default the same.
    port : int
        0 is any free one, which is kept over restarts.
    """

    host: str = LOOPBACK
    address: str = ""
    port: int = 0

    @property
    def near(self) -> str:
        """Return what processes of the same machine call it."""
        return LOOPBACK if self.host == EVERYWHERE else self.host

    @property
    def far(self) -> str:
        """Return what workers on other machines call it."""
        return self.address or self.near


ON_LOOPBACK = Listening()


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskConnection:
    """What a worker process needs to join one engine; picklable.

    Parameters
    ----------
    address : str
        Of the scheduler, as ``tls://127.0.0.1:34567``; stays the same when the scheduler restarts.
    credentials : Credentials
        Of the node that the worker is part of.
    orphan_s : float
        A worker that cannot reach the scheduler for this long gives up [s].
    issue : callable or None
        Makes or renews the credentials of a node; only the service's own connection has it.
    withdraw : callable or None
        Has the credentials of a node refused; as `issue`.
    """

    address: str
    credentials: Credentials
    orphan_s: float
    issue: Callable[[str, Path], Credentials] | None = field(default=None, repr=False)
    withdraw: Callable[[str], None] | None = field(default=None, repr=False)

    @classmethod
    def of_folder(cls, address: str, folder: Path, orphan_s: float) -> DaskConnection:
        """Return the connection of a node elsewhere, whose folder `of_node` has filled."""
        credentials = Credentials(
            authority=str(folder / CERTIFICATE), own=str(folder / CREDENTIALS)
        )
        return cls(address=address, credentials=credentials, orphan_s=orphan_s)

    @property
    def preload(self) -> tuple[str, ...]:
        """Return the modules that a process had better import before it forks workers."""
        return ("controller.engines.worker",)

    def of_node(self, node_id: str, folder: Path) -> DaskConnection:
        """Return the connection of one node; its credentials lie in its folder and are renewed."""
        if self.issue is None:
            return self
        return replace(
            self, credentials=self.issue(node_id, folder / CREDENTIALS), issue=None, withdraw=None
        )

    def revoke(self, node_id: str) -> None:
        """Have what a node was given let nobody in any more."""
        if self.withdraw:
            self.withdraw(node_id)

    def join(self, worker_name: str, folder: Path) -> None:
        """Work for the engine in this process until told to end.

        Parameters
        ----------
        worker_name : str
            ``<node id>/<k>``, never used before: a worker that comes after one that died has a
            name of its own.
        folder : Path
            For the worker's own short-lived files.

        Raises
        ------
        controller.errors.EngineError
            The engine refuses this worker, or is out of reach for `orphan_s`.
        """
        # Imported here, because the service must not pay for what only workers use.
        from controller.engines.worker import work  # noqa: PLC0415

        work(self, worker_name, folder)


class RenewableSecurity(Security):
    """Dask's form of a process' credentials, for every role, that can be read again.

    Connections that stand go on when a certificate is renewed; those that are made from then on use
    the new one. So nothing has to be restarted.
    """

    def __init__(self, credentials: Credentials) -> None:
        own = credentials.own
        super().__init__(  # type: ignore[no-untyped-call]
            require_encryption=True,
            tls_ca_file=credentials.authority,
            tls_client_cert=own,
            tls_scheduler_cert=own,
            tls_worker_cert=own,
        )
        self._own = Path(credentials.own)
        self._read_at_ns = self._written_at_ns()
        self._arguments: dict[tuple[str, str], dict[str, Any]] = {}

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """Return how this process calls others, always with the same context."""
        if ("call", role) not in self._arguments:
            arguments = super().get_connection_args(role)  # type: ignore[no-untyped-call]
            self._arguments["call", role] = arguments
        return self._arguments["call", role]

    def get_listen_args(self, role: str) -> dict[str, Any]:
        """Return how this process is called, always with the same context."""
        if ("listen", role) not in self._arguments:
            arguments = super().get_listen_args(role)  # type: ignore[no-untyped-call]
            self._arguments["listen", role] = arguments
        return self._arguments["listen", role]

    def reload(self) -> None:
        """Use the credentials anew if their file was replaced."""
        written_at_ns = self._written_at_ns()
        if written_at_ns in (0, self._read_at_ns):
            return
        for arguments in self._arguments.values():
            arguments["ssl_context"].load_cert_chain(self._own)
        self._read_at_ns = written_at_ns

    def _written_at_ns(self) -> int:
        try:
            return self._own.stat().st_mtime_ns
        except FileNotFoundError:
            return (
                0  # Its node is being deleted, or was never given any: the handshake will say so.
            )
