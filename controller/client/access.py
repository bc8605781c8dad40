"""Where the service is and who asks: a URL and a key, from arguments, variables or a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from controller.config.secret_files import read_secret
from controller.config.variables import (
    CA_FILE_VARIABLE,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    URL_VARIABLE,
)
from controller.errors import AccessError

DEFAULT_URL = "http://127.0.0.1:8750"

KEY_FILE = "slackwater/key"
"""Of the folder for configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the service is, and the key to it.

    Parameters
    ----------
    url : str
    key : str
        Empty where none is needed; never shown.
    ca_file : str
        Authorities whose certificates are trusted, instead of those that everybody trusts.
    """

    url: str
    key: str = field(default="", repr=False)
    ca_file: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the service is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            return False


def access_from(
    url: str | None = None,
    key: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Access:
    """Return how to reach a service.

    Parameters
    ----------
    url : str or None
        Default: ``SLACKWATER_URL``, else this machine at the port that a service has by default.
    key : str or None
        Default: ``SLACKWATER_KEY``, else what the file ``SLACKWATER_KEY_FILE`` holds, else
        ``slackwater/key`` in the folder for configuration, if there is one.
    environment : mapping of str to str or None
        Default: that of this process.

    Raises
    ------
    AccessError
        The URL cannot be, or the key cannot be read, or others could read it.
    """
    told = os.environ if environment is None else environment
    found = _checked_url(url or told.get(URL_VARIABLE) or DEFAULT_URL)
    return Access(
        url=found,
        key=_checked_key(key or told.get(KEY_VARIABLE) or _key_of_file(told)),
        ca_file=told.get(CA_FILE_VARIABLE, ""),
    )


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or not url.isprintable():
        raise AccessError(
            f"{_shown(url)!r} is no URL of a service", fix="Write it as http://127.0.0.1:8750"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise AccessError(
            f"the URL of {parts.hostname} holds more than an address",
            fix=f"Write it without user, password and query; a key goes into {KEY_VARIABLE}",
        )
    return url.rstrip("/")


def _shown(url: str) -> str:
    return url.rpartition("@")[2] or url


def _checked_key(key: str) -> str:
    if not key.isascii() or (key and not key.isprintable()):
        raise AccessError("the key holds what no key does", fix="Copy it again")
    return key.strip()


def _key_of_file(environment: Mapping[str, str]) -> str:
    named = environment.get(KEY_FILE_VARIABLE)
    home = environment.get("XDG_CONFIG_HOME") or "~/.config"
    path = Path(named or f"{home}/{KEY_FILE}").expanduser()
    if not named and not path.exists():
        return ""
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise AccessError(f"others may read the key in {path}", fix=f"Run: chmod 600 {path}")
        return read_secret(str(path))
    except (ValueError, OSError) as error:
        raise AccessError(f"the key cannot be used: {error}") from error
