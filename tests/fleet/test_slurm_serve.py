"""`slackwater serve` whose only nodes are jobs of a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.demo.archive import make_archive
from tests.controller.runs import PRODUCTS, WISHES
from tests.controller.served import Serving
from tests.fleet.slurm import slurm

SETTINGS = """
providers:
  hpc: {{kind: slurm, folder: '{shared}', conf: '{conf}', poll_s: 1, end_s_max: 10}}
nodes:
  job: {{provider: hpc, slots: 1, slots_max: 2, nodes_max: 2, options: {{time_limit_min: 10}}}}
"""


def test_it_delivers_by_jobs_and_leaves_none(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with slurm(tmp_path_factory.mktemp("slurm")) as bed:
        shared = tmp_path / "shared"
        served = Serving(
            folder=tmp_path / "place",
            archive=make_archive(tmp_path / "archive", profiles=200, seed=7).folder,
            wishes=WISHES,
            settings=SETTINGS.format(shared=shared, conf=bed.conf),
        )
        try:
            served.start()
            served.until("all is delivered", lambda: served.delivered(len(PRODUCTS)))
            assert served.stop() == 0
            assert served.products().keys() == PRODUCTS
            told = bed.ask("squeue", "--noheader", "--states=all", "--format=%T %j")
            states = [each.split()[0] for each in told.splitlines() if ":job:" in each]
            assert states  # Nothing else could have made the products,
            assert {*states} <= {"COMPLETED", "CANCELLED"}  # and all are over.
            assert list(shared.iterdir()) == []
        finally:
            served.close()
