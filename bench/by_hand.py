"""The chain of `bench.first_part` by hand: Libcloud, Ansible and Dask, and nothing of ours.

python -m bench.by_hand: asks the tests' OpenStack for a server, waits until ssh answers, has
`ansible-playbook` bring the same environment there and start a worker of `distributed` over TLS,
and sends it a function. What slackwater adds is beside it in docs/reference/performance.md.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster
from distributed.security import Security
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

from tests.fleet.equipment import ANSIBLE, made, worker_archive
from tests.fleet.hosts import BRIDGE, SCRIPT, run
from tests.fleet.openstack import LOGIN, PASSWORD, openstack

NAME = "by-hand"
WAIT_S_MAX = 600.0
POLL_S = 0.5

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.file: {path: /opt/by-hand, state: directory, mode: "0700"}
    - ansible.builtin.copy: {src: "{{ archive }}", dest: /opt/by-hand/archive.tar.gz, mode: "0600"}
    - ansible.builtin.command: python3 -m venv --without-pip /opt/by-hand/venv
    - ansible.builtin.command: tar -xzf /opt/by-hand/archive.tar.gz -C /opt/by-hand/venv
    - ansible.builtin.copy: {src: "{{ folder }}/{{ item }}", dest: /opt/by-hand/, mode: "0600"}
      loop: [ca.pem, cert.pem, key.pem]
    - ansible.builtin.shell: >-
        nohup /opt/by-hand/venv/bin/python3 -m distributed.cli.dask_worker {{ scheduler }}
        --tls-ca-file /opt/by-hand/ca.pem --tls-cert /opt/by-hand/cert.pem
        --tls-key /opt/by-hand/key.pem --nworkers 1 --nthreads 1 --no-dashboard
        >/opt/by-hand/log 2>&1 </dev/null &
"""


class Watch:
    """Notes how long each step took [s]."""

    def __init__(self) -> None:
        self.steps_s: dict[str, float] = {}
        self._since = time.monotonic()

    def done(self, step: str) -> None:
        now = time.monotonic()
        self.steps_s[step] = round(now - self._since, 2)
        self._since = now


@contextmanager
def server(driver: Any, key: Path, watch: Watch) -> Iterator[str]:
    """Have a server, and yield its address once ssh answers."""
    size = next(each for each in driver.list_sizes() if each.name == "m1.tiny")
    image = next(each for each in driver.list_images() if each.name == "debian-fake")
    network = next(each for each in driver.ex_list_networks() if each.name == "swnet")
    driver.import_key_pair_from_string(NAME, key.with_suffix(".pub").read_text())
    node = driver.create_node(
        name=NAME, size=size, image=image, networks=[network], ex_keyname=NAME
    )
    try:
        watch.done("create_s")
        address = until(lambda: addressed(driver, node.id))
        until(lambda: answers(address))
        watch.done("boot_s")
        yield address
    finally:
        driver.destroy_node(node)
        driver.delete_key_pair(driver.get_key_pair(NAME))


def addressed(driver: Any, node_id: str) -> str:
    node = driver.ex_get_node_details(node_id)
    return str(node.private_ips[0]) if node.state == "running" and node.private_ips else ""


def answers(address: str) -> bool:
    try:
        socket.create_connection((address, 22), timeout=1.0).close()
    except OSError:
        return False
    return True


def until(found: Any) -> Any:
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not (answer := found()):
        assert time.monotonic() < give_up_at
        time.sleep(POLL_S)
    return answer


def configured(address: str, key: Path, scheduler: str) -> None:
    folder = key.parent
    (folder / "play.yml").write_text(PLAYBOOK)
    told = {"archive": str(worker_archive().path), "folder": str(folder), "scheduler": scheduler}
    subprocess.run(
        [
            *(str(ANSIBLE), "-i", f"{address},", "-u", "root", "--private-key", str(key)),
            *("--extra-vars", json.dumps(told), str(folder / "play.yml")),
        ],
        env={"ANSIBLE_HOST_KEY_CHECKING": "0", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        check=True,
        capture_output=True,
        timeout=WAIT_S_MAX,
    )


def secured(folder: Path) -> Security:
    """Make a certificate for all, and write it where the playbook finds it."""
    security: Security = Security.temporary()
    told = security.get_tls_config_for_role("worker")
    for name, setting in (("ca", "ca_file"), ("cert", "cert"), ("key", "key")):
        (folder / f"{name}.pem").write_text(str(told[setting]))
    return security


def measured(folder: Path) -> dict[str, float]:
    key = folder / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    security = secured(folder)
    driver = get_driver(Provider.OPENSTACK)(
        LOGIN["user"],
        PASSWORD,
        ex_force_auth_url=LOGIN["url"].removesuffix("/v3"),
        ex_force_auth_version="3.x_password",
        ex_tenant_name=LOGIN["project"],
        ex_force_service_region=LOGIN["region"],
        api_version="2.2",
    )
    cluster = LocalCluster(
        n_workers=0, host=BRIDGE, protocol="tls://", security=security, dashboard_address=None
    )
    with closing(cluster), Client(cluster, security=security) as client:
        watch = Watch()
        with server(driver, key, watch) as address:
            configured(address, key, cluster.scheduler_address)
            watch.done("configure_s")
            client.wait_for_workers(1, timeout=WAIT_S_MAX)
            watch.done("join_s")
            assert client.submit(sum, (1, 2), pure=False).result(WAIT_S_MAX) == 3
            watch.done("first_s")
    return watch.steps_s


def main() -> int:
    """Measure once, and print it."""
    made(".venv-ansible/.ansible")
    worker_archive()
    run(str(SCRIPT), "net")
    with openstack(), tempfile.TemporaryDirectory(prefix="by-hand-") as folder:
        steps_s = measured(Path(folder))
    print(json.dumps({**steps_s, "total_s": round(sum(steps_s.values()), 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
