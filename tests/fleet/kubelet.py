"""Plays the kubelets of a control plane that has none: pods bound to its machines really run.

Machines are Node objects that are kept Ready. A pod that the scheduler binds to one of them gets
its volumes as folders, its Secrets as files, and its command as a process in namespaces of its own:
a root that holds the system and the checkout read-only, no user but the pod's, and no way to write
but into its volumes (`tests/fleet/pod.sh`). What becomes of the process becomes the pod's status; a
pod that is deleted is told so by SIGTERM and killed after its grace period.

Two images are there; any other one is not found.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import urllib3
from kubernetes import client
from kubernetes.client import ApiException

from tests.fleet.control_plane import ControlPlane, until

SLACKWATER = "slackwater:checkout"
"""An image that is this checkout and its environment."""

PAUSE = "pause"
"""An image whose pods run without a process, and end when they are told."""

BEAT_S = 5.0
"""A machine that does not say so often that it is there is taken for lost after 40 s [s]."""

ROOT = Path(__file__).parents[2]
POD_SH = Path(__file__).with_name("pod.sh")


@dataclass(slots=True, kw_only=True)
class Running:
    """A pod on one of our machines."""

    raw: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    kill_at: float | None = None
    ended: bool = False
    secrets: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.raw["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.raw["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        return str(self.raw["metadata"]["namespace"])

    @property
    def machine(self) -> str:
        return str(self.raw["spec"]["nodeName"])

    def inner_pid(self) -> int | None:
        """Return the process that is the first one in the pod's own count of processes."""
        if self.process is None:
            return None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        children = path.read_text().split() if path.exists() else []
        return int(children[0]) if children else None


