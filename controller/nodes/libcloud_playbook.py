"""Makes workers of a cloud's machines by our playbooks, over ssh.

The other way, an image that brings its worker up by itself, is
`controller.nodes.libcloud_setup.NoPreparation`.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from controller.errors import NodeError, NodeFault
from controller.nodes.joining import Join, write_join_folder
from controller.nodes.libcloud_ground import KEY
from controller.nodes.libcloud_options import CloudOptions
from controller.nodes.libcloud_setup import RunningHost, Told
from controller.nodes.playbook import Host, HostSetup, SetupOptions
from controller.nodes.playbook_events import HostProgress
from controller.nodes.plugins import ProviderStart
from controller.nodes.records import NODE_ID
from controller.nodes.worker_archive import read_worker_archive

ORPHAN_S = 300.0
"""Nodes of a service that they are not to outlive end so long after it is gone all the same [s]:
whoever was killed could not delete them."""

_log = logging.getLogger(__name__)


class PlaybookPreparation:
    """Sets machines up by ssh; see `controller.nodes.libcloud_setup.Preparation`.

    Parameters
    ----------
    start : ProviderStart

    Raises
    ------
    NodeError
        Ansible is not installed, or the worker archive is none.
    """

    def __init__(self, start: ProviderStart) -> None:
        options = start.options
        assert isinstance(options, CloudOptions)
        self._start, self._options = start, options
        archive = Path(options.worker_archive) if options.worker_archive else None
        self._setup = HostSetup(
            start.folder / "setup",
            SetupOptions(
                ansible_playbook=options.ansible_playbook,
                setup_s_max=int(options.setup_s_max),
                poweroff_after_s=int(start.orphan_s or ORPHAN_S),
            ),
            archive=read_worker_archive(archive) if archive else None,
        )

    def prepare(self, hosts: Sequence[RunningHost], told: Told) -> None:
        """Set machines up, and tell of each as soon as it is known."""
        ready = [host for each in hosts if (host := self._host(each, told))]

        def progress(event: HostProgress) -> None:
            if event.outcome is not None:
                told(event.node_id, event.outcome.error)

        for outcome in self._setup.set_up(ready, progress) if ready else ():
            told(outcome.node_id, outcome.error)

    def renew(self, node_id: str) -> bool:
        """Renew a machine's credentials if that is due; tell whether they are to be brought."""
        folder = self._join_folder(node_id)
        if not folder.is_dir():
            return False
        try:
            before = _papers(folder)
            self._start.connection.of_node(node_id, folder)
            return _papers(folder) != before
        except (OSError, NodeError) as error:
            _log.warning("node %s: its certificate is not renewed: %s", node_id, error)
            return False

    def forget(self, node_id: str) -> None:
        """Forget the keys of a machine that is gone, and have what it was given refused.

        Raises
        ------
        NodeError
            That cannot be written down (retry).
        """
        if not NODE_ID.fullmatch(node_id):
            return  # It names no file of ours.
        self._setup.forget(node_id)
        folder = self._join_folder(node_id)
        if folder.is_dir():
            self._start.connection.revoke(node_id)
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End what is under way; those machines have not been set up."""
        self._setup.close()

    def _join_folder(self, node_id: str) -> Path:
        return self._start.folder / "join" / node_id

    def _host(self, host: RunningHost, told: Told) -> Host | None:
        folder = self._join_folder(host.node_id)
        connection = self._start.connection
        join = Join(
            address=connection.address,
            node_id=host.node_id,
            workers=host.workers,
            orphan_s=self._start.orphan_s or ORPHAN_S,
            reachable_urls=self._start.reachable_urls,
            preload=tuple(dict.fromkeys((*connection.preload, *self._start.preload))),
            shared_reads_mb=host.shared_reads_mb,
        )
        try:
            write_join_folder(folder, join, connection)
        except OSError as error:
            fix = "Free space there; it is tried again"
            what = f"node {host.node_id}: its join folder cannot be written: {error.strerror}"
            told(host.node_id, NodeError(what, fault=NodeFault.RETRY, fix=fix))
            return None
        except NodeError as error:  # It was removed just now.
            told(host.node_id, error)
            return None
        return Host(
            node_id=host.node_id,
            address=host.address,
            user=self._options.login_user,
            key_file=Path(self._options.key_file or self._start.folder / KEY),
            join_folder=folder,
        )


def _papers(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.glob("*.pem")}
