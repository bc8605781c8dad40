"""The command line: results on stdout, messages on stderr, exit codes that scripts can read.

Commands import what they need when they run, so that help answers at once.
"""

from __future__ import annotations

import sys
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes: part of the interface, so that jobs and CI can act on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LATE = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


def main() -> None:
    """Run the command `slackwater`; typed errors end in one clear message, not in a trace."""
    from controller.cli.app import app
    from planner.errors import SlackwaterError

    try:
        app()
    except SlackwaterError as error:
        from controller.cli.display import messages

        messages().print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(Exit.FAILED)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
