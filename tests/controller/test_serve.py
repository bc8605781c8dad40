"""`slackwater serve`: started, stopped, killed, started again, twice at once."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from controller.demo.archive import DemoArchive
from controller.engines import launch
from controller.snapshotting import archived_lines
from planner.journal import decode_step, replay
from planner.scaling.catalogue import Policies
from tests.controller.runs import PRODUCTS, WISHES
from tests.controller.served import Serving


@pytest.fixture
def serving(tmp_path: Path, small_archive: DemoArchive) -> Iterator[Serving]:
    served = Serving(folder=tmp_path / "place", archive=small_archive.folder, wishes=WISHES)
    yield served
    served.close()


def test_it_delivers_stops_when_told_and_goes_on(serving: Serving) -> None:
    serving.start()
    assert serving.get("/readyz") == {"status": "ready", "faults": {}}
    serving.until("all is delivered", lambda: serving.delivered(len(PRODUCTS)))
    told = serving.get("/v1/products")["items"]
    assert {each["id"] for each in told} == PRODUCTS
    answer = httpx.post(
        f"{serving.url()}/v1/subscriptions",
        json={"id": "salt", "dataset": "argo", "parameters": "PSAL", "deadline": "PT10M"},
        timeout=30.0,
    )
    assert answer.status_code == 201
    assert serving.stop() == 0
    assert serving.all_end()
    serving.start()
    serving.until("the new one is delivered", lambda: serving.delivered(3))
    assert serving.stop() == 0
    assert serving.products().keys() == {*PRODUCTS, "salt-v1-to-u0"}


def test_the_live_journal_replays_to_identical_commands(serving: Serving) -> None:
    serving.settings = "service: {port: 0, snapshot_steps: 20}\n"
    (serving.folder / "slackwater.yaml").write_text(serving.settings)
    serving.start()
    serving.until("all is delivered", lambda: serving.delivered(len(PRODUCTS)))
    folder = serving.data / "journal"
    serving.until("lines are archived", lambda: any(folder.glob("*.gz")))
    serving.kill()
    with serving.reading() as store:
        header = store.header(0)
        lines = dict(archived_lines(folder))
        lines |= dict(store.lines(0))
    assert header is not None
    assert list(lines) == list(range(1, len(lines) + 1))
    steps = [decode_step(line, number) for number, line in lines.items()]
    assert replay(header, steps, Policies()) == (len(steps), None)


def test_its_engine_outlives_it_and_goes_when_it_stops(serving: Serving) -> None:
    serving.start()
    serving.url()
    before = launch.recorded(serving.data / "engine")
    assert before is not None
    serving.kill()
    assert before.process.runs()
    serving.start()
    serving.until("all is delivered", lambda: serving.delivered(len(PRODUCTS)))
    assert launch.recorded(serving.data / "engine") == before
    assert serving.products().keys() == PRODUCTS
    assert serving.stop() == 0
    assert not before.process.runs()
    assert serving.all_end()


def test_a_second_one_refuses_and_a_standby_takes_over(serving: Serving, tmp_path: Path) -> None:
    serving.start()
    serving.url()
    second = Serving(folder=serving.folder, archive=serving.archive, wishes=WISHES, lives=100)
    second.start()
    assert second.process is not None
    assert second.process.wait(60.0) == 1
    assert "runs on store" in second.log.read_text()
    second.options = ("--standby",)
    second.start()
    second.until("it stands by", lambda: "Standing by" in second.log.read_text())
    assert serving.process is not None
    serving.look()
    serving.process.send_signal(signal.SIGSTOP)
    try:
        second.url()
        second.until("all is delivered", lambda: second.delivered(len(PRODUCTS)))
    finally:
        serving.process.send_signal(signal.SIGCONT)
    assert serving.process.wait(60.0) == 1
    assert "another service has taken over the store" in serving.log.read_text()
    assert second.stop() == 0
    assert second.products().keys() == PRODUCTS


def test_a_port_that_is_taken_is_told_before_anything_is_started(serving: Serving) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = f"service: {{port: {port}}}\n"
        (serving.folder / "slackwater.yaml").write_text(text)
        serving.start()
        assert serving.process is not None
        assert serving.process.wait(60.0) == 1
    said = serving.log.read_text()
    assert f"port {port}: Address already in use by" in said
    assert f"process {os.getpid()}" in said
    assert "End what listens there, or set service.port to another" in said
    assert launch.recorded(serving.data / "engine") is None
    assert not list((serving.data / "nodes").iterdir())


def test_it_listens_for_others_only_with_keys(serving: Serving) -> None:
    (serving.folder / "slackwater.yaml").write_text("service: {port: 0, host: 0.0.0.0}\n")
    serving.start()
    assert serving.process is not None
    assert serving.process.wait(60.0) == 1
    assert "there are no keys" in serving.log.read_text()
    assert not (serving.data / "engine").exists()  # It would have outlived the refusal.
