"""Plug-ins of other distributions: found by name, and named when they are missing or broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.errors import BrokenPlugin, UnknownPlugin
from planner.plugins import installed, load

GROUP = "slackwater.sorts"


def install(folder: Path, distribution: str, entries: str, module: str = "") -> None:
    """Lay a distribution into a folder of the import path, as an installer would."""
    information = folder / f"{distribution}-1.0.dist-info"
    information.mkdir()
    information.joinpath("METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
    information.joinpath("entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
    folder.joinpath(f"{distribution}.py").write_text(module)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_built_in_needs_no_installation() -> None:
    assert load(GROUP, "quick", {"quick": 1}) == 1
    assert installed(GROUP) == {}


def test_an_installed_plugin_is_loaded_when_asked_for(place: Path) -> None:
    install(place, "good_sorts", "bubble = good_sorts:bubble", "bubble = 42")
    assert list(installed(GROUP)) == ["bubble"]
    assert load(GROUP, "bubble", {"quick": 1}) == 42


def test_listing_imports_nothing(place: Path) -> None:
    install(place, "costly_sorts", "bogo = costly_sorts:bogo", "raise SystemExit('imported')")
    assert list(installed(GROUP)) == ["bogo"]


def test_an_unknown_name_is_told_with_near_ones(place: Path) -> None:
    install(place, "more_sorts", "bubble = more_sorts:bubble")
    with pytest.raises(UnknownPlugin) as caught:
        load(GROUP, "quik", {"quick": 1, "merge": 2})
    assert GROUP in str(caught.value)
    assert "Did you mean 'quick'? There are: bubble, merge, quick" in str(caught.value)
    with pytest.raises(UnknownPlugin, match="There are: none"):
        load("slackwater.nothing", "anything", {})


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("def bubble(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("quick = 1", "AttributeError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named(
    place: Path, request: pytest.FixtureRequest, module: str, said: str
) -> None:
    distribution = f"broken_sorts_{said.lower()}"
    install(place, distribution, f"bubble = {distribution}:bubble", module)
    with pytest.raises(BrokenPlugin) as caught:
        load(GROUP, "bubble", {})
    for word in ("'bubble'", GROUP, distribution, said):
        assert word in str(caught.value)


def test_a_name_that_is_claimed_twice_is_refused(place: Path) -> None:
    install(place, "one_sorts", "bubble = one_sorts:bubble")
    install(place, "other_sorts", "bubble = other_sorts:bubble\nquick = other_sorts:quick")
    with pytest.raises(BrokenPlugin, match="one_sorts and other_sorts"):
        load(GROUP, "bubble", {})
    with pytest.raises(BrokenPlugin, match="slackwater itself and other_sorts"):
        load(GROUP, "quick", {"quick": 1})
