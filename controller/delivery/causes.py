"""What an error at a destination means: what happened, what to do, whether a retry may help."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """What keeps a product from its destination, in words that go on after the destination's URL.

    Parameters
    ----------
    what : str
        What happened.
    fix : str
        What to do about it; empty where nobody knows.
    retry : bool
        Whether another try may succeed.
    """

    what: str
    fix: str
    retry: bool


FULL = Cause("is full", "Free space there; it is tried again", True)
OVER_QUOTA = Cause("is over its quota", "Free space there; it is tried again", True)
FORBIDDEN = Cause("may not be written to", "Give this user the right to write there", False)
NO_FOLDER = Cause("is not a folder", "Name a folder", False)
FOLDER_IN_THE_WAY = Cause(
    "has a folder where the product should be", "Move that folder away", False
)
REFUSED_USER = Cause(
    "does not accept the credentials",
    "Correct them in delivery.options_file or fsspec's configuration",
    False,
)
MISSING = Cause("lacks a folder above it", "Make it, or name another destination", False)
SLOW = Cause("does not answer in time", "See whether it is up; it is tried again", True)
BROKEN_OFF = Cause("broke the connection off", "It is tried again", True)
BUSY = Cause("is busy", "It is tried again", True)
UNTRUSTED = Cause(
    "shows a certificate that is not trusted",
    "Name the file of its authority: ca_file in delivery.options_file",
    False,
)

_SYSTEM: Mapping[int, Cause] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: OVER_QUOTA,
    errno.EROFS: Cause("is read-only", "Make it writable or name another destination", False),
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.ENOTDIR: NO_FOLDER,
    errno.EEXIST: NO_FOLDER,
    errno.EISDIR: FOLDER_IN_THE_WAY,
    errno.ENAMETOOLONG: Cause("has too long a name", "Name a shorter one", False),
    errno.ECONNREFUSED: Cause(
        "refuses connections", "See whether it is up; it is tried again", True
    ),
    errno.ENETUNREACH: Cause("is out of reach", "See to the network; it is tried again", True),
    errno.EHOSTUNREACH: Cause("is out of reach", "See to the network; it is tried again", True),
    errno.ETIMEDOUT: SLOW,
    errno.ECONNRESET: BROKEN_OFF,
    errno.EPIPE: BROKEN_OFF,
}

# Looked through from the top: what is more special stands above what holds it.
_KINDS: tuple[tuple[type[BaseException], Cause], ...] = (
    (ssl.SSLCertVerificationError, UNTRUSTED),
    (ssl.SSLError, Cause("speaks no TLS that fits", "Check its port and its scheme", False)),
    (
        socket.gaierror,
        Cause("has a host name that nobody knows", "Correct it, or see to the network", True),
    ),
    (TimeoutError, SLOW),
    (ConnectionRefusedError, _SYSTEM[errno.ECONNREFUSED]),
    (ConnectionError, BROKEN_OFF),
    (EOFError, BROKEN_OFF),
)

_STATUS: Mapping[int, Cause] = {
    401: REFUSED_USER,
    403: FORBIDDEN,
    404: MISSING,
    405: NO_FOLDER,
    409: MISSING,
    413: Cause("takes no file of this size", "Raise its limit, or ask for less", False),
    423: Cause("has locked the file", "It is tried again", True),
    429: BUSY,
    502: BUSY,
    503: BUSY,
    504: SLOW,
    507: FULL,
}


def system_cause(error: OSError) -> Cause:
    """Return what an error of the operating system means."""
    if known := _SYSTEM.get(error.errno or 0):
        return known
    return Cause(f"failed: {error.strerror or error}", "", True)


def network_cause(error: BaseException) -> Cause | None:
    """Return what the error of a connection means, from what lies at its bottom; None if unclear.

    Libraries wrap what the socket said; the chain of causes still holds it.
    """
    chain = list(_chain(error))
    for each in reversed(chain):
        for kind, cause in _KINDS:
            if isinstance(each, kind):
                return cause
        if isinstance(each, OSError) and each.errno and each.errno in _SYSTEM:
            return _SYSTEM[each.errno]
    return None


def status_cause(status: int) -> Cause:
    """Return what a status of HTTP means."""
    if known := _STATUS.get(status):
        return known
    return Cause(f"answered with HTTP status {status}", "", status >= 500)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__
