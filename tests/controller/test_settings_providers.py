"""Providers in slackwater.yaml: a plug-in's options are checked with the rest, secrets are kept."""

from __future__ import annotations

from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from controller.config.origins import settings_told
from controller.config.schema import settings_schema
from controller.config.settings import Settings, read_settings, read_told
from controller.errors import FileFault
from controller.nodes.opening import offers
from controller.nodes.plugins import plugin_of
from planner.errors import BrokenPlugin, UnknownPlugin

ENTRY_POINTS = """
[slackwater.nodes]
reef = reef_plugin:PLUGIN
wreck = reef_plugin:WRECK
"""

MODULE = '''
from dataclasses import dataclass
from pydantic import SecretStr
from controller.nodes.fake import FakeNodes
from controller.nodes.plugins import NodePlugin

@dataclass(frozen=True, kw_only=True)
class ReefOptions:
    """A reef.

    Parameters
    ----------
    depth_m : float
        How deep it lies [m].
    fish : tuple of str
        Who lives there.
    """

    depth_m: float
    fish: tuple[str, ...] = ()
    token: SecretStr | None = None
    token_file: str = ""

    def __post_init__(self):
        if self.depth_m < 0:
            raise ValueError("a reef lies under water")

@dataclass(frozen=True, kw_only=True)
class ReefType:
    """A place at the reef."""

    size: str
    spare: int = 0

def open_reef(start):
    (one,) = start.node_types
    return FakeNodes(offer=one.offer(one.nodes_max))

PLUGIN = NodePlugin(open=open_reef, options=ReefOptions, type_options=ReefType)
WRECK = 7
'''

GOOD = """
providers:
  red-sea: {kind: reef, depth_m: 12, fish: [clown, tang]}
nodes:
  local: {slots: 2}
  big: {provider: red-sea, slots: 4, slots_max: 4, spot: true, options: {size: "2"}}
"""


@pytest.fixture(autouse=True)
def _plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay a distribution with a provider where this process finds it."""
    place = tmp_path / "installed"
    information = place / "reef-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Name: reef\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (place / "reef_plugin.py").write_text(MODULE)
    monkeypatch.syspath_prepend(place)


def read(folder: Path, text: str, environment: dict[str, str] | None = None) -> Settings:
    path = folder / "slackwater.yaml"
    path.write_text(text)
    return read_settings(path, environment or {})


def test_options_are_what_the_plugin_makes_of_them(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    options = settings.providers["red-sea"].options
    assert (options.depth_m, options.fish, options.token) == (12.0, ("clown", "tang"), None)
    assert settings.nodes["big"].options.size == "2"
    assert settings.nodes["local"].options is None
    assert [(each.node_type, each.spot) for each in offers(settings)] == [
        ("local", False),
        ("big", True),
    ]


def test_all_faults_of_providers_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """\
providers:
  process: {kind: reef, depth_m: 1}
  a: {kind: reff}
  b: {depth_m: 3}
  c: {kind: reef, depth_m: deep, fihs: [eel]}
  d:
    kind: reef
    depth_m: -2
  e: {kind: wreck}
  f: {kind: reef, depth_m: 1, token: sesame}
nodes:
  one: {provider: nowhere}
  two: {provider: c, slots: 0, cpu_quota: 1, options: {spare: x}}
  three: {options: {size: 1}}
"""
    with pytest.raises(FileFault) as caught:
        read(tmp_path, text)
    assert caught.value.faults == [
        "line 2: 'process' is this machine, which needs no entry; give it another name",
        "line 3: no plug-in of slackwater.nodes is called 'reff'. Did you mean 'reef'? There are:"
        + caught.value.faults[1].partition("There are:")[2],
        "line 4: providers.b needs a kind. Known:" + caught.value.faults[2].partition("Known:")[2],
        "line 5: providers.c.depth_m must be a number, not deep",
        "line 5: unknown key 'fihs'. Did you mean fish?",
        "line 6: providers.d: a reef lies under water",
        "line 9: the plug-in 'wreck' of slackwater.nodes is no NodePlugin. Repair or uninstall its"
        " distribution",
        "line 10: providers.f.token is a secret, which does not belong into this file; name a file"
        " that holds the token in providers.f.token_file, or set SLACKWATER_PROVIDERS__F__TOKEN",
        "line 12: no provider 'nowhere'. Known: a, b, c, d, e, f, process",
        "line 13: cpu_quota is for node types of this machine only",
        "line 13: nodes.two.options.size is missing",
        "line 13: nodes.two.options.spare must be a whole number, not x",
        "line 13: nodes.two.slots must be at least 1, not 0",
        "line 14: nodes.three.options are for types of a provider; this machine has none",
    ]
    assert "sesame" not in str(caught.value)


def test_options_come_from_variables_and_secrets_are_never_shown(tmp_path: Path) -> None:
    environment = {
        "SLACKWATER_PROVIDERS__RED_SEA__TOKEN": "sesame",
        "SLACKWATER_PROVIDERS__RED_SEA__DEPTH_M": "30",
        "SLACKWATER_NODES__BIG__OPTIONS__SPARE": "3",
    }
    settings = read(tmp_path, GOOD, environment)
    options = settings.providers["red-sea"].options
    assert (options.depth_m, options.token.get_secret_value()) == (30.0, "sesame")
    assert settings.nodes["big"].options.spare == 3
    assert "sesame" not in repr(settings)
    told = {
        each.name: (each.value, each.place)
        for each in settings_told(read_told(tmp_path / "slackwater.yaml", environment))
    }
    assert told["providers.red-sea.kind"] == ("reef", f"{tmp_path}/slackwater.yaml:3")
    assert told["providers.red-sea.token"] == ("set", "SLACKWATER_PROVIDERS__RED_SEA__TOKEN")
    assert told["providers.red-sea.fish"][0] == ["clown", "tang"]
    assert told["nodes.big.options.size"][0] == "2"
    assert told["nodes.local.options"][0] is None


def test_a_secret_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    text = GOOD.replace("kind: reef,", f"kind: reef, token_file: {tmp_path}/token,")
    token = read(tmp_path, text).providers["red-sea"].options.token
    assert token.get_secret_value() == "sesame"


def test_the_schema_knows_the_options_of_every_kind(tmp_path: Path) -> None:
    schema = settings_schema()
    jsonschema.validate(yaml.safe_load(GOOD), schema)
    for wrong in (GOOD.replace("depth_m: 12, ", ""), GOOD.replace("fish", "fihs")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(wrong), schema)
    kinds = schema["properties"]["providers"]["additionalProperties"]["anyOf"]  # type: ignore[index]
    (reef,) = (each for each in kinds if each["properties"]["kind"] == {"const": "reef"})
    assert reef["properties"]["depth_m"]["description"] == "How deep it lies [m]."
    assert "token" not in reef["properties"]


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(UnknownPlugin, match="reeef"):
        plugin_of("reeef")
    with pytest.raises(BrokenPlugin, match="wreck"):
        plugin_of("wreck")
