"""What a cloud's refusals mean: one place where errors of Libcloud become typed ones.

Libcloud raises what its transport and its drivers happen to: an HTTP status with a text, refused
credentials without a status, an answer that is none. What helps depends on what it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError, LibcloudError, MalformedResponseError
from libcloud.compute.types import KeyPairDoesNotExistError

from controller.errors import NodeError, NodeFault

WORDS_MAX = 300
"""Of what a cloud says [characters]: a page of HTML behind a proxy would hide the message."""

RETRY_AFTER_S_MAX = 120.0
"""A cloud that asks for a longer pause [s] is asked again after this one."""

TEXTS: tuple[tuple[re.Pattern[str], NodeFault], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), fault)
    for pattern, fault in (
        (r"multiple possible networks", NodeFault.OURS),
        (r"quota|limitexceeded(?<!requestlimitexceeded)|exceeds .*limit", NodeFault.QUOTA),
        (r"RequestLimitExceeded|Throttl|rate limit|too many requests", NodeFault.RETRY),
        (r"no valid host|insufficient\w*capacity|out of capacity", NodeFault.CAPACITY),
        (r"AuthFailure|Unauthorized|SignatureDoesNotMatch|ExpiredToken", NodeFault.CREDENTIALS),
        (r"InvalidInstanceID\.NotFound|could not be found", NodeFault.GONE),
    )
)
"""What texts tell where a status alone does not, the first that fits counts."""

CODES: dict[str, NodeFault] = {
    "InsufficientInstanceCapacity": NodeFault.CAPACITY,
    "InsufficientHostCapacity": NodeFault.CAPACITY,
    "InsufficientFreeAddressesInSubnet": NodeFault.CAPACITY,
    "SpotMaxPriceTooLow": NodeFault.CAPACITY,
    "MaxSpotInstanceCountExceeded": NodeFault.QUOTA,
    "RequestExpired": NodeFault.CREDENTIALS,
}
"""What EC2's codes mean where neither their status nor a text says so: a full cloud is a 500."""

STATUSES: dict[int, NodeFault] = {
    400: NodeFault.OURS,
    401: NodeFault.CREDENTIALS,
    403: NodeFault.CREDENTIALS,
    404: NodeFault.GONE,
    405: NodeFault.OURS,
    408: NodeFault.RETRY,
    409: NodeFault.RETRY,
    413: NodeFault.RETRY,
    422: NodeFault.OURS,
    425: NodeFault.RETRY,
    429: NodeFault.RETRY,
}
"""What a status tells; from 500 on, another try may succeed."""

JUDGED_BY_TEXT = (400, 403, 404, 409, 413)
"""Statuses that clouds use for several things: a full quota is 403, as is a right not given."""

FIXES: dict[NodeFault, str] = {
    NodeFault.CREDENTIALS: "See the provider's user, password, project and region, and its rights",
    NodeFault.QUOTA: "Free some of it, have it raised, or set nodes_max lower",
    NodeFault.CAPACITY: "The cloud is full just now; another node type may be had",
    NodeFault.OURS: "See the provider's options and those of its node types",
}

FIXES_BY_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"multiple possible networks", re.IGNORECASE),
        "The project has several networks: name one in the provider's option network",
    ),
    (re.compile(r"RequestExpired"), "Set this machine's clock right: it is minutes off"),
)
"""What helps where a text tells more than the kind of fault; the first that fits counts."""

TRANSIENT = (requests.exceptions.RequestException, OSError)
OURS_OF_TRANSPORT = (
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)

NO_ANSWER = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What Libcloud's drivers raise of an answer that lacks what it should hold, as a proxy's page."""

CLOUD_FAULTS = (BaseHTTPError, LibcloudError, *TRANSIENT, *NO_ANSWER)
"""All that a call to a cloud may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a cloud's error means.

    Parameters
    ----------
    fault : NodeFault
    words : str
    retry_after_s : float
        The cloud wants no call before this time has passed [s].
    """

    fault: NodeFault
    words: str
    retry_after_s: float = 0.0

    def error(self, what: str) -> NodeError:
        """Return it as the failure of what was tried."""
        by_text = (fix for pattern, fix in FIXES_BY_TEXT if pattern.search(self.words))
        fix = next(by_text, FIXES.get(self.fault, ""))
        return NodeError(f"{what}: {self.words}", fault=self.fault, fix=fix)


def refusal(error: Exception) -> Refusal:
    """Return what an error of `CLOUD_FAULTS` means."""
    if isinstance(error, BaseHTTPError):
        words = _short(str(error.message or error.code))
        fault = _of_status(int(error.code), words)
        return Refusal(fault=fault, words=words, retry_after_s=_pause_s(error))
    if isinstance(error, LibcloudError):
        return _of_libcloud(error)
    if isinstance(error, NO_ANSWER) and not isinstance(error, TRANSIENT):
        words = f"its answer is none ({_name(error)}: {error})"
        return Refusal(fault=NodeFault.RETRY, words=_short(words))
    if isinstance(error, OURS_OF_TRANSPORT):
        return Refusal(fault=NodeFault.OURS, words=_short(str(error)))
    return Refusal(fault=NodeFault.RETRY, words=f"it does not answer ({_name(error)})")


def _of_libcloud(error: LibcloudError) -> Refusal:
    words = _short(str(error.value))
    match error:
        case InvalidCredsError():
            return Refusal(fault=_of_text(words) or NodeFault.CREDENTIALS, words=words)
        case MalformedResponseError():
            return Refusal(fault=NodeFault.RETRY, words=_short(f"its answer is none: {words}"))
        case KeyPairDoesNotExistError():
            return Refusal(fault=NodeFault.GONE, words=f"no key pair {error.name}")
    return Refusal(fault=_of_text(words) or NodeFault.OURS, words=words)


def _of_status(code: int, words: str) -> NodeFault:
    by_code = CODES.get(words.partition(":")[0])
    by_text = _of_text(words) if code in JUDGED_BY_TEXT else None
    return (
        by_code or by_text or STATUSES.get(code, NodeFault.RETRY if code >= 500 else NodeFault.OURS)
    )


def _of_text(words: str) -> NodeFault | None:
    return next((fault for pattern, fault in TEXTS if pattern.search(words)), None)


def _pause_s(error: BaseHTTPError) -> float:
    try:
        wanted_s = float((error.headers or {}).get("retry-after", 0))
    except ValueError:
        return 0.0
    return min(max(0.0, wanted_s), RETRY_AFTER_S_MAX)


def _short(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= WORDS_MAX else f"{words[: WORDS_MAX - 3]}..."


def _name(error: Exception) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
