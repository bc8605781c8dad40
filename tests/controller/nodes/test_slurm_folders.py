"""A node's folder goes with it, and what stood in it lets nobody in any more."""

from __future__ import annotations

from pathlib import Path

from controller.authority import Authority, revoked
from controller.engines.connection import DaskConnection
from controller.nodes.plugins import NodeType, ProviderStart
from controller.nodes.slurm_folders import NodeFolders
from controller.nodes.slurm_options import SlurmOptions, SlurmTypeOptions

SMALL = NodeType(
    name="small",
    slots=1,
    slots_max=1,
    speed=1.0,
    price_per_h=0.0,
    quantum_s=0.0,
    boot_s=1.0,
    nodes_max=2,
    shared_reads_mb=0.0,
    spot=False,
    options=SlurmTypeOptions(),
)


def test_a_removed_node_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    options = SlurmOptions(folder=str(tmp_path / "shared"))
    start = ProviderStart(
        name="hpc",
        options=options,
        node_types=(SMALL,),
        connection=DaskConnection(
            address="tls://127.0.0.1:1",
            credentials=authority.credentials("scheduler"),
            orphan_s=60.0,
            issue=authority.credentials,
            withdraw=authority.revoke,
        ),
        folder=tmp_path / "hpc",
        reachable_urls=(),
        preload=(),
        orphan_s=60.0,
        service_id="5ea1e55",
    )
    folders = NodeFolders(tmp_path / "shared" / "5ea1e55", start, options)
    folders.write("n1", SMALL, 1)
    assert folders.workers("n1") == 1
    folders.remove("n1")
    folders.remove("n2")
    assert not folders.join_folder("n1").exists()
    assert revoked(tmp_path / "tls").keys() == {"n1"}
