"""The ranges that settings of several sections lie in."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

POSITIVE = Field(gt=0)
NOT_NEGATIVE = Field(ge=0)
COUNT = Field(ge=1)
QUANTILE = Field(gt=0, lt=1)

Positive = Annotated[float, POSITIVE]
NotNegative = Annotated[float, NOT_NEGATIVE]
Count = Annotated[int, COUNT]

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]+\]", re.ASCII)


def _read_host(text: str) -> str:
    name = text.lower()
    if not _HOST.fullmatch(name):
        raise ValueError(
            f"host {text!r} cannot be. Write a name or an address, without scheme, port or path"
        )
    return name


Host = Annotated[str, AfterValidator(_read_host)]
"""A host's name in small letters, or its address (IPv6 in brackets)."""


def _read_ipv4_host(text: str) -> str:
    name = _read_host(text)
    if name.startswith("["):
        raise ValueError(f"host {text!r} is of IPv6, which is not spoken here")
    return name


Ipv4Host = Annotated[str, AfterValidator(_read_ipv4_host)]
"""A host's name in small letters, or its address of IPv4."""
