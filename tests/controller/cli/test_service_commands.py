"""The commands that talk to a service, against one that runs."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.cli import Exit
from controller.cli.status import Standing
from controller.client import Client, Health, ServiceError, Task, Wish
from controller.demo.archive import DemoArchive
from tests.controller.conftest import Command
from tests.controller.runs import WISHES
from tests.controller.served import Serving

AT = datetime(2026, 1, 31, tzinfo=UTC)

FILE = """
subscriptions:
  - id: north
    dataset: argo
    bbox: 0,0,180,90
    deadline: PT10M
  - id: wrong
    dataset: argo
    bbox: 1,2,3
    parameters: [TEMP, TMEP]
"""


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, small_archive: DemoArchive
) -> Iterator[Serving]:
    """A service that has delivered `WISHES`; tests leave no subscription of theirs."""
    place = tmp_path_factory.mktemp("served")
    settings = "notify: {hosts_allowed: [127.0.0.1]}\n"
    served = Serving(folder=place, archive=small_archive.folder, wishes=WISHES, settings=settings)
    served.start()
    served.until("all is delivered", lambda: served.delivered(2))
    yield served
    served.close()


@pytest.fixture
def ask(serving: Serving, command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command, told where the service is."""
    monkeypatch.setenv("SLACKWATER_URL", serving.url())
    return command


def test_a_subscription_from_its_making_to_its_end(ask: Command) -> None:
    made = ask(
        *("subscribe", "add", "wave", "--dataset", "argo", "--bbox", "-70,20,-10,65"),
        *("--time", "2010-01-01/..", "--parameters", "TEMP,PSAL", "--variable", "PRES"),
        *("--deadline", "PT2H", "--option", "qc=1,2", "--priority", "2", "--no-backfill", "--json"),
    )
    assert made.code == Exit.OK
    (told,) = made.result
    assert told["bbox"] == [-70.0, 20.0, -10.0, 65.0]
    assert told["parameters"] == ["PRES", "PSAL", "TEMP"]
    assert told["options"] == {"qc": "1,2"}
    assert (told["deadline"], told["priority"], told["backfill"]) == ("PT2H", 2.0, False)
    again = ask("subscribe", "add", "wave", "--dataset", "argo")
    assert again.code == Exit.FAILED
    assert "--replace" in again.err
    changed = ask("subscribe", "add", "wave", "--dataset", "argo", "--no-backfill", "--replace")
    assert "wave v2: no deadline" in changed.err
    assert "paused wave" in ask("subscribe", "pause", "wave").err
    assert "paused" in ask("subscribe", "show", "wave").out
    assert not ask("subscribe", "resume", "wave", "--json").result["paused"]
    listed = {each["id"] for each in ask("subscribe", "list", "--json").result}
    assert listed == {"world", "mediterranean", "wave"}
    removed = ask("subscribe", "rm", "wave", "nobody", "--json")
    assert removed.code == Exit.FAILED
    assert removed.result == {"removed": ["wave"]}
    assert "there is no subscription nobody" in removed.err


def test_a_view_in_the_words_of_copernicus(ask: Command) -> None:
    made = ask(
        *("subscribe", "add", "med", "--dataset", "argo", "--variable", "TEMP", "--no-backfill"),
        *("--minimum-longitude", "-6", "--maximum-longitude", "36.5", "--minimum-latitude", "30"),
        *("--start-datetime", "2010-01-01", "--json"),
    )
    (told,) = made.result
    assert told["bbox"] == [-6.0, 30.0, 36.5, 90.0]
    assert told["time"] == "2010-01-01T00:00:00Z/.."
    assert ask("subscribe", "rm", "med").code == Exit.OK


def test_every_fault_of_a_wish_is_shown_with_its_place(ask: Command) -> None:
    refused = ask(
        *("subscribe", "add", "Wave", "--dataset", "argos", "--bbox", "1,2,3", "--time", "x"),
        *("--deadline", "PT0S", "--priority", "0", "--destination", "ftp://elsewhere"),
    )
    assert refused.code == Exit.FAILED
    assert not refused.out
    pointers = ("/id", "/dataset/0", "/bbox", "/time", "/deadline", "/priority", "/destination")
    assert [pointer for pointer in pointers if f"  {pointer}: " not in refused.err] == []


