"""What is wrong with a trace: told whole, each fault with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from planner.errors import SlackwaterError

FAULTS_TOLD_MAX = 20
"""Faults of a file told one by one: enough to mend it, few enough to read."""

EXAMPLES_TOLD_MAX = 5
"""Lines named for each reason why lines were left out."""


class BrokenTrace(SlackwaterError):
    """A trace that cannot be replayed, with all that is wrong with it.

    Parameters
    ----------
    name : str
        Of the file.
    faults : list of str
        Each says where it is.
    fix : str, optional
    """

    def __init__(self, name: str, faults: list[str], *, fix: str = "") -> None:
        self.faults = faults
        told = [f"  {fault}" for fault in faults[:FAULTS_TOLD_MAX]]
        if len(faults) > FAULTS_TOLD_MAX:
            told.append(f"  and {len(faults) - FAULTS_TOLD_MAX:,} more")
        count = "one fault" if len(faults) == 1 else f"{len(faults):,} faults"
        lines = "\n".join([f"trace {name}: {count}", *told])
        super().__init__(f"{lines}\n{fix}" if fix else lines)


@dataclass(slots=True)
class LeftOut:
    """Lines of a log that make no job, counted by reason, with the first few of each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[int]] = field(default_factory=dict)

    def note(self, line: int, reason: str) -> None:
        """Leave out a line (counted from 1)."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        lines = self.examples.setdefault(reason, [])
        if len(lines) < EXAMPLES_TOLD_MAX:
            lines.append(line)

    def clear(self) -> None:
        """Begin anew: the log is read once more."""
        self.counts.clear()
        self.examples.clear()

    def told(self) -> Iterator[str]:
        """Return each reason in words: how many lines, and which first."""
        for reason, count in self.counts.items():
            lines = self.examples[reason]
            noun = "line" if count == 1 else "lines"
            more = ", ..." if count > len(lines) else ""
            places = ", ".join(map(str, lines)) + more
            yield f"{count:,} {noun} left out: {reason} ({noun} {places})"
