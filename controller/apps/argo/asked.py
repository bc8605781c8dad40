"""What an Argo view asks for, as its subscription named it."""

from __future__ import annotations

from controller.apps.argo.derived.catalogue import DERIVED_OPTION, names_in
from controller.apps.request import request
from planner.model import View


def asked(view: View) -> dict[str, object]:
    """Return what a view asks for, see `request`.

    Written into a subscriptions file, it asks for the same: derived parameters stand among the
    measured ones, with those that they need, not among the options that carry them.
    """
    return request(view) | {
        "parameters": [*view.extent.parameters, *names_in(view.options)],
        "options": {name: said for name, said in view.options if name != DERIVED_OPTION},
    }
