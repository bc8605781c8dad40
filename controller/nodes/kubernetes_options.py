"""What may be said of a Kubernetes cluster and of the pods that are nodes there, and its defaults.

An option of the provider that a node type names too is the node type's; selectors, labels and
annotations are joined, the node type's word first; tolerations are added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controller.config.ranges import NotNegative, Positive

Label = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")
]
"""A value that a label may have."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name that a namespace, a class or an account may have."""

POD_NODE_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
"""A node's id is part of a pod's name, which is a host name: 63 characters at most."""

Toleration = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9./_-]*(=[A-Za-z0-9._-]*)?"
        r"(:(NoSchedule|PreferNoSchedule|NoExecute(:[0-9]{1,9})?))?$"
    ),
]
"""A taint that pods put up with, as `kubectl taint` writes one: ``key=value:effect``. Without a
value any will do, without an effect all; ``NoExecute`` may be followed by ``:seconds``."""

Spot = Literal["", "gke", "aks", "eks", "karpenter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOptions:
    """What the provider says of all its pods and a node type of its own ones.

    Parameters
    ----------
    image : str
        Of slackwater, of the same version as the service.
    command : tuple of str
        What is called ``slackwater`` in the image; ``worker`` and its arguments follow.
    priority_class : str
        A PriorityClass; empty takes the cluster's default.
    spot_machines : str
        Run on machines that may be taken away, as gke, aks, eks or karpenter marks them.
    node_selector, labels, annotations : mapping of str to str
    tolerations : tuple of str
        See `Toleration`.
    """

    image: str = ""
    command: tuple[str, ...] = ()
    priority_class: str = ""
    spot_machines: Spot = ""
    node_selector: Mapping[str, Label] = field(default_factory=dict)
    labels: Mapping[str, Label] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()

    def over(self, other: PodOptions) -> PodOptions:
        """Return these options where they say something, else the other ones."""
        return PodOptions(
            image=self.image or other.image,
            command=self.command or other.command,
            priority_class=self.priority_class or other.priority_class,
            spot_machines=self.spot_machines or other.spot_machines,
            node_selector={**other.node_selector, **self.node_selector},
            labels={**other.labels, **self.labels},
            annotations={**other.annotations, **self.annotations},
            tolerations=(*other.tolerations, *self.tolerations),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions(PodOptions):
    """The options of a provider of kind ``kubernetes``.

    Parameters
    ----------
    namespace : str
        Where the pods are; it is there already.
    kubeconfig, context : str
        Who asks where; empty means the ServiceAccount of the service's own pod, or elsewhere what
        ``KUBECONFIG`` or ``~/.kube/config`` says, and its current context.
    service_account : str
        Of the pods; they get no token of it, so it says only what admission makes of them.
    pull_secrets : tuple of str
        Secrets with which images are fetched.
    pull_policy : str
        When an image is fetched; empty takes the cluster's default.
    owner : str
        A ConfigMap with whose end the pods end too; empty means none.
    user : int
        Number of the user and group that workers run as.
    grace_s : float
        A pod that is told to end may take so long for its parts [s].
    launch_s_max : float
        A pod that does not run by then is given up [s].
    call_s_max : float
        An answer of the API server that takes longer is given up [s].
    """

    namespace: Name = "slackwater"
    kubeconfig: str = ""
    context: str = ""
    service_account: Name = "default"
    pull_secrets: tuple[Name, ...] = ()
    pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    owner: str = ""
    user: Annotated[int, Field(ge=1)] = 10001
    grace_s: Positive = 60.0
    launch_s_max: Positive = 600.0
    call_s_max: Positive = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesNodeOptions(PodOptions):
    """The options of a node type whose provider is of kind ``kubernetes``.

    Parameters
    ----------
    cpu : float
        Processors of a pod [cores]; 0 means one for each of its ``slots_max``.
    memory_mb : float
        Memory of a pod [MB]; 0 means 1024 for each of its ``slots_max``.
    scratch_mb : float
        Disc space of a pod for parts at work [MB], beside ``shared_reads_mb``.
    """

    cpu: NotNegative = 0.0
    memory_mb: NotNegative = 0.0
    scratch_mb: Positive = 1024.0


SPOT: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "": ({}, ()),
    "gke": (
        {"cloud.google.com/gke-spot": "true"},
        ("cloud.google.com/gke-spot=true:NoSchedule",),
    ),
    "aks": (
        {"kubernetes.azure.com/scalesetpriority": "spot"},
        ("kubernetes.azure.com/scalesetpriority=spot:NoSchedule",),
    ),
    "eks": ({"eks.amazonaws.com/capacityType": "SPOT"}, ()),
    "karpenter": ({"karpenter.sh/capacity-type": "spot"}, ()),
}
"""How each says which nodes may be taken away: the label to select, the taints to put up with."""
