"""Keeps what the API server knows of our pods, by one list and one watch that goes on from it.

Every look at the nodes is answered from here, so it costs no request and never waits for a slow
server. What is kept is trusted while the watch stands, and for a short while after; then it is
said that nothing is known.

A watch ends cleanly after a minute (ours) or when the server likes, or it breaks; it goes on where
it was. When the server has forgotten that place (410 Gone: compacted, or restored), all is listed
anew, and what the list does not show is gone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import urllib3

from controller.errors import NodeError, NodeFault
from controller.nodes.kubernetes_access import CONNECT_S_MAX, Caller, Refused, pause_until, typed
from controller.nodes.kubernetes_reading import Pod, number, read_pod

PAGE = 250
"""Pods that are listed with one request [count]; a pod is 5 to 10 kB."""

PODS_MAX = 5000
"""So many are kept; a namespace that holds more of ours has run away."""

WATCH_S = 60
"""A watch is asked to end after this long [s]: no firewall forgets it, and a dead one is noticed
`SILENCE_S` later at the latest."""

SILENCE_S = 15.0
"""A watch that has not ended so much later than it should is dead [s]."""

STALE_S_MAX = 20.0
"""What is kept is believed for so long without a watch [s]: longer than a server restarts."""

PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 10.0
"""Between a watch that broke and the next one [s], doubling while it goes on breaking."""

SYNC_S_MAX = 10.0
"""So long a first look waits for the first list [s]."""

EXPIRED = 410
"""Status of a place that the server has forgotten."""

NO_ANSWER = (AttributeError, KeyError, TypeError, ValueError)
"""What is raised of an answer that lacks what it should hold, as a proxy's own JSON."""

EVENT_BYTES_MAX = 2**21
"""One event is one pod; the API allows objects of 1.5 MB."""

_log = logging.getLogger(__name__)


class Forgotten(Exception):
    """The server does not know any more what came after the place where a watch was."""


