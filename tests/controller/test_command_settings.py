"""What may stand in the settings of a command: faults are told in words, with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config.checked import check
from controller.config.commands import CommandSettings
from controller.config.mirror import build, model_of
from controller.config.settings import read_settings
from controller.config.yaml_lines import read_document
from controller.errors import FileFault
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


DATASET = """
datasets:
  quakes:
    identifier: 10.5066/F7MS3QZH
    application: command
    archive: /data
    command:
      run: [python3, "{here}/cut.py", "{fragment}", "{{here}}"]
      version: ["{here}/cut.py", --version]
      ending: .csv
"""


def test_here_is_the_folder_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("slackwater.yaml").write_text(DATASET)
    command = read_settings("slackwater.yaml").datasets["quakes"].command
    assert command is not None
    assert command.run == ("python3", f"{tmp_path}/cut.py", "{fragment}", "{{here}}")
    assert command.version == (f"{tmp_path}/cut.py", "--version")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("command\n", "argo\n", "line 3: a section command needs application: command"),
        ("    archive", "    read_latency_s: 1\n    archive", "line 3: read_latency_s cannot be"),
        ("    command:", "    x:", "unknown key 'x'"),
        ("      ending: .csv\n", "", "line 7: datasets.quakes.command.ending is missing"),
        (
            "      ending",
            "      header_lines: 1\n      ending",
            "line 7: header_lines are for join",
        ),
        ("      ending", "      index: index.csv\n      ending", "line 7: index needs files"),
        ("{fragment}", "{fragmnt}", "line 8: unknown placeholder {fragmnt}"),
    ],
)
def test_a_dataset_whose_settings_do_not_fit_is_refused(
    old: str, new: str, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "slackwater.yaml"
    path.write_text(DATASET.replace(old, new, 1))
    with pytest.raises(FileFault) as caught:
        read_settings(path)
    assert fault in str(caught.value)


def test_a_dataset_by_command_needs_a_command(tmp_path: Path) -> None:
    path = tmp_path / "slackwater.yaml"
    path.write_text(DATASET.partition("    command:")[0])
    with pytest.raises(FileFault, match="needs a section command"):
        read_settings(path)
