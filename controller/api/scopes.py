"""Who asks, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key allows."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Parameters
    ----------
    name : str
        Owner of what they make; empty where nobody has to say who they are.
    scopes : frozenset of Scope
    """

    name: str
    scopes: frozenset[Scope]

    def sees(self) -> str:
        """Return whose things they see; empty is everybody's."""
        return "" if Scope.OPERATE in self.scopes else self.name


ANYBODY = Caller(name="", scopes=frozenset(Scope))
"""Who asks where no keys are needed: whoever is on this machine."""
