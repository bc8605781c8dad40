"""Messages from strangers: what they announce, or every fault at once, and never anything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from controller.sources import messages
from controller.sources.messages import Announcement, BadMessage, Form, Refusal, read_message

DATASETS = {"argo": "10.17882/42182", "quakes": "10.5066/F7MS3QZH"}
ARGO = DATASETS["argo"]
JSON = {"Content-Type": "application/json"}
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
AT = "2026-01-31T12:00:00Z"
AT_S = 1769860800.0

EVENT = {
    "specversion": "1.0",
    "id": "17",
    "source": "https://mirror.example/argo",
    "type": "slackwater.dataset.changed",
    "time": AT,
    "subject": "argo",
}
SENT = {
    **EVENT,
    "time": datetime.fromtimestamp(AT_S, UTC),
    "datacontenttype": "application/json",
}
NOTIFICATION = {
    "id": "31e9d66a-cd83-4174-9429-b932f1abe1be",
    "type": "Feature",
    "version": "v04",
    "conformsTo": ["http://wis.wmo.int/spec/wnm/1/conf/core"],
    "geometry": {"type": "Point", "coordinates": [6.1, 46.2]},
    "properties": {
        "pubtime": AT,
        "data_id": "argo/R6990001_001",
        "datetime": AT,
        "integrity": {"method": "sha512", "value": "abc"},
    },
    "links": [{"rel": "canonical", "href": "https://mirror.example/x.nc"}],
}


def read(content: object, headers: dict[str, str] | None = None) -> Announcement:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_message(headers or JSON, body, DATASETS)


def refused(
    content: object, headers: dict[str, str] | None = None
) -> tuple[Refusal, dict[str, str]]:
    with pytest.raises(BadMessage) as caught:
        read(content, headers)
    return caught.value.refusal, {fault.pointer: fault.what for fault in caught.value.faults}


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


class TestPlain:
    @pytest.mark.parametrize("name", ["argo", ARGO])
    def test_a_dataset_is_named_by_alias_or_identifier(self, name: str) -> None:
        assert read({"id": "x", "dataset": name}) == Announcement(
            id="x", dataset=ARGO, at=None, form=Form.PLAIN
        )

    def test_all_that_may_be_said(self) -> None:
        found = read({"id": "x", "dataset": "argo", "at": AT, "subject": "R1.nc"})
        assert (found.at, found.subject) == (AT_S, "R1.nc")

    def test_every_fault_is_told_at_once(self) -> None:
        refusal, faults = refused({"id": 5, "dataset": "agro", "at": "today", "a/b": 1})
        assert refusal is Refusal.INVALID
        assert faults["/id"] == "is no text"
        assert "Did you mean argo?" in faults["/dataset"]
        assert "RFC 3339" in faults["/at"]
        assert "is unknown" in faults["/a~1b"]

    def test_an_unknown_dataset_alone_is_told_as_such(self) -> None:
        assert refused({"id": "x", "dataset": "sst"})[0] is Refusal.UNKNOWN_DATASET

    @pytest.mark.parametrize("text", ["", " ", "x" * 1025, "a\nb", "\ud800", None, [], {}])
    def test_an_id_must_be_a_text_to_keep(self, text: object) -> None:
        assert refused({"id": text, "dataset": "argo"})[0] is Refusal.INVALID

    @pytest.mark.parametrize("at", ["2026-02-30T00:00:00Z", "2026-01-01", 5, "2026-01-01T00:00:00"])
    def test_an_instant_must_exist_and_say_its_offset(self, at: object) -> None:
        assert "/at" in refused({"id": "x", "dataset": "argo", "at": at})[1]


class TestCloudEvents:
    def test_structured_by_the_sdk(self) -> None:
        event = CloudEvent(
            {
                **EVENT,
                "time": datetime.fromtimestamp(AT_S, UTC),
                "subject": "R1.nc",
                "datacontenttype": "application/json",
            },
            {"dataset": "argo"},
        )
        sent = to_structured_event(event, JSONFormat())
        found = read_message(dict(sent.headers), sent.body, DATASETS)
        assert (found.id, found.dataset) == ("https://mirror.example/argo 17", ARGO)
        assert found.at == AT_S
        assert (found.form, found.subject) == (Form.CLOUDEVENT, "R1.nc")

    def test_binary_by_the_sdk(self) -> None:
        event = CloudEvent(
            {
                **EVENT,
                "time": datetime.fromtimestamp(AT_S, UTC),
                "subject": "argo",
                "datacontenttype": "application/json",
            },
            {"more": "ü"},
        )
        sent = to_binary_event(event, JSONFormat())
        found = read_message(dict(sent.headers), sent.body, DATASETS)
        assert (found.id, found.dataset) == ("https://mirror.example/argo 17", ARGO)
        assert found.at == AT_S

    def test_binary_headers_are_percent_decoded_and_need_no_body(self) -> None:
        headers = {f"CE-{name}": value for name, value in EVENT.items()}
        found = read(b"", {**headers, "ce-id": "Euro%20%E2%82%AC"})
        assert found.id == "https://mirror.example/argo Euro €"
        assert found.at == AT_S

    def test_data_of_another_kind_are_let_be(self) -> None:
        headers = {f"ce-{name}": value for name, value in EVENT.items()}
        assert read(b"\xff\x00", {**headers, "content-type": "image/png"}).dataset == ARGO

    def test_it_is_known_by_its_form_also_as_plain_json(self) -> None:
        assert read(EVENT).form is Form.CLOUDEVENT

    def test_the_id_is_of_source_and_id_together(self) -> None:
        other = {**EVENT, "source": "https://mirror.example/argo2"}
        assert len({read(EVENT).id, read(other).id, read({**EVENT, "id": "18"}).id}) == 3
        assert "/source" in refused({**EVENT, "source": "a b"})[1]

    @pytest.mark.parametrize(
        "named",
        [
            {"data": {"dataset": "argo"}, "subject": "x"},
            {"subject": "collections/argo/items/5"},
            {"source": "https://api.example/ogc/collections/argo"},
            {"subject": ARGO},
        ],
        ids=str,
    )
    def test_where_the_dataset_may_be_named(self, named: dict[str, Any]) -> None:
        kind = "org.ogc.api.collection.item.create"
        event = {**without(EVENT, "subject"), "type": kind, **named}
        assert read(event, STRUCTURED).dataset == ARGO

    def test_every_fault_is_told_at_once(self) -> None:
        event = {"specversion": "0.3", "type": "com.other", "source": 5, "time": "now"}
        refusal, faults = refused(event, STRUCTURED)
        assert refusal is Refusal.INVALID
        assert set(faults) == {"/specversion", "/type", "/source", "/id", "/time", "/subject"}

    def test_faults_of_binary_mode_point_at_headers(self) -> None:
        _, faults = refused(b"", {"ce-specversion": "1.0", "ce-type": "com.other"})
        assert set(faults) == {
            "header:ce-type", "header:ce-source", "header:ce-id", "header:ce-subject",
        }  # fmt: skip

    def test_batches_are_refused(self) -> None:
        refusal, faults = refused([EVENT], {"Content-Type": "application/cloudevents-batch+json"})
        assert refusal is Refusal.UNKNOWN_FORM
        assert "application/cloudevents+json" in faults["header:content-type"]


class TestWis2:
    def test_a_notification(self) -> None:
        assert read(NOTIFICATION, {"Content-Type": "application/geo+json"}) == Announcement(
            id="31e9d66a-cd83-4174-9429-b932f1abe1be",
            dataset=ARGO,
            at=AT_S,
            form=Form.WIS2,
            subject="argo/R6990001_001",
        )

    def test_the_metadata_record_names_the_dataset_before_the_data_do(self) -> None:
        told = {**NOTIFICATION["properties"], "metadata_id": DATASETS["quakes"]}  # type: ignore[dict-item]
        assert read({**NOTIFICATION, "properties": told}).dataset == DATASETS["quakes"]

    def test_a_name_that_only_begins_alike_is_another(self) -> None:
        told = {"pubtime": AT, "data_id": "argonaut/x"}
        assert refused({**NOTIFICATION, "properties": told})[0] is Refusal.UNKNOWN_DATASET

    def test_every_fault_is_told_at_once(self) -> None:
        bad = {"type": "Feature", "id": "5", "links": [{"rel": "self"}, 5], "properties": {}}
        _, faults = refused(bad)
        assert set(faults) == {
            "/id", "/conformsTo", "/geometry", "/links",
            "/properties/pubtime", "/properties/data_id",
        }  # fmt: skip
        _, faults = refused({**NOTIFICATION, "properties": [], "links": {}})
        assert set(faults) == {"/properties", "/links"}

    def test_no_geometry_is_said_by_null(self) -> None:
        assert read({**NOTIFICATION, "geometry": None}).dataset == ARGO

    def test_it_is_as_short_as_its_specification_says(self) -> None:
        long = {**NOTIFICATION, "more": "x" * messages.WIS2_BYTES_MAX}
        assert refused(long)[0] is Refusal.TOO_LARGE


class TestAnything:
    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff", b'{"id": NaN}', b"null"])
    def test_what_is_no_object_is_refused(self, body: bytes) -> None:
        assert refused(body)[0] is Refusal.INVALID

    def test_what_is_too_long_is_not_read(self) -> None:
        assert refused(b" " * (messages.BYTES_MAX + 1))[0] is Refusal.TOO_LARGE

    @pytest.mark.parametrize("deep", [messages.DEPTH_MAX, 1000, 30_000])
    def test_what_is_nested_deeply_is_refused(self, deep: int) -> None:
        body = b'{"id":' + b"[" * deep + b"]" * deep + b"}"
        assert refused(body)[0] is Refusal.INVALID

    def test_nothing_is_told_twenty_times_over(self) -> None:
        assert len(refused({f"k{n}": n for n in range(500)})[1]) == messages.FAULTS_MAX

    @pytest.mark.parametrize("media", ["text/plain", "application/xml", "", "application/jsonx"])
    def test_other_forms_are_refused(self, media: str) -> None:
        content = json.dumps({"id": "x", "dataset": "argo"}).encode()
        with pytest.raises(BadMessage) as caught:
            read_message({"content-type": media}, content, DATASETS)
        assert caught.value.refusal is Refusal.UNKNOWN_FORM

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
    names = st.sampled_from([*EVENT, *NOTIFICATION, "dataset", "data", "at"])

    @given(
        st.dictionaries(names, json_values | st.sampled_from([*EVENT.values(), "Feature", AT])),
        st.sampled_from([JSON, STRUCTURED, {"ce-id": "%ff%00", "ce-specversion": "1.0"}, {}]),
    )
    def test_it_is_understood_or_refused(self, content: object, headers: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        try:
            found = read_message(headers, body, DATASETS)
        except BadMessage as error:
            told = [fault.what for fault in error.faults]
        else:
            told = [found.id.strip()]
            assert found.dataset in DATASETS.values()
            assert read_message(headers, body, DATASETS) == found
        assert told
        assert all(told)

    @given(st.binary(max_size=200), st.sampled_from([JSON, STRUCTURED, {"ce-id": "x"}]))
    def test_bytes_are_no_harm(self, body: bytes, headers: dict[str, str]) -> None:
        with pytest.raises(BadMessage):
            read_message(headers, body, DATASETS)
