"""Which applications there are: Argo, and those of other distributions."""

from __future__ import annotations

from collections.abc import Mapping

from controller.apps.argo.application import ArgoApplication

GROUP = "slackwater.applications"
"""Entry point group; each entry names a class that is made as `ArgoApplication` is."""

BUILT_IN: Mapping[str, type[ArgoApplication]] = {"argo": ArgoApplication}
"""Applications that need no installation, by name."""
