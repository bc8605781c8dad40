"""The options file: all faults at once, nothing secret shown, each server its own."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from controller.delivery.options import (
    SftpOptions,
    WebdavOptions,
    options_of,
    read_options,
)
from controller.errors import FileFault

GOOD = """
s3:
  endpoint_url: https://s3.example.org
s3://ocean:
  key: AKEY
  secret: 0123456
webdavs://drop.example.org:
  username: joe
  password: a-secret
  read_s: 5
sftp://near:2222:
"""


def written(folder: Path, text: str, mode: int = 0o640) -> Path:
    path = folder / "delivery.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_says_what_holds_for_schemes_and_servers(tmp_path: Path) -> None:
    options = read_options(written(tmp_path, GOOD))
    assert options["s3://ocean"] == {"key": "AKEY", "secret": "0123456"}
    drop = options_of(WebdavOptions, "webdav", options["webdavs://drop.example.org"])
    assert (drop.username, drop.password, drop.read_s, drop.connect_s) == ("joe", "a-secret", 5, 10)
    assert "a-secret" not in repr(drop)
    assert read_options(written(tmp_path, "")) == {}


def test_all_faults_are_told_at_once_and_no_secret(tmp_path: Path) -> None:
    bad = """\
s3://ocean:
  secrets: hidden-1
  key: [hidden-2]
gopher://host: {}
webdavs://host/folder: {}
webdavs://joe@host: {}
sftp://:
  username: x
sftp:
  read_s: never
  connect_s: 0
  password:
webdav: hidden-3
"""
    with pytest.raises(FileFault) as caught:
        read_options(written(tmp_path, bad))
    assert caught.value.faults == [
        "line 2: s3://ocean: unknown key 'secrets'. Did you mean secret?",
        "line 3: s3://ocean: key must be one value",
        "line 4: 'gopher://host' is of no scheme that has options. "
        "Known: s3, sftp, webdav, webdavs",
        "line 5: 'webdavs://host/folder' must be a scheme, or a scheme and a host or bucket",
        "line 6: 'webdavs://joe@host' must be a scheme, or a scheme and a host or bucket",
        "line 7: 'sftp://' must be a scheme, or a scheme and a host or bucket",
        "line 10: sftp: read_s must be a number, not never",
        "line 11: sftp: connect_s must be above 0, not 0",
        "line 12: sftp: password is empty; it must be one value, or leave it out",
        "line 13: webdav must be a mapping of options",
    ]
    assert "hidden" not in str(caught.value)


def test_a_list_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(FileFault, match="must be a mapping of schemes and hosts"):
        read_options(written(tmp_path, "- s3"))


def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFault, match="may be read by everybody, and holds credentials"):
        read_options(written(tmp_path, GOOD, 0o644))


def test_what_fsspec_knows_stands_below_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = {"sftp": {"username": "jane", "key_filename": "/key", "host": "unused", "port": 1}}
    monkeypatch.setattr(fsspec.config, "conf", conf)
    found = options_of(SftpOptions, "sftp", {"username": "joe"})
    assert (found.username, found.key_file) == ("joe", "/key")
    assert options_of(WebdavOptions, "webdav", {}) == WebdavOptions()
