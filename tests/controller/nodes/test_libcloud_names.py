"""A cloud that knows names only tells nodes of all types and ids apart."""

from __future__ import annotations

from typing import Any

import pytest
from libcloud.compute.drivers.dummy import DummyNodeDriver

from controller.nodes.libcloud_dialects import Plain
from controller.nodes.libcloud_machines import Order, tags_of, with_ids_of_ours


class Named(DummyNodeDriver):
    """Libcloud's own cloud in memory, but for that machines are called as they are asked for."""

    def create_node(self, name: Any, size: Any, image: Any) -> Any:  # type: ignore[override]
        node = super().create_node(name, size, image)  # type: ignore[no-untyped-call]
        node.name = name
        return node


def cloud() -> Any:
    return Named("")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("node_type", "node_id"), [("small", "n1"), ("m1.medium", "n17.1"), ("m1.medium", "n1")]
)
def test_a_name_holds_type_and_id(node_type: str, node_id: str) -> None:
    driver: Any = cloud()
    order = Order(
        name="",
        size=driver.list_sizes()[0],
        image=driver.list_images()[0],
        tags=tags_of("5ea1e55", node_id, node_type, 1),
        token="",
    )
    Plain().create(driver, order)
    (machine,) = Plain().machines(driver, "5ea1e55")
    assert (machine.node_type, machine.node_id) == (node_type, node_id)
    assert Plain().machines(driver, "5ea1e5") == []


@pytest.mark.parametrize("rest", ["", "n1", "5.small.", "99.small.n1", ".n1"])
def test_a_name_that_holds_neither_is_none_of_ours(rest: str) -> None:
    driver: Any = cloud()
    driver.create_node(
        name=f"slackwater-5ea1e55.{rest}",
        size=driver.list_sizes()[0],
        image=driver.list_images()[0],
    )
    assert with_ids_of_ours(Plain().machines(driver, "5ea1e55")) == []
