"""Waits until the worker of this host stands, or says why it does not.

Arguments: what started it (systemd or none), the state folder, the log file, and for how long to
wait [s].
"""

import json
import subprocess
import sys
import time
from pathlib import Path

POLL_S = 0.2
LINES_MAX = 12


def output(*command):
    """Return what a command prints, whatever its exit code."""
    told = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return told.stdout


def process(service):
    """Return the number of the process that runs as the worker, 0 if none does."""
    if service == "systemd":
        asked = ("systemctl", "show", "--property=MainPID", "--value", "slackwater-worker.service")
    else:
        asked = ("/usr/local/sbin/slackwater-worker", "pid")
    return int(output(*asked).strip() or 0)


def standing(state):
    """Return what the worker last wrote about itself."""
    try:
        return json.loads(Path(state, "standing.json").read_bytes())
    except (OSError, ValueError):
        return {}


def last_words(service, log):
    """Return the end of what it wrote."""
    if service == "systemd":
        unit = "--unit=slackwater-worker.service"
        return output("journalctl", unit, "--output=cat", "--no-pager", f"--lines={LINES_MAX}")
    return output("tail", "-n", str(LINES_MAX), log)


def main(service, state, log, wait_s):
    """Wait."""
    give_up_at = time.monotonic() + float(wait_s)
    while time.monotonic() < give_up_at:
        pid, told = process(service), standing(state)
        if pid and told.get("supervisor", {}).get("pid") == pid and told.get("state") == "running":
            return
        if not pid:
            sys.exit("the worker has ended; its last words:\n" + last_words(service, log))
        time.sleep(POLL_S)
    sys.exit(f"the worker does not stand after {wait_s} s:\n{last_words(service, log)}")


main(*sys.argv[1:])
