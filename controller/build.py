"""What this program is, as journals and products name it."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("slackwater")

BUILD = f"slackwater {VERSION}"
"""What a journal or product says that it was made by."""
