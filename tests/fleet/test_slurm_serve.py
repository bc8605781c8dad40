"""`slackwater serve` whose only nodes are jobs of a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.demo.archive import make_archive
from tests.controller.runs import PRODUCTS, WISHES
from tests.controller.served import Serving
from tests.fleet.slurm import Bed, slurm

SETTINGS = """
providers:
  hpc: {{kind: slurm, folder: '{shared}', conf: '{conf}', poll_s: 1, end_s_max: 10}}
nodes:
  job: {{provider: hpc, slots: 1, slots_max: 2, nodes_max: 1, options: {{time_limit_min: 10}}}}
"""


def test_it_delivers_by_jobs_also_when_it_was_killed_and_leaves_none(
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
            served.until("a job runs", lambda: "RUNNING" in jobs(bed).values())
            served.kill()
            before = jobs(bed).keys()
            served.start()
            served.until("all is delivered", lambda: served.delivered(len(PRODUCTS)))
            assert jobs(bed).keys() == before  # Those that stood made the products.
            assert served.stop() == 0
            assert served.products().keys() == PRODUCTS
            assert {*jobs(bed).values()} <= {"COMPLETED", "CANCELLED"}
            assert list(shared.iterdir()) == []
        finally:
            served.close()


def jobs(bed: Bed) -> dict[str, str]:
    """Return the state of each job of a service by id, also of those that are over."""
    told = bed.ask("squeue", "--noheader", "--states=all", "--format=%A %T %j").splitlines()
    return {each.split()[0]: each.split()[1] for each in told if ":job:" in each}
