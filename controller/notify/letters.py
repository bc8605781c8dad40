"""The letterbox in a store: notices become letters there, and letters end there."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from controller.notify.letterbox import Letter
from controller.notify.messages import Contact
from controller.notify.notices import Notice, decode, encode
from controller.notify.outcomes import Verdict
from controller.notify.signing import Secret
from controller.notify.tokens import KEY_BYTES_MIN
from controller.notify.webhooks import Endpoint
from controller.store.database import Connection, Database, Row
from controller.store.named import queries

OPERATOR = "*"
"""In place of a subscription: an endpoint or contact that wants the notices of all of them."""

SORTED_MAX = 200
"""Notices sorted in one transaction: it holds the one writer, and the loop waits behind it."""

FORGOTTEN_MAX = 500
"""Letters removed in one transaction, for the same reason."""

QUERIES = queries("controller.notify")
"""By name."""


def notice_row(notice: Notice) -> Row:
    """Return a notice as the store's query `add_notice` takes it, in the loop's transaction."""
    return {
        "id": notice.id,
        "kind": notice.kind.value,
        "subscription_id": notice.subscription_id,
        "task_id": notice.task_id,
        "product_id": notice.product_id,
        "at": notice.at,
        "slack_s": notice.slack_s,
        "text": notice.text,
        "document": encode(notice),
    }


def token_key(database: Database) -> bytes:
    """Return the key that signs the links of e-mails, made at first use."""
    with database.transaction() as connection:
        new = base64.b64encode(secrets.token_bytes(KEY_BYTES_MIN)).decode()
        connection.change(QUERIES["add_key"], {"content": new})
        ((content,),) = connection.fetch(QUERIES["key"], {})
    return base64.b64decode(content)


class StoredLetters:
    """See `controller.notify.letterbox.Letterbox`.

    Parameters
    ----------
    database : Database
    fence : callable, optional
        Called before letters are handed out or changed; raises where another service does that.
    """

    def __init__(
        self, database: Database, fence: Callable[[Connection], None] = lambda connection: None
    ) -> None:
        self._database = database
        self._fence = fence

    def sort(self) -> bool:
        """Write a letter to each addressee of new notices; tell whether there may be more."""
        with self._database.reading() as connection:
            new = connection.fetch(QUERIES["unsorted"], {"limit": SORTED_MAX})
        if not new:
            return False
        marks = [{"id": notice_id} for notice_id, _, _ in new]
        rows = [
            {"notice_id": notice_id, "subscription_id": wanted_by, "at": at}
            for notice_id, subscription_id, at in new
            for wanted_by in (subscription_id, OPERATOR)
        ]
        with self._database.transaction() as connection:
            self._fence(connection)
            connection.change_many(QUERIES["letters_to_endpoints"], rows)
            connection.change_many(QUERIES["letters_to_contacts"], rows)
            connection.change_many(QUERIES["mark_sorted"], marks)
        return len(new) == SORTED_MAX

    def due(self, now: float, limit: int, lane_max: int) -> Sequence[Letter]:
        """Return letters that are due, those due first first; of each lane its first few only."""
        asked = {"now": now, "limit": limit, "lane_max": lane_max}
        with self._database.reading() as connection:
            self._fence(connection)
            lanes = connection.fetch(QUERIES["due_lanes"], asked)
            found = [
                row
                for (lane,) in lanes
                for row in connection.fetch(QUERIES["due_in_lane"], {"lane": lane, **asked})
            ]
        found.sort(key=lambda row: row[:2])
        return [_letter(row[1:]) for row in found[:limit]]

    def record(self, verdicts: Sequence[Verdict]) -> None:
        """Write down, all or nothing, what became of letters."""
        with self._database.transaction() as connection:
            self._fence(connection)
            connection.change_many(QUERIES["record"], map(_record_row, verdicts))
            for verdict in verdicts:
                if verdict.disables:
                    _disable(connection, verdict)

    def forget(self, before: float) -> int:
        """Remove what was settled before an instant [POSIX s]; return how many letters."""
        asked = {"before": before, "limit": FORGOTTEN_MAX}
        with self._database.transaction() as connection:
            self._fence(connection)
            dropped = connection.change(QUERIES["drop_settled"], asked)
            connection.change(QUERIES["drop_told"], asked)
        return dropped


def _disable(connection: Connection, verdict: Verdict) -> None:
    changed = {"id": verdict.addressee_id, "at": verdict.at, "reason": verdict.reason}
    connection.change(QUERIES["disable_endpoint"], changed)
    waiting = {
        "addressee_id": verdict.addressee_id,
        "at": verdict.at,
        "reason": "its endpoint is disabled",
    }
    connection.change(QUERIES["letters_die"], waiting)


def _record_row(verdict: Verdict) -> Row:
    return {
        "id": verdict.letter_id,
        "state": verdict.state.value,
        "attempts": verdict.attempts,
        "due_at": verdict.due_at,
        "at": verdict.at,
        "reason": verdict.reason,
    }


def _letter(row: tuple[Any, ...]) -> Letter:
    id_, lane, attempts, channel, addressee_id, document, url, texts, subscription, address = row
    to: Endpoint | Contact
    if channel == "webhook":
        to = Endpoint(id=addressee_id, url=url, secrets=tuple(map(Secret, texts.split())))
    else:
        to = Contact(id=addressee_id, subscription_id=subscription, address=address)
    notice = decode(document) if document else None
    return Letter(id=id_, lane=lane, attempts=attempts, to=to, notice=notice)