def test_a_file_is_made_but_for_what_is_wrong_with_its_lines(ask: Command, tmp_path: Path) -> None:
    path = tmp_path / "wishes.yaml"
    path.write_text(FILE)
    ended = ask("subscribe", "add", "--file", path)
    assert ended.code == Exit.FAILED
    assert "subscribed north v1" in ended.err
    assert f"{path}: 2 faults" in ended.err
    assert "line 9: subscription wrong: bbox 1,2,3 is not four" in ended.err
    assert "line 10: subscription wrong: unknown parameter 'TMEP'" in ended.err
    assert ask("subscribe", "rm", "north").code == Exit.OK
    path.write_text("subscriptions: 7\n")
    assert "holds no list" in ask("subscribe", "add", "--file", path).err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("add", "wave"), "--dataset"),
        (("add", "--dataset", "argo"), "ID"),
        (("add", "wave", "--file", "f"), "--file"),
        (("add", "a", "--dataset", "argo", "--option", "qc"), "--option"),
        (("add", "a", "--dataset", "argo", "--time", "/", "--end-datetime", "2010"), "--time"),
        (("add", "a", "--dataset", "d", "--bbox", "1", "--minimum-latitude", "0"), "--bbox"),
    ],
)
def test_what_is_not_understood_is_usage(
    command: Command, arguments: tuple[str, ...], word: str
) -> None:
    ended = command("subscribe", *arguments)
    assert ended.code == Exit.USAGE
    assert word in ended.err


def test_a_product_is_got_as_it_was_delivered(ask: Command, tmp_path: Path) -> None:
    listed = ask("products", "list", "--subscription", "world", "--json").result
    assert [each["id"] for each in listed] == ["world-v1-to-u0"]
    got = ask("products", "get", "world-v1-to-u0", "--out", tmp_path / "got", "--json").result
    content = Path(got["path"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == listed[0]["sha256"] == got["sha256"]
    manifest = json.loads((tmp_path / "got" / "world-v1-to-u0.manifest.json").read_text())
    assert manifest["product"]["sha256"] == got["sha256"]
    gone = ask("products", "get", "world-v9-to-u0")
    assert gone.code == Exit.FAILED
    assert "there is no product world-v9-to-u0" in gone.err


def test_tables_fit_a_narrow_terminal(ask: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (
        ("subscribe", "list"),
        ("subscribe", "show", "world"),
        ("products", "list"),
        ("nodes", "list", "--all"),
        ("status",),
    ):
        monkeypatch.setenv("COLUMNS", "80")
        told = ask(*arguments)
        assert told.code == Exit.OK
        assert told.out.strip()
        assert max(map(len, told.out.splitlines())) <= 80
    monkeypatch.setenv("COLUMNS", "80")
    lines = ask("products", "list").out.strip().splitlines()
    assert len(lines) == 3  # a head, and a line for each product


def test_the_status_tells_that_all_is_well(ask: Command) -> None:
    told = ask("status")
    assert told.code == Exit.OK
    assert told.out.startswith("ready")
    assert "0 open tasks" in told.out
    assert "launch" in told.out
    data = ask("status", "--json").result
    assert data["health"] == {"status": "ready", "faults": {}}
    assert data["tasks"] == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, Exit.OK),
        ({"deadline_at": None, "slack_s": None}, Exit.OK),
        ({"slack_s": -1.0}, Exit.LATE),
        ({"slack_s": -1.0, "ended_at": AT}, Exit.OK),
        ({"deadline_at": AT - timedelta(seconds=1)}, Exit.LATE),
    ],
    ids=["in time", "best effort", "at risk", "over", "late"],
)
def test_a_deadline_in_danger_is_an_exit_code(changed: dict[str, Any], code: Exit) -> None:
    task = Task(
        id="t1",
        subscription="s",
        product="p",
        state="running",
        arrived_at=AT,
        deadline_at=AT + timedelta(minutes=1),
        ended_at=None,
        slack_s=None,
        parts=2,
        parts_done=1,
        worker_s=0.0,
        cost=0.0,
        text="",
    )
    told = Standing(
        at=AT,
        health=Health(status="ready"),
        state=None,
        tasks=(replace(task, **changed),),
        nodes=None,
        decisions=(),
    )
    assert told.code == code
    assert replace(told, health=Health(status="not ready")).code == Exit.FAILED


