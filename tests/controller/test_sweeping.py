"""What ended tasks left behind goes, and nothing else does."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from controller.store.sqlite import SqliteDatabase
from controller.sweeping import REST_S, TEMPORARY_S, sweep
from planner.commands import DeliverProduct, RunPart
from tests.controller.recorded import NOW, answers, life


def left(folder: Path, *names: str, age_s: float = 2 * REST_S) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("x")
        os.utime(folder / name, (NOW - age_s, NOW - age_s))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_belongs_to_an_open_task_stays_until_it_has_ended(tmp_path: Path) -> None:
    fragments, staging = tmp_path / "fragments", tmp_path / "staging"
    with life(partial(SqliteDatabase, tmp_path / "db"), stalls=(DeliverProduct,)) as one:
        one.begin()
        (task,) = one.tasks()
        assert task.state == "delivering"
        mine = {f"{task.id}-0.a1.npz", f"{task.id}-1.a12.part.0123abcd.partial"}
        made = {f"{task.product_id}{end}" for end in (".nc", ".manifest.json", "-argo.zip")}
        left(fragments, *mine, f"{task.id}0-0.a1.npz", "t9.1-3.a2.npz", "notes")
        left(staging, *made, f"{task.product_id}7.nc", "med-v9-to-u3.nc")
        assert sweep(fragments, staging, one.store, NOW) == 4
        assert names(fragments) == {*mine, "notes"}
        assert names(staging) == made
        for command in one.hands.obeyed:
            if isinstance(command, DeliverProduct):
                one.inbox.put(next(answers(command)))
        one.play()
        assert sweep(fragments, staging, one.store, NOW) == len(mine) + len(made)
        assert (names(fragments), names(staging)) == ({"notes"}, set())


def test_what_was_just_written_or_may_be_in_use_stays(tmp_path: Path) -> None:
    fragments, staging = tmp_path / "fragments", tmp_path / "staging"
    with life(partial(SqliteDatabase, tmp_path / "db"), stalls=(RunPart,)) as one:
        left(fragments, "t1-0.a1.npz", age_s=REST_S / 2)
        left(staging, "tmpabc", age_s=2 * REST_S)
        left(staging, "tmpold", age_s=2 * TEMPORARY_S)
        assert sweep(fragments, staging, one.store, NOW) == 1
        assert (names(fragments), names(staging)) == ({"t1-0.a1.npz"}, {"tmpabc"})
