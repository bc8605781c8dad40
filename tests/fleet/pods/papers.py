"""A connection whose papers nobody looks at: for pods in which nothing runs."""

from __future__ import annotations

from pathlib import Path


class Papers:
    """Says where a scheduler would be, and gives nodes what looks like credentials."""

    address = "tls://192.0.2.1:8786"
    preload: tuple[str, ...] = ()

    def of_node(self, node_id: str, folder: Path) -> Papers:
        for name in ("authority.pem", "credentials.pem"):
            path = folder / name
            if not path.exists():
                path.write_text(f"{name} of {node_id}\n")
                path.chmod(0o600)
        return self

    def revoke(self, node_id: str) -> None:
        """Nobody asks for these papers."""

    def join(self, worker_name: str, folder: Path) -> None:
        raise AssertionError("nothing runs here")