def test_operators_hold_nodes_and_choose_how_they_are_decided(ask: Command) -> None:
    assert "scale: 1 node" in ask("scale", "1").err
    none = ask("scale", "0")
    assert (none.code, "auto lets all go" in " ".join(none.err.split())) == (Exit.USAGE, True)
    told = ask("scale", "auto", "--json").result
    assert told["auto"]
    policy = ask("policy", "set", "static", "--option", "threshold_s=50", "--json").result
    assert (policy["policy"], policy["settings"]["threshold_s"]) == ("static", 50.0)
    assert "static" in ask("policy", "show").out
    refused = ask("policy", "set", "stotic", "--option", "nodes_max=x", "--option", "foo=1")
    assert refused.code == Exit.FAILED
    assert [p for p in ("/policy", "/nodes_max", "/foo") if f"  {p}: " not in refused.err] == []
    assert ask("policy", "set", "prefix").code == Exit.OK
    gone = ask("nodes", "drain", "nobody")
    assert (gone.code, "there is no node nobody" in gone.err) == (Exit.FAILED, True)
    assert ask("nodes", "rm", "nobody", "--json").result == []


def test_a_message_is_handed_on_and_its_faults_are_told(ask: Command, tmp_path: Path) -> None:
    path = tmp_path / "message.json"
    path.write_text('{"id": "noon", "dataset": "argo"}')
    told = ask("publish", path, "--json").result
    assert told == {"id": "noon", "dataset": "10.17882/42182", "is_new": True}
    assert ask("publish", "--dataset", "argo").code == Exit.OK
    path.write_text('{"specversion": "1.0"}')
    refused = ask("publish", path)
    assert refused.code == Exit.FAILED
    assert "/source: " in refused.err


def test_webhooks_are_added_listed_and_removed(ask: Command) -> None:
    ask("subscribe", "add", "told", "--dataset", "argo", "--no-backfill")
    refused = ask("subscribe", "webhook", "add", "told", "http://10.0.0.1/hook")
    assert refused.code == Exit.FAILED
    assert "10.0.0.1" in refused.err
    hook = "http://127.0.0.1:9/hook"
    added = ask("subscribe", "webhook", "add", "told", hook)
    assert added.out.startswith("whsec_")
    (listed,) = ask("subscribe", "webhook", "list", "told", "--json").result
    assert (listed["url"], listed["state"], listed["secret"]) == (hook, "active", None)
    assert hook in ask("subscribe", "webhook", "list", "told").out
    assert ask("subscribe", "webhook", "rm", "told", "nothing").code == Exit.FAILED
    assert ask("subscribe", "webhook", "rm", "told", listed["id"]).code == Exit.OK
    assert ask("subscribe", "webhook", "list", "told", "--json").result == []
    assert ask("subscribe", "full", "told").code == Exit.OK
    ask("subscribe", "rm", "told")


def test_an_estimate_makes_nothing_and_warns_of_the_deadline(ask: Command) -> None:
    wish = ("subscribe", "add", "hasty", "--dataset", "argo", "--deadline", "PT0.1S")
    told = ask(*wish, "--estimate")
    assert told.code == Exit.LATE
    assert told.out.startswith("hasty: the deadline cannot be met")
    assert "hasty" not in ask("subscribe", "list").out
    assert "warning: hasty: the deadline cannot be met" in ask(*wish).err
    assert ask("subscribe", "rm", "hasty").code == Exit.OK


def test_out_of_reach_is_an_exit_code(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for arguments in (("status",), ("products", "list"), ("scale", "2")):
            ended = command(*arguments, "--url", url)
            assert ended.code == Exit.UNREACHABLE
            assert f"no service answers at {url}" in ended.err
            assert not ended.out
    assert command("status", "--url", "example").code == Exit.USAGE


def test_a_message_must_be_one(
    ask: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "message"
    for content, fault in (("[1]", "no JSON object"), ("{", "no JSON")):
        path.write_text(content)
        assert fault in ask("publish", path).err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"nonsense")))
    assert "-: one fault" in ask("publish", "-").err
    assert "cannot be read" in ask("publish", tmp_path / "nothing").err
    assert ask("publish").code == ask("publish", path, "--dataset", "argo").code == Exit.USAGE


def test_the_client_sees_what_was_changed_meanwhile(serving: Serving) -> None:
    with Client(serving.url()) as client:
        wish = Wish(id="mine", dataset="argo", parameters=("TEMP",), backfill=False)
        made = client.subscribe(wish)
        assert made.etag
        assert client.subscription("mine") == made
        changed = client.change(wish, etag=made.etag)
        assert changed.version == made.version + 1
        with pytest.raises(ServiceError) as refused:
            client.change(wish, etag=made.etag)
        assert refused.value.status == 412
        client.remove("mine", etag=changed.etag)
        assert {each.id for each in client.subscriptions()} == {"world", "mediterranean"}
        assert all(client.task(each.id) == each for each in client.tasks())
        assert [each.number for each in client.updates()] == [0]
