"""Carrying one letter, whichever way its addressee is reached."""

from __future__ import annotations

from dataclasses import dataclass

from controller.errors import RecipientError
from controller.notify.dialling import Allowance
from controller.notify.letterbox import Letter
from controller.notify.mail import Mailer
from controller.notify.messages import Contact
from controller.notify.outcomes import Fate, LetterState, Outcome, Schedule, Verdict
from controller.notify.webhooks import WebhookSender


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Carries letters to webhooks and, where a mail server is set, to people.

    Parameters
    ----------
    webhooks : WebhookSender
    mailer : Mailer or None
    """

    webhooks: WebhookSender
    mailer: Mailer | None = None

    def carry(self, letter: Letter, allowance: Allowance) -> Outcome:
        """Make one attempt; whatever goes wrong outside is an outcome."""
        if isinstance(letter.to, Contact):
            return self._mailed(letter, letter.to, allowance)
        assert letter.notice is not None
        return self.webhooks.send(letter.to, letter.notice, allowance)

    def _mailed(self, letter: Letter, to: Contact, allowance: Allowance) -> Outcome:
        if self.mailer is None:
            return Outcome(fate=Fate.FAILED, reason="no mail server is set (notify.smtp_url)")
        try:
            if letter.notice is None:
                return self.mailer.ask(to, letter.id, allowance)
            return self.mailer.send(to, letter.notice, allowance)
        except RecipientError as error:
            return Outcome(fate=Fate.REFUSED, reason=error.what)


def verdict(
    letter: Letter, outcome: Outcome, schedule: Schedule, *, now: float, chance: float
) -> Verdict:
    """Return what an attempt makes of its letter.

    Parameters
    ----------
    now : float
        When the attempt ended [POSIX s].
    chance : float
        In [0, 1), drawn for the pause.
    """
    assert outcome.fate is not Fate.ABANDONED
    attempts = letter.attempts + 1
    pause_s = None
    if outcome.fate is Fate.FAILED:
        pause_s = schedule.pause_s(attempts, outcome, chance)
    state = LetterState.DEAD if pause_s is None else LetterState.WAITING
    if outcome.fate is Fate.SENT:
        state = LetterState.SETTLED
    return Verdict(
        letter_id=letter.id,
        addressee_id=letter.to.id,
        state=state,
        attempts=attempts,
        at=now,
        due_at=now + (pause_s or 0.0),
        reason=outcome.reason,
        disables=outcome.fate is Fate.GONE,
    )
