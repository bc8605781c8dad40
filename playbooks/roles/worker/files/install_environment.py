"""Unpacks a worker archive into an environment of its own: whole, or not at all.

Arguments: the archive, its sha256, and the folder to make. The Python that runs this is the one
that the environment will have. The archive is removed.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

FACTS = "worker-archive.json"


def check_hash(archive, wanted):
    """End if the archive is not the one that is meant."""
    digest = hashlib.sha256()
    with Path(archive).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if digest.hexdigest() != wanted:
        sys.exit(f"the worker archive came damaged: its sha256 is {digest.hexdigest()}")


def check_fit(facts):
    """End if the archive is for another kind of host."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if facts["python"] != version:
        sys.exit(f"the archive needs Python {facts['python']}, this is {version}")
    if facts["machine"] != platform.machine():
        sys.exit(f"the archive is for {facts['machine']}, this is {platform.machine()}")
    library, found = platform.libc_ver()
    if library != "glibc" or numbers(found) < numbers(facts["glibc"]):
        has = f"{library or 'no glibc'} {found}"
        sys.exit(f"the archive needs glibc {facts['glibc']}, this host has {has}")


def numbers(version):
    """Return a version as something to compare."""
    return tuple(int(part) for part in version.split(".") if part)


def main(archive, sha256, target):
    """Make the environment."""
    os.umask(0o022)  # Its user, who is another one, reads it.
    check_hash(archive, sha256)
    draft = target + ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    with tarfile.open(archive) as tar:
        check_fit(json.load(tar.extractfile(FACTS)))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", draft], check=True)
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = staticmethod(tarfile.data_filter)
        tar.extractall(draft)
    Path(draft).rename(target)
    Path(archive).unlink()


main(*sys.argv[1:])
