"""What ResourceQuotas leave, in pods."""

from __future__ import annotations

import math
from typing import Any

import pytest

from controller.nodes.kubernetes_quota import left

POD = {"cpu": "500m", "memory": "1024Mi", "ephemeral-storage": "1024Mi"}


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"spec": spec, "status": {"hard": hard, "used": used}}


CASES: tuple[tuple[str, list[dict[str, Any]], float], ...] = (
    ("nothing bounds them", [], math.inf),
    ("a count", [quota({"pods": "20"}, {"pods": "17"})], 3),
    ("a Secret each", [quota({"count/secrets": "5"}, {"count/secrets": "4"})], 1),
    ("what they ask for", [quota({"requests.cpu": "2"}, {"requests.cpu": "800m"})], 2),
    ("what they may have", [quota({"limits.memory": "4Gi"}, {"limits.memory": "1Gi"})], 3),
    ("another name for it", [quota({"memory": "2Gi"}, {"memory": "0"})], 2),
    ("overdrawn", [quota({"pods": "1"}, {"pods": "3"})], 0),
    ("none may be", [quota({"pods": "0"}, {"pods": "0"})], 0),
    ("what they take none of", [quota({"services": "0"}, {"services": "0"})], math.inf),
    ("not counted yet", [{"spec": {"hard": {"pods": "1"}}, "status": {}}], math.inf),
    ("for some pods only", [quota({"pods": "0"}, {"pods": "0"}, scopes=["BestEffort"])], math.inf),
    (
        "the tightest of all",
        [quota({"pods": "9"}, {"pods": "0"}), quota({"cpu": "2", "pods": "8"}, {"cpu": "0"})],
        4,
    ),
)


@pytest.mark.parametrize(("quotas", "count"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_is_left(quotas: list[dict[str, Any]], count: float) -> None:
    assert left(quotas, POD) == count
