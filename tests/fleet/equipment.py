"""What setting a host up takes, made as a person would: the worker archive, and Ansible."""

from __future__ import annotations

import subprocess

from controller.nodes.worker_archive import WorkerArchive, read_worker_archive
from tests.fleet.beds import ROOT

ANSIBLE = ROOT / ".venv-ansible" / "bin" / "ansible-playbook"
MAKE_S_MAX = 400  # half a minute alone on the machine


def made(target: str) -> None:
    """Make a target of the Makefile."""
    command = ["make", "--no-print-directory", target]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=MAKE_S_MAX, check=False
    )
    assert done.returncode == 0, done.stderr


def worker_archive() -> WorkerArchive:
    """Return the archive of this checkout."""
    made("worker-archive")
    (path,) = (ROOT / "dist").glob("slackwater-worker-*.tar.gz")
    return read_worker_archive(path)
