"""The nature of a scenario's world: its truth, its faults and its distances, drawn under a seed."""

from __future__ import annotations

import math

from planner.commands import CombineProduct, CutTask, DeliverProduct, ProvisionNode, RunPart
from planner.events import AnyEvent, TaskCut, TaskRefused
from planner.model import NodeOffer, PartSpec
from sim.chance import Chance
from sim.nature import Attempt, Boot, Errand, Settled
from sim.scenario import NodeType, Scenario
from sim.workload import Load

TIERS: dict[str, tuple[float, float]] = {
    "memory": (0.0, 2000.0),
    "disk": (0.005, 150.0),
    "object store": (0.05, 60.0),
}
"""Latency of a transfer [s] and its rate [MB/s], by where data lie: memory of the same machine, a
network disc, an object store as one stream from a VM sees it. Round figures of ordinary clouds."""

FRAGMENT_SHARE = 1.0
"""Bytes of all fragments over those of the product that they make."""


class Luck:
    """Answers what the world asks, by a scenario under a seed.

    Parameters
    ----------
    scenario : Scenario
    load : Load
    seed : int
    """

    def __init__(self, scenario: Scenario, load: Load, seed: int) -> None:
        self.combining_max = scenario.storage.combining_max
        self.deliveries_max = scenario.storage.deliveries_max
        self._truth, self._faults = scenario.truth, scenario.faults
        self._storage = scenario.storage
        self._latency_s, self._megabytes_per_s = TIERS[scenario.storage.tier]
        self._types = {each.name: each for each in scenario.fleet}
        self._load = load
        self._chance = Chance(seed=seed)
        self._shared: dict[str, float] = {}
        self._nodes = 0

    def cut(self, command: CutTask, at: float) -> TaskCut | TaskRefused:
        """Cut as the load does."""
        return self._load.cut(command, at)

    def work_s(self, errand: Errand, position: int) -> float:
        """Return the true length of a part, if nothing goes wrong [reference s]."""
        part = errand.parts[position]
        known_s = self._load.run_s(errand.name, position, part)
        if known_s is not None:
            return known_s * self._truth.bias
        truth, chance = self._truth, self._chance
        shared = self._shared.get(errand.name)
        if shared is None:
            shared = truth.bias * chance.stretch(truth.common_sigma, "task", errand.name)
            self._shared[errand.name] = shared
        own = chance.stretch(truth.scatter_sigma, "part", errand.name, position)
        return self._load.predicted_s(part) * shared * own

    def attempt(self, errand: Errand, command: RunPart, offer: NodeOffer) -> Attempt:
        """Let an attempt take its true time, and perhaps fail some way through it."""
        position = int(command.part_id.rpartition("/")[2])
        which = (errand.name, position, command.attempt)
        truth, faults, chance = self._truth, self._faults, self._chance
        run_s = self.work_s(errand, position) / self._types[offer.node_type].runs_at
        if chance.happens(truth.stragglers, "straggles", *which):
            run_s *= truth.straggler_factor
        if self._load.run_s(errand.name, position, errand.parts[position]) is None:
            # A true length that is known holds the reading already.
            run_s += self._transfer_s(errand.parts[position], offer.node_type)
        if run_s > command.limit_s:
            return Attempt(command.limit_s, f"it ran for {command.limit_s:.0f} s", lost=True)
        doubled = chance.happens(faults.message_doubled, "told twice", *which)
        if chance.happens(faults.part_failed, "fails", *which):
            share = chance.uniform("fails after", *which)
            return Attempt(run_s * share, "it failed", doubled=doubled)
        if chance.happens(faults.attempt_lost, "lost", *which):
            share = chance.uniform("lost after", *which)
            return Attempt(run_s * share, "its worker died", lost=True, doubled=doubled)
        return Attempt(run_s, doubled=doubled)

    def _transfer_s(self, part: PartSpec, node_type: str) -> float:
        megabytes = part.features.size_bytes / 1e6
        if megabytes == 0:
            return 0.0
        site, storage = self._types[node_type].site, self._storage
        far = storage.data_site not in ("", site)
        link_s = megabytes / storage.link_megabytes_per_s if far else 0.0
        return self._latency_s + megabytes / self._megabytes_per_s + link_s

    def _moved_s(self, size_bytes: float) -> float:
        return self._latency_s + size_bytes / 1e6 / self._megabytes_per_s

    def combine(self, errand: Errand, command: CombineProduct) -> Settled:
        """Read the fragments and write the product."""
        which = (errand.name, command.attempt)
        size_bytes = self._load.size_bytes(errand.name) or 0
        takes_s = self._storage.combine_s + self._moved_s((1.0 + FRAGMENT_SHARE) * size_bytes)
        fails = self._chance.happens(self._faults.combine_failed, "combining fails", *which)
        doubled = self._chance.happens(self._faults.message_doubled, "combined twice", *which)
        return Settled(takes_s, size_bytes, "it failed" if fails else "", doubled)

    def deliver(self, errand: Errand, command: DeliverProduct) -> Settled:
        """Copy the product to its destination."""
        which = (errand.name, command.attempt)
        takes_s = self._storage.deliver_s + self._moved_s(command.product.size_bytes)
        fails = self._chance.happens(self._faults.delivery_failed, "delivery fails", *which)
        doubled = self._chance.happens(self._faults.message_doubled, "delivered twice", *which)
        return Settled(takes_s, 0, "the destination did not answer" if fails else "", doubled)

    def boot(self, command: ProvisionNode, offer: NodeOffer) -> Boot:
        """Let the next node come up after a drawn time, or not at all.

        Nodes are told apart by their number: the fifth meets the same luck whoever asks for it.
        """
        self._nodes += 1
        number, kind = self._nodes, self._types[offer.node_type]
        chance, faults = self._chance, self._faults
        if chance.happens(faults.create_refused, "refused", number):
            return Boot(chance.between(0.5, 5.0, "refused after", number), "quota exceeded", True)
        boot_s = drawn_boot_s(kind, chance, number)
        if chance.happens(faults.boot_hung, "hangs", number):
            return Boot(math.inf, "it hangs")
        if chance.happens(faults.boot_lost, "lost", number):
            return Boot(boot_s * chance.uniform("lost after", number), "it did not come up")
        crash_s = chance.exponential(faults.node_lost_per_h / 3600.0, "crash", number)
        taken_s = chance.exponential(kind.spot_lost_per_h / 3600.0, "taken back", number)
        reason = "taken back by the provider" if taken_s < crash_s else "it vanished"
        return Boot(boot_s, stands_s=min(crash_s, taken_s), end_reason=reason)

    def ended(self, errand: Errand, at: float) -> list[AnyEvent]:
        """Pass the word on to the load."""
        self._shared.pop(errand.name, None)
        return list(self._load.ended(errand.name, at))


def drawn_boot_s(kind: NodeType, chance: Chance, number: int) -> float:
    """Return the boot time of the node of this number [s]: its median is the type's."""
    about_median = chance.stretch(kind.boot_sigma, "boot", number)
    about_median *= math.exp(kind.boot_sigma**2 / 2)
    return max(kind.boot_s_min, kind.boot_s * about_median)
