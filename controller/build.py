"""What this program is, as journals and products name it."""

from __future__ import annotations

from importlib.metadata import version

BUILD = f"slackwater {version('slackwater')}"
"""Name and version: what a journal says that it was written by."""
