"""slackwater.yaml: what it may say, and that none of the planner's settings is left out."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from controller.config.settings import (
    ORDERS,
    RULES,
    DatasetSettings,
    NodeTypeSettings,
    Settings,
    read_settings,
)
from controller.errors import FileFault
from planner.settings import PlannerSettings


def read(folder: Path, text: str) -> Settings:
    path = folder / "slackwater.yaml"
    path.write_text(text)
    return read_settings(path)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(FileFault) as caught:
        read(folder, text)
    return caught.value.faults


def test_without_a_file_all_is_default(tmp_path: Path) -> None:
    assert read_settings(None) == Settings() == read(tmp_path, "# nothing yet\n")
    assert Settings().planner == PlannerSettings()


def test_what_is_said_is_taken_and_the_rest_is_default(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
planner:
  scaling: {policy: static, nodes_max: 3, budget: null}
  dispatch: {order: laxity}
nodes:
  small: {slots: 2, price_per_h: 0.05, boot_s: 2.5, cpu_quota: 0.5}
archive: {read_latency_s: 0.02}
datasets: {argo: 10.17882/42182, mine: 10.5281/zenodo.1}
delivery: {roots: [out, /data/out], schemes: [file, s3]}
engine: {lease_s: 10}
""",
    )
    assert settings.planner.scaling.policy == "static"
    assert settings.planner.scaling.nodes_max == 3
    assert settings.planner.scaling.budget is None
    assert settings.planner.scaling.launch_quantile == 0.9
    assert settings.planner.dispatch.order == "laxity"
    assert settings.planner.cutting == PlannerSettings().cutting
    assert settings.nodes == {
        "small": NodeTypeSettings(slots=2, price_per_h=0.05, boot_s=2.5, cpu_quota=0.5)
    }
    assert settings.archive.read_latency_s == 0.02
    assert settings.datasets["mine"] == DatasetSettings(identifier="10.5281/zenodo.1")
    assert settings.delivery.roots == ("out", "/data/out")
    assert settings.engine.lease_s == 10


def test_all_faults_at_once_each_with_its_line(tmp_path: Path) -> None:
    assert faults(
        tmp_path,
        """\
planner:
  scaling:
    nodes_min: 9
    nodes_max: 8
  cutting:
    parts_per_worker: 0
    part_s_max: .inf
  dispatch:
    order: dedline
  policy: prefix
nodes:
  Big: {slots: 1}
  big: {slots: 4, speed: -1, slot: 2}
  huge: {slots: 4, slots_max: 2}
archive:
enigne: {lease_s: 5}
delivery: {roots: /tmp}
""",
    ) == [
        "line 2: nodes_min 9 is above nodes_max 8",
        "line 6: planner.cutting.parts_per_worker must be at least 1, not 0",
        "line 7: planner.cutting.part_s_max must be a number, not .inf",
        "line 9: planner.dispatch.order must be 'deadline', 'importance' or 'laxity', not dedline",
        "line 10: unknown key 'policy'. Known: cutting, dispatch, scaling, weights",
        "line 12: node type 'Big' cannot be. Use up to 32 of a-z, 0-9 and '-'",
        "line 13: nodes.big.speed must be above 0, not -1",
        "line 13: unknown key 'slot'. Did you mean slots or spot or slots_max?",
        "line 14: slots 4 is above slots_max 2",
        "line 15: archive is empty; it must be a mapping of settings, or leave it out",
        "line 16: unknown key 'enigne'. Did you mean engine?",
        "line 17: delivery.roots must be a list, not /tmp",
    ]


@pytest.mark.parametrize("quantile", ["0", "1", "-0.1", "1.5", "nan", "half"])
def test_quantiles_lie_between_0_and_1(tmp_path: Path, quantile: str) -> None:
    (fault,) = faults(tmp_path, f"planner: {{scaling: {{removal_quantile: {quantile}}}}}")
    assert fault.startswith("line 1: planner.scaling.removal_quantile must be ")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("fragments", "must be an absolute path or a URL"),
        ("s3://key:word@bucket/fragments", "holds a user's name"),
    ],
)
def test_fragments_lie_where_all_nodes_find_them(tmp_path: Path, url: str, why: str) -> None:
    (fault,) = faults(tmp_path, f"service: {{fragments_url: '{url}'}}")
    assert fault.startswith("line 1: ")
    assert why in fault
    assert "word" not in fault


def planner_sections(kind: type) -> list[type]:
    nested = [hint for hint in get_type_hints(kind).values() if is_dataclass(hint)]
    return [kind, *(deep for one in nested for deep in planner_sections(one))]  # type: ignore[arg-type]


def test_every_setting_of_the_planner_has_its_rule() -> None:
    for section in planner_sections(PlannerSettings):
        hints = get_type_hints(section)
        plain = {one.name for one in fields(section) if not is_dataclass(hints[one.name])}
        assert set(RULES.get(section, {})) == plain, section


def test_the_defaults_keep_the_rules(tmp_path: Path) -> None:
    for section, pairs in ORDERS.items():
        for low, high in pairs:
            assert getattr(section(), low) <= getattr(section(), high)
    scaling = PlannerSettings().scaling
    written = "".join(
        f"    {one.name}: {value}\n"
        for one in fields(scaling)
        if (value := getattr(scaling, one.name)) is not None
    )
    assert read(tmp_path, f"planner:\n  scaling:\n{written}") == Settings()


def test_it_must_be_clear_which_dataset_a_name_means(tmp_path: Path) -> None:
    assert faults(
        tmp_path,
        """\
datasets:
  argo: 10.17882/42182
  near: {identifier: "https://doi.org/10.17882/42182", archive: /data}
  ice: {identifier: argo, archive: /ice}
  own: own
""",
    ) == [
        "line 3: 'https://doi.org/10.17882/42182' is dataset 'argo' already",
        "line 4: 'argo' is the name of another dataset",
    ]
