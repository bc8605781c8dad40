"""Where notices wait for their letters to be taken: the seam between notifier and store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.notify.messages import Contact
from controller.notify.notices import Notice
from controller.notify.outcomes import Verdict
from controller.notify.webhooks import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One notice for one addressee, or the question whether a contact wants any.

    Parameters
    ----------
    id : str
    lane : str
        The host that takes it: what hangs there delays only what goes there.
    attempts : int
        Made so far [count].
    to : Endpoint or Contact
    notice : Notice or None
        None asks the contact.
    """

    id: str
    lane: str
    attempts: int
    to: Endpoint | Contact
    notice: Notice | None


class Letterbox(Protocol):
    """Keeps letters until they are taken. Used by one thread at a time."""

    def sort(self) -> bool:
        """Write a letter to each addressee of new notices; tell whether there may be more.

        Each call sorts a bounded number.
        """

    def due(self, now: float, limit: int, lane_max: int) -> Sequence[Letter]:
        """Return letters that are due, those due first first; of each lane its first few only.

        Parameters
        ----------
        now : float
            [POSIX s]
        limit : int
            Of all.
        lane_max : int
            Of each lane, so that a lane with many does not hide the others.
        """

    def record(self, verdicts: Sequence[Verdict]) -> None:
        """Write down, all or nothing, what became of letters.

        Raises
        ------
        controller.errors.StorageError
            Nothing was written; the same may be tried again.
        """

    def forget(self, before: float) -> int:
        """Remove what was settled before an instant [POSIX s]; return how many letters.

        Each call removes a bounded number; dead letters stay.
        """
