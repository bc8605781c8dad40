"""All baselines by name, alone and together with the policies of the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from planner.errors import UnknownPlugin
from planner.scaling.catalogue import Policies
from planner.scaling.policy import Policy
from sim.baselines.avr import Avr
from sim.baselines.aws import AwsBacklog
from sim.baselines.clues import Clues
from sim.baselines.cluster_autoscaler import ClusterAutoscaler
from sim.baselines.dask import DaskAdaptive
from sim.baselines.factory import TaskVineFactory
from sim.baselines.karpenter import Karpenter
from sim.baselines.keda import KedaHpa, KedaJob
from sim.baselines.parsl import Parsl
from sim.baselines.ray import Ray
from sim.baselines.toil import Toil

_baselines: tuple[Policy, ...] = (
    KedaJob(),
    KedaJob(name="keda-job-accurate", strategy="accurate"),
    KedaJob(name="keda-job-eager", strategy="eager"),
    KedaHpa(),
    DaskAdaptive(),
    DaskAdaptive(name="dask-adaptive-300", target_duration_s=300.0),
    Parsl(),
    Parsl(name="parsl-htex", scales_in_idle_blocks=True),
    TaskVineFactory(),
    Clues(),
    Ray(),
    Karpenter(),
    Karpenter(name="karpenter-unbudgeted", budget=1.0),
    ClusterAutoscaler(),
    Toil(),
    Toil(name="toil-300", target_time_s=300.0),
    AwsBacklog(),
    Avr(),
)

BASELINES: Mapping[str, Policy] = MappingProxyType({rule.name: rule for rule in _baselines})
"""The peers' rules by name, in the order in which tables show them."""


class AllPolicies(Mapping[str, Policy]):
    """The built-in and installed policies, and the baselines; only a simulation knows the latter.

    Parameters
    ----------
    policies : mapping of str to Policy, optional
        Those of the program by default.
    """

    def __init__(self, policies: Mapping[str, Policy] | None = None) -> None:
        self._policies = Policies() if policies is None else policies

    def __getitem__(self, name: str) -> Policy:
        """Return the policy of this name; one of the program comes before a baseline.

        Raises
        ------
        UnknownPlugin
            There is none of this name; near names are suggested.
        BrokenPlugin
            It is installed and cannot be imported, or is no policy.
        """
        if name in list(self._policies):
            return self._policies[name]
        if name in BASELINES:
            return BASELINES[name]
        near = get_close_matches(name, list(self), n=2)
        guess = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise UnknownPlugin(
            f"no policy or baseline is called {name!r}", fix=f"{guess}There are: {', '.join(self)}"
        )

    def __iter__(self) -> Iterator[str]:
        """Return all names: those of the program, then the baselines."""
        return iter(dict.fromkeys([*self._policies, *BASELINES]))

    def __len__(self) -> int:
        """Return the number of policies."""
        return len(list(iter(self)))
