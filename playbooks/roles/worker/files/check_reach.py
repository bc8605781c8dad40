"""Looks from a host, as the worker's user, whether what a join folder names can be reached.

Argument: the join folder. Run by the Python of the worker's environment.
"""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from controller.nodes.joining import read_join_folder
from controller.nodes.supervisor import check_reachable
from planner.errors import SlackwaterError

CONNECT_S = 10.0

join = read_join_folder(Path(sys.argv[1]))
faults = []
for url in join.reachable_urls:
    try:
        check_reachable((url,))
    except SlackwaterError as error:
        faults.append(str(error))
scheduler = urlsplit(join.address)
try:
    socket.create_connection((scheduler.hostname, scheduler.port), CONNECT_S).close()
except OSError as error:
    faults.append(f"the scheduler {join.address} is out of reach: {error}")
sys.exit("; ".join(faults) or 0)
