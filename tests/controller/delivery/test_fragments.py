"""Fragments in a store of objects: nodes write them, the service reads and sweeps them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from fsspec.config import conf

from controller.apps.storage import read_whole, replacing
from controller.nodes.supervisor import check_reachable
from controller.store.sqlite import SqliteDatabase
from controller.sweeping import MARK, REST_S, place_for_fragments, sweep_far
from planner.commands import RunPart
from tests.controller.delivery.servers import S3Server
from tests.controller.recorded import NOW, life

LONG_AFTER = 4e9
"""When all that the test has written is old [POSIX s]."""


def test_fragments_of_a_store_of_objects(
    store: S3Server, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(conf, "s3", store._options(store.port))
    url = store.url(folder)
    place_for_fragments(url)
    check_reachable((url,))
    with life(partial(SqliteDatabase, tmp_path / "db"), stalls=(RunPart,)) as one:
        one.begin()
        (task,) = one.tasks()
        for name in (f"{task.id}-0.a1.npz", "t9.1-3.a2.npz"):
            with replacing(f"{url}/{name}") as file:
                file.write(b"a fragment")
        assert read_whole(f"{url}/{task.id}-0.a1.npz") == b"a fragment"
        assert sweep_far(url, one.store, NOW - REST_S) == 0
        assert sweep_far(url, one.store, LONG_AFTER) == 1
    assert set(store.files(folder)) == {f"{task.id}-0.a1.npz", MARK}
