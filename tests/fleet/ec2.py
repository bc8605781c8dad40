"""The bed that speaks EC2: moto behind a port of its own, as a process of the tests.

Where that is asked for, one's own account takes its place (`tests.fleet.own_cloud`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.nodes.libcloud_access import login_of
from controller.nodes.libcloud_options import CloudOptions
from tests.fleet.beds import script
from tests.fleet.clouds import Cloud
from tests.fleet.own_cloud import (
    MARK,
    OwnCloud,
    no_clouds_of_the_shell,
    own_cloud,
    tell_cost,
)

START_S_MAX = 60.0
WAIT_S_MAX = 60.0
IMAGE = "ami-12c6146b"  # One that moto begins with.


@contextmanager
def an_ec2(config: pytest.Config, folder: Path) -> Iterator[Cloud]:
    """Have one's own account where that was asked for, else the bed."""
    if own := own_cloud("ec2"):
        yield _own(own, config)
        return
    with ec2(folder) as url, no_clouds_of_the_shell():
        login = {
            "driver": "ec2",
            "url": url,
            "user": "AKIAEXAMPLE",
            "password": SecretStr("sesame"),
            "region": "eu-west-1",
            "poll_s": 0.2,
        }
        yield Cloud(login=login, size="t2.micro", image=IMAGE, network={}, wait_s_max=WAIT_S_MAX)


def _own(own: OwnCloud, config: pytest.Config) -> Cloud:
    url = os.environ.get("AWS_ENDPOINT_URL_EC2") or os.environ.get("AWS_ENDPOINT_URL", "")
    login: dict[str, Any] = {"driver": "ec2", "url": url, "poll_s": 5.0}
    region = login_of("own", CloudOptions(**login)).options["region"]
    size, image = own.needed("size"), own.needed("image")
    tell_cost(config, url or region, f"instances of {size} from {image}, and a key pair")
    return Cloud(
        login=login,
        size=size,
        image=image,
        network={"network": own.network},
        wait_s_max=own.wait_s_max,
        mark=MARK,
        is_bed=False,
    )


@contextmanager
def ec2(folder: Path) -> Iterator[str]:
    """Run the bed, and yield its URL."""
    program = script("ec2/moto_ec2.py")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, program, str(port)], stdout=log, stderr=log)
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_S_MAX)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    give_up_at = time.monotonic() + START_S_MAX
    while True:
        assert process.poll() is None, "moto ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
