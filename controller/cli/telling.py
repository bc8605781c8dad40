"""Keeps what a page tells of one run: the fleet, each task's end, and decisions with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from planner.commands import (
    AnyCommand,
    DrainNode,
    Notify,
    ProvisionNode,
    RemoveNode,
    SetWorkers,
    UndrainNode,
)
from planner.events import AnyEvent, NodeLost, NodeRefused
from planner.model import NoticeKind
from sim.chronicle import Chronicle

DECISIONS_MAX = 300
"""Lines that are told, the first ones; a page of more is not read. All are counted."""

CHANGES = {
    ProvisionNode: "launch",
    SetWorkers: "resize",
    UndrainNode: "keep",
    DrainNode: "drain",
    RemoveNode: "remove",
}
"""What the planner does with a node."""


@dataclass(slots=True, kw_only=True)
class Decision:
    """What was decided at an instant for one reason, of one or several nodes or of a task.

    Parameters
    ----------
    at_s : float
        After the start [s].
    what : str
    about : list of str
    why : str
    """

    at_s: float
    what: str
    about: list[str]
    why: str


@dataclass(slots=True, kw_only=True)
class Telling:
    """Takes a run in, step by step.

    Parameters
    ----------
    chronicle : Chronicle
    decisions : list of Decision
        The first of them.
    untold : int
        Decisions after those.
    """

    chronicle: Chronicle = field(default_factory=Chronicle)
    decisions: list[Decision] = field(default_factory=list)
    untold: int = 0
    _began_at: float | None = None

    def see(self, event: AnyEvent, commands: Sequence[AnyCommand]) -> None:
        """Take one step in."""
        self.chronicle.see(event, commands)
        if self._began_at is None:
            self._began_at = event.at
        at_s = event.at - self._began_at
        match event:
            case NodeLost():
                self._tell(at_s, "lost", event.node_id, event.reason)
            case NodeRefused():
                self._tell(at_s, "refused", event.node_id, event.reason)
        for command in commands:
            match command:
                case Notify() if command.kind is not NoticeKind.DELIVERED:
                    what = command.kind.value.replace("_", " ")
                    self._tell(at_s, what, command.subscription_id, command.text)
                case ProvisionNode() | SetWorkers() | UndrainNode() | DrainNode() | RemoveNode():
                    self._tell(at_s, CHANGES[type(command)], command.node_id, command.reason)

    def _tell(self, at_s: float, what: str, about: str, why: str) -> None:
        last = self.decisions[-1] if self.decisions and not self.untold else None
        if last and (last.at_s, last.what, last.why) == (at_s, what, why):
            last.about.append(about)
        elif len(self.decisions) < DECISIONS_MAX:
            self.decisions.append(Decision(at_s=at_s, what=what, about=[about], why=why))
        else:
            self.untold += 1
