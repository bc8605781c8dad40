"""How a worker finds its scheduler and proves that it belongs: an address and a certificate.

Scheduler, workers and client hold the same key pair, made when the engine starts and known to its
processes only: who has it is in, who has it not is refused in the TLS handshake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from distributed.security import Security


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskConnection:
    """What a worker process needs to join one engine; picklable, and a secret.

    Parameters
    ----------
    address : str
        Of the scheduler, as ``tls://127.0.0.1:34567``; stays the same when the scheduler restarts.
    certificate : str
        Self-signed, so it is its own authority [PEM].
    key : str
        Its private key [PEM].
    orphan_s : float
        A worker that cannot reach the scheduler for this long gives up [s].
    """

    address: str
    certificate: str
    key: str = field(repr=False)
    orphan_s: float

    @property
    def preload(self) -> tuple[str, ...]:
        """Return the modules that a process had better import before it forks workers."""
        return ("controller.engines.worker",)

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


def new_key_pair() -> tuple[str, str]:
    """Return a certificate that is good for a year, and its key; they live in memory only."""
    tls = Security.temporary().get_tls_config_for_role("scheduler")
    return tls["cert"], tls["key"]


def security_of(certificate: str, key: str) -> Security:
    """Return Dask's form of a key pair that serves every role."""
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        tls_client_cert=certificate,
        tls_client_key=key,
        tls_scheduler_cert=certificate,
        tls_scheduler_key=key,
        tls_worker_cert=certificate,
        tls_worker_key=key,
    )
