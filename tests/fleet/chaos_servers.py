"""The bed of chaos that is an OpenStack: its servers are hosts, its APIs have a faulty one before.

The servers have the environment of workers already, as those of an image that was baked have.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from controller.nodes.libcloud_access import login_of
from controller.nodes.libcloud_account import Account
from controller.nodes.libcloud_options import CloudOptions
from tests.fleet.beds import ROOT
from tests.fleet.chaos import Blow, What, fault_of
from tests.fleet.equipment import ANSIBLE, made, worker_archive
from tests.fleet.faulty_api import Fault, faulty_api
from tests.fleet.hosts import BRIDGE, SCRIPT, Host, beds, host_up, run, signalled
from tests.fleet.openstack import LOGIN, names, provider_section

ENVIRONMENTS = "opt/slackwater-worker"
"""Where hosts keep the environments of workers, by hash."""

UNKNOWN = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
"""No host is known yet."""

BAKE_S_MAX = 300.0
LOOK_S = 0.05

SETTINGS = """
archive: {{read_latency_s: 0.1}}
providers:
  cloud: {cloud}
nodes:
  vm:
    provider: cloud
    slots: 2
    nodes_max: 2
    boot_s: 20
    options: {{size: m1.tiny, image: debian-fake}}
engine: {{host: {bridge}, lease_s: 3, orphan_s: 60}}
"""

VERBS = {"create": ("POST", "/"), "delete": ("DELETE", "/"), "look": ("GET", "/servers")}
"""What is made is networks, key pairs and servers."""

KINDS = (
    *("list_nodes", "ex_list_ports", "list_key_pairs"),
    *("ex_list_networks", "ex_list_subnets", "ex_list_security_groups"),
)
"""Libcloud's listings of all that a fleet has of a cloud."""

APIS = {"compute": "http://127.0.0.1:28774", "network": "http://127.0.0.1:29696"}
"""What fails; who wants to be let in is let in."""


@dataclass(kw_only=True)
class ServerBed:
    """See `tests.fleet.chaos.Bed`."""

    name: str = "openstack"
    span_s: float = 40.0
    joined_s_max: float = 120.0
    settings: str
    account: Account
    before: dict[str, list[str]]
    faults: list[Fault]

    def hosts(self) -> list[str]:
        """Return the hosts that are servers now."""
        return sorted(each.parent.name for each in servers())

    def strike(self, host: str, how: What) -> None:
        """Kill, freeze or cut off a server; its cloud does not notice."""
        if how is What.KILL:
            run(str(SCRIPT), "down", host)
        elif how is What.FREEZE:
            signalled(host, "STOP")
        else:
            host_named(host).link("down")

    def heal(self, host: str, how: What) -> None:
        """Have it back, unless it was killed, or deleted meanwhile."""
        if how is What.KILL or host not in self.hosts():
            return
        with suppress(AssertionError):  # It is being deleted right now.
            if how is What.FREEZE:
                signalled(host, "CONT")
            else:
                host_named(host).link("up")

    def fail(self, blow: Blow) -> None:
        """Have the next answers of the APIs be wrong."""
        self.faults.append(fault_of(blow, *VERBS[blow.verb]))

    def calm(self) -> None:
        """Have all answers be right again."""
        self.faults.clear()

    def left(self) -> dict[str, list[str]]:
        """Return what the account has that it had not before."""
        now = names(self.account, *KINDS)
        # Ports have no names, but their number tells.
        new = {kind: Counter(now[kind]) - Counter(self.before[kind]) for kind in now}
        return {kind: sorted(each.elements()) for kind, each in new.items() if each}


def servers() -> list[Path]:
    """Return where the bed keeps the process of each server's host."""
    return list((beds() / "hosts" / "vm").glob("os-*/pid"))


def host_named(name: str) -> Host:
    """Return a server's host, to be struck."""
    return Host(name=name, address="", key=Path(), folder=beds() / "hosts" / "vm" / name)


def baked(folder: Path) -> Path:
    """Bake the environment of workers on a host as is documented, and return a copy of it."""
    made(".venv-ansible/.ansible")
    key = folder / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    with host_up("chaos", range(230, 240), key) as host:
        subprocess.run(
            [
                *(str(ANSIBLE), "image.yml", "--inventory", f"{host.address},"),
                *("--user", "root", "--private-key", str(key)),
                *(
                    "--ssh-common-args",
                    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
                ),
                *("--extra-vars", f"worker_archive={worker_archive().path}"),
            ],
            cwd=ROOT / "playbooks",
            check=True,
            timeout=BAKE_S_MAX,
            stdout=subprocess.DEVNULL,
        )
        return Path(
            shutil.copytree(
                host.folder / "root" / ENVIRONMENTS, folder / "environments", symlinks=True
            )
        )


@contextmanager
def server_bed(folder: Path, image: Path) -> Iterator[ServerBed]:
    """Have the cloud, with an image that holds these environments of workers."""
    faults: list[Fault] = []
    account = Account("the test's", lambda: login_of("the test's", CloudOptions(**LOGIN)))
    with ExitStack() as ends:
        ends.enter_context(starting_from(image))
        keystone = ends.enter_context(faulty_api(LOGIN["url"].removesuffix("/v3")))
        for url in APIS.values():
            api = ends.enter_context(faulty_api(url, faults))
            keystone.renamed[url.encode()] = api.url.encode()
        yield ServerBed(
            settings=SETTINGS.format(bridge=BRIDGE, cloud=cloud(folder, keystone.url)),
            account=account,
            before=names(account, *KINDS),
            faults=faults,
        )


def cloud(folder: Path, keystone: str) -> dict[str, object]:
    """Return the settings of a provider whose requests go by the faulty APIs."""
    return provider_section(folder) | {"url": f"{keystone}/v3", "setup_s_max": 120}


@contextmanager
def starting_from(image: Path) -> Iterator[None]:
    """Have each server that comes up hold the environments of an image."""
    ending, known = threading.Event(), {str(each) for each in servers()}

    def follow() -> None:
        while not ending.wait(LOOK_S):
            for pid in servers():
                if str(pid) not in known and (process := pid.read_text().strip()):
                    known.add(str(pid))
                    show(image, process, pid.with_name("root") / ENVIRONMENTS)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    yield
    ending.set()
    thread.join()


def show(folder: Path, process: str, place: Path) -> None:
    """Show a host a folder of this machine, if it still stands."""
    enter = ("nsenter", "-t", process, "-m", "--")
    with suppress(AssertionError):
        run(*enter, "mkdir", "-p", str(place))
        run(*enter, "mount", "--bind", str(folder), str(place))
        run(*enter, "mount", "-o", "remount,bind,ro", str(place))
