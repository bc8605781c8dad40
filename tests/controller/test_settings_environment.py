"""SLACKWATER_SECTION__KEY: what it may say, and that every fault is told with its variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config.environment import read_environment, variable_of
from controller.config.settings import ARGO_DOI, Settings, read_settings, settings_model
from controller.config.shape import plain_values
from controller.config.variables import OF_CLIENTS, OTHERS, without_settings
from controller.errors import FileFault
from planner.extent import Period


def faults(path: Path | None, environment: dict[str, str]) -> list[str]:
    with pytest.raises(FileFault) as caught:
        read_settings(path, environment)
    return caught.value.faults


def write(folder: Path, text: str) -> Path:
    path = folder / "slackwater.yaml"
    path.write_text(text)
    return path


def test_a_variable_of_the_process_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "planner: {scaling: {nodes_max: 3, nodes_min: 1}}")
    assert read_settings(path).planner.scaling.nodes_max == 3
    monkeypatch.setenv("SLACKWATER_PLANNER__SCALING__NODES_MAX", "5")
    scaling = read_settings(path).planner.scaling
    assert (scaling.nodes_max, scaling.nodes_min) == (5, 1)


def test_sections_by_name_single_values_lists_and_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
planner: {scaling: {budget: 5}}
nodes: {big-one: {slots: 1, speed: 2}}
delivery: {roots: [/a, /b, /c], schemes: [file, s3]}
archive:
""",
    )
    settings = read_settings(
        path,
        {
            "SLACKWATER_PLANNER__SCALING__BUDGET": "",
            "SLACKWATER_NODES__BIG_ONE__SLOTS": "4",
            "SLACKWATER_NODES__BIG_ONE__SLOTS_MAX": "8",
            "slackwater_nodes__small__slots": "1",
            "SLACKWATER_DELIVERY__ROOTS": "/d, s3://bucket/e",
            "SLACKWATER_DELIVERY__SCHEMES": "",
            "SLACKWATER_DELIVERY__HOSTS": '["Example.org", "[::1]"]',
            "SLACKWATER_NOTIFY__WEBHOOK_ATTEMPTS_S": "1,2.5",
            "SLACKWATER_ARCHIVE__READ_LATENCY_S": "0.5",
            "SLACKWATER_SERVICE__LOG_FORMAT": "json",
            "SLACKWATER_SOURCES__PUSH_ENABLED": "false",
        },
    )
    assert settings.planner.scaling.budget is None
    assert (settings.nodes["big-one"].slots, settings.nodes["big-one"].slots_max) == (4, 8)
    assert settings.nodes["big-one"].speed == 2
    assert settings.nodes["small"].slots == 1
    assert settings.delivery.roots == ("/d", "s3://bucket/e")
    assert settings.delivery.schemes == ()
    assert settings.delivery.hosts == ("example.org", "[::1]")
    assert settings.notify.webhook_attempts_s == (1.0, 2.5)
    assert settings.archive.read_latency_s == 0.5
    assert settings.service.log_format == "json"
    assert not settings.sources.push_enabled


def test_json_says_a_whole_section_and_a_longer_name_a_part_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, "nodes: {old: {slots: 2}}")
    settings = read_settings(
        path,
        {
            "SLACKWATER_NODES": '{"new": {"slots": 1, "price_per_h": 0.10}, "old": {"speed": 3}}',
            "SLACKWATER_NODES__NEW__SLOTS": "2",
        },
    )
    new, old = settings.nodes["new"], settings.nodes["old"]
    assert (new.slots, new.price_per_h) == (2, 0.1)
    assert (old.slots, old.speed) == (2, 3.0)


def test_a_dataset_served_by_command_is_said_whole() -> None:
    settings = read_settings(
        None,
        {
            "SLACKWATER_DATASETS__QUAKES__IDENTIFIER": "10.5066/F7MS3QZH",
            "SLACKWATER_DATASETS__QUAKES__APPLICATION": "command",
            "SLACKWATER_DATASETS__QUAKES__COMMAND__RUN": '["cut", "--to", "{fragment}", "1e5"]',
            "SLACKWATER_DATASETS__QUAKES__COMMAND__ENDING": ".csv",
            "SLACKWATER_DATASETS__QUAKES__COMMAND__PERIOD": "2000-01-01/..",
            "SLACKWATER_DATASETS__QUAKES__COMMAND__ENVIRONMENT__Omp_NUM_THREADS": "1",
        },
    )
    assert list(settings.datasets) == ["quakes"]
    command = settings.datasets["quakes"].command
    assert command is not None
    assert command.run == ("cut", "--to", "{fragment}", "1e5")
    assert command.environment == {"Omp_NUM_THREADS": "1"}
    assert command.period == Period(start_at=946684800.0)


def test_the_dataset_that_stands_by_itself_keeps_its_identifier(tmp_path: Path) -> None:
    said = {"SLACKWATER_DATASETS__ARGO__ARCHIVE": "/data/gdac"}
    dataset = read_settings(None, said).datasets["argo"]
    assert (dataset.identifier, dataset.archive) == (ARGO_DOI, "/data/gdac")
    path = write(tmp_path, "datasets: {argo: 10.1/other}")
    assert read_settings(path, said).datasets["argo"].identifier == "10.1/other"
    said["SLACKWATER_DATASETS__ARGO"] = "10.1/third"
    assert read_settings(path, said).datasets["argo"].identifier == "10.1/third"


def test_all_faults_of_file_and_environment_are_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
planner:
  scaling: {nodes_min: 9}
  cutting: {parts_max: 0}
