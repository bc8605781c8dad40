"""Tells how this host stands, as JSON: one round trip instead of Ansible's facts.

Arguments: the version of Python that is wanted, the folder of the environment that is wanted, and
the name of the user.
"""

import json
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path


def python_of(version):
    """Return the path of an interpreter of that version, or nothing."""
    for name in (f"python{version}", "python3"):
        path = shutil.which(name)
        if path is None:
            continue
        asked = [path, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
        told = subprocess.run(
            asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
        )
        if told.stdout.strip() == version:
            return path
    return ""


def runs(systemd):
    """Return whether a worker runs."""
    if systemd:
        asked = ["systemctl", "is-active", "--quiet", "slackwater-worker.service"]
    else:
        asked = ["/usr/local/sbin/slackwater-worker", "status"]
    try:
        return subprocess.run(asked, stdout=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def knows(user):
    """Return whether there is such a user."""
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def main(version, environment, user):
    """Print what is so."""
    systemd = Path("/run/systemd/system").is_dir()
    told = {
        "systemd": systemd,
        "python": python_of(version),
        "environment": Path(environment).is_dir(),
        "user": knows(user),
        "runs": runs(systemd),
        # Last: it is compared with when the answer came.
        "clock_s": time.time(),
    }
    sys.stdout.write(json.dumps(told))


main(*sys.argv[1:])
