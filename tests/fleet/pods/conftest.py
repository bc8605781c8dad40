"""Providers on a real control plane, with machines that are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.control_plane import ControlPlane
from tests.fleet.kubelet import PAUSE, Kubelet, machines
from tests.fleet.pods.starting import node_type, pod_nodes

Make = Callable[..., Any]


@pytest.fixture
def kubelet(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Kubelet]:
    """Play one machine that is large enough for all but the test of one that is not."""
    with machines(control_plane, tmp_path / "kubelet", "machine-0") as playing:
        yield playing


@pytest.fixture
def make(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Make]:
    """Make providers of one service in the test's namespace, closed in the end."""
    made = []

    def make(
        *,
        size: dict[str, Any] | None = None,
        kind: dict[str, Any] | None = None,
        connection: Any = None,
        **options: Any,
    ) -> Any:
        given = {"image": PAUSE, "kubeconfig": control_plane.admin, "namespace": namespace}
        small = node_type(size, **(kind or {}))
        made.append(pod_nodes(tmp_path / "provider", small, connection, **(given | options)))
        return made[-1]

    yield make
    for nodes in made:
        nodes.close(end=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A namespace of a test's own, seen by its administrator."""

    bed: ControlPlane
    core: Any
    namespace: str
    folder: Path

    def pods(self) -> list[str]:
        """Return the names of the pods that are there."""
        found = self.core.list_namespaced_pod(self.namespace).items
        return [each.metadata.name for each in found]

    def end(self, pod: str) -> None:
        """Strike a pod out at once, as its administrator may."""
        self.core.delete_namespaced_pod(pod, self.namespace, grace_period_seconds=0)

    def kubeconfig(self, server: str = "", *, token: str = "admintok") -> str:
        """Return a file for who has a token, and asks a server."""
        path = self.folder / f"{len(list(self.folder.glob('*.kubeconfig')))}.kubeconfig"
        return self.bed.kubeconfig(path, token, server)


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Cluster:
    return Cluster(bed=control_plane, core=control_plane.core, namespace=namespace, folder=tmp_path)
