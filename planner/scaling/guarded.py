"""What stands in when the policy of somebody else fails: deadlines must not wait for its repair."""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.plugins import IMPORT_FAULTS
from planner.scaling.policy import Memory, Policy
from planner.scaling.prefix import PrefixPolicy
from planner.scaling.view import ScalingView, Wanted

STAND_IN = PrefixPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A policy that may raise; wherever it does, the default policy decides in its place.

    The reasons of what is decided say so. A policy depends on nothing but what it is shown, so
    that a replay sees it fail at the same places.

    Parameters
    ----------
    policy : Policy
    """

    policy: Policy

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self.policy.name

    @property
    def memory_type(self) -> type:
        """Class of the memory."""
        return self.policy.memory_type

    def start(self) -> Memory:
        """Return the memory that an evaluation without a past begins with."""
        return self.policy.start()

    def step(self, memory: Memory, view: ScalingView) -> tuple[Memory, Wanted]:
        """Return what to remember, and what to change in the fleet now."""
        try:
            answer: tuple[Memory, object] = self.policy.step(memory, view)
            if isinstance(answer[1], Wanted):
                return answer[0], answer[1]
            fault = f"wanted {answer[1]!r}"
        except IMPORT_FAULTS as error:
            fault = f"{type(error).__name__}: {error}"
        _, wanted = STAND_IN.step(STAND_IN.start(), view)
        return memory, _said(
            wanted, f"policy {self.name} failed ({fault}), {STAND_IN.name} instead"
        )

    def nodes_reachable(self, view: ScalingView) -> int:
        """Return how many more nodes the policy could still bring in."""
        try:
            return int(self.policy.nodes_reachable(view))
        except IMPORT_FAULTS:
            return STAND_IN.nodes_reachable(view)


def _said(wanted: Wanted, why: str) -> Wanted:
    return replace(
        wanted,
        launches=tuple(replace(each, reason=f"{why}: {each.reason}") for each in wanted.launches),
        grows=tuple(replace(each, reason=f"{why}: {each.reason}") for each in wanted.grows),
        releases=tuple(replace(each, reason=f"{why}: {each.reason}") for each in wanted.releases),
        keeps=tuple(replace(each, reason=f"{why}: {each.reason}") for each in wanted.keeps),
    )
