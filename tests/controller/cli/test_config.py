"""`slackwater config`: each value and where it came from, and the schema for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from controller.config.schema import settings_schema
from controller.config.settings import read_settings
from tests.controller.conftest import Command

FILE = """
planner: {scaling: {nodes_max: 3}}
datasets:
  argo: 10.17882/42182
  quakes:
    identifier: 10.5066/F7MS3QZH
    application: command
    archive: https://me:pass@example.org/quakes
    command: {run: [cut], ending: .csv, environment: {TOKEN: hidden, THREADS: 2}}
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "slackwater.yaml"
    path.write_text(FILE)
    return path


def test_every_value_says_where_it_came_from(
    command: Command, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACKWATER_SERVICE__PORT", "9000")
    monkeypatch.setenv("SLACKWATER_STORE__PASSWORD", "hidden")
    ended = command("config", "--config", settings_file, "--json")
    told = {each.pop("setting"): each for each in ended.result}
    assert ended.code == 0
    assert "hidden" not in ended.out
    assert told["planner.scaling.nodes_max"] == {
        "value": 3,
        "from": "file",
        "place": f"{settings_file}:2",
    }
    assert told["planner.scaling.nodes_min"] == {"value": 0, "from": "default", "place": None}
    variable = {"from": "environment", "place": "SLACKWATER_SERVICE__PORT"}
    assert told["service.port"] == {"value": 9000, **variable}
    assert told["store.password"]["value"] == "set"
    assert told["notify.smtp_password"]["value"] == "not set"
    assert told["datasets.argo.identifier"]["place"] == f"{settings_file}:4"
    assert told["datasets.quakes.archive"]["value"] == "https://example.org/quakes"
    assert told["datasets.quakes.command.environment.TOKEN"]["value"] == "set"
    assert told["datasets.quakes.command.period"]["value"] == "../.."


def test_no_file_is_looked_for_but_a_variable_may_name_one(
    command: Command, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nodes_max(*options: object) -> object:
        told = command("config", "--json", *options).result
        return next(
            each["value"] for each in told if each["setting"] == "planner.scaling.nodes_max"
        )

    assert nodes_max() == 8
    monkeypatch.setenv("SLACKWATER_CONFIG", str(settings_file))
    assert nodes_max() == 3
    (other := settings_file.with_name("other.yaml")).write_text("")
    assert nodes_max("--config", other) == 8


def test_the_table_fits_a_narrow_terminal(
    command: Command, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACKWATER_PLANNER__DISPATCH__MATCHES_PER_STEP_MAX", "5")
    monkeypatch.setenv("SLACKWATER_CONFIG", settings_file.name)
    wide = command("config").out
    assert "SLACKWATER_PLANNER__DISPATCH__MATCHES_PER_STEP_MAX" in wide
    monkeypatch.setenv("COLUMNS", "80")
    lines = command("config").out.splitlines()
    assert max(map(len, lines)) <= 80
    cells = [line.split() for line in lines]
    assert ["matches_per_step_max", "5", "environment"] in cells
    assert ["nodes_max", "3", "slackwater.yaml:2"] in cells
    assert ["budget_period_s", "2592000", "default"] in cells
    assert cells.count(["datasets.quakes.command"]) == 1


def test_other_commands_hear_the_environment_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACKWATER_PLANNER__SCALING__NODES_MAX", "none")
    for name in ("run", "plan"):
        ended = command(name, "--subscriptions", "none.yaml", "--archive", "none")
        assert ended.code == 1
        assert "SLACKWATER_PLANNER__SCALING__NODES_MAX" in ended.err
    assert command("calibrate", "--archive", "none").code == 1


def is_valid(text: str) -> bool:
    schema: Any = settings_schema()
    return not list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))


def test_the_schema_is_one_and_takes_what_the_reader_takes(
    command: Command, settings_file: Path
) -> None:
    schema = json.loads(command("config", "--schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == json.loads(json.dumps(settings_schema()))
    read_settings(settings_file, {})
    assert is_valid(FILE)


@pytest.mark.parametrize(
    "text",
    [
        "planer: {}",
        "planner: {scaling: {nodes_max: 0}}",
        "planner: {scaling: {nodes_max: many}}",
        "planner: {dispatch: {order: dedline}}",
        "service: {port: 70000}",
        "store: {password: x}",
        "datasets: {near: {archive: /x}}",
        "api: {at_risk: maybe}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str, tmp_path: Path) -> None:
    (path := tmp_path / "slackwater.yaml").write_text(text)
    with pytest.raises(Exception, match="one fault"):
        read_settings(path, {})
    assert not is_valid(text)


def test_the_schema_explains_every_setting() -> None:
    schema: Any = settings_schema()
    for shape in (schema, *schema["$defs"].values()):
        assert shape["description"]
    scaling = schema["$defs"]["ScalingSettings"]["properties"]
    assert scaling["nodes_max"]["description"] == "Bounds of the fleet, over all node types."
    for name, shape in schema["$defs"].items():
        for key, each in shape["properties"].items():
            assert "description" in each or "$ref" in each, f"{name}.{key}"
