"""What a world is like: how long everything takes there, and what goes wrong.

`sim.world` asks; every answer depends on the question alone, so that the same question has the same
answer whenever it is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from planner.commands import CombineProduct, CutTask, DeliverProduct, ProvisionNode, RunPart
from planner.events import AnyEvent, TaskCut, TaskRefused
from planner.model import NodeOffer, PartSpec


class Attempt(NamedTuple):
    """What becomes of an attempt at a part.

    Parameters
    ----------
    run_s : float
        Until it ends, in whatever way [s].
    fault : str
        Why it failed; empty when it finishes.
    lost : bool
        A fault is the worker's, not the part's.
    doubled : bool
        Its end is told twice.
    """

    run_s: float
    fault: str = ""
    lost: bool = False
    doubled: bool = False


class Settled(NamedTuple):
    """What becomes of an attempt at combining or delivering; `fault` is empty when it succeeds."""

    takes_s: float
    size_bytes: int = 0
    fault: str = ""
    doubled: bool = False


class Boot(NamedTuple):
    """What becomes of a request for a node.

    Parameters
    ----------
    boot_s : float
        Until it is ready, or lost or refused [s]; infinite when it hangs.
    fault : str
        Why it does not come up; empty when it does.
    refused : bool
        The provider refuses it, rather than losing it.
    stands_s : float
        From ready to its sudden end [s].
    end_reason : str
        Why it ends suddenly.
    """

    boot_s: float
    fault: str = ""
    refused: bool = False
    stands_s: float = math.inf
    end_reason: str = ""


@dataclass(slots=True, kw_only=True)
class Errand:
    """A task as the world knows it.

    Parameters
    ----------
    name : str
        Of its product: the same under every policy.
    parts : tuple of PartSpec
        Empty until it is cut.
    """

    name: str
    parts: tuple[PartSpec, ...] = ()


class Nature(Protocol):
    """A world's answers to what the planner commands."""

    @property
    def combining_max(self) -> int:
        """Products that are combined at the same time."""

    @property
    def deliveries_max(self) -> int:
        """Products that are delivered at the same time."""

    def cut(self, command: CutTask, at: float) -> TaskCut | TaskRefused:
        """Answer `CutTask` at an instant [POSIX s]."""

    def attempt(self, errand: Errand, command: RunPart, offer: NodeOffer) -> Attempt:
        """Return what becomes of an attempt at a part on a node of an offer."""

    def combine(self, errand: Errand, command: CombineProduct) -> Settled:
        """Return what becomes of an attempt at combining."""

    def deliver(self, errand: Errand, command: DeliverProduct) -> Settled:
        """Return what becomes of an attempt at delivering."""

    def boot(self, command: ProvisionNode, offer: NodeOffer) -> Boot:
        """Return what becomes of a request for a node."""

    def ended(self, errand: Errand, at: float) -> list[AnyEvent]:
        """Take note that a task has ended; return what comes from outside because of it."""
