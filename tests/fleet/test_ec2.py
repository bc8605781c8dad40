"""Libcloud's provider against the protocol of EC2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.errors import NodeError, NodeFault
from controller.nodes.libcloud import LibcloudNodes
from controller.nodes.libcloud_options import CloudOptions
from controller.nodes.testing import check_node_provider
from tests.fleet.clouds import cloud_nodes, machine_type
from tests.fleet.ec2 import ec2

IMAGE = "ami-12c6146b"  # One that moto begins with.


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ec2(tmp_path_factory.mktemp("ec2")) as url:
        yield url


def nodes(folder: Path, url: str, size: str = "t2.micro", image: str = IMAGE) -> LibcloudNodes:
    options: dict[str, Any] = {
        "driver": "ec2",
        "url": url,
        "user": "AKIAEXAMPLE",
        "password": SecretStr("sesame"),
        "region": "eu-west-1",
        "poll_s": 0.2,
    }
    return cloud_nodes(folder, CloudOptions(**options), machine_type(size, image))


def test_the_contract(tmp_path: Path, url: str) -> None:
    provider = nodes(tmp_path, url)
    check_node_provider(provider, reopen=lambda: nodes(tmp_path, url))
    provider.create("n1", "small", 1)
    provider.close(end=True)
    assert nodes(tmp_path, url).list_nodes() == ()


@pytest.mark.parametrize(
    ("size", "image", "says"),
    [("t2.nano-not", IMAGE, "no size 't2.nano-not'"), ("t2.micro", "ami-0", "no image 'ami-0'")],
)
def test_what_a_cloud_does_not_have_is_named(
    tmp_path: Path, url: str, size: str, image: str, says: str
) -> None:
    provider = nodes(tmp_path, url, size, image)
    for call in (provider.describe, lambda: provider.create("n1", "small", 1)):
        with pytest.raises(NodeError, match=says) as caught:
            call()
        assert caught.value.fault is NodeFault.OURS
