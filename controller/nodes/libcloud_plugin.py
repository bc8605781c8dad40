"""The kind of provider ``libcloud``; importing this imports nothing of Libcloud."""

from __future__ import annotations

from importlib.util import find_spec

from controller.errors import NodeError, NodeFault
from controller.nodes.libcloud_options import CloudOptions, CloudTypeOptions
from controller.nodes.plugins import NodePlugin, ProviderStart
from controller.ports import NodeProvider


def open_libcloud(start: ProviderStart) -> NodeProvider:
    """Return a provider of machines.

    Raises
    ------
    NodeError
        Libcloud is not installed, or a worker cannot be brought up as the options say.
    """
    if find_spec("libcloud") is None:
        raise NodeError(
            f"provider {start.name} needs Apache Libcloud",
            fault=NodeFault.OURS,
            fix="pip install 'slackwater[libcloud]'",
        )
    from controller.nodes.libcloud import LibcloudNodes  # noqa: PLC0415 - needs Libcloud
    from controller.nodes.libcloud_dialects import dialect_of  # noqa: PLC0415
    from controller.nodes.libcloud_playbook import PlaybookPreparation  # noqa: PLC0415
    from controller.nodes.libcloud_setup import NoPreparation  # noqa: PLC0415

    by_playbook = start.options.setup == "playbook"
    preparation = PlaybookPreparation(start) if by_playbook else NoPreparation()
    return LibcloudNodes(start, dialect_of(start.options.driver), preparation)


PLUGIN = NodePlugin(open=open_libcloud, options=CloudOptions, type_options=CloudTypeOptions)
