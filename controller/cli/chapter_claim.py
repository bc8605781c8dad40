"""Something that the chapter says or that is expected of us, beside what was found."""

from __future__ import annotations

from dataclasses import dataclass

HOLDS, FAILS = "holds", "does not hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that the chapter says, or that is expected of us, and what was found.

    Parameters
    ----------
    where : str
        Table or figure.
    said : str
    verdict : str
        Begins with "holds" or with "does not hold".
    found : str
        The numbers.
    """

    where: str
    said: str
    verdict: str
    found: str

    @property
    def holds(self) -> bool:
        """Whether it was found as said, without exception."""
        return self.verdict == HOLDS