class PodWatch:
    """Follows the pods of one label selector in one namespace.

    Parameters
    ----------
    caller : Caller
    namespace, selector : str
    """

    def __init__(self, caller: Caller, namespace: str, selector: str) -> None:
        self._caller = caller
        self._namespace = namespace
        self._selector = selector
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._seen_at: dict[str, float] = {}
        self._version = ""
        self._fault: NodeError | None = None
        self._stands = False
        self._fresh_at = -STALE_S_MAX
        self._synced = threading.Event()
        self._closing = threading.Event()
        self._response: Any = None
        self._thread: threading.Thread | None = None

    def pods(self) -> dict[str, tuple[Pod, float]]:
        """Return the pods by node id, each with how long it is known [s].

        Raises
        ------
        NodeError
            Nothing is known, or not any more.
        """
        if not self._synced.is_set():
            self._begin()
            self._synced.wait(SYNC_S_MAX)
        with self._lock:
            now = time.monotonic()
            if not self._stands and now - self._fresh_at > STALE_S_MAX:
                raise self._fault or NodeError(
                    "the API server has not told of the pods yet", fault=NodeFault.RETRY
                )
            known = self._pods.items()
            return {node_id: (pod, now - self._seen_at[pod.uid]) for node_id, pod in known}

    def note(self, pod: Pod) -> None:
        """Take in what a request of ours was answered, unless the watch was faster."""
        with self._lock:
            known = self._pods.get(pod.node_id)
            same = known is not None and known.uid == pod.uid
            told = known.version if known and same else number(self._version)
            # Versions have been counts in every server yet; one that is none is taken for new.
            if not pod.version or pod.version > told:
                self._put(pod)

    def drop(self, node_id: str, uid: str) -> None:
        """Take in that a pod is not found any more."""
        with self._lock:
            if node_id in self._pods and self._pods[node_id].uid == uid:
                self._seen_at.pop(self._pods.pop(node_id).uid)

    def close(self) -> None:
        """Stop following."""
        self._closing.set()
        connection: Any = getattr(self._response, "connection", None)
        if getattr(connection, "sock", None):
            # It waits in a read, which nothing else ends.
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(CONNECT_S_MAX)

    def _begin(self) -> None:
        """Follow from now on."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(
                    target=self._follow_on, name="pod-watch", daemon=True
                )
                self._thread.start()

    def _follow_on(self) -> None:
        """List, then watch without end; whatever breaks is tried again after a pause."""
        pause_s = PAUSE_S_MIN
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                if not self._version:
                    self._list()
                self._watch()
            except Forgotten:
                _log.info("the pods are listed anew: the API server has forgotten where we were")
                self._version = ""
            except NodeError as error:
                self._break(error)
            except NO_ANSWER as error:
                self._version = ""  # What was understood of it is worth nothing.
                told = f"what answers is no API server ({type(error).__name__}: {error})"
                self._break(typed("follow pods", Refused(0, told)))
            lasted = time.monotonic() - began > PAUSE_S_MAX
            pause_s = PAUSE_S_MIN if lasted else min(PAUSE_S_MAX, 2 * pause_s)
            # Also after one that ended well: a proxy may end each at once.
            pause_until(self._closing, began + pause_s)

    def _break(self, error: NodeError) -> None:
        if self._closing.is_set():
            return
        with self._lock:
            self._stands, self._fault = False, error
        _log.warning("the pods cannot be followed: %s", error)
        if not error.retry:
            # Who may not list now is told at once; what is known is worth nothing any more.
            with self._lock:
                self._fresh_at = -STALE_S_MAX
            self._synced.set()

    def _list(self) -> None:
        """Replace what is known by what the server lists."""
        pods, token = list[Pod](), ""
        while True:
            page = self._page({"_continue": token} if token else {})
            pods += [read_pod(raw) for raw in page["items"]]
            token = page["metadata"].get("continue") or ""
            if not token or len(pods) >= PODS_MAX:
                break
        self._replace(pods, page["metadata"]["resourceVersion"])

    def _page(self, goes_on: dict[str, str]) -> Any:
        try:
            return self._caller.call(
                "list pods",
                self._caller.api.list_namespaced_pod,
                self._namespace,
                label_selector=self._selector,
                limit=PAGE,
                **goes_on,
            )
        except NodeError as error:
            if getattr(error.__cause__, "status", 0) == EXPIRED:
                raise Forgotten from error
            raise

    def _replace(self, pods: list[Pod], version: str) -> None:
        with self._lock:
            # What we were told since the list was made is not in it.
            newer = [each for each in self._pods.values() if each.version > number(version)]
            seen_at, self._seen_at, self._pods = self._seen_at, {}, {}
            for pod in (*pods, *newer):
                self._put(pod, seen_at.get(pod.uid))
            self._version = version
            self._renew()
        self._synced.set()

    def _watch(self) -> None:
        """Take in events until the watch ends.

        Raises
        ------
        Forgotten
        NodeError
            It broke.
        """
        try:
            self._response = self._caller.send(
                "watch pods",
                self._caller.api.list_namespaced_pod,
                self._namespace,
                label_selector=self._selector,
                resource_version=self._version,
                allow_watch_bookmarks=True,
                timeout_seconds=WATCH_S,
                watch=True,
                _request_timeout=(CONNECT_S_MAX, WATCH_S + SILENCE_S),
            )
            with self._lock:
                self._stands = True
            for line in lines(self._response):
                self._take_in(json.loads(line))
        except Refused as refusal:
            if refusal.status == EXPIRED:
                raise Forgotten from refusal
            raise typed("watch pods", refusal) from refusal
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise typed("watch pods", Refused(0, f"the watch broke: {error}")) from error
        finally:
            with self._lock:
                if self._stands:
                    self._stands, self._fresh_at = False, time.monotonic()
            if self._response is not None:
                self._response.close()

    def _take_in(self, event: dict[str, Any]) -> None:
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            raise Refused(int(raw.get("code") or 0), str(raw.get("message")))
        with self._lock:
            if kind == "DELETED":
                gone = read_pod(raw)
                if gone.node_id in self._pods and self._pods[gone.node_id].uid == gone.uid:
                    self._seen_at.pop(self._pods.pop(gone.node_id).uid)
            elif kind in ("ADDED", "MODIFIED"):
                self._put(read_pod(raw))
            self._version = raw["metadata"]["resourceVersion"]
            self._renew()

    def _put(self, pod: Pod, seen_at: float | None = None) -> None:
        known = self._pods.get(pod.node_id)
        if known is not None and known.uid != pod.uid:
            self._seen_at.pop(known.uid, None)
        if known is None and len(self._pods) >= PODS_MAX:
            return
        self._pods[pod.node_id] = pod
        self._seen_at.setdefault(pod.uid, time.monotonic() if seen_at is None else seen_at)

    def _renew(self) -> None:
        self._fault = None
        self._fresh_at = time.monotonic()


def lines(response: Any) -> Iterator[bytes]:
    """Yield the lines of an answer as they come.

    Raises
    ------
    ValueError
        One is longer than any object of the API.
    """
    rest = b""
    for piece in response.stream(amt=None, decode_content=False):
        *whole, rest = (rest + piece).split(b"\n")
        yield from filter(None, whole)
        if len(rest) > EVENT_BYTES_MAX:
            raise ValueError("an event without end")
