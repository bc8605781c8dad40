"""What the pages of all commands have in common."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from controller.cli.pages import command_line, refuse_unwritable, write
from controller.errors import StorageError


def test_a_page_shows_how_it_was_made_but_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    far = "https://user:pass@host/argo?token=x"
    monkeypatch.setattr(
        sys, "argv", ["/bin/slackwater", "plan", "--archive", far, f"--out={far}", "a@b?c"]
    )
    assert command_line() == [
        *("slackwater", "plan", "--archive", "https://host/argo"),
        *("--out=https://host/argo", "a@b?c"),
    ]


def test_a_file_is_refused_before_it_is_wanted(tmp_path: Path) -> None:
    refuse_unwritable(None, tmp_path / "page.html")
    for file, reason in (
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "page.html", "its folder is missing"),
    ):
        with pytest.raises(StorageError, match=reason):
            refuse_unwritable(None, file)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write(tmp_path / "page.html", "90 % after 3 µs")
    assert (tmp_path / "page.html").read_text("utf-8") == "90 % after 3 µs"
    assert len(list(tmp_path.iterdir())) == 1
