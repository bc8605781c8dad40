"""What a product says of itself: global attributes after CF-1.11, ACDD-1.3 and Argo's terms."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np

from controller.apps.argo.asked import asked
from controller.apps.argo.extract import EPOCH_D
from controller.apps.argo.fragment import Harvest, ProfileTable
from controller.apps.argo.orders import CombineOrder
from controller.apps.argo.policy import policy_of
from controller.apps.request import iso_duration, iso_instant, iso_stamp
from controller.build import BUILD, VERSION

ACKNOWLEDGEMENT = (
    "These data were collected and made freely available by the International Argo Program and the "
    "national programs that contribute to it. (https://argo.ucsd.edu, https://www.ocean-ops.org). "
    "The Argo Program is part of the Global Ocean Observing System."
)
"""The sentence that Argo asks for."""

STANDARD_NAMES = "CF Standard Name Table v93"

_DOI = re.compile(r"10\.\d{4,9}/\S+$")
_PRODUCT_VERSION = re.compile(r"-v(\d+)(?=-)")

_ARGO = {
    "source": "Argo float",
    "institution": "Argo Data Management Team",
    "project": "Argo",
    "program": "Argo",
    "platform": "Argo float",
    "creator_name": "Argo",
    "creator_type": "group",
    "creator_institution": "Argo Data Management Team",
    "creator_url": "https://argo.ucsd.edu",
    "license": "Argo data are freely available; see acknowledgement",
    "acknowledgement": ACKNOWLEDGEMENT,
}


def global_attributes(order: CombineOrder, harvest: Harvest) -> dict[str, object]:
    """Return the global attributes of a product.

    They tell what it was made of and for, never when: ``date_created`` is, as ACDD has it, the date
    of the last change of the values, so that of the newest source file.
    """
    policy = policy_of(order.options).describe(harvest.measured, harvest.derivations)
    updated = max((source.date_update for source in harvest.sources), default="")
    changed = (
        dict.fromkeys(("date_created", "date_modified"), iso_stamp(updated)) if updated else {}
    )
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "featureType": "point",
        "cdm_data_type": "Point",
        "id": order.product_id,
        "title": f"Argo float measurements for subscription {order.subscription_id}",
        "summary": _summary(harvest),
        "keywords": "Argo, oceans, profiling floats, " + ", ".join(harvest.modes),
        "comment": _comment(order),
        **_ARGO,
        "processing_level": f"Argo quality control; user mode {policy['mode']}",
        **_version(order.product_id),
        **_contributors(harvest),
        "history": f"{changed.get('date_created', '')} selected and merged by {BUILD}".strip(),
        **_references(order.datasets),
        "standard_name_vocabulary": STANDARD_NAMES,
        **changed,
        **_bounds(order, harvest),
        "slackwater_version": VERSION,
        "slackwater_subscription": order.subscription_id,
        "slackwater_request": _json([asked(s.view) for s in order.selections]),
        "slackwater_policy": _json(policy),
    }


def link_of(dataset: str) -> str:
    """Return where a dataset is told of: its identifier if that is a URL, or what resolves a DOI.

    Empty where it is neither, as of a mirror that only its operator knows.
    """
    if _DOI.match(dataset):
        return f"https://doi.org/{dataset}"
    return dataset if dataset.startswith(("https://", "http://")) else ""


def _references(datasets: Sequence[str]) -> dict[str, str]:
    links = list(filter(None, map(link_of, datasets)))
    dois = [dataset for dataset in datasets if _DOI.match(dataset)]
    told = {"references": " ".join(links), "doi": " ".join(dois)}
    return {name: said for name, said in told.items() if said} | (
        {"metadata_link": links[0]} if links else {}
    )


def _summary(harvest: Harvest) -> str:
    filled = int(np.count_nonzero(harvest.profiles["rows"]))
    return (
        f"{harvest.rows} levels of {filled} profiles from {len(harvest.sources)} files of the Argo "
        "archive, selected by quality flags and data mode."
    )


def _comment(order: CombineOrder) -> str:
    if any(selection.is_first for selection in order.selections):
        return "All that the archive held of the request when it was read."
    return (
        "What updates of the archive brought: of each float, cycle, direction and kind, these rows "
        "supersede those of earlier products of the subscription."
    )


def _contributors(harvest: Harvest) -> dict[str, str]:
    """Return the data assembly centres whose files were used, by the names of their folders."""
    centres = sorted({source.path.partition("/")[0] for source in harvest.sources})
    if not centres:
        return {}
    return {
        "contributor_name": ", ".join(centres),
        "contributor_role": ", ".join(["Argo data assembly centre"] * len(centres)),
    }


def _version(product_id: str) -> dict[str, str]:
    """Return the version that a product's id names."""
    found = _PRODUCT_VERSION.findall(product_id)
    return {"product_version": found[-1]} if found else {}


def _bounds(order: CombineOrder, harvest: Harvest) -> dict[str, object]:
    """Return the bounds of the rows in space and time, none where there are no rows."""
    profiles = harvest.profiles[harvest.profiles["rows"] > 0]
    if not len(profiles):
        return {}
    times = (profiles["time_d"] - EPOCH_D) * 86400.0
    start, end = round(float(times.min())), round(float(times.max()))
    pressure = harvest.columns["PRES"]
    bounds: dict[str, object] = {
        **_area(profiles, order.selections[0].view.extent.box.west),
        "time_coverage_start": iso_instant(start),
        "time_coverage_end": iso_instant(end),
        "time_coverage_duration": iso_duration(end - start),
    }
    if np.isfinite(pressure).any():
        bounds |= {
            "geospatial_vertical_min": float(np.nanmin(pressure)),
            "geospatial_vertical_max": float(np.nanmax(pressure)),
            "geospatial_vertical_units": "decibar",
            "geospatial_vertical_positive": "down",
        }
    return bounds


def _area(profiles: ProfileTable, seen_from: float) -> dict[str, object]:
    """Return the bounds in space; west > east where they lie across the antimeridian."""
    eastward = np.mod(profiles["longitude"] - seen_from, 360.0)
    south, north = float(profiles["latitude"].min()), float(profiles["latitude"].max())
    west = float(profiles["longitude"][np.argmin(eastward)])
    east = float(profiles["longitude"][np.argmax(eastward)])
    return {
        "geospatial_lat_min": south,
        "geospatial_lat_max": north,
        "geospatial_lat_units": "degree_north",
        "geospatial_lon_min": west,
        "geospatial_lon_max": east,
        "geospatial_lon_units": "degree_east",
        "geospatial_bounds": _outline(west, south, east, north),
        "geospatial_bounds_crs": "EPSG:4326",
    }


def _outline(west: float, south: float, east: float, north: float) -> str:
    """Return a box as well-known text, latitude first as its reference system has it.

    A box across the antimeridian becomes two, for no polygon can cross it.
    """
    if west > east:
        rings = _ring(west, south, 180.0, north), _ring(-180.0, south, east, north)
        return f"MULTIPOLYGON ({', '.join(f'({ring})' for ring in rings)})"
    if (west, south) == (east, north):
        return f"POINT ({south} {west})"
    return f"POLYGON ({_ring(west, south, east, north)})"


def _ring(west: float, south: float, east: float, north: float) -> str:
    corners = [(south, west), (south, east), (north, east), (north, west), (south, west)]
    return f"({', '.join(f'{latitude} {longitude}' for latitude, longitude in corners)})"


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)
