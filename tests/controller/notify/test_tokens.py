"""The links of e-mails: ours, whole, for their purpose, in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import TokenError
from controller.notify.tokens import (
    OPT_IN_S_MAX,
    Asked,
    opt_in_token,
    read_opt_in,
    read_unsubscribe,
    unsubscribe_token,
)

KEY = bytes(range(32))
ANNA = Asked(contact_id="c-1", address="anna@example.org")


def test_a_token_brings_back_what_it_was_made_of() -> None:
    assert read_opt_in(KEY, opt_in_token(KEY, ANNA, 100.0), 200.0) == ANNA
    assert read_unsubscribe(KEY, unsubscribe_token(KEY, ANNA)) == ANNA


def test_a_confirmation_expires_and_the_way_out_does_not() -> None:
    token = opt_in_token(KEY, ANNA, 100.0)
    with pytest.raises(TokenError, match="expired"):
        read_opt_in(KEY, token, 100.0 + OPT_IN_S_MAX)


def test_a_token_for_one_purpose_serves_no_other() -> None:
    with pytest.raises(TokenError, match="another purpose"):
        read_opt_in(KEY, unsubscribe_token(KEY, ANNA), 0.0)
    with pytest.raises(TokenError, match="another purpose"):
        read_unsubscribe(KEY, opt_in_token(KEY, ANNA, 0.0))


def test_a_token_of_another_key_is_none_of_ours() -> None:
    with pytest.raises(TokenError, match="not one that we sent"):
        read_unsubscribe(bytes(32), unsubscribe_token(KEY, ANNA))


@given(place=st.integers(0, 200), character=st.sampled_from("ABCxyz019-_."))
def test_a_changed_token_is_none_of_ours(place: int, character: str) -> None:
    token = unsubscribe_token(KEY, ANNA)
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    if changed == token:
        return
    with pytest.raises(TokenError, match="not one that we sent"):
        read_unsubscribe(KEY, changed)


@given(st.text())
def test_what_is_no_token_is_refused_calmly(token: str) -> None:
    with pytest.raises(TokenError):
        read_unsubscribe(KEY, token)
