"""Where products may go: a destination that a person names is confined to what the operator allows.

Checked when a subscription is made and again at each delivery, since links and folders change.
Messages never show the part of a URL that may hold a user's name or password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from controller.errors import DeliveryError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY_USER = re.compile(r"[^/]*@")
# A password may hold a slash: what is shown loses rather too much than too little.
_SHOWN_USER = re.compile(r"(?<=://).*@", re.DOTALL)
_AUTHORITY = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
# A server may decode or cut off what we wrote, so that it means another folder there.
_AMBIGUOUS = re.compile(r"[%?#\\]")

_PORTS: Mapping[str, str] = {"webdav": "80", "webdavs": "443", "sftp": "22"}
"""The schemes whose destinations name a host, and the port that goes without saying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """The schemes and folders that products may be delivered to.

    Parameters
    ----------
    roots : tuple of str
        Folders or fsspec URLs; a destination is one of them or lies below one. The first is where
        products go whose subscription names no destination.
    schemes : tuple of str
        fsspec's names of the file systems allowed. Each needs an atomic move or, like the object
        stores, writes that appear whole.
    hosts : tuple of str
        Servers, as ``host`` or ``host:port``, on which every folder may be a destination too.
    options : mapping of str to mapping
        How destinations are reached, by scheme or by scheme and host; holds credentials.
    """

    roots: tuple[str, ...]
    schemes: tuple[str, ...] = ("file",)
    hosts: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(
        default_factory=dict, repr=False, hash=False
    )

    def resolve(self, destination: str) -> str:
        """Return the URL of a destination, its symbolic links followed.

        Parameters
        ----------
        destination : str
            A path (from the working directory, ``~`` is the home folder) or an fsspec URL.

        Raises
        ------
        DeliveryError
            It is not allowed; a retry does not help.
        """
        url = self._url(destination)
        roots = [self._url(root) for root in self.roots]
        if not any(_is_below(url, root) for root in roots) and not self._is_on_host(url):
            allowed = [*map(without_user, roots), *(f"any on {host}" for host in self.hosts)]
            raise _refusal(
                destination,
                "lies outside the folders that products may go to",
                f"Allowed: {', '.join(allowed) or 'none'}",
            )
        return url

    def options_for(self, url: str) -> dict[str, object]:
        """Return how a destination is reached: what its host says, above what its scheme says.

        Parameters
        ----------
        url : str
            As `resolve` returned it.
        """
        scheme = url.partition("://")[0]
        return {**self.options.get(scheme, {}), **self.options.get(_server_of(url), {})}

    def lane_of(self, destination: str) -> str:
        """Return what a destination shares with those that stall when it does: its server or root.

        Nothing is looked up, neither in a file system nor in the network: either could hang.
        """
        scheme, rest = _split(destination)
        if scheme != "file":
            return _server_of(f"{scheme}://{rest.lower()}")
        above = (root for root in self.roots if _is_below(destination, root))
        return max(above, key=len, default="file")

    def _is_on_host(self, url: str) -> bool:
        scheme, _, rest = url.partition("://")
        if scheme not in _PORTS:
            return False
        authority = rest.partition("/")[0]
        return authority in {_without_port(scheme, host.lower()) for host in self.hosts}

    def default_for(self, subscription_id: str) -> str:
        """Return the destination of a subscription that names none.

        Raises
        ------
        DeliveryError
            There is no root, or a link leads out of it.
        """
        if not self.roots:
            raise DeliveryError(
                f"subscription {subscription_id} names no destination and there is no default",
                fix="Give it one, or set delivery.roots",
                retry=False,
            )
        return self.resolve(f"{self.roots[0].rstrip('/')}/{subscription_id}")

    def _url(self, destination: str) -> str:
        if not destination.strip() or not destination.isprintable():
            raise _refusal(destination, "is empty or unprintable", "Name a folder")
        scheme, rest = _split(destination)
        if scheme not in self.schemes or "::" in destination:
            raise _refusal(
                destination,
                f"is of scheme {scheme}, which is not allowed",
                f"Allowed: {', '.join(self.schemes)}",
            )
        if ".." in PurePosixPath(rest).parts:
            raise _refusal(destination, "has '..' in it", "Write the path without")
        return _local(destination, rest) if scheme == "file" else _remote(destination, scheme, rest)


def _local(destination: str, path: str) -> str:
    if destination != path and not path.startswith("/"):
        raise _refusal(destination, "names another machine", "Write file:///folder")
    try:
        return f"file://{Path(path).expanduser().resolve()}"
    except RuntimeError as error:  # an unknown user's home, a loop of links
        raise _refusal(destination, f"leads nowhere ({error})", "Name a folder") from error


def _remote(destination: str, scheme: str, rest: str) -> str:
    if _AUTHORITY_USER.match(rest):
        raise _refusal(
            destination,
            "has a user's name in it",
            "Give credentials to delivery.options_file or fsspec's configuration, not in the URL",
        )
    if _AMBIGUOUS.search(rest):
        raise _refusal(destination, "has one of % ? # \\ in it", "Write the path without")
    authority, _, path = rest.partition("/")
    if scheme in _PORTS:
        authority = _without_port(scheme, authority.lower())
        if not _AUTHORITY.fullmatch(authority):
            raise _refusal(destination, "names no host", f"Write {scheme}://host/folder")
    parts = [authority, *(part for part in path.split("/") if part not in {"", "."})]
    return f"{scheme}://{'/'.join(parts)}"


def _without_port(scheme: str, authority: str) -> str:
    return authority.removesuffix(f":{_PORTS[scheme]}")


def _server_of(url: str) -> str:
    """Return the part of a URL that names a server, or the bucket of a store."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    return f"{scheme}://{_without_port(scheme, authority) if scheme in _PORTS else authority}"


def without_user(url: str) -> str:
    """Return a URL fit for messages and logs: without user name and password."""
    return _SHOWN_USER.sub("", url)


def _split(destination: str) -> tuple[str, str]:
    found = _URL.fullmatch(destination)
    if not found:
        return "file", destination
    return found[1].lower(), found[2]


def _is_below(url: str, root: str) -> bool:
    return url == root or url.startswith(root.rstrip("/") + "/")


def _refusal(destination: str, what: str, fix: str) -> DeliveryError:
    return DeliveryError(f"destination {without_user(destination)!r} {what}", fix=fix, retry=False)
