"""The bed that is an OpenStack: keystone, nova, neutron and glance, whose servers are ssh hosts.

It is brought up once for all tests that want it, and taken down if they brought it up. Where that
is asked for, one's own OpenStack takes its place (`tests.fleet.own_cloud`).
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.nodes.libcloud_access import login_of
from controller.nodes.libcloud_account import Account
from controller.nodes.libcloud_options import CloudOptions
from tests.fleet.beds import script, state
from tests.fleet.clouds import Cloud
from tests.fleet.equipment import ANSIBLE, made, worker_archive
from tests.fleet.own_cloud import (
    MARK,
    OwnCloud,
    no_clouds_of_the_shell,
    own_cloud,
    tell_cost,
)

KEYSTONE = ("127.0.0.1", 25000)
START_S_MAX, BUILD_S_MAX = 400.0, 900.0
WAIT_S_MAX = 120.0
"""A busy machine builds a server in a minute [s]."""

PASSWORD = "sw"
LOGIN: dict[str, Any] = {
    "driver": "openstack",
    "url": f"http://{KEYSTONE[0]}:{KEYSTONE[1]}/v3",
    "user": "sw",
    "password": SecretStr(PASSWORD),
    "project": "sw",
    "region": "RegionOne",
    "poll_s": 0.5,
}

OWN_NETWORK = {
    "subnet_cidr": "10.77.0.0/24",
    "subnet_pool": "10.77.0.10-10.77.0.99",
    "reach_from": "10.77.0.1/32",
}


@contextmanager
def an_openstack(config: pytest.Config) -> Iterator[Cloud]:
    """Have one's own OpenStack where that was asked for, else the bed."""
    if own := own_cloud("openstack"):
        yield _own(own, config)
        return
    with openstack(), no_clouds_of_the_shell():
        yield Cloud(
            login=LOGIN,
            size="m1.tiny",
            image="debian-fake",
            network=OWN_NETWORK,
            wait_s_max=WAIT_S_MAX,
        )


def _own(own: OwnCloud, config: pytest.Config) -> Cloud:
    login: dict[str, Any] = {"driver": "openstack", "poll_s": 5.0}
    if os.environ.get("OS_APPLICATION_CREDENTIAL_ID"):
        login["login"] = "application-credential"
    where = login_of("own", CloudOptions(**login)).options["ex_force_auth_url"]
    size, image = own.needed("size"), own.needed("image")
    tell_cost(config, where, f"servers of {size} from {image}, and a key pair")
    return Cloud(
        login=login,
        size=size,
        image=image,
        network={"network": own.network},
        wait_s_max=own.wait_s_max,
        mark=MARK,
        is_bed=False,
    )


def provider_section(folder: Path) -> dict[str, Any]:
    """Return a provider of the settings: servers of the bed, set up by ssh, on their own network.

    Parameters
    ----------
    folder : Path
        For the file with the password.
    """
    made(".venv-ansible/.ansible")
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    return {
        "kind": "libcloud",
        **{name: said for name, said in LOGIN.items() if name != "password"},
        **OWN_NETWORK,
        "password_file": str(secret),
        "ansible_playbook": str(ANSIBLE),
        "worker_archive": str(worker_archive().path),
    }


def names(account: Account, *calls: str) -> dict[str, list[str]]:
    """Return the names of what an account has of each kind."""
    found = {call: account.read(call, methodcaller(call)) for call in calls}
    return {call: [each.name for each in listed] for call, listed in found.items()}


@contextmanager
def openstack() -> Iterator[Path]:
    """Have the bed up, and yield its clouds.yaml; skip, loudly, where it cannot be."""
    up, down, install = (script(f"openstack/{each}.sh") for each in ("up", "down", "install"))
    clouds = state() / "openstack/run/clouds.yaml"
    if answers():
        yield clouds
        return
    if not (state() / "openstack/venv/.complete").exists():
        if "CI" not in os.environ:
            pytest.skip(f"the test bed of OpenStack is not built: run {install}")
        _run(install, BUILD_S_MAX)
    _run(up, START_S_MAX)
    try:
        yield clouds
    finally:
        subprocess.run([down], check=False, timeout=60)


def _run(program: Path, limit_s: float) -> None:
    try:
        done = subprocess.run(
            [program],
            check=False,
            timeout=limit_s,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{program} was not done in {limit_s:.0f} s")
    if done.returncode:
        pytest.skip(f"{program} failed: {done.stdout[-1000:]}")


def answers() -> bool:
    try:
        socket.create_connection(KEYSTONE, timeout=1.0).close()
    except OSError:
        return False
    return True
