"""The signals that a supervisor acts on.

A process that becomes one blocks them first: a signal that is blocked waits, also for the first
process of a pod, to which one without a handler is never delivered.
"""

from __future__ import annotations

import signal

ENDING = frozenset((signal.SIGTERM, signal.SIGINT))
"""The node is to end."""

HEARD = ENDING | {signal.SIGHUP}
"""What the node is to hold may have changed, or it is to end."""
