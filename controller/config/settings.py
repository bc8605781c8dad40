"""The settings of ``slackwater.yaml``: every section has defaults that work on one machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from controller.apps.command.placeholders import placed
from controller.config.checked import check
from controller.config.commands import CommandSettings
from controller.config.environment import read_environment
from controller.config.mirror import Orders, Rules, build, model_of
from controller.config.overlay import overlaid
from controller.config.providers import HERE, kinds_of, secrets_of_providers, with_options
from controller.config.ranges import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    QUANTILE,
    Count,
    Host,
    Ipv4Host,
    NotNegative,
    Positive,
)
from controller.config.secret_files import secrets_of, with_secrets
from controller.config.serving import (
    URLS,
    ApiSettings,
    NotifySettings,
    ServiceSettings,
    SourcesSettings,
    StoreSettings,
)
from controller.config.shape import Plugged
from controller.config.yaml_lines import Document, Fault, Value, Where, read_document
from controller.errors import FileFault
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

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTypeSettings:
    """One node type: a group of worker processes on this machine, or what a provider makes.

    Parameters
    ----------
    provider : str
        Whose it is: one of the section providers, or ``process``, which is this machine.
    slots : int
        Workers that a new node starts with.
    slots_max : int
        Workers that it can be grown to.
    speed : float
        Reference seconds of work done per second and slot.
    price_per_h : float
        Price of a node [currency per hour].
    quantum_s : float
        Billing unit [s]; 0 bills by the second.
    boot_s : float
        On this machine, workers start this long [s] after their node's request, as a VM's would;
        elsewhere, what a boot is believed to take until boots were measured.
    power_w : float
        Electrical power of a node while it is held [W], for the energy that `plan` tells.
    cpu_quota : float or None
        Processors that a whole node may use [count]; None is no bound. Needs Linux cgroups.
    nodes_max : int
        Nodes of this type at the same time.
    shared_reads_mb : float
        Disc space of a node for what its workers have read and share [MB]; 0 shares nothing.
    spot : bool
        The provider may take a node of this type back at any time.
    options : object
        What the provider asks for beside, as its plug-in has it; None on this machine.
    """

    provider: str = HERE
    slots: Count = 1
    slots_max: Count = 2
    speed: Positive = 1.0
    price_per_h: NotNegative = 0.0
    quantum_s: NotNegative = 0.0
    boot_s: NotNegative = 0.0
    power_w: NotNegative = 0.0
    cpu_quota: Positive | None = None
    nodes_max: Count = 8
    shared_reads_mb: NotNegative = 256.0
    spot: bool = False
    options: Plugged = None


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
class DatasetSettings:
    """A dataset that subscriptions may name.

    Parameters
    ----------
    identifier : str
        Persistent identifier, as the DOI of Argo.
    application : str
        Name of the application that reads it.
    archive : str
        Folder or fsspec URL of its data; empty is what ``--archive`` names.
    read_latency_s : float or None
        As `ArchiveSettings.read_latency_s`, for this dataset; None is that one.
    command : CommandSettings or None
        Of the application "command": what it runs.
    """

    identifier: Annotated[str, Field(min_length=1)]
    application: str = "argo"
    archive: str = ""
    read_latency_s: NotNegative | None = None
    command: CommandSettings | None = None

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.application == "command" and self.command is None:
            raise ValueError("application command needs a section command that says what it runs")
        if self.application != "command" and self.command is not None:
            raise ValueError("a section command needs application: command")
        if self.command is not None and self.read_latency_s is not None:
            raise ValueError("read_latency_s cannot be added to what a command reads")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Where products may go.

    Parameters
    ----------
    roots : tuple of str
        Folders or fsspec URLs; the first is the default.
    schemes : tuple of str
        fsspec's names of the file systems allowed.
    hosts : tuple of str
        Servers of which every folder may be a destination too.
    options_file : str
        YAML file of how schemes and hosts are reached: credentials never stand in these settings.
    retention_days : float
        Products are kept this long [days]; 0 is for ever.
    full_every_days : float
        A full product of each subscription is made so often [days]; 0 is only on request.
    """

    roots: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("file",)
    hosts: tuple[Host, ...] = ()
    options_file: str = ""
    retention_days: NotNegative = 0.0
    full_every_days: NotNegative = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Where the engine is found, and how it watches over attempts.

    Parameters
    ----------
    host : str
        Address or name that it listens at; nodes on other machines need one that they reach.
    address : str
        What those call it where that is another one, as behind NAT; empty is `host`.
    port : int
        That it listens at; 0 is any free one, which is kept over restarts.
    lease_s : float
        A worker not heard of for this long [s] has lost its attempts.
    orphan_s : float
        A worker that cannot reach the scheduler for this long [s] exits.
    """

    host: Ipv4Host = "127.0.0.1"
    address: Ipv4Host | Literal[""] = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    lease_s: Positive = 30.0
    orphan_s: Positive = 300.0


def _named(what: str) -> AfterValidator:
    def read(name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{what} {name!r} cannot be. Use up to 32 of a-z, 0-9 and '-'")
        return name

    return AfterValidator(read)


NodeTypeName = Annotated[str, _named("node type")]
ProviderName = Annotated[str, _named("provider")]
DatasetAlias = Annotated[str, _named("dataset")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings.

    Parameters
    ----------
    planner : PlannerSettings
    providers : dict of str to ProviderSettings
        Where nodes come from, besides this machine, by name.
    nodes : dict of str to NodeTypeSettings
        The node types by name.
    archive : ArchiveSettings
    datasets : dict of str to DatasetSettings
        By the alias that subscriptions may use instead of the identifier.
    delivery : DeliverySettings
    engine : EngineSettings
    service : ServiceSettings
    store : StoreSettings
    api : ApiSettings
    sources : SourcesSettings
    notify : NotifySettings
    """

    planner: PlannerSettings = field(default_factory=PlannerSettings)
    providers: dict[ProviderName, Plugged] = field(default_factory=dict)
    nodes: dict[NodeTypeName, NodeTypeSettings] = field(
        default_factory=lambda: {"process": NodeTypeSettings()}
    )
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    datasets: dict[DatasetAlias, DatasetSettings] = field(
        default_factory=lambda: {"argo": DatasetSettings(identifier=ARGO_DOI)}
    )
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    service: ServiceSettings = field(default_factory=ServiceSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    sources: SourcesSettings = field(default_factory=SourcesSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)


RULES: Rules = {
    ImportanceWeights: {
        "parameters": _ANY,
        "ttd": _ANY,
        "time_range": _ANY,
        "area": _ANY,
    },
    CuttingSettings: {
        "partitioner": _ANY,
        "parts_per_worker": COUNT,
        "part_s_min": NOT_NEGATIVE,
        "part_s_max": POSITIVE,
        "parts_max": COUNT,
    },
    ScalingSettings: {
        "policy": _ANY,
        "nodes_min": NOT_NEGATIVE,
        "nodes_max": COUNT,
        "budget": NOT_NEGATIVE,
        "budget_period_s": POSITIVE,
        "launch_quantile": QUANTILE,
        "removal_quantile": QUANTILE,
        "boot_launch_quantile": QUANTILE,
        "boot_lost_quantile": QUANTILE,
        "best_effort_s": POSITIVE,
        "put_off_launches": _ANY,
        "margin_s": NOT_NEGATIVE,
        "threshold_s": NOT_NEGATIVE,
        "factor_s": NOT_NEGATIVE,
        "signal_interval_s": NOT_NEGATIVE,
        "judge_interval_s": NOT_NEGATIVE,
        "registration_s_max": POSITIVE,
    },
    DispatchSettings: {
        "order": Literal["deadline", "importance", "laxity"],
        "attempts_max": COUNT,
        "retry_s": NOT_NEGATIVE,
        "retry_s_max": NOT_NEGATIVE,
        "reserve_part_s_max": NOT_NEGATIVE,
        "matches_per_step_max": COUNT,
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
    EngineSettings: (("lease_s", "orphan_s"),),
}
"""Pairs of settings of which the first may not be above the second."""


ENTRIES: Mapping[Where, Mapping[str, str]] = {("datasets", "argo"): {"identifier": ARGO_DOI}}
"""Entries that stand where a file lacks their section: a variable need not repeat what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Settings, and what was said of them.

    Parameters
    ----------
    settings : Settings
    document : Document
        What file and environment say, each value with its line or its variable.
    secret_files : mapping of Where to str
        The file that each secret was read from.
    """

    settings: Settings
    document: Document
    secret_files: Mapping[Where, str]


@cache
def settings_model() -> type[BaseModel]:
    """Return the model that settings are checked against."""
    return model_of(Settings, RULES, ORDERS)


def read_settings(path: str | Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read ``slackwater.yaml`` and ``SLACKWATER_SECTION__KEY``; what neither says is the default.

    Parameters
    ----------
    path : str or Path or None
        Without a file the environment alone is read.
    environment : mapping of str to str
        Its variables have the last word.

    Raises
    ------
    FileFault
        All faults of both at once, each with its line or its variable.
    """
    return read_told(path, environment).settings


def read_told(path: str | Path | None, environment: Mapping[str, str] = os.environ) -> Told:
    """Read settings as `read_settings` does; return also where each was said.

    Raises
    ------
    FileFault
    """
    model = settings_model()
    overrides, faults = read_environment(environment, Settings, model)
    overrides = [replace(each, value=_dataset(each.where, each.value)) for each in overrides]
    document = overlaid(_spelled_out(_document(path, faults)), overrides, ENTRIES)
    kinds, of_kinds = kinds_of(document)
    secrets = [*secrets_of(Settings), *secrets_of_providers(kinds)]
    document, secret_files, of_secrets = with_secrets(document, secrets, URLS)
    document, of_options = with_options(document, kinds)
    checked, of_values = check(document, model, _dotted)
    of_providers = [*of_kinds, *of_options]
    document.refuse([*faults, *of_secrets, *of_providers, *of_values, *_doubled_datasets(document)])
    assert checked is not None
    here = Path.cwd() if path is None else Path(path).absolute().parent
    settings = _placed(build(Settings, checked), str(here))
    return Told(settings=settings, document=document, secret_files=secret_files)


def _document(path: str | Path | None, of_environment: list[Fault]) -> Document:
    if path is None:
        return Document(path="settings", value=None, lines={(): 1})
    try:
        return read_document(path)
    except FileFault as fault:
        told = [*fault.faults, *map(str, of_environment)]
        place = f"{path} and the environment" if of_environment else str(path)
        raise FileFault(place, told) from fault


def _placed(settings: Settings, here: str) -> Settings:
    """Return the settings with the folder of their file in the place of ``{here}``."""
    datasets = {
        alias: replace(
            dataset,
            command=replace(
                dataset.command,
                run=placed(dataset.command.run, here),
                version=placed(dataset.command.version, here),
            ),
        )
        if dataset.command
        else dataset
        for alias, dataset in settings.datasets.items()
    }
    return replace(settings, datasets=datasets)


def _spelled_out(document: Document) -> Document:
    """Return what a file says with each ``alias: identifier`` as the dataset that it means."""
    lines = dict(document.lines)
    for where in document.lines:
        if len(where) == 2 and where[0] == "datasets":
            lines.setdefault((*where, "identifier"), lines[where])
    said = {} if document.value is None else document.value
    if isinstance(said, dict) and "datasets" in said:
        said = {**said, "datasets": _dataset(("datasets",), said["datasets"])}
    return replace(document, value=said, lines=lines)


def _dataset(where: Where, said: Value) -> Value:
    """Return what was said at a place with each short form of a dataset spelled out."""
    if where == ("datasets",) and isinstance(said, dict):
        return {alias: _dataset((*where, alias), each) for alias, each in said.items()}
    if len(where) == 2 and where[0] == "datasets" and isinstance(said, str):
        return {"identifier": said}
    return said


def bare_doi(identifier: str) -> str:
    """Return an identifier without what may stand before a DOI: both name the same dataset."""
    return identifier.removeprefix("https://doi.org/").removeprefix("doi:")


def _doubled_datasets(document: Document) -> list[Fault]:
    """Return what makes it doubtful which dataset a subscription names."""
    said = document.value.get("datasets") if isinstance(document.value, dict) else None
    datasets = said if isinstance(said, dict) else {}
    owners: dict[str, str] = {}
    faults: list[Fault] = []
    for alias, each in datasets.items():
        identifier = each.get("identifier") if isinstance(each, dict) else None
        if not isinstance(identifier, str) or not identifier:
            continue
        owner = owners.setdefault(bare_doi(identifier), alias)
        where = ("datasets", alias, "identifier")
        if owner != alias:
            faults.append(document.fault(where, f"{identifier!r} is dataset {owner!r} already"))
        if identifier != alias and identifier in datasets:
            what = f"{identifier!r} is the name of another dataset"
            faults.append(document.fault(where, what))
    return faults


def _dotted(where: Where) -> tuple[str, Where]:
    return "", where
