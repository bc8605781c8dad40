"""The how-tos of delivery, followed to the letter; only addresses and credentials are ours."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from controller.delivery.options import KINDS, Patience
from controller.demo.archive import make_archive
from tests.controller.delivery.certificates import self_signed
from tests.controller.delivery.servers import (
    PASSWORD,
    USER,
    Server,
    s3_server,
    sftp_server,
    webdav_server,
)
from tests.controller.runs import COMMAND, RUN_S_MAX, environment
from tests.docs.pages import coded, page, rows

DELIVERED = {"mediterranean-v1-to-u0.nc", "mediterranean-v1-to-u0.manifest.json"}
_FILE = re.compile(r"^```yaml\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^    ((?:chmod|slackwater|ssh-keygen|ssh-keyscan) .*)$", re.MULTILINE)


def followed(name: str, folder: Path, ours: Mapping[str, str], before: str = "") -> None:
    """Write the files and type the commands of a page, with some words replaced by ours."""
    text = page(f"how-to/{name}").text
    for theirs, own in ours.items():
        assert theirs in text
        text = text.replace(theirs, own)
    for path, content in _FILE.findall(text):
        (folder / path).write_text(content)
    make_archive(folder / "archive", profiles=100, seed=7)
    script = [f'slackwater() {{ "{COMMAND}" "$@"; }}', *_COMMAND.findall(text)]
    at = next(i for i, line in enumerate(script) if line.startswith("chmod"))
    script.insert(at, before)
    (folder / "t").mkdir()
    done = subprocess.run(
        ["bash", "-ec", "\n".join(script)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def delivered(server: Server, folder: str) -> set[str]:
    return {name for name in server.files(folder) if not name.endswith("ro-crate-metadata.json")}


def test_deliver_to_s3(tmp_path: Path) -> None:
    with s3_server("ocean-products") as server:
        followed(
            "deliver-to-s3.md",
            tmp_path,
            {"https://s3.example.org": f"http://127.0.0.1:{server.port}"},
        )
        assert delivered(server, "argo/mediterranean") == DELIVERED


def test_deliver_to_webdav(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with webdav_server(tmp_path / "served", certificate=str(certificate), key=str(key)) as server:
        followed(
            "deliver-to-webdav.md",
            tmp_path,
            {
                "webdavs://b2drop.eudat.eu": f"webdavs://127.0.0.1:{server.port}",
                "username: jane": f"username: {USER}\n  ca_file: {certificate}",
                "an-example-password": PASSWORD,
            },
        )
        assert delivered(server, "remote.php/webdav/argo/mediterranean") == DELIVERED


@pytest.mark.skipif(shutil.which("ssh-keyscan") is None, reason="OpenSSH's client is not installed")
def test_deliver_by_sftp(tmp_path: Path) -> None:
    with sftp_server(tmp_path / "served") as server:
        followed(
            "deliver-by-sftp.md",
            tmp_path,
            {
                "ssh-keyscan archive.example.org": f"ssh-keyscan -p {server.port} 127.0.0.1",
                "sftp://archive.example.org:2222": "",
                "sftp://archive.example.org": f"sftp://127.0.0.1:{server.port}",
                "/srv/argo": f"{server.root}/srv/argo",
                "username: slackwater": f"username: {getpass.getuser()}",
            },
            before="cat id_slackwater.pub >> served/client.pub",
        )
        assert delivered(server, "srv/argo/mediterranean") == DELIVERED


def test_every_option_is_described_with_its_schemes() -> None:
    section = page("reference/options-file.md").text
    told: set[tuple[str, str]] = set()
    for cells in rows(section):
        schemes = list(KINDS) if cells[0] == "all" else coded(cells[0])
        told |= {(scheme, option) for scheme in schemes for option in coded(cells[1])}
    there = {(scheme, each.name) for scheme, kind in KINDS.items() for each in fields(kind)}
    assert told - {("webdav", "ca_file")} == there - {("webdav", "ca_file")}
    defaults = Patience()
    assert f"| `connect_s` | {defaults.connect_s:g} |" in section
    assert f"| `read_s` | {defaults.read_s:g} |" in section
