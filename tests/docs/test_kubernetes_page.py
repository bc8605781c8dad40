"""The page on Kubernetes tells every option, right and reason, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import yaml

from controller.nodes.kubernetes_options import (
    KubernetesNodeOptions,
    KubernetesOptions,
    PodOptions,
)
from controller.nodes.kubernetes_reading import HOPELESS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "kubernetes.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_option_has_its_row_in_the_right_table() -> None:
    of_provider, of_both, of_type = section("Options").split("\nOf a ")[1:]
    rows = [
        set(re.findall(r"^\| `(\w+)` ", table, re.MULTILINE))
        for table in (of_provider, of_both, of_type)
    ]
    both = {each.name for each in fields(PodOptions)}
    assert rows[1] == both
    assert rows[0] == {each.name for each in fields(KubernetesOptions)} - both
    assert rows[2] == {each.name for each in fields(KubernetesNodeOptions)} - both


def test_rights_are_those_of_the_manifest() -> None:
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/rights.yaml").read_text())
    (role,) = (each for each in documents if each["kind"] == "Role")
    given = {rule["resources"][0]: ", ".join(rule["verbs"]) for rule in role["rules"]}
    told = re.findall(r"^\| (\w+)[^|]* \| ([\w, ]+) \|", section("Rights"), re.MULTILINE)
    assert {what: verbs for what, verbs in told if what != "Resource"} == given


def test_every_hopeless_reason_is_told() -> None:
    assert all(reason in section("States") for reason in HOPELESS)
