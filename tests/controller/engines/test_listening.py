"""Where the scheduler listens, what it is called from elsewhere, and that it stays there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.engines import launch
from controller.engines.connection import Listening
from controller.engines.dask import DaskEngine
from controller.errors import EngineError
from tests.controller.engines.inbox import Inbox

Open = Callable[[Listening], DaskEngine]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open engines that outlive themselves, one after the other in one folder."""
    made: list[DaskEngine] = []

    def opened(listening: Listening) -> DaskEngine:
        for engine in made:
            engine.close()
        made.append(DaskEngine(Inbox().put, folder=tmp_path / "engine", listening=listening))
        return made[-1]

    yield opened
    made[-1].close(end=True)


def free_port() -> int:
    with launch.reserve_port("127.0.0.2") as reserved:
        port: int = reserved.getsockname()[1]
        return port


def test_a_scheduler_stays_where_it_is_until_it_is_told_to_listen_elsewhere(
    opened: Open, tmp_path: Path
) -> None:
    port = free_port()
    first = opened(Listening(host="127.0.0.2", address="slackwater.example", port=port))
    assert first.near.address == f"tls://127.0.0.2:{port}"
    assert first.connection.address == f"tls://slackwater.example:{port}"
    scheduler = launch.recorded(tmp_path / "engine")
    assert scheduler is not None
    assert opened(Listening(host="127.0.0.2")).connection.address == first.near.address
    assert launch.recorded(tmp_path / "engine") == scheduler
    assert opened(Listening(host="0.0.0.0")).near.address == f"tls://127.0.0.1:{port}"
    assert launch.recorded(tmp_path / "engine") != scheduler
    assert not scheduler.process.runs()


def test_a_port_that_is_taken_or_a_host_that_is_elsewhere_is_told(tmp_path: Path) -> None:
    with launch.reserve_port("127.0.0.1") as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EngineError, match=f"cannot listen at 127.0.0.1 port {port}"):
            DaskEngine(Inbox().put, listening=Listening(port=port))
    with pytest.raises(EngineError, match=r"cannot listen at 192\.0\.2\.1 port 0"):
        DaskEngine(Inbox().put, listening=Listening(host="192.0.2.1"))