datasets: {argo: 10.17882/42182}
""",
    )
    assert faults(
        path,
        {
            "SLACKWATER_PLANNER__SCALING__NODES_MAX": "3",
            "SLACKWATER_PLANER__SCALING__NODES_MIN": "1",
            "SLACKWATER_PLANNER__SCALING__NODES": "1",
            "SLACKWATER_STORE_URL": "postgresql://host/name",
            "SLACKWATER_NODES__BIG_ONE__SLOTS": "many",
            "SLACKWATER_NODES__OTHER": '{"slots": 3, "slot": 1}',
            "SLACKWATER_NODES__THIRD": "5",
            "SLACKWATER_API": '{"page_max": ',
            "SLACKWATER_SOURCES": "[" * 100_000,
            "SLACKWATER_SERVICE__PORT__NUMBER": "80",
            "SLACKWATER_SERVICE__LOG_LEVEL": "loud",
            "SLACKWATER_SERVICE__DRAIN_S_MAX": "",
            "slackwater_service__log_level": "info",
            "SLACKWATER_DATASETS__NEAR": "10.17882/42182",
            "SLACKWATER_DELIVERY__HOSTS": "https://example.org",
        },
    ) == [
        "line 2: nodes_min 9 is above nodes_max 3 (see SLACKWATER_PLANNER__SCALING__NODES_MAX)",
        "line 3: planner.cutting.parts_max must be at least 1, not 0",
        "SLACKWATER_API: begins as JSON but is none",
        "SLACKWATER_DATASETS__NEAR: '10.17882/42182' is dataset 'argo' already",
        "SLACKWATER_DELIVERY__HOSTS: host 'https://example.org' cannot be. Write a name or an"
        " address, without scheme, port or path",
        "SLACKWATER_NODES__BIG_ONE__SLOTS: nodes.big-one.slots must be a whole number, not many",
        "SLACKWATER_NODES__OTHER: unknown key 'slot'. Did you mean slots or spot or slots_max?",
        "SLACKWATER_NODES__THIRD: nodes.third must be a mapping of settings, not 5",
        "SLACKWATER_PLANER__SCALING__NODES_MIN: names no setting: unknown key 'planer'."
        " Did you mean planner?",
        "SLACKWATER_PLANNER__SCALING__NODES: names no setting: unknown key 'nodes'."
        " Did you mean nodes_min or nodes_max?",
        "SLACKWATER_SERVICE__DRAIN_S_MAX: service.drain_s_max is empty; it must be a number,"
        " or leave it out",
        "SLACKWATER_SERVICE__LOG_LEVEL: service.log_level must be 'debug', 'info', 'warning' or"
        " 'error', not loud",
        "SLACKWATER_SERVICE__PORT__NUMBER: names no setting: service.port is one value,"
        " without keys",
        "SLACKWATER_SOURCES: begins as JSON but is none",
        "SLACKWATER_STORE_URL: names no setting. Did you mean SLACKWATER_STORE__URL?",
        "slackwater_service__log_level: says what SLACKWATER_SERVICE__LOG_LEVEL says too; keep one",
    ]


def test_who_is_at_fault_is_named_first(tmp_path: Path) -> None:
    wrong = {"SLACKWATER_X": "1"}
    path = write(tmp_path, "x: 1")
    with pytest.raises(FileFault, match=f"^{path}: one fault\n"):
        read_settings(path, {})
    with pytest.raises(FileFault, match=r"^the environment: one fault\n"):
        read_settings(None, wrong)
    with pytest.raises(FileFault, match=f"^{path} and the environment: 2 faults\n"):
        read_settings(path, wrong)
    broken = write(tmp_path, "x: [1")
    with pytest.raises(FileFault, match=f"^{broken} and the environment: 2 faults\n"):
        read_settings(broken, wrong)


@pytest.mark.parametrize(
    "variable",
    [
        *sorted(OTHERS - {*OF_CLIENTS}),
        "SLACKWATER_PORT",
        "SLACKWATER_PORT_8750_TCP_ADDR",
        "SLACKWATER_SERVICE_HOST",
        "SLACKWATER_SERVICE_PORT_HTTP",
        "SLACKWATER_DB_SERVICE_PORT",
        "SLACKWATERS",
        "PATH",
    ],
)
def test_what_others_set_is_left_alone(variable: str) -> None:
    said = {variable: "tcp://10.0.0.1:8750"}
    assert read_settings(None, said) == Settings()
    assert without_settings({**said, "SLACKWATER_STORE__URL": "", "slackwater_x": ""}) == said


@pytest.mark.parametrize("variable", sorted(OF_CLIENTS))
def test_what_clients_are_told_is_no_setting_and_nothing_for_workers(variable: str) -> None:
    said = {variable: "secret"}
    assert read_settings(None, said) == Settings()
    assert without_settings(said) == {}


def test_every_single_value_can_be_said_by_its_variable() -> None:
    values = [where for where, _ in plain_values(Settings)]
    assert ("planner", "scaling", "nodes_max") in values
    for where in values:
        variable = variable_of(where)
        overrides, found = read_environment({variable: "7"}, Settings, settings_model())
        assert not found
        assert [(each.where, each.variable) for each in overrides] == [(where, variable)]


@given(text=st.text(max_size=30), name=st.sampled_from(["STORE", "NODES__A", "DATASETS__A__X"]))
def test_no_text_breaks_the_reader(text: str, name: str) -> None:
    assert all(fault.startswith(f"SLACKWATER_{name}: ") for fault in faults_or_none(name, text))


def faults_or_none(name: str, text: str) -> list[str]:
    try:
        read_settings(None, {f"SLACKWATER_{name}": text})
    except FileFault as fault:
        return fault.faults
    return []
