"""What a scaling policy is, and which ones are built in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from planner.scaling.lookahead import LookaheadPolicy
from planner.scaling.prefix import PrefixPolicy
from planner.scaling.thresholds import Dynamic, NoScaling, Static
from planner.scaling.view import ScalingView, Wanted

Memory = Any
"""What a policy remembers: a frozen dataclass of plain fields, the policy's own `memory_type`."""


class Policy(Protocol):
    """Decides how many nodes there should be; a value without state of its own.

    Attributes
    ----------
    name : str
        As in the settings.
    memory_type : type
        Class of the memory; snapshots and journals hold its fields.
    """

    @property
    def name(self) -> str:
        """Name in the settings."""

    @property
    def memory_type(self) -> type:
        """Class of the memory."""

    def start(self) -> Memory:
        """Return the memory that an evaluation without a past begins with."""

    def step(self, memory: Memory, view: ScalingView) -> tuple[Memory, Wanted]:
        """Return what to remember, and what to change in the fleet now.

        Must depend on nothing but its arguments: a replayed journal asks again.
        """

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return how many more nodes the policy could still bring in, draining ones included.

        Admission counts on them when it judges whether deadlines can be met.
        """


_policies: tuple[Policy, ...] = (
    PrefixPolicy(),
    NoScaling(),
    Static(),
    Dynamic(),
    LookaheadPolicy(),
)

BUILT_IN: Mapping[str, Policy] = MappingProxyType({policy.name: policy for policy in _policies})
"""The policies that need no plug-in, by name."""
