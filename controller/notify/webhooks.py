"""Telling a notice to a webhook: signed, once, wherever it may lead."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpcore
import httpx

from controller.build import VERSION
from controller.errors import RecipientError
from controller.notify.dialling import Allowance, Answer, post
from controller.notify.guard import Guard, Target
from controller.notify.notices import Notice
from controller.notify.outcomes import Fate, Outcome, retry_after_s
from controller.notify.payload import CONTENT_TYPE, cloud_event
from controller.notify.signing import Secret, signature_headers

REDIRECTS_MAX = 3
"""A receiver that moved names its new place in one step; more is a loop."""

_REDIRECTS = frozenset({307, 308})
"""Those that keep a POST a POST; the others would make it a GET, so they count as failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A webhook that wants the notices of a subscription.

    Parameters
    ----------
    id : str
    url : str
    secrets : tuple of Secret
        Newest first.
    """

    id: str
    url: str
    secrets: tuple[Secret, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSender:
    """Sends notices to webhooks.

    Parameters
    ----------
    guard : Guard
    source : str
        A URI reference that names this service.
    clock : callable
        The time [POSIX s] that signatures tell.
    tls : ssl.SSLContext
        Whose certificates are believed; the system's, if not told.
    """

    guard: Guard
    source: str = "/slackwater"
    clock: Callable[[], float] = time.time
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def send(self, endpoint: Endpoint, notice: Notice, allowance: Allowance) -> Outcome:
        """Make one attempt; whatever goes wrong outside is an outcome."""
        body = cloud_event(notice, self.source)
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": f"slackwater/{VERSION}",
            **signature_headers(notice.id, self.clock(), body, endpoint.secrets),
        }
        try:
            return self._followed(endpoint.url, headers, body, allowance)
        except RecipientError as error:
            return Outcome(fate=Fate.FAILED, reason=error.what)
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            if allowance.is_cancelled:
                return Outcome(fate=Fate.ABANDONED)
            return Outcome(fate=Fate.FAILED, reason=_cause(error))

    def _followed(
        self, url: str, headers: dict[str, str], body: bytes, allowance: Allowance
    ) -> Outcome:
        for _ in range(1 + REDIRECTS_MAX):
            target = self.guard.target(url)
            answer = post(target, headers, body, allowance, self.tls)
            if answer.status not in _REDIRECTS or not answer.location:
                return self._outcome(answer)
            url = _moved(url, target, answer)
        return Outcome(fate=Fate.FAILED, reason=f"more than {REDIRECTS_MAX} redirects")

    def _outcome(self, answer: Answer) -> Outcome:
        if 200 <= answer.status < 300:
            return Outcome(fate=Fate.SENT)
        if answer.status == 410:
            return Outcome(fate=Fate.GONE, reason="it answered 410 Gone")
        return Outcome(
            fate=Fate.FAILED,
            reason=f"it answered {answer.status}",
            retry_after_s=retry_after_s(answer.retry_after, self.clock()),
        )


def _moved(url: str, target: Target, answer: Answer) -> str:
    """Return where a redirect leads; the guard judges it like any other."""
    try:
        moved = httpx.URL(url).join(answer.location)
    except httpx.InvalidURL as error:
        raise RecipientError("it redirects to what is no URL") from error
    if target.scheme == "https" and moved.scheme != "https":
        raise RecipientError("it redirects from https to something else")
    return str(moved)


def _cause(error: Exception) -> str:
    """Return a failed connection in words of ours."""
    match error:
        case httpcore.ConnectTimeout():
            return "no connection in time"
        case httpcore.TimeoutException():
            return "no answer in time"
        case httpcore.ConnectError() if isinstance(error.args[0], ssl.SSLError):
            return "its certificate is not trusted, or TLS failed"
        case httpcore.ConnectError():
            return "it refused the connection"
        case httpcore.ProtocolError():
            return "its answer is not HTTP"
    return "the connection broke"
