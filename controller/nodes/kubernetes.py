"""Nodes that are pods of a Kubernetes cluster, each with a Secret that lets it join.

All that is known of a node is on its pod: our id, whose it is and its type are labels, how many
workers it is to hold an annotation. So any provider of the same service finds, resizes and deletes
what another one made. A pod is never restarted: one that ends is a node that is lost, and the
planner decides whether it wants another one.

A node costs three requests in its life: its pod, its Secret, its end. The Secret goes with its pod
(the cluster collects it by owner reference), and how nodes stand comes from one watch for all.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from pydantic import ValidationError

from controller.errors import NodeError, NodeFault
from controller.nodes.asking import type_that_holds
from controller.nodes.joining import Join, write_join_folder
from controller.nodes.kubernetes_access import Access, Caller
from controller.nodes.kubernetes_options import POD_NODE_ID, KubernetesOptions
from controller.nodes.kubernetes_pod import (
    PodType,
    pod_body,
    pod_name,
    pod_type,
    secret_body,
    secret_data,
    selector,
    service_label,
)
from controller.nodes.kubernetes_quota import left
from controller.nodes.kubernetes_reading import (
    NODE_LABEL,
    SERVICE_LABEL,
    WORKERS,
    Pod,
    listing,
    read_pod,
)
from controller.nodes.kubernetes_watch import PodWatch
from controller.nodes.plugins import NodeType, ProviderStart
from controller.ports import NodeListing
from planner.model import NodeOffer

FORCE_S = 60.0
"""A pod that is there so long after its grace period is on a machine that does not answer [s]: it
is struck from the API, and its workers end by themselves when they cannot reach the scheduler."""

RENEW_S = 3600.0
"""It is looked so often whether a node's certificate is due [s]; it is, a month before its end."""

ORPHAN_S = 300.0
"""Pods of a service that they are not to outlive end by themselves after so long [s], if it cannot
remove them."""

CALLS_MAX = 4
"""So many requests at a time are no burden to an API server [count], and three nodes are being made
while one look is taken."""

QUOTAS_MAX = 100
"""So many ResourceQuotas of a namespace are looked at [count]; there are one or two."""

_log = logging.getLogger(__name__)


