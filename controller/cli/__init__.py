"""The command line: results on stdout, messages on stderr, exit codes that scripts can read.

Commands import what they need when they run, so that help answers at once.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum, StrEnum


class Exit(IntEnum):
    """Exit codes: part of the interface, so that jobs and CI can act on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LATE = 3
    UNREACHABLE = 4
    OUT_OF_REACH = 75
    REFUSED = 78
    INTERRUPTED = 130


class Panel(StrEnum):
    """Headings that commands stand under in the help, in the order in which people meet them."""

    START = "See it work"
    ONCE = "Deliver once, and look at what it takes"
    KEEP = "Keep a service"
    ASK = "Talk to a running service"
    TRY = "Try policies and loads in virtual time"


def main() -> None:
    """Run the command `slackwater`; typed errors end in one clear message, not in a trace."""
    from controller.ownership import ADVICE, fault_of_names

    if fault := fault_of_names():
        sys.exit(f"error: {fault}. {ADVICE}")
    from controller.errors import AccessError, Unreachable
    from controller.interruption import Interrupted, interruptible
    from planner.errors import SlackwaterError

    try:
        with interruptible():
            from controller.cli.app import app

            app()
    except Unreachable as error:
        _say("red", "error", str(error))
        sys.exit(Exit.UNREACHABLE)
    except SlackwaterError as error:
        _say("red", "error", str(error))
        sys.exit(Exit.USAGE if isinstance(error, AccessError) else Exit.FAILED)
    except BrokenPipeError:
        # Who read the results wants no more of them. What is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except Interrupted:
        _say("yellow", "interrupted", "what was started has ended, what was delivered is whole")
        sys.exit(Exit.INTERRUPTED)


def _say(colour: str, head: str, text: str) -> None:
    from rich.markup import escape

    from controller.cli.display import messages

    messages().print(f"[{colour}]{head}:[/] {escape(text)}", highlight=False, soft_wrap=True)
