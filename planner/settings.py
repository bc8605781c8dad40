"""The planner's knobs, with defaults that need no tuning. A journal's header carries them whole."""

from __future__ import annotations

from dataclasses import dataclass, field

Order = str
"""Name of a dispatch order: ``deadline`` (default), ``importance`` or ``laxity``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceWeights:
    """Weights of Eq. 1 of the source chapter, named after what they weigh (ADR 1).

    Parameters
    ----------
    parameters : float
        Per parameter wanted.
    ttd : float
        Per second to the deadline; negative, so that the more urgent is the more important.
    time_range : float
        Per day of time range.
    area : float
        Per 10^6 km2 of area.
    """

    parameters: float = 1.0
    ttd: float = -1.0 / 60.0
    time_range: float = 1.0 / 365.25
    area: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CuttingSettings:
    """How tasks are cut into parts.

    Parameters
    ----------
    partitioner : str
        Name of the strategy.
    parts_per_worker : int
        Parts for each worker that may ever stand (the chapter's 1 or 4): workers pull several each.
    part_s_min : float
        A part shorter than this [s] is not worth the overhead of carrying it.
    part_s_max : float
        A part longer than this [s] loses too much when its worker dies.
    parts_max : int
        Bound of the parts of one task, whatever its length.
    """

    partitioner: str = "balanced"
    parts_per_worker: int = 4
    part_s_min: float = 0.5
    part_s_max: float = 300.0
    parts_max: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSettings:
    """How many nodes there may be, and which policy asks for them.

    Parameters
    ----------
    policy : str
        ``prefix`` (default), ``none``, ``static``, ``dynamic``, ``lookahead`` or a plug-in's name.
    nodes_min, nodes_max : int
        Bounds of the fleet, over all node types.
    budget, budget_period_s : float or None
        At most this much money [currency] in any period of this length [s]; None is no bound. A
        node that must go because it is spent may still end the parts that it runs.
    launch_quantile, removal_quantile : float
        Work is planned at the first when launching and at the second when removing: the gap between
        them keeps the fleet from flapping.
    boot_launch_quantile, boot_lost_quantile : float
        A boot is expected to take the first; one that is older than the second counts as never.
    best_effort_s : float
        Target for tasks without a deadline, and for late ones [s].
    put_off_launches : bool
        Launch the last node that deadlines call for as late as is safe, so that what arrives until
        then shares its boot. For a service; where nothing more will arrive, it only delays.
    margin_s : float
        Release of a paid quantum only within this long [s] of its end.
    threshold_s, factor_s : float
        Of the policies ``static`` and ``dynamic``, as in the chapter.
    signal_interval_s : float
        The chapter's signals are at most this frequent [s]; 0 means one a task start.
    judge_interval_s : float
        Risk and fleet are judged at most this frequently [s], while parts are sent at every tick; 0
        judges at every tick. For loads so large that judging takes longer than what it judges.
    registration_s_max : float
        A node not ready this long [s] after its request, or left by all its workers for so long, is
        given up and removed.
    """

    policy: str = "prefix"
    nodes_min: int = 0
    nodes_max: int = 8
    budget: float | None = None
    budget_period_s: float = 30 * 86400.0
    launch_quantile: float = 0.90
    removal_quantile: float = 0.97
    boot_launch_quantile: float = 0.90
    boot_lost_quantile: float = 0.99
    best_effort_s: float = 3600.0
    put_off_launches: bool = True
    margin_s: float = 120.0
    threshold_s: float = 600.0
    factor_s: float = 30.0
    signal_interval_s: float = 0.0
    judge_interval_s: float = 0.0
    registration_s_max: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSettings:
    """How parts reach nodes and how often anything is tried.

    Parameters
    ----------
    order : str
        ``deadline`` (EDF, default), ``importance`` (Eq. 1) or ``laxity``.
    attempts_max : int
        Attempts at one part, combine or delivery before the task fails loudly.
    retry_s : float
        Pause before the second attempt [s]; it doubles with each further one.
    retry_s_max : float
        Bound of that pause [s].
    reserve_part_s_max : float
        A node whose slots are busy is sent one part ahead if that part is predicted shorter than
        this [s]: it hides the round trip, and a longer one could start sooner elsewhere.
    matches_per_step_max : int
        Tasks made of one update in one step; the rest follows in the next, so that an update which
        matches very many subscriptions never stalls the loop.
    """

    order: Order = "deadline"
    attempts_max: int = 4
    retry_s: float = 1.0
    retry_s_max: float = 60.0
    reserve_part_s_max: float = 0.25
    matches_per_step_max: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerSettings:
    """Everything that steers `planner.core.Planner`."""

    weights: ImportanceWeights = field(default_factory=ImportanceWeights)
    cutting: CuttingSettings = field(default_factory=CuttingSettings)
    scaling: ScalingSettings = field(default_factory=ScalingSettings)
    dispatch: DispatchSettings = field(default_factory=DispatchSettings)
