"""Pods in which workers really run: they join over TLS, work, drain, and are let in no more."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed.comm.core import CommClosedError, connect

from controller.engines.connection import DaskConnection, Listening, RenewableSecurity
from controller.engines.dask import DaskEngine
from controller.errors import NodeError
from controller.nodes.kubernetes_pod import STATE
from controller.nodes.testing import Level, check_node_provider
from planner.events import PartFinished
from tests.controller.engines import works
from tests.controller.engines.carrier import held, work
from tests.controller.engines.inbox import Inbox
from tests.controller.runs import COMMAND
from tests.fleet.control_plane import until
from tests.fleet.kubelet import ROOT, SLACKWATER
from tests.fleet.pods.conftest import Api, Cluster, Make

IMAGE: dict[str, Any] = {
    "image": SLACKWATER,
    # Parts are functions of the tests.
    "command": ("env", f"PYTHONPATH={ROOT}", str(COMMAND)),
}


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def engine(api: Api, inbox: Inbox, tmp_path: Path) -> Iterator[DaskEngine]:
    """An engine that pods reach: on loopback, for those of the bed's machines."""
    if not api.address:
        pytest.skip("SLACKWATER_TEST_ADDRESS does not say where pods reach this machine")
    (tmp_path / "fragments").mkdir()
    engine = DaskEngine(
        inbox.put,
        folder=tmp_path / "engine",
        fragments=tmp_path / "fragments",
        listening=Listening(host=api.address),
    )
    yield engine
    engine.close(end=True)


def answered(connection: DaskConnection) -> bool:
    """Tell whether the scheduler answers who shows these credentials."""
    security = RenewableSecurity(connection.credentials)

    async def ask() -> bool:
        comm = await connect(connection.address, **security.get_connection_args("worker"))
        try:
            await comm.write({"op": "identity"})
            return bool(await comm.read())
        except CommClosedError:
            return False
        finally:
            comm.abort()

    return asyncio.run(ask())


def phases(cluster: Cluster, since: str) -> list[str]:
    """Return what was told of the pods, one after the other, and that they were struck out."""
    told = cluster.core.list_namespaced_pod(
        cluster.namespace,
        watch=True,
        resource_version=since,
        timeout_seconds=1,
        _preload_content=False,
    )
    events = [json.loads(line) for line in told.data.splitlines()]
    found = [
        each["type"] if each["type"] == "DELETED" else each["object"]["status"]["phase"]
        for each in events
    ]
    return list(dict.fromkeys(found))


@pytest.fixture
def nodes(make: Make, api: Api, places: None, engine: DaskEngine) -> Any:
    """A provider whose pods are workers; an image of one's own needs no telling how."""
    return make(connection=engine.connection, **(IMAGE if api.bed else {"command": ()}))


@pytest.mark.usefixtures("kubelet")
def test_a_pod_joins_works_grows_drains_and_is_let_in_no_more(
    nodes: Any, cluster: Cluster, engine: DaskEngine, inbox: Inbox, tmp_path: Path
) -> None:
    since = cluster.core.list_namespaced_pod(cluster.namespace).metadata.resource_version
    nodes.create("n1", "small", 1)
    inbox.ready("n1", 1)
    (pod,) = cluster.pods()
    assert cluster.secrets() == [pod]
    volumes = tmp_path / "kubelet" / pod

    target = tmp_path / "fragments" / "p1.a1.npz"
    engine.submit([work("n1", "p1", works.written, (str(target), 1000))])
    (done,) = inbox.ended(1)
    assert isinstance(done, PartFinished), done
    assert (done.node_id, done.fragment.url) == ("n1", str(target))
    assert target.read_bytes() == b"x" * 1000

    nodes.resize("n1", 2)
    inbox.ready("n1", 2)

    engine.submit([work("n1", "p2", works.hold, Path(STATE, "held"))])
    held(volumes / "state" / "held")
    shutil.copytree(volumes / "join", tmp_path / "kept")
    kept = DaskConnection.of_folder(engine.connection.address, tmp_path / "kept", 10.0)
    assert answered(kept)

    assert nodes.delete("n1") is False
    inbox.ready("n1", 0)  # Nobody takes parts any more, but one is at it.
    assert (nodes.delete("n1"), cluster.pods()) == (False, [pod])
    (volumes / "state" / "held").unlink()
    (done,) = inbox.ended(1)
    assert isinstance(done, PartFinished), done
    until("the pod is gone", lambda: nodes.delete("n1"))
    assert phases(cluster, since) == ["Pending", "Running", "Succeeded", "DELETED"]
    until("the cluster has collected its Secret", lambda: not cluster.secrets())

    until("its credentials are refused", lambda: not answered(kept))
    with pytest.raises(NodeError, match="n1 was removed"):
        engine.connection.of_node("n1", tmp_path / "kept")
    assert inbox.rest() == []


def test_the_contract_holds_with_an_engine_too(
    nodes: Any, api: Api, engine: DaskEngine, inbox: Inbox
) -> None:
    check_node_provider(
        nodes,
        engine=engine,
        events=inbox.queue,
        levels=[Level.JOIN, Level.DRAIN],
        wait_s_max=api.wait_s_max,
    )
