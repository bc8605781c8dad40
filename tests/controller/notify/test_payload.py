"""What a webhook is sent, as the SDK of CloudEvents and GeoJSON's own reader understand it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from shapely.geometry import shape

from controller.notify.notices import Notice, decode, encode, notice_id
from controller.notify.payload import CONTENT_TYPE, cloud_event, geometry
from planner.extent import GLOBE, Box, Period
from planner.model import NoticeKind, View
from tests.controller.notify.receiver import MED, notice


def read(one: Notice) -> Any:
    message = HTTPMessage(headers={"content-type": CONTENT_TYPE}, body=cloud_event(one, "/argo"))
    return from_http_event(message)


def test_the_sdk_reads_the_event() -> None:
    event = read(notice())
    assert event.get_type() == "org.slackwater.product.delivered"
    assert event.get_id() == "med-v1-u2"
    assert event.get_source() == "/argo"
    assert event.get_subject() == "med"
    assert event.get_time() == datetime.fromtimestamp(1790000000.5, UTC)
    assert event.get_dataschema() == "https://geojson.org/schema/Feature.json"


def test_data_is_a_feature_that_tells_how_the_product_stands() -> None:
    data = read(notice()).get_data()
    assert shape(data["geometry"]).bounds == (-6.0, 30.0, 36.0, 46.0)
    told = data["properties"]
    assert told["slack_s"] == 90.0
    assert told["sha256"] == notice().delivered.sha256  # type: ignore[union-attr]
    assert told["datetime"] == "2010-01-01T00:00:00Z/.."
    assert told["parameters"] == ["PSAL", "TEMP"]
    assert told["deadline"] == "2026-09-21T14:14:50.250Z"
    assert [link["rel"] for link in data["links"]] == ["canonical", "manifest"]


def test_a_notice_of_no_product_has_no_links() -> None:
    one = notice(kind=NoticeKind.EXPIRED, delivered=None, slack_s=None, deadline_at=None)
    data = read(one).get_data()
    assert read(one).get_type() == "org.slackwater.product.expired"
    assert data["links"] == []
    assert "sha256" not in data["properties"]
    assert data["properties"]["deadline"] is None


def test_a_box_across_the_antimeridian_is_cut_there() -> None:
    found = shape(geometry([Box(west=170.0, south=-10.0, east=-160.0, north=0.0)]))
    assert found.geom_type == "MultiPolygon"
    assert [part.bounds for part in found.geoms] == [(170, -10, 180, 0), (-180, -10, -160, 0)]
    assert all(part.exterior.is_ccw for part in found.geoms)
    assert found.is_valid


def test_views_of_the_same_box_are_one_polygon_and_of_others_several() -> None:
    assert shape(geometry([MED, MED])).geom_type == "Polygon"
    assert len(shape(geometry([MED, GLOBE])).geoms) == 2


def test_of_a_subscription_that_is_gone_the_area_is_not_known() -> None:
    data = read(notice(views=())).get_data()
    assert data["geometry"] is None
    assert data["properties"]["datetime"] == "../.."


def test_several_views_are_told_together_and_each() -> None:
    (view,) = notice().views
    later = replace(view.extent, period=Period(start_at=1.0, end_at=2.0), parameters=("DOXY",))
    views = (view, View(dataset="other", application="command", extent=later))
    told = read(notice(views=views)).get_data()["properties"]
    assert told["parameters"] == ["DOXY", "PSAL", "TEMP"]
    assert told["datetime"] == "1970-01-01T00:00:01Z/.."
    assert [one["dataset"] for one in told["datasets"]] == ["10.17882/42182", "other"]


def test_each_attempt_sends_the_same_bytes_also_after_a_restart() -> None:
    one = notice()
    assert cloud_event(decode(encode(one)), "/argo") == cloud_event(one, "/argo")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (NoticeKind.DELIVERED, "med-v1-u2"),
        (NoticeKind.LATE, "med-v1-u2"),
        (NoticeKind.AT_RISK, "med-v1-u2:at_risk:17"),
        (NoticeKind.RECOVERED, "med-v1-u2:recovered:17"),
        (NoticeKind.EXPIRED, "med-v1-u2:expired"),
        (NoticeKind.FAILED, "med-v1-u2:failed"),
    ],
)
def test_the_id_is_the_products(kind: NoticeKind, expected: str) -> None:
    assert notice_id("med-v1-u2", kind, 17) == expected