class Kubelet:
    """Plays machines; see the module.

    Parameters
    ----------
    bed : ControlPlane
    folder : Path
        For the volumes of pods.
    machines : dict of str to str
        By name, the network namespace that its pods are in; empty is that of the test.
    cpu, memory_mb, pods_max : int
        Of each machine.
    """

    def __init__(
        self,
        bed: ControlPlane,
        folder: Path,
        *,
        machines: dict[str, str],
        cpu: int = 8,
        memory_mb: int = 65536,
        pods_max: int = 250,
    ) -> None:
        # Any: what it is given is as the API has it, not the client's models.
        self._clients = (bed.client(), bed.client())
        self._core, self._watching = (cast("Any", client.CoreV1Api(c)) for c in self._clients)
        self._folder = folder
        self._machines = machines
        self._capacity = {
            "cpu": str(cpu),
            "memory": f"{memory_mb}Mi",
            "pods": str(pods_max),
            "ephemeral-storage": "1Ti",
        }
        self.silent: set[str] = set()
        """Machines that do not answer: nothing is done there any more, until they are not."""
        self.pods: dict[str, Running] = {}
        self._events: queue.SimpleQueue[dict[str, Any] | Callable[[], None]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._next_beat = 0.0
        for name in machines:
            self._core.create_node(
                {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
            )
        self._beat()
        self._threads = [
            threading.Thread(target=each, daemon=True) for each in (self._follow, self._run)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Kill what runs, and take the machines away."""
        self._closing.set()
        for thread in self._threads:
            thread.join(20)
        for pod in self.pods.values():
            self._kill(pod)
        for name in self._machines:
            with contextlib.suppress(ApiException):
                self._core.delete_node(name)
        for each in self._clients:
            each.close()

    def of(self, name: str) -> Running:
        """Return a pod by its name."""
        return next(each for each in list(self.pods.values()) if each.name == name)

    def oom(self, name: str) -> None:
        """Kill a pod's process as the kernel does when its memory is used up."""
        self._events.put(lambda: self._end(self.of(name), 137, "OOMKilled"))

    def evict(self, name: str, why: str) -> None:
        """End a pod as a machine does that is short of something."""
        self._events.put(lambda: self._end(self.of(name), 137, "Error", evicted=why))

    def crash(self, machine: str) -> None:
        """Have a machine lose its power: its pods' processes die, and nobody tells of it."""
        self.silent.add(machine)
        for pod in [each for each in self.pods.values() if each.machine == machine]:
            self._kill(pod)

    # --- what machines do

    def _beat(self) -> None:
        """Say that all machines are there."""
        self._next_beat = time.monotonic() + BEAT_S
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "it is played",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        body = {
            "status": {
                "capacity": self._capacity,
                "allocatable": self._capacity,
                "conditions": [ready],
            }
        }
        for name in self._machines.keys() - self.silent:
            self._core.patch_node_status(name, body)

    def _follow(self) -> None:
        """Bring every change of a pod to the one thread that acts."""
        while not self._closing.is_set():
            try:
                answer = self._watching.list_pod_for_all_namespaces(
                    watch=True, timeout_seconds=5, _preload_content=False, _request_timeout=20
                )
                rest = b""
                with contextlib.closing(answer):
                    for piece in answer.stream(amt=None, decode_content=False):
                        *lines, rest = (rest + piece).split(b"\n")
                        for line in filter(None, lines):
                            self._events.put(json.loads(line))
            except (ApiException, urllib3.exceptions.HTTPError):
                self._closing.wait(0.2)

    def _run(self) -> None:
        while not self._closing.is_set():
            event = None
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=0.05)
            try:
                if event is not None:
                    self._act(event)
                if time.monotonic() >= self._next_beat:
                    self._beat()
                for pod in list(self.pods.values()):
                    if pod.machine not in self.silent:
                        self._look(pod)
            except (ApiException, urllib3.exceptions.HTTPError):
                self._closing.wait(0.2)  # The API server is away: the next round tries again.

    def _act(self, event: dict[str, Any] | Callable[[], None]) -> None:
        if callable(event):
            event()
            return
        raw = event["object"]
        if event["type"] == "ERROR" or raw["spec"].get("nodeName") not in self._machines:
            return
        known = self.pods.get(raw["metadata"]["uid"])
        if event["type"] == "DELETED":
            if known and known.machine in self.silent:
                known.raw = raw
                raw["metadata"].setdefault("deletionTimestamp", "by force")  # It sees that later.
            elif known:
                self._kill(known)
                del self.pods[known.uid]
        elif known is None and raw.get("status", {}).get("phase") in (None, "Pending"):
            folder = self._folder / raw["metadata"]["name"]
            self.pods[raw["metadata"]["uid"]] = Running(raw=raw, folder=folder)
        elif known is not None:
            known.raw = raw
            for name in known.secrets if known.machine not in self.silent else ():
                with contextlib.suppress(ApiException):
                    self._write_secret(known, name)

    def _look(self, pod: Running) -> None:
        """Do what is due for a pod."""
        metadata = pod.raw["metadata"]
        if metadata.get("deletionTimestamp"):
            self._see_off(pod)
        elif pod.ended:
            return
        elif pod.process is None:
            if not _container(pod.raw).get("state", {}).get("running"):
                self._start(pod)
        elif (code := pod.process.poll()) is not None:
            self._bury(pod, code)

    def _start(self, pod: Running) -> None:
        spec = pod.raw["spec"]["containers"][0]
        if spec["image"] not in (SLACKWATER, PAUSE):
            first = not _container(pod.raw)
            reason = "ErrImagePull" if first else "ImagePullBackOff"
            if (
                _container(pod.raw).get("state", {}).get("waiting", {}).get("reason") != reason
                or first
            ):
                message = f"image {spec['image']} not found"
                self._tell(pod, "Pending", {"waiting": {"reason": reason, "message": message}})
            return
        try:
            for volume in pod.raw["spec"].get("volumes", []):
                if "secret" in volume:
                    pod.secrets = [volume["secret"]["secretName"]]
                    self._write_secret(pod, volume["secret"]["secretName"])
        except ApiException as error:
            if error.status != 404:
                raise
            return  # It is not there yet; a kubelet goes on looking, too.
        if spec["image"] == SLACKWATER:
            self._start_process(pod, spec)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._tell(pod, "Running", {"running": {"startedAt": now}})

    def _start_process(self, pod: Running, spec: dict[str, Any]) -> None:
        for each in pod.raw["spec"]["volumes"]:
            (pod.folder / each["name"]).mkdir(parents=True, exist_ok=True)
        user = pod.raw["spec"]["securityContext"]["runAsUser"]
        mounts = []
        for each in spec["volumeMounts"]:
            mode = "ro" if each.get("readOnly") else "rw"
            mounts.append(f"{pod.folder / each['name']}:{each['mountPath']}:{mode}")
            if mode == "rw":
                os.chown(pod.folder / each["name"], user, user)
        environment = {each["name"]: each["value"] for each in spec.get("env", [])}
        network = self._machines[pod.raw["spec"]["nodeName"]]
        into = ["ip", "netns", "exec", network] if network else []
        binaries = Path(sys.executable).parent
        with (self._folder / f"{pod.name}.log").open("ab") as log:
            pod.process = subprocess.Popen(
                [
                    *into,
                    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts"),
                    *("sh", str(POD_SH), str(user), str(pod.folder), str(ROOT), sys.base_prefix),
                    *mounts,
                    "--",
                    *(spec.get("command") or []),
                    *(spec.get("args") or []),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": f"{binaries}:/usr/sbin:/usr/bin:/bin", **environment},
            )

    def _see_off(self, pod: Running) -> None:
        """Tell a pod's process to end, kill it when its grace is over, strike the pod out."""
        if pod.process is not None and pod.process.poll() is None:
            now = time.monotonic()
            if pod.kill_at is None:
                grace_s = pod.raw["metadata"].get("deletionGracePeriodSeconds") or 0
                pod.kill_at = now + grace_s
                inner = pod.inner_pid()
                if inner:
                    os.kill(inner, signal.SIGTERM)
            if now < pod.kill_at:
                return
            self._kill(pod)
        if pod.process is not None and not pod.ended:
            self._bury(pod, pod.process.returncode)
        with contextlib.suppress(ApiException):
            self._core.delete_namespaced_pod(
                pod.name,
                pod.namespace,
                # Where there is a body, parameters do not count.
                body={"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}},
            )
        self.pods.pop(pod.uid, None)

    def _bury(self, pod: Running, code: int) -> None:
        """Tell how a pod's process has ended by itself, or was killed."""
        self._end(pod, code if code >= 0 else 128 - code, "Completed" if code == 0 else "Error")

    def _end(self, pod: Running, code: int, reason: str, *, evicted: str = "") -> None:
        self._kill(pod)
        pod.ended = True
        log = self._folder / f"{pod.name}.log"
        told = log.read_text(errors="replace")[-2000:] if log.exists() and code else ""
        terminated = {"exitCode": code, "reason": reason, "message": told}
        extra = {"reason": "Evicted", "message": evicted} if evicted else {}
        self._tell(pod, "Failed" if code else "Succeeded", {"terminated": terminated}, extra)

    def _kill(self, pod: Running) -> None:
        if pod.process is not None:
            pod.process.kill()  # Its namespace goes with it.
            pod.process.wait()

    def _tell(
        self, pod: Running, phase: str, state: dict[str, Any], extra: dict[str, str] | None = None
    ) -> None:
        status = {
            "name": pod.raw["spec"]["containers"][0]["name"],
            "image": pod.raw["spec"]["containers"][0]["image"],
            "imageID": "",
            "ready": "running" in state,
            "restartCount": 0,
            "state": state,
        }
        body = {"status": {"phase": phase, "containerStatuses": [status], **(extra or {})}}
        answer = self._core.patch_namespaced_pod_status(
            pod.name, pod.namespace, body, _preload_content=False
        )
        pod.raw = json.loads(answer.data)

    def _write_secret(self, pod: Running, name: str) -> None:
        """Write a Secret as files that the pod's group may read, each as a whole."""
        answer = self._core.read_namespaced_secret(name, pod.namespace, _preload_content=False)
        data = json.loads(answer.data).get("data") or {}
        volume = next(each for each in pod.raw["spec"]["volumes"] if "secret" in each)
        folder = pod.folder / volume["name"]
        folder.mkdir(parents=True, exist_ok=True)
        group = pod.raw["spec"]["securityContext"].get("fsGroup", 0)
        for key, value in data.items():
            draft = folder / f".{key}"
            draft.write_bytes(base64.b64decode(value))
            os.chown(draft, 0, group)
            draft.chmod(volume["secret"]["defaultMode"] | 0o440)
            draft.replace(folder / key)


def _container(raw: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a pod's one container."""
    return dict((raw.get("status", {}).get("containerStatuses") or [{}])[0])


@contextmanager
def machines(bed: ControlPlane, folder: Path, *names: str, **capacity: int) -> Iterator[Kubelet]:
    """Play machines in the test's own network for as long as the block lasts."""
    kubelet = Kubelet(bed, folder, machines=dict.fromkeys(names, ""), **capacity)
    try:
        yield kubelet
    finally:
        kubelet.close()


__all__ = ["PAUSE", "SLACKWATER", "Kubelet", "machines", "until"]
