"""The links of our e-mails: who has one was sent it.

A token holds its purpose, the contact and the address, signed by the service's own key: nothing is
stored until somebody follows it, and one for another purpose or address is worth nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from controller.errors import TokenError

OPT_IN_S_MAX = 3 * 86400.0
"""A confirmation may be followed for so long [s]: a weekend, not for ever."""

KEY_BYTES_MIN = 32
"""A shorter key could be guessed."""

_TOKEN_CHARACTERS_MAX = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody who followed a link asks for: this, of this contact at this address."""

    contact_id: str
    address: str


def opt_in_token(key: bytes, asked: Asked, now: float) -> str:
    """Return the token by which an address confirms that it wants our e-mail.

    Parameters
    ----------
    key : bytes
        Of the service, at least `KEY_BYTES_MIN`; a secret.
    asked : Asked
    now : float
        [POSIX s]; the token is good for `OPT_IN_S_MAX` from then on.
    """
    return _signed(key, "opt-in", asked, now + OPT_IN_S_MAX)


def read_opt_in(key: bytes, token: str, now: float) -> Asked:
    """Return who confirms.

    Raises
    ------
    TokenError
        The token is not ours, of another kind, or has expired.
    """
    asked, expires_at = _read(key, "opt-in", token)
    if expires_at is None or now >= expires_at:
        raise TokenError(
            "this confirmation link has expired",
            fix="Ask for a new one by adding the address again",
        )
    return asked


def unsubscribe_token(key: bytes, asked: Asked) -> str:
    """Return the token by which an address ends our e-mail; it never expires."""
    return _signed(key, "unsubscribe", asked, None)


def read_unsubscribe(key: bytes, token: str) -> Asked:
    """Return who wants no more e-mail.

    Raises
    ------
    TokenError
        The token is not ours, or of another kind.
    """
    return _read(key, "unsubscribe", token)[0]


def _signed(key: bytes, purpose: str, asked: Asked, expires_at: float | None) -> str:
    content = json.dumps([purpose, asked.contact_id, asked.address, expires_at]).encode()
    return f"{_text(content)}.{_text(_mac(key, content))}"


def _read(key: bytes, purpose: str, token: str) -> tuple[Asked, float | None]:
    content = _content(key, token)
    if content is None:
        raise TokenError("this link is not one that we sent", fix="Copy it whole from the e-mail")
    # Signed by us, so it has the form that we gave it.
    found, contact_id, address, expires_at = json.loads(content)
    if found != purpose:
        raise TokenError(f"this link is for another purpose ({found})")
    return Asked(contact_id=contact_id, address=address), expires_at


def _content(key: bytes, token: str) -> bytes | None:
    """Return what a token says if we signed it."""
    if len(token) > _TOKEN_CHARACTERS_MAX or not token.isascii():
        return None
    said, _, mac = token.partition(".")
    try:
        content, found = _bytes(said), _bytes(mac)
    except ValueError:
        return None
    return content if hmac.compare_digest(found, _mac(key, content)) else None


def _mac(key: bytes, content: bytes) -> bytes:
    assert len(key) >= KEY_BYTES_MIN
    return hmac.new(key, b"slackwater e-mail link\0" + content, hashlib.sha256).digest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(content) != text:  # bits at the end that stand for nothing
        raise ValueError("not canonical")
    return content
