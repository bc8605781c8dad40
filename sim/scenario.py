"""A world to be tried, as people write it: a load, a fleet to be had, what goes wrong, settings.

`sim/scenarios` holds those that come with the program; `docs/reference/scenarios.md` tells of each.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from planner.model import NodeOffer
from planner.settings import PlannerSettings

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Span = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
BOOT_SIGMAS_MAX = 2.0
"""A boot has a shortest time, so that there is a least cost to compare with."""

Range = tuple[Span, Span]
"""Lowest and highest value; what lies between is equally likely."""


class Strict(BaseModel):
    """A section of a scenario: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Drawn(Strict):
    """Tasks whose work is drawn.

    Parameters
    ----------
    deadline_s, work_s : pair of float
        Of a task: time to its deadline [s], predicted work [reference s].
    parts : int
    unevenness : float
        Parts are drawn from ``1 - unevenness`` to ``1 + unevenness`` times alike.
    product_bytes : int
    """

    deadline_s: Range
    work_s: Range
    parts: Count = 8
    unevenness: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.4
    product_bytes: Annotated[int, Field(ge=0)] = 0


class DrawnJobs(Drawn):
    """Jobs, of which each part reads so many bytes: a pair."""

    part_bytes: Range = (0.0, 0.0)


class Bursts(DrawnJobs):
    """Many jobs at once, again and again.

    Parameters
    ----------
    bursts : int
    every_s : float
        From one burst to the next [s].
    tasks : pair of int
        Jobs of a burst.
    """

    kind: Literal["bursts"] = "bursts"
    bursts: Count = 1
    every_s: Positive = 2700.0
    tasks: tuple[int, int]


class Stream(DrawnJobs):
    """Jobs that arrive one by one at random, at a rate that may swing over the day.

    Parameters
    ----------
    per_h : float
        Mean arrivals an hour.
    hours : float
    swing : float
        The rate swings by this share of itself in a period of `swing_s`.
    """

    kind: Literal["stream"]
    per_h: Positive
    hours: Positive
    swing: Share = 0.0
    swing_s: Positive = 86400.0


class Standing(Drawn):
    """Subscriptions that every update of a dataset concerns.

    Parameters
    ----------
    subscriptions : int
    updates : int
        After the first state, one every `every_s` [s].
    """

    kind: Literal["standing"]
    subscriptions: Count
    updates: Count = 1
    every_s: Positive = 86400.0
    parts: Count = 1


class Archived(Strict):
    """Arrivals of a year as an archive's own index tells them.

    Parameters
    ----------
    year : int
    days : int
        From the start of the year.
    subscriptions : int
        Drawn over regions and parameters.
    deadline_s : pair of float
        Of a subscription [s].
    reprocessed : bool
        Delayed-mode profiles come in bursts of whole floats, beside the daily real-time ones.
    """

    kind: Literal["archive"]
    year: Annotated[int, Field(ge=1997)] = 2023
    days: Annotated[int, Field(ge=1, le=366)] = 365
    subscriptions: Count = 200
    deadline_s: Range = (3600.0, 21600.0)
    reprocessed: bool = True


class TraceFile(Strict):
    """A trace: SWF, CSV or a journal, told by the end of its name.

    Parameters
    ----------
    path : str
    deadline_factor, deadline_grace_s : float
        Of an SWF job: its deadline is the requested time times the factor, and the grace [s].
    jobs_max : int or None
    """

    kind: Literal["trace"]
    path: str
    deadline_factor: Positive = 3.0
    deadline_grace_s: Span = 600.0
    jobs_max: Count | None = None


