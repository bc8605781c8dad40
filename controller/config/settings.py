"""The settings of ``slackwater.yaml``: every section has defaults that work on one machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from controller.config.checked import check
from controller.config.mirror import Orders, Rules, build, model_of
from controller.config.yaml_lines import Where, read_document
from planner.settings import (
    CuttingSettings,
    DispatchSettings,
    ImportanceWeights,
    PlannerSettings,
    ScalingSettings,
)

ARGO_DOI = "10.17882/42182"
"""Persistent identifier of the Argo dataset."""

_ANY: Any = None
_POSITIVE = Field(gt=0)
_NOT_NEGATIVE = Field(ge=0)
_COUNT = Field(ge=1)
_QUANTILE = Field(gt=0, lt=1)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)

Positive = Annotated[float, _POSITIVE]
NotNegative = Annotated[float, _NOT_NEGATIVE]
Count = Annotated[int, _COUNT]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTypeSettings:
    """One node type of the provider ``process``: a group of worker processes on this machine.

    Parameters
    ----------
    slots : int
        Workers that a new node starts with.
    slots_max : int
        Workers that it can be grown to.
    speed : float
        Reference seconds of work done per second and slot.
    price_per_h : float
        Price of a node [currency per hour], for trying out budgets.
    quantum_s : float
        Billing unit [s]; 0 bills by the second.
    boot_s : float
        A node's workers start this long [s] after its request, as a VM's would.
    power_w : float
        Electrical power of a node while it is held [W], for the energy that `plan` tells.
    cpu_quota : float or None
        Processors that a whole node may use [count]; None is no bound. Needs Linux cgroups.
    nodes_max : int
        Nodes of this type at the same time.
    """

    slots: Count = 1
    slots_max: Count = 2
    speed: Positive = 1.0
    price_per_h: NotNegative = 0.0
    quantum_s: NotNegative = 0.0
    boot_s: NotNegative = 0.0
    power_w: NotNegative = 0.0
    cpu_quota: Positive | None = None
    nodes_max: Count = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """How far away the data lie.

    Parameters
    ----------
    read_latency_s : float
        Added to every file read [s]; declares an archive that is far away.
    """

    read_latency_s: NotNegative = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Where products may go.

    Parameters
    ----------
    roots : tuple of str
        Folders or fsspec URLs; the first is the default.
    schemes : tuple of str
        fsspec's names of the file systems allowed.
    """

    roots: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("file",)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How the engine watches over attempts.

    Parameters
    ----------
    lease_s : float
        A worker not heard of for this long [s] has lost its attempts.
    """

    lease_s: Positive = 30.0


def _read_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"node type {name!r} cannot be. Use up to 32 of a-z, 0-9 and '-'")
    return name


NodeTypeName = Annotated[str, AfterValidator(_read_name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings.

    Parameters
    ----------
    planner : PlannerSettings
    nodes : dict of str to NodeTypeSettings
        The node types of this machine by name.
    archive : ArchiveSettings
    datasets : dict of str to str
        Alias to persistent identifier.
    delivery : DeliverySettings
    engine : EngineSettings
    """

    planner: PlannerSettings = field(default_factory=PlannerSettings)
    nodes: dict[NodeTypeName, NodeTypeSettings] = field(
        default_factory=lambda: {"process": NodeTypeSettings()}
    )
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    datasets: dict[str, str] = field(default_factory=lambda: {"argo": ARGO_DOI})
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    engine: EngineSettings = field(default_factory=EngineSettings)


RULES: Rules = {
    ImportanceWeights: {
        "parameters": _ANY,
        "ttd": _ANY,
        "time_range": _ANY,
        "area": _ANY,
    },
    CuttingSettings: {
        "partitioner": _ANY,
        "parts_per_worker": _COUNT,
        "part_s_min": _NOT_NEGATIVE,
        "part_s_max": _POSITIVE,
        "parts_max": _COUNT,
    },
    ScalingSettings: {
        "policy": _ANY,
        "nodes_min": _NOT_NEGATIVE,
        "nodes_max": _COUNT,
        "budget": _NOT_NEGATIVE,
        "budget_period_s": _POSITIVE,
        "launch_quantile": _QUANTILE,
        "removal_quantile": _QUANTILE,
        "boot_launch_quantile": _QUANTILE,
        "boot_lost_quantile": _QUANTILE,
        "best_effort_s": _POSITIVE,
        "put_off_launches": _ANY,
        "margin_s": _NOT_NEGATIVE,
        "threshold_s": _NOT_NEGATIVE,
        "factor_s": _NOT_NEGATIVE,
        "signal_interval_s": _NOT_NEGATIVE,
        "judge_interval_s": _NOT_NEGATIVE,
        "registration_s_max": _POSITIVE,
    },
    DispatchSettings: {
        "order": Literal["deadline", "importance", "laxity"],
        "attempts_max": _COUNT,
        "retry_s": _NOT_NEGATIVE,
        "retry_s_max": _NOT_NEGATIVE,
        "reserve_part_s_max": _NOT_NEGATIVE,
        "matches_per_step_max": _COUNT,
    },
}
"""What each of the planner's settings may be; plug-ins' names are judged where they are loaded."""

ORDERS: Orders = {
    CuttingSettings: (("part_s_min", "part_s_max"),),
    ScalingSettings: (
        ("nodes_min", "nodes_max"),
        ("launch_quantile", "removal_quantile"),
        ("boot_launch_quantile", "boot_lost_quantile"),
    ),
    DispatchSettings: (("retry_s", "retry_s_max"),),
    NodeTypeSettings: (("slots", "slots_max"),),
}
"""Pairs of settings of which the first may not be above the second."""


def read_settings(path: str | Path | None) -> Settings:
    """Read ``slackwater.yaml``; without a path all settings are the defaults.

    Raises
    ------
    FileFault
        All faults of the file at once, each with its line.
    """
    if path is None:
        return Settings()
    document = read_document(path)
    if document.value is None:
        document = replace(document, value={})
    model, faults = check(document, model_of(Settings, RULES, ORDERS), _dotted)
    document.refuse(faults)
    assert model is not None
    return build(Settings, model)


def _dotted(where: Where) -> tuple[str, Where]:
    return "", where
