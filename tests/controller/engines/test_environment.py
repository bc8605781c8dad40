"""What settings say, secrets among it, does not reach the processes that carry parts."""

from __future__ import annotations

import pytest

from tests.controller.engines.carrier import Carrier


def test_no_setting_of_the_environment_reaches_scheduler_nodes_and_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLACKWATER_STORE__PASSWORD", "correct-horse")
    monkeypatch.setenv("TZ", "UTC")
    carrier = Carrier()
    carrier.node()
    environments = [process.environ() for process in carrier.processes()]
    carrier.close()
    assert len(environments) == 4  # Scheduler, nursery, supervisor, worker.
    for each in environments:
        assert "correct-horse" not in each.values()
        assert each["TZ"] == "UTC"
