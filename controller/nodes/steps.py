"""How a node comes up, step by step, in the log: what no event of the planner tells.

The planner hears of a node when its workers have joined. Where the time before that went is for
people and for `bench.first_part`, so it is logged and not journaled.
"""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


def tell_step(what: str, node_id: str, text: str) -> None:
    """Log a step of a node on its way to be ready.

    Parameters
    ----------
    what : str
        "asked": its provider has taken the order; "up": its machine runs; "runs": its provider has
        done its part.
    node_id : str
    text : str
        The same in words.
    """
    _log.info("node %s: %s", node_id, text, extra={"about": {"what": what, "node": node_id}})
