"""Settings over a restart: what operators changed lasts, until the file says something new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.config.precedence import gone_on_with
from controller.serving import settings_read
from planner.events import SettingsChanged
from planner.settings import PlannerSettings
from tests.controller.recorded import NOW, Life, life
from tests.controller.stores import Place, place, server

__all__ = ["place", "server"]


def of(**scaling: Any) -> PlannerSettings:
    settings = PlannerSettings()
    return replace(settings, scaling=replace(settings.scaling, **scaling))


@pytest.mark.parametrize(
    ("in_force", "before", "now", "then"),
    [
        pytest.param({"nodes_max": 3}, {}, {}, {"nodes_max": 3}, id="an operator's lasts"),
        pytest.param({}, {}, {"nodes_max": 3}, {"nodes_max": 3}, id="an edit counts"),
        pytest.param(
            {"policy": "static"},
            {},
            {"threshold_s": 9.0},
            {"policy": "static", "threshold_s": 9.0},
            id="each value by itself",
        ),
        pytest.param(
            {"nodes_min": 5, "nodes_max": 5},
            {},
            {"nodes_max": 2},
            {"nodes_min": 0, "nodes_max": 2},
            id="bounds go together",
        ),
        pytest.param(
            {"nodes_max": 3}, {"nodes_max": 4}, {}, {}, id="what is taken out of the file too"
        ),
        pytest.param({"policy": "static"}, None, {}, {}, id="nobody knows"),
    ],
)
def test_what_was_set_last_counts(
    in_force: dict[str, Any],
    before: dict[str, Any] | None,
    now: dict[str, Any],
    then: dict[str, Any],
) -> None:
    read_before = None if before is None else of(**before)
    assert gone_on_with(of(**in_force), read_before, of(**now)) == of(**then)


def started(one: Life, file: PlannerSettings) -> PlannerSettings:
    """Let a service begin with a settings file; return what is in force then."""
    for event in settings_read(one.service.planner, file, NOW):
        one.inbox.put(event)
    one.play()
    return one.service.planner.settings


def test_it_lasts_over_restarts_until_the_file_says_otherwise(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="controller.serving")
    held = of(nodes_min=3, nodes_max=3)
    with life(place) as first:
        assert started(first, of()) == of()
        first.inbox.put(SettingsChanged(at=NOW, settings=held))
        first.play()
    with life(place) as second:
        seq = second.recorder.seq
        assert started(second, of()) == held
        assert second.recorder.seq == seq  # Nothing new was said, and nothing is written.
        words = "planner.scaling.nodes_max is 3, as an operator set it; the settings file says 8"
        assert words in caplog.messages
        second.recorder.keep_snapshot(second.service.planner.snapshot(), second.recorder.seq)
    with life(place) as third:
        assert started(third, of(nodes_max=6)) == of(nodes_max=6)
    with life(place) as fourth:
        assert started(fourth, of(nodes_max=6)) == of(nodes_max=6)
