"""Which variables are settings; apart, since processes that read none need to know it too."""

from __future__ import annotations

import re
from collections.abc import Mapping

from controller.apps.command.document import VARIABLES as OF_PARTS
from controller.shared_reads import FOLDER_VARIABLE, SIZE_VARIABLE

PREFIX = "SLACKWATER_"
BETWEEN = "__"

CONFIG_VARIABLE = "SLACKWATER_CONFIG"
"""Names the settings file where no option does."""

URL_VARIABLE, KEY_VARIABLE, KEY_FILE_VARIABLE, CA_FILE_VARIABLE = OF_CLIENTS = (
    "SLACKWATER_URL",
    "SLACKWATER_KEY",
    "SLACKWATER_KEY_FILE",
    "SLACKWATER_CA_FILE",
)
"""Say to who asks a service where it is, what opens it, and whose certificate it shows."""

OTHERS = frozenset((CONFIG_VARIABLE, FOLDER_VARIABLE, SIZE_VARIABLE, *OF_PARTS, *OF_CLIENTS))
"""Variables of ours that are no settings."""

# A Kubernetes service named slackwater has these set in every pod beside it.
_OF_KUBERNETES = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


def is_setting(variable: str) -> bool:
    """Tell whether a variable sets a setting, or means to."""
    name = variable.upper()
    if not name.startswith(PREFIX) or name in OTHERS:
        return False
    return not _OF_KUBERNETES.fullmatch(name.removeprefix(PREFIX)) or BETWEEN in name


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for processes that are told all they need, and no secret of ours."""
    return {
        name: value
        for name, value in environment.items()
        if not is_setting(name) and name not in OF_CLIENTS
    }
