"""Talks to a Kubernetes API server: credentials, one way to call, and what its refusals mean.

A call is one request with a bounded answer time, repeated a few times where the server is busy or
out of reach: creation goes by name, so what had been done already is found on the second try.
"""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import config

# By name, so that it is imported now: 2 s of CPU would hold up the first call, and all threads.
from kubernetes.client import ApiClient, ApiException, Configuration, CoreV1Api

from controller.errors import NodeError, NodeFault

CONNECT_S_MAX = 5.0
"""A server that takes longer to answer a connection is out of reach [s]."""

TRIES_MAX = 4
"""One call and three repetitions: with the pauses below, a server may be away for some seconds."""

PAUSE_S_MIN, PAUSE_S_MAX = 0.2, 10.0
"""Before the first repetition, and the longest, also where the server asks for more [s]."""

AGAIN = frozenset({0, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed; 0 is no answer at all."""

UNKNOWN = 401
"""Status for who shows no credentials, or none that are good any more."""

ANSWER_BYTES_MAX = 32 * 2**20
"""An answer longer than this is none of ours: a page of pods has 2 to 5 MB at most."""

TOLD_MAX = 300
"""So much of what a server says is told [characters]."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Which cluster, and who asks.

    Parameters
    ----------
    kubeconfig : str
        A file; empty means the ServiceAccount of the pod that this runs in, or elsewhere what
        ``KUBECONFIG`` or ``~/.kube/config`` says.
    context : str
        One of the file's; empty means its current one.
    """

    kubeconfig: str = ""
    context: str = ""

    def client(self) -> ApiClient:
        """Return a client; nothing is sent yet.

        Raises
        ------
        NodeError
            There are no credentials, or they cannot be read.
        """
        try:
            return self._in_cluster() if self._is_inside() else self._from_file()
        except (config.ConfigException, OSError, ValueError) as error:
            raise NodeError(
                f"no credentials for a Kubernetes cluster: {error}",
                fault=NodeFault.CREDENTIALS,
                fix="Name a kubeconfig and a context of it, or run in a pod with a ServiceAccount",
            ) from error

    def _is_inside(self) -> bool:
        return not self.kubeconfig and not self.context and "KUBERNETES_SERVICE_HOST" in os.environ

    def _in_cluster(self) -> ApiClient:
        settings = Configuration()
        config.load_incluster_config(client_configuration=settings)
        return ApiClient(_without_retries(settings))

    def _from_file(self) -> ApiClient:
        settings = Configuration()
        path = str(Path(self.kubeconfig).expanduser()) if self.kubeconfig else None
        config.load_kube_config(path, self.context or None, client_configuration=settings)
        return ApiClient(_without_retries(settings))


def _without_retries(settings: Configuration) -> Configuration:
    """Return a client's settings without repetitions of its own, which would hide how long."""
    settings.retries = False
    return settings


class Caller:
    """Calls the API, repeats what may succeed, and counts requests by what they are for.

    Safe to use from several threads.

    Parameters
    ----------
    access : Access
        Is used at the first call, and again after its credentials were refused.
    call_s_max : float
        An answer that takes longer is given up [s].

    Attributes
    ----------
    requests : Counter
        How many were sent, by their names.
    """

    def __init__(self, access: Access, *, call_s_max: float) -> None:
        self.requests: Counter[str] = Counter()
        self._access = access
        self._api: CoreV1Api | None = None
        self._call_s_max = call_s_max
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def api(self) -> CoreV1Api:
        """Return the API as those may use it whose credentials there are.

        Raises
        ------
        NodeError
            There are none.
        """
        with self._lock:
            if self._api is None:
                self._api = CoreV1Api(self._access.client())
            return self._api

    def call(self, name: str, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Send a request of a name and return what the server answers, decoded from JSON.

        Raises
        ------
        NodeError
            Typed by what the server says, see `typed`.
        """
        limit = (min(CONNECT_S_MAX, self._call_s_max), self._call_s_max)
        pause_s = PAUSE_S_MIN
        for left in reversed(range(TRIES_MAX)):
            try:
                response = self.send(name, request, *arguments, _request_timeout=limit, **options)
                return decoded(response)
            except Refused as refusal:
                if left == 0 or refusal.status not in AGAIN or self._closing.is_set():
                    raise typed(name, refusal) from refusal
                wait_s = min(PAUSE_S_MAX, refusal.after_s or pause_s * random.uniform(0.5, 1.5))
            _log.info("%s is tried again in %.1f s", name, wait_s)
            self._closing.wait(wait_s)
            pause_s *= 3
        raise AssertionError("the last try returns or raises")

    def send(self, name: str, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Send one request and return the open answer.

        Raises
        ------
        Refused
        """
        with self._lock:
            self.requests[name] += 1
        try:
            return request(*arguments, _preload_content=False, **options)
        except ApiException as error:
            if error.status == UNKNOWN:
                self._log_in_anew()
            raise Refused.of(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Refused(0, f"the API server is out of reach: {error}") from error

    def close(self) -> None:
        """Wait for no repetition any more, and let go of all connections."""
        self._closing.set()
        self._log_in_anew()

    def _log_in_anew(self) -> None:
        """Read the credentials again at the next call: they may have been renewed."""
        with self._lock:
            api, self._api = self._api, None
        if api is not None:
            api.api_client.close()


class Refused(Exception):
    """One request was not answered as it should.

    Parameters
    ----------
    status : int
        Of HTTP; 0 when there was no answer.
    message : str
    reason : str
        The API's own word for it, as ``AlreadyExists``.
    after_s : float
        In how many seconds the server wants to be asked again; 0 when it does not say.
    """

    def __init__(self, status: int, message: str, reason: str = "", after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message[:TOLD_MAX]
        self.reason = reason
        self.after_s = after_s

    @classmethod
    def of(cls, error: ApiException) -> Refused:
        """Return what a client's error says, without headers and tokens."""
        try:
            told = json.loads(error.body or "")
        except ValueError:
            told = {}
        told = told if isinstance(told, dict) else {}
        message = str(told.get("message") or error.reason or "no reason is given")
        after = str((error.headers or {}).get("Retry-After", ""))
        return cls(
            int(error.status or 0),
            message,
            str(told.get("reason") or ""),
            float(after) if after.isdigit() else 0.0,
        )


def decoded(response: Any) -> Any:
    """Return the whole answer of a server.

    Raises
    ------
    Refused
        The connection broke, or what came is no JSON.
    """
    try:
        content = response.read(ANSWER_BYTES_MAX)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Refused(0, f"the answer broke off: {error}") from error
    finally:
        response.release_conn()
    try:
        return json.loads(content)
    except ValueError as error:
        raise Refused(0, f"what answers is no API server: {error}") from error


def typed(name: str, refusal: Refused) -> NodeError:
    """Return the error that a refusal of the API means, and what helps."""
    fault, fix = _meaning(refusal)
    status = f" ({refusal.status})" if refusal.status else ""
    return NodeError(f"{name}: {refusal.message}{status}", fault=fault, fix=fix)


def _meaning(refusal: Refused) -> tuple[NodeFault, str]:
    for status, words, fault, fix in MEANINGS:
        if status in (refusal.status, None) and words in refusal.message:
            return fault, fix
    if refusal.status in AGAIN:
        return NodeFault.RETRY, "It is tried again"
    return NodeFault.OURS, "Mend the options of the provider or of the node type"


MEANINGS: tuple[tuple[int | None, str, NodeFault, str], ...] = (
    (401, "", NodeFault.CREDENTIALS, "Renew the token or certificate of the kubeconfig"),
    (
        403,
        "exceeded quota",
        NodeFault.QUOTA,
        "Ask for a larger ResourceQuota, or lower nodes_max",
    ),
    (403, "failed quota", NodeFault.OURS, "Name cpu, memory_mb and scratch_mb of the node type"),
    (
        403,
        "is being terminated",
        NodeFault.OURS,
        "Make the namespace again, when it is gone",
    ),
    (
        403,
        " cannot ",
        NodeFault.CREDENTIALS,
        "Bind the Role of deploy/kubernetes/service.yaml to who asks",
    ),
    (404, "namespaces", NodeFault.OURS, "Make the namespace, or name another one"),
    (404, "configmaps", NodeFault.OURS, "Make the ConfigMap that owner names, or name none"),
    (404, "", NodeFault.GONE, ""),
    (409, "", NodeFault.RETRY, "It is tried again"),
    (0, "CERTIFICATE_VERIFY_FAILED", NodeFault.CREDENTIALS, "Name the cluster's own authority"),
)
"""What a status and words in its message mean; the first that fits. The words are those of the API
server itself, seen from 1.20 to 1.36; two kinds of 403 differ by nothing else."""


def pause_until(closing: threading.Event, at: float) -> bool:
    """Wait until an instant [monotonic s] or an end; return whether it is the end."""
    return closing.wait(max(0.0, at - time.monotonic()))
