"""What may stand in the settings of a command: faults are told in words, with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config.checked import check
from controller.config.commands import CommandSettings
from controller.config.mirror import build, model_of
from controller.config.yaml_lines import read_document
from planner.extent import ALWAYS

GOOD = """
run: [python3, "{here}/cut.py", "{fragment}", "{{print}} $1"]
environment: {PROJ_DATA: /usr/share/proj}
ending: .csv
parameters: [mag, sea_ice-fraction]
period: 2020-01-01/..
"""


def read(folder: Path, text: str) -> tuple[CommandSettings | None, str]:
    path = folder / "command.yaml"
    path.write_text(text)
    document = read_document(path)
    model, faults = check(document, model_of(CommandSettings, {}, {}), lambda where: ("", where))
    return build(CommandSettings, model) if model else None, "\n".join(map(str, faults))


def test_a_command_is_read_with_its_defaults(tmp_path: Path) -> None:
    found, faults = read(tmp_path, GOOD)
    assert faults == ""
    assert found is not None
    assert found.run[1:] == ("{here}/cut.py", "{fragment}", "{{print}} $1")
    assert found.environment == {"PROJ_DATA": "/usr/share/proj"}
    assert found.period.start_at == 1577836800.0
    assert (found.join, found.limit_s, found.memory_bytes_max) == ("package", 3600.0, None)
    assert CommandSettings(run=("x",), ending=".nc").period == ALWAYS


FAULTS = {
    "run: []": "run is empty. Write a list",
    "run: python3 cut.py": "run must be a list, not python3 cut.py",
    'run: [cut, "{fragmnt}"]': "unknown placeholder {fragmnt}. Did you mean fragment",
    'run: [awk, "{print}"]': "As text, write {{print}}",
    "ending: csv": "ending 'csv' cannot be",
    "ending: .csv/../../x": "cannot be",
    "environment: {SLACKWATER_PART: x}": "variable 'SLACKWATER_PART' cannot be",
    "environment: {A-B: x}": "variable 'A-B' cannot be",
    "parameters: [--output=x]": "name '--output=x' cannot be",
    'parameters: ["a,b"]': "name 'a,b' cannot be",
    "period: 2020": "period '2020' is no interval",
    "join: zip": "join must be 'lines', 'bytes' or 'package', not zip",
    "header_lines: -1": "header_lines must be at least 0",
    "limit_s: 0": "limit_s must be above 0",
    "memory_bytes_max: 1GB": "memory_bytes_max must be a whole number, not 1GB",
    "index: ../index.csv": "index '../index.csv' cannot be",
    "shell: true": "unknown key 'shell'",
}


@pytest.mark.parametrize("line", FAULTS)
def test_what_cannot_be_is_told_with_what_may_be(line: str, tmp_path: Path) -> None:
    key = line.partition(":")[0]
    kept = [one for one in GOOD.splitlines() if one.partition(":")[0] != key]
    found, faults = read(tmp_path, "\n".join([*kept, line]))
    assert found is None
    assert FAULTS[line] in faults


@pytest.mark.parametrize("lines", ["header_lines: 1", "index: index.csv"])
def test_what_does_not_go_together_is_refused(lines: str, tmp_path: Path) -> None:
    # The command stands in a mapping, as it does in the settings.
    found, faults = None, ""
    try:
        found, faults = read(tmp_path, GOOD + lines)
    except ValueError as error:
        faults = str(error)
    assert found is None
    assert "header_lines are for join: lines" in faults or "index needs files" in faults