class NodeType(Strict):
    """Nodes that may be had.

    Parameters
    ----------
    name : str
    slots, slots_max : int
        Workers of a new node, and those it can grow to (as many where left out).
    speed : float
        Reference seconds of work a second and slot, as the planner is told.
    true_speed : float or None
        What it truly is, where that differs.
    price_per_h, quantum_s : float
        Price [currency/h] and unit of billing [s]; 0 bills by the second.
    boot_s : float
        Median time from request to ready [s].
    boot_sigma : float
        Deviation of its logarithm; no boot is more than two of them shorter than the median.
    nodes_max : int
    spot_lost_per_h : float
        A node of this type is taken back so many times an hour, on average.
    site : str
        Where it stands; data of another site come over the link.
    """

    name: str = "vm"
    slots: Count = 2
    slots_max: Count | None = None
    speed: Positive = 1.0
    true_speed: Positive | None = None
    price_per_h: Span = 0.10
    quantum_s: Span = 0.0
    boot_s: Span = 120.0
    boot_sigma: Span = 0.15
    nodes_max: Count = 100_000
    spot_lost_per_h: Span = 0.0
    site: str = ""

    @property
    def boot_s_min(self) -> float:
        """Shortest boot that can occur [s]."""
        return self.boot_s * math.exp(-BOOT_SIGMAS_MAX * self.boot_sigma)

    @property
    def runs_at(self) -> float:
        """Reference seconds of work that a slot truly does in a second."""
        return self.true_speed or self.speed

    def offer(self) -> NodeOffer:
        """Return the type as the planner is offered it."""
        return NodeOffer(
            node_type=self.name,
            slots=self.slots,
            slots_max=self.slots_max or self.slots,
            speed=self.speed,
            price_per_h=self.price_per_h,
            quantum_s=self.quantum_s,
            boot_s=self.boot_s,
            nodes_max=self.nodes_max,
            spot=self.spot_lost_per_h > 0,
        )


class Truth(Strict):
    """How far the truth lies from the prediction.

    Parameters
    ----------
    common_sigma, scatter_sigma : float
        Deviations of the logarithm of true over predicted run time: of what a task's parts share,
        and of each part.
    bias : float
        Everything takes this many times the prediction.
    stragglers, straggler_factor : float
        Share of attempts that take so many times as long.
    """

    common_sigma: Span = 0.25
    scatter_sigma: Span = 0.10
    bias: Positive = 1.0
    stragglers: Share = 0.0
    straggler_factor: Annotated[float, Field(ge=1.0)] = 5.0


class Faults(Strict):
    """How often each thing goes wrong: shares of attempts, and nodes lost an hour of their life.

    Parameters
    ----------
    withdrawn : float
        Share of jobs whose subscription is removed some time before their deadline.
    """

    part_failed: Share = 0.0
    attempt_lost: Share = 0.0
    combine_failed: Share = 0.0
    delivery_failed: Share = 0.0
    message_doubled: Share = 0.0
    create_refused: Share = 0.0
    boot_lost: Share = 0.0
    boot_hung: Share = 0.0
    node_lost_per_h: Span = 0.0
    withdrawn: Share = 0.0


class Storage(Strict):
    """How long moving data takes.

    Parameters
    ----------
    tier : str
        Where fragments and products lie: each tier has its latency and rate.
    link_megabytes_per_s : float
        Between two sites.
    data_site : str
        Where the archive lies; empty is everywhere.
    combine_s, deliver_s : float
        What combining and delivering take beside moving bytes [s].
    """

    tier: Literal["memory", "disk", "object store"] = "disk"
    link_megabytes_per_s: Positive = 50.0
    data_site: str = ""
    combine_s: Span = 1.0
    deliver_s: Span = 1.0
    combining_max: Count = 4
    deliveries_max: Count = 8


def _section(kind: Any) -> type[BaseModel]:
    """Return the model of a section of settings: the fields of its dataclass, none other."""
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint):
            section = _section(hint)
            found[field.name] = (section, section())
        else:
            assert field.default is not MISSING
            found[field.name] = (hint, field.default)
    return create_model(kind.__name__, __base__=Strict, **found)


SettingsModel = _section(PlannerSettings)


class Scenario(Strict):
    """A world to be tried.

    Parameters
    ----------
    name : str
    about : str
        What it is for, in a few sentences.
    load : mapping
        One of `Bursts`, `Stream`, `Standing`, `Archived`, `TraceFile`, told apart by ``kind``.
    fleet : tuple of NodeType
    truth : Truth
    faults : Faults
    storage : Storage
    settings : mapping
        Of the planner, in sections as in slackwater.yaml.
    """

    name: str = ""
    about: str = ""
    load: Bursts | Stream | Standing | Archived | TraceFile = Field(discriminator="kind")
    fleet: tuple[NodeType, ...] = (NodeType(),)
    truth: Truth = Truth()
    faults: Faults = Faults()
    storage: Storage = Storage()
    settings: SettingsModel = SettingsModel()  # type: ignore[valid-type]

    def planner_settings(self) -> PlannerSettings:
        """Return the settings that the planner is run with."""
        built: PlannerSettings = _built(PlannerSettings, self.settings)
        return built


def _built(kind: type, section: Any) -> Any:
    hints = get_type_hints(kind)
    values = {
        field.name: _built(hints[field.name], getattr(section, field.name))
        if is_dataclass(hints[field.name])
        else getattr(section, field.name)
        for field in fields(kind)
    }
    return kind(**values)
