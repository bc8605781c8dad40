"""What it takes to reach an archive: limits, and the faults of many libraries as one of ours."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from types import TracebackType

from controller.errors import ArchiveError

_FAMILIES = (
    "aiobotocore", "aiohttp", "asyncio", "botocore", "fsspec", "httpcore", "httpx", "s3fs", "ssl",
    "webdav4",
)  # fmt: skip
"""Libraries under the file systems; each raises errors of its own, and few are an `OSError`."""

BYTES_MAX = 2 * 2**30
"""Largest index fetched [bytes]: seven times the GDAC's plain one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a look at an archive may take.

    Parameters
    ----------
    timeout_s : float
        Of each step over the network: to connect, to hear the next bytes [s].
    fetch_s_max : float
        Of fetching one index as a whole [s]; who sends a byte a second is given up.
    bytes_max : int
        Of one index [bytes], packed as it may be.
    settle_s : float
        What changed less than this ago may still be written, and is looked at later [s].
    hosts : tuple of str
        The only hosts that an archive behind HTTP may be reached at or send on to; none given means
        that of the archive.
    """

    timeout_s: float = 30.0
    fetch_s_max: float = 1800.0
    bytes_max: int = BYTES_MAX
    settle_s: float = 5.0
    hosts: tuple[str, ...] = ()


NO_HURRY = Limits()
"""Those that hold where nobody says otherwise."""


class Unsettled(ArchiveError):
    """What an archive holds is being written right now: it is looked at again when it rests."""

    def __init__(self, what: str) -> None:
        super().__init__(what, fix="It is looked at again in a moment", retry=True)


class Reaching:
    """Turns what goes wrong inside into an `ArchiveError`; our own errors pass.

    Parameters
    ----------
    what : str
        What cannot be read, for the message.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Name the fault."""
        if isinstance(error, Exception) and is_foreign(error):
            told = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ArchiveError(f"{self._what} cannot be read: {told}", retry=True) from error


def is_foreign(error: Exception) -> bool:
    """Tell whether an error comes from the system, the network or a library that talks to it."""
    if isinstance(error, OSError | EOFError | zlib.error):
        return True
    return type(error).__module__.partition(".")[0] in _FAMILIES
