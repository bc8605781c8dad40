"""What marks a service's nodes is made once, and is never nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.errors import NodeError
from controller.nodes.opening import IDENTITY, service_id


def test_a_service_is_marked_once(tmp_path: Path) -> None:
    made = service_id(tmp_path)
    assert len(made) == 16
    assert service_id(tmp_path) == made
    assert (tmp_path / IDENTITY).stat().st_mode & 0o777 == 0o600
    (tmp_path / IDENTITY).write_text(f"{made}\n")  # As an editor leaves it.
    assert service_id(tmp_path) == made


@pytest.mark.parametrize("content", ["", "\n", "a" * 64, "../x"])
def test_a_mark_that_is_none_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / IDENTITY).write_text(content)
    with pytest.raises(NodeError, match="does not say which nodes"):
        service_id(tmp_path)
