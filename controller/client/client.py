"""The client: one method for each thing that a service may be asked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from controller.client.access import access_from
from controller.client.answers import (
    Announced,
    Decision,
    Estimate,
    Health,
    Node,
    Policy,
    Product,
    Scale,
    State,
    Subscription,
    Task,
    Update,
    Webhook,
    Wish,
)
from controller.client.connection import Connection, decoded
from controller.errors import ServiceError

Document = Wish | Mapping[str, Any]
"""A wish, or the keys of an entry of a subscriptions file."""


class Client:
    """A service, to be asked. Safe to share between threads; `close` it, or use it in ``with``.

    A request that is told to come back later (429, 503) is made again up to five times, after the
    pause that the service asks for.

    Parameters
    ----------
    url : str or None
        Default: ``SLACKWATER_URL``, else ``http://127.0.0.1:8750``.
    key : str or None
        Default: ``SLACKWATER_KEY``, else that of a key file; see `access_from`.
    pause : callable
        Waits for a number of seconds before a request is made again.

    Raises
    ------
    AccessError
        The URL or the key cannot be used. Every method raises `Unreachable` when nobody answers,
        and `ServiceError` when the service refuses.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = Connection(access_from(url, key), pause)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._connection.access.url

    def __enter__(self) -> Self:
        """Return this client, which is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()

    # --- subscriptions

    def subscribe(self, wish: Document) -> Subscription:
        """Make a subscription; `warnings` of the answer say whether its deadline is at risk."""
        # By its key the service knows a request that comes again, after an answer that was lost.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return _subscription(
            self._connection.ask("POST", "/v1/subscriptions", body=_body(wish), headers=headers)
        )

    def estimate(self, wish: Document) -> Estimate:
        """Tell what a subscription would take; makes nothing."""
        return self._connection.value(Estimate, "POST", "/v1/estimates", body=_body(wish))

    def subscriptions(self) -> Iterator[Subscription]:
        """Yield one's own subscriptions in order of their ids; an operator's client yields all."""
        return self._connection.entries(Subscription, "/v1/subscriptions", {})

    def subscription(self, name: str) -> Subscription:
        """Return one subscription, with its account and its `etag`."""
        return _subscription(self._connection.ask("GET", _of("subscriptions", name)))

    def change(self, wish: Document, *, etag: str = "") -> Subscription:
        """Change a subscription into a new version; with an `etag` only if nobody else did."""
        path = _of("subscriptions", _name_of(wish))
        headers = {"If-Match": etag} if etag else {}
        return _subscription(self._connection.ask("PUT", path, body=_body(wish), headers=headers))

    def remove(self, name: str, *, etag: str = "") -> None:
        """End a subscription; its open tasks are dropped, its products stay."""
        headers = {"If-Match": etag} if etag else {}
        self._connection.ask("DELETE", _of("subscriptions", name), headers=headers)

    def pause(self, name: str) -> Subscription:
        """Let updates make no more tasks; what comes in between is one task on resuming."""
        return _subscription(self._connection.ask("POST", _of("subscriptions", name, "pause")))

    def resume(self, name: str) -> Subscription:
        """Let updates make tasks again."""
        return _subscription(self._connection.ask("POST", _of("subscriptions", name, "resume")))

    def make_full(self, name: str) -> Subscription:
        """Have one product made of all that was delivered so far."""
        return _subscription(self._connection.ask("POST", _of("subscriptions", name, "full")))

    def webhooks(self, name: str) -> tuple[Webhook, ...]:
        """Return the webhooks of a subscription; of ``*``, those that hear of all."""
        path = _of("subscriptions", name, "webhooks")
        return self._connection.value(_Webhooks, "GET", path).items

    def add_webhook(self, name: str, url: str) -> Webhook:
        """Have a URL told of a subscription's products; the answer holds its secret, this once."""
        path, body = _of("subscriptions", name, "webhooks"), msgspec.json.encode({"url": url})
        return self._connection.value(Webhook, "POST", path, body=body)

    def remove_webhook(self, name: str, webhook: str) -> None:
        """Tell a URL nothing any more."""
        self._connection.ask("DELETE", _of("subscriptions", name, "webhooks", webhook))

    # --- what became of them

    def tasks(self, *, subscription: str = "", open_only: bool = False) -> Iterator[Task]:
        """Yield tasks in order of arrival."""
        query = {"subscription": subscription or None, "open_only": open_only or None}
        return self._connection.entries(Task, "/v1/tasks", query)

    def task(self, name: str) -> Task:
        """Return one task."""
        return self._connection.value(Task, "GET", _of("tasks", name))

    def products(self, *, subscription: str = "") -> Iterator[Product]:
        """Yield delivered products in the order of their tasks."""
        query = {"subscription": subscription or None}
        return self._connection.entries(Product, "/v1/products", query)

    def product(self, name: str) -> Product:
        """Return one delivered product."""
        # <subscription>-v<version>-<updates>; an id of a subscription may itself look so.
        pieces = name.split("-v")
        for count in range(len(pieces) - 1, 0, -1):
            for product in self.products(subscription="-v".join(pieces[:count])):
                if product.id == name:
                    return product
        raise ServiceError(
            f"there is no product {name}",
            fix="Those that are delivered: `slackwater products list`",
            status=HTTPStatus.NOT_FOUND,
        )

    # --- updates

    def updates(self) -> Iterator[Update]:
        """Yield the updates of each dataset."""
        return self._connection.entries(Update, "/v1/updates", {})

    def announce(self, dataset: str, *, message_id: str = "", subject: str = "") -> Announced:
        """Say that a dataset changed, so that its source looks now.

        Parameters
        ----------
        dataset : str
            Alias or persistent identifier.
        message_id : str
            A message that comes again with the same id does nothing; default: a new one.
        subject : str
            What changed, in any words.
        """
        told = {"id": message_id or str(uuid.uuid4()), "dataset": dataset}
        if subject:
            told["subject"] = subject
        return self.publish(msgspec.json.encode(told), "application/json")

    def publish(self, message: bytes, content_type: str) -> Announced:
        """Hand on a message that announces a change: CloudEvent, WIS2 notification, plain JSON."""
        headers = {"Content-Type": content_type}
        return self._connection.value(
            Announced, "POST", "/v1/updates", body=message, headers=headers
        )

    # --- the fleet, for operators

    def nodes(self, *, standing_only: bool = True) -> Iterator[Node]:
        """Yield nodes, the newest first."""
        return self._connection.entries(Node, "/v1/nodes", {"standing_only": standing_only})

    def drain(self, node: str) -> Node:
        """Let a node end what it runs, and then go."""
        return self._connection.value(Node, "POST", _of("nodes", node, "drain"))

    def remove_node(self, node: str) -> Node:
        """Remove a node at once; its parts run elsewhere."""
        return self._connection.value(Node, "DELETE", _of("nodes", node))

    def decisions(self) -> Iterator[Decision]:
        """Yield why the fleet changed, the newest first."""
        return self._connection.entries(Decision, "/v1/decisions", {})

    def scale(self) -> Scale:
        """Return how many nodes there may be."""
        return self._connection.value(Scale, "GET", "/v1/scale")

    def set_scale(self, nodes: int | None) -> Scale:
        """Hold a number of nodes; None lets the policy decide within the settings' bounds."""
        body = msgspec.json.encode({"nodes": "auto" if nodes is None else nodes})
        return self._connection.value(Scale, "PUT", "/v1/scale", body=body)

    def policy(self) -> Policy:
        """Return the scaling policy in force, and what it goes by."""
        return _policy(self._connection.value(dict[str, Any], "GET", "/v1/policy"))

    def set_policy(self, name: str | None = None, **changes: Any) -> Policy:
        """Let another policy decide, or the same one by other settings of ``planner.scaling``.

        Parameters
        ----------
        name : str or None
            None lets it be.
        **changes
            New values; what is left out stays as it is. ``order`` is one too.
        """
        named = {} if name is None else {"policy": name}
        body = msgspec.json.encode({**changes, **named})
        return _policy(self._connection.value(dict[str, Any], "PUT", "/v1/policy", body=body))

    def reset_policy(self) -> Policy:
        """Go on under the policy, its settings and the bounds of the settings file."""
        return _policy(self._connection.value(dict[str, Any], "DELETE", "/v1/policy"))

    # --- how the service stands

    def health(self) -> Health:
        """Tell whether the service takes work, and what is wrong if it does not."""
        unready = (HTTPStatus.SERVICE_UNAVAILABLE,)
        return self._connection.value(Health, "GET", "/readyz", may_be=unready)

    def state(self) -> State | None:
        """Return how the service stands as a whole; None of one that does not tell."""
        answer = self._connection.ask("GET", "/v1/status", may_be=(HTTPStatus.NOT_FOUND,))
        return decoded(State, answer) if answer.is_success else None


class _Webhooks(msgspec.Struct):
    """A listing that comes as a whole."""

    items: tuple[Webhook, ...]


def _subscription(answer: httpx.Response) -> Subscription:
    return replace(decoded(Subscription, answer), etag=answer.headers.get("etag", ""))


def _policy(told: dict[str, Any]) -> Policy:
    settings = {name: value for name, value in told.items() if name not in ("policy", "order")}
    named = {name: str(told.get(name, "")) for name in ("policy", "order")}
    return Policy(settings=settings, **named)


def _of(kind: str, name: str, *steps: str) -> str:
    # An empty name would be the listing, and dots would climb.
    return "/".join(("/v1", kind, quote(name, safe="").replace(".", "%2E") or "%20", *steps))


def _body(wish: Document) -> bytes:
    return msgspec.json.encode(wish.document() if isinstance(wish, Wish) else wish)


def _name_of(wish: Document) -> str:
    return wish.id if isinstance(wish, Wish) else str(wish.get("id", ""))
