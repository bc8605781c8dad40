"""Fetches a file only if it is another than the last time: over HTTP, and from file systems.

A stamp says which state of a file was read: what the server calls its ETag, or size and time of
change. It is opaque, and good for nothing but to be compared.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

import httpx
import msgspec

from controller.apps.argo.archive import MissingFile
from controller.destinations import without_user
from controller.errors import ArchiveError
from controller.sources.reaching import Limits, Reaching, Unsettled

BLOCK_BYTES = 2**20
"""Read at once, between two looks at the limits."""

REDIRECTS_MAX = 5
"""A server may send on so often; mirrors do once or twice."""

STAMPS = ("ETag", "etag", "checksum", "mtime", "LastModified", "last_modified", "modified")
"""What file systems call what changes with a file, the surest first."""

_LOCAL = ("file", "local")


class Place(Protocol):
    """A folder somewhere whose files are fetched by name."""

    def fetch(self, name: str, stamp: str | None, into: IO[bytes]) -> str | None:
        """Copy a file and return the stamp of what was copied; None if it is what `stamp` says.

        Raises
        ------
        MissingFile
            There is no such file.
        Unsettled
            It is being written.
        ArchiveError
            It cannot be read now, changed meanwhile, or is beyond the limits.
        """


@dataclass(slots=True, kw_only=True)
class Budget:
    """What a fetch may still take; `spend` raises when it took too much."""

    what: str
    limits: Limits
    clock: Callable[[], float] = time.monotonic
    taken_bytes: int = 0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        """Look at the clock."""
        self.began = self.clock()

    def spend(self, count: int) -> None:
        """Count bytes.

        Raises
        ------
        ArchiveError
        """
        self.taken_bytes += count
        if self.taken_bytes > self.limits.bytes_max:
            raise ArchiveError(f"{self.what} has more than {self.limits.bytes_max:,} bytes")
        if self.clock() - self.began > self.limits.fetch_s_max:
            raise ArchiveError(
                f"{self.what} was not there after {self.limits.fetch_s_max:g} s", retry=True
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlace:
    """A folder of a file system that fsspec knows: local, S3, WebDAV...

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    root : str
        The folder as the file system names it.
    shown : str
        Its URL, for messages.
    limits : Limits
    clock : callable
        Returns POSIX seconds.
    """

    filesystem: Any = field(repr=False)
    root: str
    shown: str
    limits: Limits
    clock: Callable[[], float] = time.time

    def fetch(self, name: str, stamp: str | None, into: IO[bytes]) -> str | None:
        """See `Place.fetch`."""
        what, place = f"{name} of {self.shown}", f"{self.root}/{name}"
        try:
            with Reaching(what):
                before = self._told(place)
                if stamp_of(before) == stamp:
                    return None
                self._refuse_unsettled(before, what)
                self._copy(place, into, Budget(what=what, limits=self.limits))
                after = self._told(place)
        except ArchiveError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise MissingFile(f"{self.shown} has no {name}") from error
            raise
        if stamp_of(before) != stamp_of(after):
            raise Unsettled(f"{what} changed while it was read")
        return stamp_of(before)

    def _told(self, place: str) -> Mapping[str, Any]:
        # File systems remember what they listed, and would never see a change.
        self.filesystem.invalidate_cache()
        told: Mapping[str, Any] = self.filesystem.info(place)
        return told

    def _copy(self, place: str, into: IO[bytes], budget: Budget) -> None:
        with self.filesystem.open(place, "rb", cache_type="readahead") as file:
            while block := file.read(BLOCK_BYTES):
                budget.spend(len(block))
                into.write(block)

    def _refuse_unsettled(self, told: Mapping[str, Any], what: str) -> None:
        protocol = self.filesystem.protocol
        names = (protocol,) if isinstance(protocol, str) else protocol
        # Others write a file whole or not at all.
        if not set(names) & set(_LOCAL):
            return
        if told["type"] != "file":
            raise ArchiveError(f"{what} is no regular file")
        if 0 <= self.clock() - told["mtime"] < self.limits.settle_s:
            raise Unsettled(f"{what} was written just now")


def stamp_of(told: Mapping[str, Any]) -> str:
    """Return the stamp of a file of which a file system tells this much."""
    mark = next((str(told[name]) for name in STAMPS if told.get(name)), "")
    inode = told.get("ino", "")
    return msgspec.json.encode([mark, told.get("size"), inode]).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPlace:
    """A folder behind a web server.

    One request asks whether a file is another, and brings it if so.

    Parameters
    ----------
    url : str
        Of the folder; may hold a user's name and password.
    limits : Limits
    headers : mapping of str to str
        Sent with every request.
    """

    url: str = field(repr=False)
    limits: Limits
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def fetch(self, name: str, stamp: str | None, into: IO[bytes]) -> str | None:
        """See `Place.fetch`."""
        what = f"{name} of {without_user(self.url)}"
        with Reaching(what), self._client() as client:
            asking = _conditions(stamp)
            with client.stream("GET", f"{self.url.rstrip('/')}/{name}", headers=asking) as answer:
                if answer.status_code == httpx.codes.NOT_MODIFIED and stamp:
                    return None
                _refuse(answer, what)
                if stamp and _stamp(answer) == stamp:
                    return None
                self._refuse_unsettled(answer, what)
                budget = Budget(what=what, limits=self.limits)
                for block in answer.iter_raw(BLOCK_BYTES):
                    budget.spend(len(block))
                    into.write(block)
                return _stamp(answer)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            timeout=self.limits.timeout_s,
            verify=_certificates(),
            follow_redirects=True,
            max_redirects=REDIRECTS_MAX,
            headers={"Accept-Encoding": "identity", **self.headers},
            event_hooks={"request": [self._refuse_host]},
        )

    def _refuse_host(self, request: httpx.Request) -> None:
        """Refuse to be sent on to another host than those allowed, or out of encryption."""
        own = urlsplit(self.url)
        allowed = self.limits.hosts or (own.hostname or "",)
        if request.url.host not in allowed:
            raise ArchiveError(
                f"{without_user(self.url)} leads to host {request.url.host}",
                fix="Allow it in sources.hosts, or correct the URL of the archive",
            )
        if own.scheme == "https" and request.url.scheme != "https":
            raise ArchiveError(f"{without_user(self.url)} leads from https to http")

    def _refuse_unsettled(self, answer: httpx.Response, what: str) -> None:
        # Both instants are the server's own, so that no clock but its counts.
        changed, now = _instant(answer, "Last-Modified"), _instant(answer, "Date")
        if changed and now and 0 <= (now - changed).total_seconds() < self.limits.settle_s:
            raise Unsettled(f"{what} was written just now")


@cache
def _certificates() -> ssl.SSLContext:
    """Return whom to trust; reading that takes longer than a request."""
    return httpx.create_ssl_context()


def _conditions(stamp: str | None) -> dict[str, str]:
    if not stamp:
        return {}
    tag, modified, _ = msgspec.json.decode(stamp, type=tuple[str, str, str])
    if tag:
        return {"If-None-Match": tag}
    return {"If-Modified-Since": modified} if modified else {}


def _stamp(answer: httpx.Response) -> str:
    names = ("ETag", "Last-Modified", "Content-Length")
    told = [answer.headers.get(name, "") for name in names]
    # Of a server that tells nothing every answer is news until it was compared.
    return msgspec.json.encode(told).decode() if any(told[:2]) else ""


def _instant(answer: httpx.Response, name: str) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers[name])
    except (KeyError, ValueError):
        return None


def _refuse(answer: httpx.Response, what: str) -> None:
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise MissingFile(f"{what} is not there (HTTP {answer.status_code})")
    if answer.status_code != httpx.codes.OK:
        raise ArchiveError(
            f"{what} cannot be read: HTTP {answer.status_code} {answer.reason_phrase}",
            retry=answer.status_code >= 500 or answer.status_code == 429,
        )
