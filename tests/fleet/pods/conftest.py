"""Providers on a real control plane, with machines that are played.

Where that is asked for, one's own cluster takes its place, in a namespace of it that is named
(`tests.fleet.own_cloud`). What stops servers, plays machines or uses other rights skips there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.nodes.kubernetes_access import Access
from controller.nodes.kubernetes_pod import selector, service_label
from controller.nodes.kubernetes_reading import SERVICE_LABEL
from tests.fleet.control_plane import WAIT_S_MAX, ControlPlane, kubernetes
from tests.fleet.control_plane import namespace as bed_namespace
from tests.fleet.kubelet import PAUSE, Kubelet, machines
from tests.fleet.own_cloud import MARK, own_cloud, tell_cost
from tests.fleet.pods.starting import SERVICE_ID, node_type, pod_nodes

__all__ = ["bed_namespace"]

Make = Callable[..., Any]

IDLE = ("sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait")
"""A command for pods of one's own cluster that have nothing to do, and end when they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The API server under test.

    Parameters
    ----------
    options : mapping
        Of a provider whose pods are to do nothing.
    mark : str
        The service whose pods the tests make.
    address : str
        This machine's, as pods reach it; empty if they do not.
    namespace : str
        One that is there; empty where each test makes its own.
    wait_s_max : float
        How long one thing may take there [s].
    bed : ControlPlane or None
        None if it is somebody's own.
    """

    options: Mapping[str, Any]
    mark: str
    address: str = "127.0.0.1"
    namespace: str = ""
    wait_s_max: float = WAIT_S_MAX
    bed: ControlPlane | None = None

    def breakable(self) -> ControlPlane:
        """Return the bed, to be stopped, filled and used by anybody; else skip the test."""
        if self.bed is None:
            pytest.skip("it breaks servers, plays machines or uses other rights: it wants the bed")
        return self.bed


@pytest.fixture(scope="session")
def api(request: pytest.FixtureRequest) -> Api:
    """Have one's own cluster where that was asked for, else the bed."""
    own = own_cloud("kubernetes")
    if own is None:
        bed = request.getfixturevalue("control_plane")
        return Api(options={"image": PAUSE, "kubeconfig": bed.admin}, mark=SERVICE_ID, bed=bed)
    image, namespace = own.needed("image"), own.needed("namespace")
    client = Access().client()
    where = f"{client.configuration.host}, namespace {namespace}"
    client.close()
    mark = f"{SERVICE_LABEL}={service_label(MARK)}"
    tell_cost(request.config, where, f"pods of {image}, a Secret each", mark)
    return Api(
        options={"image": image, "command": IDLE},
        mark=MARK,
        address=own.address,
        namespace=namespace,
        wait_s_max=own.wait_s_max,
    )


@pytest.fixture
def namespace(request: pytest.FixtureRequest, api: Api) -> str:
    """Have a namespace of the test's own on the bed, the named one elsewhere."""
    return api.namespace or str(request.getfixturevalue("bed_namespace"))


@pytest.fixture
def kubelet(api: Api, tmp_path: Path) -> Iterator[Kubelet]:
    """Play one machine that is large enough for all but the test of one that is not."""
    with machines(api.breakable(), tmp_path / "kubelet", "machine-0") as playing:
        yield playing


@pytest.fixture
def places(request: pytest.FixtureRequest, api: Api) -> None:
    """Have machines for pods: a played one on the bed; one's own cluster has its own."""
    if api.bed is not None:
        request.getfixturevalue("kubelet")


@pytest.fixture
def make(api: Api, namespace: str, tmp_path: Path) -> Iterator[Make]:
    """Make providers of one service in the test's namespace, closed in the end."""
    made = []

    def make(
        *,
        size: dict[str, Any] | None = None,
        kind: dict[str, Any] | None = None,
        connection: Any = None,
        **options: Any,
    ) -> Any:
        given = {**api.options, "namespace": namespace, **options}
        small = node_type(size, **(kind or {}))
        made.append(pod_nodes(tmp_path / "provider", small, connection, mark=api.mark, **given))
        return made[-1]

    yield make
    for nodes in made:
        # A namespace of the bed goes with its test; one of one's own stays.
        nodes.close(end=api.bed is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A namespace, and what the tests have made in it."""

    api: Api
    core: Any
    namespace: str
    folder: Path
    ours: str

    @property
    def bed(self) -> ControlPlane:
        """Return the bed; skip the test on one's own cluster."""
        return self.api.breakable()

    def pods(self) -> list[str]:
        """Return the names of the pods of the tests that are there."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector=self.ours).items
        return [each.metadata.name for each in found]

    def secrets(self) -> list[str]:
        """Return the names of the tests' Secrets that are there."""
        found = self.core.list_namespaced_secret(self.namespace, label_selector=self.ours).items
        return [each.metadata.name for each in found]

    def end(self, pod: str) -> None:
        """Strike a pod out at once, as its administrator may."""
        self.core.delete_namespaced_pod(pod, self.namespace, grace_period_seconds=0)

    def kubeconfig(self, server: str = "", *, token: str = "admintok") -> str:
        """Return a file for who has a token, and asks a server."""
        path = self.folder / f"{len(list(self.folder.glob('*.kubeconfig')))}.kubeconfig"
        return self.bed.kubeconfig(path, token, server)


@pytest.fixture
def cluster(api: Api, namespace: str, tmp_path: Path) -> Iterator[Cluster]:
    client = api.bed.client() if api.bed else Access().client()
    with client:
        yield Cluster(
            api=api,
            core=kubernetes.client.CoreV1Api(client),
            namespace=namespace,
            folder=tmp_path,
            ours=selector(api.mark),
        )
