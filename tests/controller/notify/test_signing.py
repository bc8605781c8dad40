"""Signatures, as the reference implementation of Standard Webhooks checks them."""

from __future__ import annotations

import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from controller.errors import RecipientError
from controller.notify.signing import Secret, signature_headers

BODY = '{"id":"mer-é"}'.encode()


def test_a_receiver_believes_the_signature_and_no_changed_body() -> None:
    secret = Secret.new()
    headers = signature_headers("m1", time.time(), BODY, [secret])
    assert Webhook(secret.text).verify(BODY, headers) == {"id": "mer-é"}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.text).verify(BODY + b" ", headers)


def test_while_secrets_rotate_both_verify_and_others_do_not() -> None:
    new, old, other = Secret.new(), Secret.new(), Secret.new()
    headers = signature_headers("m1", time.time(), BODY, [new, old])
    for known in (new, old):
        Webhook(known.text).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other.text).verify(BODY, headers)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_c2hvcnQ=", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "whsec_????"]
)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(RecipientError) as caught:
        Secret(text)
    assert len(text) <= len("whsec_") or text not in str(caught.value)


def test_a_secret_is_never_shown() -> None:
    secret = Secret.new()
    assert secret.text not in repr(secret)
    assert secret.text not in str([secret])
