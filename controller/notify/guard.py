"""Where webhooks may lead: a URL from a user must not reach into our own network.

The name is resolved here, every address it has is judged, and the connection goes to an address
that was judged (`controller.notify.dialling`): what a name means cannot change between the two.
This happens at each attempt and at each redirect.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from controller.destinations import without_user
from controller.errors import RecipientError

URL_CHARACTERS_MAX = 2048
"""Longer URLs are refused by many servers too."""

ADDRESSES_MAX = 8
"""Of a name, tried at most: a name with thousands must not keep an attempt busy."""

Resolve = Callable[[str, int], Iterable[str]]
"""Returns the addresses of a host; raises `OSError` where there are none."""

_NAT64 = IPv6Network("64:ff9b::/96")

_UNICAST = IPv6Network("2000::/3")
"""All that is given out of IPv6; what lies elsewhere is for special purposes."""

_SPECIAL = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv6Network("2001::/23"),  # protocol assignments, as Teredo
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address is hidden in it
    IPv6Network("3fff::/20"),  # documentation
)
"""What some versions of Python take for global, beside what `is_global` refuses."""


def system_addresses(host: str, port: int) -> Iterable[str]:
    """Return the addresses that this machine's resolver knows of a host, best first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return dict.fromkeys(str(place[0]) for *_, place in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one request goes.

    Parameters
    ----------
    scheme : str
        "https" or "http".
    host : str
        As the certificate must have it; ASCII.
    port : int
    netloc : str
        For the header Host.
    path : bytes
        With the query.
    addresses : tuple of str
        Judged and allowed; in the order in which they are tried.
    """

    scheme: str
    host: str
    port: int
    netloc: str
    path: bytes
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What the operator allows webhooks to reach.

    Parameters
    ----------
    private_addresses_allowed : bool
        Whether addresses inside our own network may be reached, as of this machine itself.
    hosts_allowed : tuple of str
        Names or addresses that may be reached wherever they lie, also by http.
    resolve : Resolve
    """

    private_addresses_allowed: bool = False
    hosts_allowed: tuple[str, ...] = ()
    resolve: Resolve = system_addresses

    def check(self, url: str) -> Target:
        """Judge what a URL says, without asking what its name means: for when it is named.

        Raises
        ------
        RecipientError
            It may not be used; a retry does not help.
        """
        target = _parsed(url)
        if target.scheme == "http" and not self._may_be_plain(target.host):
            raise _refusal(url, "is not https", "Only hosts that the operator allows may be http")
        literal = _literal(target.host)
        if literal is not None:
            self._judge(target, [str(literal)])
        return target

    def target(self, url: str) -> Target:
        """Judge a URL and each address that its name has now: for each request.

        Raises
        ------
        RecipientError
            It may not be reached, or its name is not found.
        """
        target = self.check(url)
        try:
            found = tuple(self.resolve(target.host, target.port))[:ADDRESSES_MAX]
        except (OSError, UnicodeError) as error:
            raise RecipientError(f"host {target.host} is not found", retry=True) from error
        self._judge(target, found)
        return Target(
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            netloc=target.netloc,
            path=target.path,
            addresses=found,
        )

    def _judge(self, target: Target, addresses: Iterable[str]) -> None:
        """Refuse a host if any of its addresses may not be reached.

        The refusal does not say which: it would tell an outsider what our names mean.
        """
        if self._is_listed(target.host):
            return
        found = [ip_address(address) for address in addresses]
        allowed = is_inside_or_public if self.private_addresses_allowed else is_public
        if not found or not all(map(allowed, found)):
            raise RecipientError(
                f"host {target.host} has an address that may not be reached",
                fix="Operators allow hosts by name, or private addresses at large",
                retry=True,
            )
        if target.scheme == "http" and not all(address.is_loopback for address in found):
            raise RecipientError(f"host {target.host} is not this machine, so http is refused")

    def _may_be_plain(self, host: str) -> bool:
        return self.private_addresses_allowed or self._is_listed(host)

    def _is_listed(self, host: str) -> bool:
        return host in {one.lower().rstrip(".").strip("[]") for one in self.hosts_allowed}


Address = IPv4Address | IPv6Address


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the internet at large, also if another is hidden in it."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def is_inside_or_public(address: Address) -> bool:
    """Tell whether an address is one machine's: public, private or this machine's own.

    Link-local ones stay refused: clouds hand out credentials there.
    """
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_inside_or_public(inner)
    if address.is_loopback:
        return True
    nowhere = address.is_multicast or address.is_unspecified or address.is_reserved
    return not nowhere and not address.is_link_local


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for, if it does."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _parsed(url: str) -> Target:
    """Return what a URL says; what checks it is what connects, so the two cannot differ."""
    if len(url) > URL_CHARACTERS_MAX or not (url.isascii() and url.isprintable()) or " " in url:
        raise _refusal(url, "is too long, or has characters that no URL has", "Write it in ASCII")
    try:
        found = httpx.URL(url)
        port = {"https": 443, "http": 80}.get(found.scheme, 0) if found.port is None else found.port
    except httpx.InvalidURL as error:
        raise _refusal(url, f"is no URL ({error})", "") from error
    if found.scheme not in {"https", "http"} or not found.host:
        raise _refusal(url, "is not an https URL", "")
    if not 1 <= port <= 65535:
        raise _refusal(url, "names a port that cannot be", "")
    if found.userinfo:
        raise _refusal(url, "has a user's name in it", "Receivers check the signature instead")
    if found.fragment:
        raise _refusal(url, "has a fragment, which is never sent", "Leave out what follows #")
    return Target(
        scheme=found.scheme,
        host=found.raw_host.decode("ascii").rstrip("."),
        port=port,
        netloc=found.netloc.decode("ascii"),
        path=found.raw_path,
    )


def _refusal(url: str, what: str, fix: str) -> RecipientError:
    return RecipientError(f"webhook {without_user(url)[:200]!r} {what}", fix=fix)
