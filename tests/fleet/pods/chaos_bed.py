"""The bed of chaos that is a Kubernetes cluster: its machines are hosts of their own network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.controller.runs import COMMAND
from tests.fleet.chaos import Blow, What, fault_of
from tests.fleet.control_plane import ControlPlane
from tests.fleet.faulty_api import FaultyApi, faulty_api
from tests.fleet.hosts import BRIDGE, Host, signalled
from tests.fleet.kubelet import SLACKWATER, Kubelet

SETTINGS = """
archive: {{read_latency_s: 0.1}}
providers:
  pods:
    kind: kubernetes
    kubeconfig: '{kubeconfig}'
    namespace: '{namespace}'
    image: '{image}'
    command: ['{command}']
    grace_s: 5
    call_s_max: 10
nodes:
  pod:
    provider: pods
    slots: 2
    nodes_max: 3
    boot_s: 5
    options: {{cpu: 1, memory_mb: 64}}
engine: {{host: {bridge}, lease_s: 3, orphan_s: 30}}
"""

VERBS = {"create": ("POST", "/pods"), "delete": ("DELETE", "/pods/"), "look": ("GET", "/pods")}


@dataclass(kw_only=True)
class PodBed:
    """See `tests.fleet.chaos.Bed`."""

    name: str = "kubernetes"
    span_s: float = 15.0
    joined_s_max: float = 40.0
    settings: str
    plane: ControlPlane
    namespace: str
    machines: Mapping[str, Host]
    kubelet: Kubelet
    api: FaultyApi

    def hosts(self) -> list[str]:
        """Return the machines on which a pod runs."""
        found = self.plane.core.list_namespaced_pod(self.namespace).items
        return sorted({each.spec.node_name for each in found if each.status.phase == "Running"})

    def strike(self, host: str, how: What) -> None:
        """Kill, freeze or cut off a machine; in each case nobody hears of its kubelet."""
        if how is What.KILL:
            self.kubelet.crash(host)
            return
        self.kubelet.silent.add(host)
        if how is What.FREEZE:
            signalled(host, "STOP")
        else:
            self.machines[host].link("down")

    def heal(self, host: str, how: What) -> None:
        """Have it back; one that lost its power tells that its pods have ended."""
        if how is What.FREEZE:
            signalled(host, "CONT")
        elif how is What.CUT:
            self.machines[host].link("up")
        self.kubelet.silent.discard(host)

    def fail(self, blow: Blow) -> None:
        """Have the next answers of the API server be wrong."""
        self.api.faults.append(fault_of(blow, *VERBS[blow.verb]))

    def calm(self) -> None:
        """Have all answers be right again."""
        self.api.faults.clear()

    def left(self) -> dict[str, list[str]]:
        """Return the pods and Secrets of ours that there are."""
        pods = self.plane.core.list_namespaced_pod(self.namespace).items
        secrets = self.plane.core.list_namespaced_secret(self.namespace).items
        found = {"pods": pods, "secrets": [each for each in secrets if each.type == "Opaque"]}
        return {kind: [e.metadata.name for e in each] for kind, each in found.items() if each}


@contextmanager
def pod_bed(
    plane: ControlPlane, namespace: str, machines: Mapping[str, Host], folder: Path
) -> Iterator[PodBed]:
    """Have a cluster of these machines."""
    networks = {name: name for name in machines}
    with ExitStack() as ends:
        api = ends.enter_context(faulty_api(plane.server))
        kubelet = Kubelet(plane, folder / "kubelet", machines=networks, cpu=2)
        ends.callback(kubelet.close)
        settings = SETTINGS.format(
            kubeconfig=plane.kubeconfig(folder / "kubeconfig", "admintok", api.url),
            namespace=namespace,
            image=SLACKWATER,
            command=COMMAND,
            bridge=BRIDGE,
        )
        yield PodBed(
            settings=settings,
            plane=plane,
            namespace=namespace,
            machines=machines,
            kubelet=kubelet,
            api=api,
        )