class KubernetesNodes:
    """Provides pods as nodes; see `controller.ports.NodeProvider`.

    Parameters
    ----------
    start : ProviderStart
        Its options are `KubernetesOptions`, those of its node types `KubernetesNodeOptions`.

    Notes
    -----
    Nothing is read or sent before the first call. Only `create`, `resize` and `delete` wait for the
    API server.
    """

    calls_max = CALLS_MAX
    poll_s = 0.25

    def __init__(self, start: ProviderStart) -> None:
        assert isinstance(start.options, KubernetesOptions)
        self.name = start.name
        self._start = start
        self._options = start.options
        self._types = {each.name: each for each in start.node_types}
        self._folder = start.folder / "join"
        self._preload = tuple(dict.fromkeys((*start.connection.preload, *start.preload)))
        access = Access(kubeconfig=self._options.kubeconfig, context=self._options.context)
        self._caller = Caller(access, call_s_max=self._options.call_s_max)
        self._watching = Caller(access, call_s_max=self._options.call_s_max)
        self._watch = PodWatch(self._watching, self._options.namespace, selector(start.service_id))
        self._lock = Lock()
        self._making: dict[str, str] = {}
        self._owner: dict[str, Any] | None = None
        self._told_at: dict[str, float] = {}
        self._renew_at = time.monotonic() + RENEW_S

    def requests(self) -> Counter[str]:
        """Return how many requests were sent, by what they were for."""
        return self._caller.requests + self._watching.requests

    def describe(self) -> tuple[NodeOffer, ...]:
        """Return the node types that can be created, and how many more of each.

        Raises
        ------
        NodeError
            As `list_nodes`, or what ResourceQuotas leave cannot be asked.
        """
        standing = Counter(pod.node_type for pod, _ in self._watch.pods().values())
        quotas = self._quotas()
        return tuple(
            each.offer(
                int(
                    min(
                        each.nodes_max - standing[each.name],
                        left(quotas, pod_type(each, self._options).resources()),
                    )
                )
            )
            for each in self._types.values()
        )

    def create(self, node_id: str, node_type: str, workers: int) -> None:
        """Begin to create a node; one that stands already under this id is left as it is.

        Raises
        ------
        NodeError
            Unknown type, too many workers, or what the API server finds wrong (ours); too many
            nodes, or a ResourceQuota is used up (quota); no right to it (credentials); one of this
            id is being deleted, or the server is away or busy (retry).
        """
        kind = type_that_holds(self._types, node_id, node_type, workers, ids=POD_NODE_ID)
        self._reserve(node_id, kind)
        try:
            raw = self._pod(node_id, workers, pod_type(kind, self._options))
        finally:
            with self._lock:
                self._making.pop(node_id, None)
        self._bring_secret(raw, workers, kind)

    def resize(self, node_id: str, workers: int) -> None:
        """Make a standing node hold this many workers.

        Its kubelet brings the word to the pod, which may take a minute.

        Raises
        ------
        NodeError
            There is no such node (gone), its type does not hold so many (ours), or as `create`.
        """
        pod, _ = self._watch.pods().get(node_id, (None, 0.0))
        if pod is None or pod.leaving:
            raise NodeError(f"node {node_id} is not there to be resized", fault=NodeFault.GONE)
        kind = type_that_holds(self._types, node_id, pod.node_type, workers, ids=POD_NODE_ID)
        if pod.workers == workers:
            return
        data = {"data": secret_data(self._join_files(node_id, workers, kind))}
        self._call("patch secret", self._api.patch_namespaced_secret, pod.name, data)
        told = {"metadata": {"annotations": {WORKERS: str(workers)}}}
        # A pod that changes has its kubelet look at its volumes at once.
        raw = self._call("patch pod", self._api.patch_namespaced_pod, pod.name, told)
        self._watch.note(read_pod(raw))

    def list_nodes(self) -> tuple[NodeListing, ...]:
        """Return the nodes as the watch has them; that takes no request.

        Raises
        ------
        NodeError
            The API server has not been heard of for too long (retry), or does not let us list
            (credentials, ours).
        """
        pods = self._watch.pods()
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW_S
            self._renew([pod for pod, _ in pods.values()])
        limit_s = self._options.launch_s_max
        return tuple(
            listing(pod, age_s=age_s, launch_s_max=limit_s)
            for _, (pod, age_s) in sorted(pods.items())
        )

    def delete(self, node_id: str) -> bool:
        """Ask for a node's end; return True once its pod is not found any more.

        The pod has its grace period for the parts that run. One that is there long after that is
        struck out by force.

        Raises
        ------
        NodeError
            As `create`.
        """
        if not POD_NODE_ID.fullmatch(node_id):
            return True  # It cannot have been one of ours.
        pod = self._known(node_id)
        if pod is None and node_id in self._told_at:
            return self._forget(node_id)
        now = time.monotonic()
        since = self._told_at.setdefault(node_id, now)
        overdue = pod is not None and pod.leaving and now > since + pod.leave_s + FORCE_S
        if pod is not None and pod.leaving and not overdue:
            return False
        force = {"grace_period_seconds": 0} if overdue else {}
        name = pod_name(self._start.service_id, node_id)
        try:
            raw = self._call("delete pod", self._api.delete_namespaced_pod, name, **force)
        except NodeError as error:
            if error.fault is not NodeFault.GONE:
                raise
            if pod is not None:
                self._watch.drop(node_id, pod.uid)
            return self._forget(node_id)
        if raw.get("kind") == "Pod":
            self._watch.note(read_pod(raw))
        return False

    def close(self, *, end: bool | None = None) -> None:
        """Let go of the cluster.

        Parameters
        ----------
        end : bool, optional
            Ask for the end of all nodes; by default, unless they outlive this service.
        """
        if self._start.orphan_s is None if end is None else end:
            self._end_all()
        self._watch.close()
        self._caller.close()
        self._watching.close()

    def _end_all(self) -> None:
        """Ask for the end of all nodes, as far as that is to be had now."""
        try:
            for node_id in self._watch.pods():
                self.delete(node_id)
        except NodeError as error:
            _log.warning("provider %s: nodes may be left: %s", self.name, error)

    def _quotas(self) -> list[dict[str, Any]]:
        """Return the ResourceQuotas of the namespace; none where we may not see them."""
        quotas, namespace = self._api.list_namespaced_resource_quota, self._options.namespace
        try:
            told = self._caller.call("list quotas", quotas, namespace, limit=QUOTAS_MAX)
        except NodeError as error:
            if error.fault is not NodeFault.CREDENTIALS:
                raise
            _log.info("provider %s: a quota is told only when it refuses: %s", self.name, error)
            return []
        return list(told.get("items") or [])

    @property
    def _api(self) -> Any:
        return self._caller.api

    def _call(self, what: str, request: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """Call the API of our namespace, with a name or a body first."""
        name, *body = given
        return self._caller.call(what, request, name, self._options.namespace, *body, **options)

    def _reserve(self, node_id: str, kind: NodeType) -> None:
        """Take a place for a pod, which counts until the watch knows that pod.

        Raises
        ------
        NodeError
            As many as may stand already, or are being made (quota); one of this id is being
            deleted (retry).
        """
        self._watch.pods()  # The first look waits, which nobody else has to.
        with self._lock:
            pods = self._watch.pods()
            if node_id in pods:
                self._refuse_leaving(pods[node_id][0])
                return
            standing = {n: pod.node_type for n, (pod, _) in pods.items()} | self._making
            if list(standing.values()).count(kind.name) >= kind.nodes_max:
                raise NodeError(
                    f"node {node_id}: {kind.nodes_max} nodes of type {kind.name} stand already",
                    fault=NodeFault.QUOTA,
                    fix="Raise its nodes_max, or wait until one is removed",
                )
            self._making[node_id] = kind.name

    def _refuse_leaving(self, pod: Pod) -> None:
        if pod.leaving:
            raise NodeError(
                f"node {pod.node_id} is being deleted",
                fault=NodeFault.RETRY,
                fix="Give it another id",
            )

    def _pod(self, node_id: str, workers: int, kind: PodType) -> dict[str, Any]:
        """Return a node's pod, made if it is not there."""
        body = pod_body(
            service_id=self._start.service_id,
            node_id=node_id,
            workers=workers,
            kind=kind,
            options=self._options,
            owner=self._owner_reference(),
        )
        try:
            namespace = self._options.namespace
            raw = self._caller.call("create pod", self._api.create_namespaced_pod, namespace, body)
        except NodeError as error:
            if not already_exists(error):
                raise
            raw = self._call("get pod", self._api.read_namespaced_pod, body["metadata"]["name"])
            self._check_ours(raw)
        except ValidationError as error:
            raise NodeError(
                f"node {node_id}: its pod is none: {error}",
                fault=NodeFault.OURS,
                fix=f"Mend the options of node type {kind.name}",
            ) from error
        pod = read_pod(raw)
        self._watch.note(pod)
        self._refuse_leaving(pod)
        return dict(raw)

    def _check_ours(self, raw: dict[str, Any]) -> None:
        metadata = raw["metadata"]
        whose = (metadata.get("labels") or {}).get(SERVICE_LABEL)
        if whose != service_label(self._start.service_id):
            raise NodeError(
                f"pod {metadata['name']} is there and none of ours",
                fault=NodeFault.OURS,
                fix="Remove it, or name another namespace",
            )

    def _bring_secret(self, pod: dict[str, Any], workers: int, kind: NodeType) -> None:
        """Make the Secret of a pod, or bring one up to date that an earlier try has made."""
        node_id = pod["metadata"]["labels"][NODE_LABEL]
        body = secret_body(pod, self._join_files(node_id, workers, kind))
        try:
            namespace = self._options.namespace
            self._caller.call("create secret", self._api.create_namespaced_secret, namespace, body)
        except NodeError as error:
            if not already_exists(error):
                raise
            name = body["metadata"]["name"]
            self._call("patch secret", self._api.patch_namespaced_secret, name, body)

    def _join_files(self, node_id: str, workers: int, kind: NodeType) -> dict[str, bytes]:
        folder = self._folder / node_id
        join = Join(
            address=self._start.connection.address,
            node_id=node_id,
            workers=workers,
            orphan_s=self._start.orphan_s or ORPHAN_S,
            reachable_urls=self._start.reachable_urls,
            preload=self._preload,
            end_s_max=max(1.0, 0.9 * self._options.grace_s),
            shared_reads_mb=kind.shared_reads_mb,
        )
        try:
            write_join_folder(folder, join, self._start.connection)
            return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
        except OSError as error:
            raise NodeError(
                f"node {node_id}: its join folder cannot be written: {error}",
                fault=NodeFault.RETRY,
                fix=f"Free space in {self._folder}; it is tried again",
            ) from error

    def _owner_reference(self) -> dict[str, Any] | None:
        """Return what our pods belong to, if anything."""
        if self._owner is None and self._options.owner:
            get = self._api.read_namespaced_config_map
            metadata = self._call("get configmap", get, self._options.owner)["metadata"]
            self._owner = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": metadata["name"],
                "uid": metadata["uid"],
            }
        return self._owner

    def _known(self, node_id: str) -> Pod | None:
        """Return a pod as far as the watch knows it now."""
        try:
            return self._watch.pods().get(node_id, (None, 0.0))[0]
        except NodeError:
            self._told_at.pop(node_id, None)  # Whether it is gone has to be asked.
            return None

    def _forget(self, node_id: str) -> bool:
        """Remove what we kept of a node that is gone."""
        self._told_at.pop(node_id, None)
        folder = self._folder / node_id
        if folder.is_dir():
            self._start.connection.revoke(node_id)
            shutil.rmtree(folder, ignore_errors=True)
        return True

    def _renew(self, pods: Sequence[Pod]) -> None:
        """Bring new credentials to the pods where that is due; their workers read them again."""
        for pod in pods:
            own = self._folder / pod.node_id / "credentials.pem"
            kind = self._types.get(pod.node_type)
            if pod.leaving or kind is None:
                continue
            try:
                before = own.read_bytes() if own.exists() else b""
                files = self._join_files(pod.node_id, pod.workers, kind)
                if files[own.name] != before:
                    data = {"data": secret_data(files)}
                    self._call("patch secret", self._api.patch_namespaced_secret, pod.name, data)
            except (NodeError, OSError) as error:
                # There is a month to mend it; the listing must not fail for that.
                _log.warning("node %s: its certificate is not renewed: %s", pod.node_id, error)


def already_exists(error: NodeError) -> bool:
    """Tell whether the API refused to make what is there already."""
    return getattr(error.__cause__, "reason", "") == "AlreadyExists"
