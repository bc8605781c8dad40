"""Signatures of webhooks, as Standard Webhooks has them: HMAC-SHA256 with a shared secret.

While a secret is rotated an endpoint has several, and each signs: the receiver checks with the one
that it knows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.errors import RecipientError

PREFIX = "whsec_"
"""How a secret is told from other text."""

SECRETS_MAX = 3
"""Of an endpoint at the same time: the new, the old, and one more for a rotation gone wrong."""

_BYTES_NEW, _BYTES_MIN, _BYTES_MAX = 32, 24, 64


@dataclass(frozen=True, slots=True)
class Secret:
    """A shared secret; its text is never shown.

    Parameters
    ----------
    text : str
        ``whsec_`` and 24 to 64 bytes in base64.

    Raises
    ------
    RecipientError
        It is none. The message does not repeat it.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what signs nothing, or too weakly."""
        if not _BYTES_MIN <= len(self.key) <= _BYTES_MAX:
            raise RecipientError(
                f"a webhook secret holds {len(self.key)} bytes",
                fix=f"It is {PREFIX} and {_BYTES_MIN} to {_BYTES_MAX} bytes in base64",
            )

    @classmethod
    def new(cls) -> Secret:
        """Return a secret that nobody can guess."""
        return cls(PREFIX + base64.b64encode(secrets.token_bytes(_BYTES_NEW)).decode())

    @property
    def key(self) -> bytes:
        """The bytes that sign."""
        if not self.text.startswith(PREFIX):
            raise RecipientError("a webhook secret does not begin with " + PREFIX)
        try:
            return base64.b64decode(self.text.removeprefix(PREFIX), validate=True)
        except ValueError as error:
            raise RecipientError("a webhook secret is not base64 after its prefix") from error


def signature_headers(
    message_id: str, at: float, body: bytes, keys: Iterable[Secret]
) -> dict[str, str]:
    """Return the three headers that let a receiver trust a body.

    Parameters
    ----------
    message_id : str
        The same at each attempt, so that a doubled message is known.
    at : float
        Of this attempt [POSIX s]; receivers refuse old ones.
    body : bytes
    keys : iterable of Secret
        Each gives a signature.

    Notes
    -----
    Standard Webhooks 1.0: base64 of HMAC-SHA256 over ``id.timestamp.body``, marked ``v1``.
    """
    timestamp = str(int(at))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = (hmac.new(key.key, signed, hashlib.sha256).digest() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(s).decode()}" for s in signatures),
    }
