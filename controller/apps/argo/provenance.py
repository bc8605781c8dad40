"""What a product says of itself: global attributes after CF-1.11, ACDD-1.3 and Argo's terms."""

from __future__ import annotations

import json

import numpy as np

from controller.apps.argo.asked import asked
from controller.apps.argo.extract import EPOCH_D
from controller.apps.argo.fragment import Harvest
from controller.apps.argo.orders import CombineOrder
from controller.apps.argo.policy import policy_of
from controller.apps.request import iso_instant, iso_stamp
from controller.build import BUILD, VERSION

ACKNOWLEDGEMENT = (
    "These data were collected and made freely available by the International Argo Program and the "
    "national programs that contribute to it. (https://argo.ucsd.edu, https://www.ocean-ops.org). "
    "The Argo Program is part of the Global Ocean Observing System."
)
"""The sentence that Argo asks for."""


def global_attributes(order: CombineOrder, harvest: Harvest) -> dict[str, object]:
    """Return the global attributes of a product.

    They tell what it was made of and for, never when: ``date_created`` is, as ACDD has it, the date
    of the last change of the values, so that of the newest source file.
    """
    policy = policy_of(order.options).describe(harvest.measured, harvest.derivations)
    updated = max((source.date_update for source in harvest.sources), default="")
    changed = {"date_created": iso_stamp(updated)} if updated else {}
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "featureType": "point",
        "id": order.product_id,
        "title": f"Argo float measurements for subscription {order.subscription_id}",
        "summary": _summary(harvest),
        "keywords": "Argo, oceans, profiling floats, " + ", ".join(harvest.modes),
        "source": "Argo float",
        "institution": "Argo Data Management Team",
        "creator_name": "Argo",
        "creator_url": "https://argo.ucsd.edu",
        "processing_level": f"Argo quality control; user mode {policy['mode']}",
        "history": " ".join([*changed.values(), f"selected and merged by {BUILD}"]),
        "references": " ".join(f"https://doi.org/{dataset}" for dataset in order.datasets),
        "doi": " ".join(order.datasets),
        "license": "Argo data are freely available; see acknowledgement",
        "acknowledgement": ACKNOWLEDGEMENT,
        **changed,
        **_bounds(order, harvest),
        "slackwater_version": VERSION,
        "slackwater_subscription": order.subscription_id,
        "slackwater_request": _json([asked(s.view) for s in order.selections]),
        "slackwater_policy": _json(policy),
    }


def _summary(harvest: Harvest) -> str:
    filled = int(np.count_nonzero(harvest.profiles["rows"]))
    return (
        f"{harvest.rows} levels of {filled} profiles from {len(harvest.sources)} files of the Argo "
        "archive, selected by quality flags and data mode."
    )


def _bounds(order: CombineOrder, harvest: Harvest) -> dict[str, object]:
    """Return the bounds of the rows; west > east where they lie across the antimeridian."""
    profiles = harvest.profiles[harvest.profiles["rows"] > 0]
    if not len(profiles):
        return {}
    west = order.selections[0].view.extent.box.west
    eastward = np.mod(profiles["longitude"] - west, 360.0)
    times = (profiles["time_d"] - EPOCH_D) * 86400.0
    pressure = harvest.columns["PRES"]
    bounds: dict[str, object] = {
        "geospatial_lat_min": float(profiles["latitude"].min()),
        "geospatial_lat_max": float(profiles["latitude"].max()),
        "geospatial_lat_units": "degree_north",
        "geospatial_lon_min": float(profiles["longitude"][np.argmin(eastward)]),
        "geospatial_lon_max": float(profiles["longitude"][np.argmax(eastward)]),
        "geospatial_lon_units": "degree_east",
        "time_coverage_start": iso_instant(round(float(times.min()))),
        "time_coverage_end": iso_instant(round(float(times.max()))),
    }
    if np.isfinite(pressure).any():
        bounds |= {
            "geospatial_vertical_min": float(np.nanmin(pressure)),
            "geospatial_vertical_max": float(np.nanmax(pressure)),
            "geospatial_vertical_units": "decibar",
            "geospatial_vertical_positive": "down",
        }
    return bounds


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)
