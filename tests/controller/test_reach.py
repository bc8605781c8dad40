"""What is there as a node sees it."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.error import HTTPError

import pytest

from controller.errors import NodeError
from controller.nodes.supervisor import check_reachable
from controller.reach import is_there
from tests.controller.sources.servers import web_server


def test_a_web_server_that_lists_no_folder_is_there_and_one_that_is_away_is_not(
    tmp_path: Path,
) -> None:
    with web_server(tmp_path) as (url, manner):
        check_reachable((url,))
        manner.status = 403
        assert is_there(url)
        manner.status = 502  # A proxy's word for a server that is away.
        with pytest.raises(HTTPError):
            is_there(url)
        assert [status for _, status in manner.requests] == [404, 403, 502]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NodeError, match=f"http://127.0.0.1:{port} is out of reach"):
        check_reachable((f"http://127.0.0.1:{port}",))


def test_a_folder_is_there_or_not(tmp_path: Path) -> None:
    assert is_there(str(tmp_path))
    assert not is_there(str(tmp_path / "other"))
