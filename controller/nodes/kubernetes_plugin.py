"""The kind ``kubernetes`` of providers, as settings find it; its client comes when it is opened."""

from __future__ import annotations

from importlib import import_module

from controller.errors import NodeError, NodeFault
from controller.nodes.kubernetes_options import KubernetesNodeOptions, KubernetesOptions
from controller.nodes.plugins import NodePlugin, ProviderStart
from controller.ports import NodeProvider


def open_kubernetes(start: ProviderStart) -> NodeProvider:
    """Return a provider of pods.

    Raises
    ------
    NodeError
        The official client is not installed, or a node type has no image.
    """
    imageless = [
        each.name for each in start.node_types if not each.options.over(start.options).image
    ]
    if imageless:
        raise NodeError(
            f"provider {start.name}: no image for node type {', '.join(imageless)}",
            fault=NodeFault.OURS,
            fix=f"Name one in providers.{start.name}.image",
        )
    try:
        module = import_module("controller.nodes.kubernetes")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("kubernetes", "urllib3"):
            raise
        raise NodeError(
            f"provider {start.name}: {error}",
            fault=NodeFault.OURS,
            fix="Install slackwater[kubernetes]",
        ) from error
    provider: NodeProvider = module.KubernetesNodes(start)
    return provider


KUBERNETES = NodePlugin(
    open=open_kubernetes, options=KubernetesOptions, type_options=KubernetesNodeOptions
)
