"""What is told of a task as the listings know it."""

from __future__ import annotations

from dataclasses import replace

from controller.notify.telling import notice_of
from controller.store.listed import TaskRow
from planner.commands import Notify
from planner.model import NoticeKind
from tests.controller.notify.receiver import notice

TASK = TaskRow(
    id="t17",
    place=1,
    subscription_id="med-v2",
    owner="",
    product_id="med-v2-v3-u4",
    state="delivering",
    arrived_at=1.0,
    deadline_at=100.0,
    product_rows=7,
    size_bytes=8,
    sha256="a",
    digest="b",
    manifest_url="sftp://anna:pw@store/out/med-v2-v3-u4.manifest.json",
    file="med-v2-v3-u4.nc",
)
RISK = Notify(
    task_id="t17",
    subscription_id="med-v2",
    kind=NoticeKind.AT_RISK,
    slack_s=-5.0,
    text="5 s late",
)


def test_a_product_is_told_with_all_that_a_receiver_needs() -> None:
    command = replace(RISK, kind=NoticeKind.LATE)
    told = notice_of(command, TASK, notice().views, at=105.0, step=9)
    assert (told.id, told.version, told.deadline_at, told.slack_s) == (
        "med-v2-v3-u4",
        3,
        100.0,
        -5.0,
    )
    assert told.views == notice().views
    assert told.delivered is not None
    assert told.delivered.url == "sftp://store/out/med-v2-v3-u4.nc"
    assert told.delivered.manifest_url == "sftp://store/out/med-v2-v3-u4.manifest.json"
    assert (told.delivered.at, told.delivered.rows, told.delivered.sha256) == (105.0, 7, "a")


def test_a_risk_is_told_without_a_product_and_again_under_another_id() -> None:
    first, again = (notice_of(RISK, TASK, (), at=5.0, step=step) for step in (9, 12))
    assert first.delivered is None
    assert first.text == "5 s late"
    assert (first.id, again.id) == ("med-v2-v3-u4:at_risk:9", "med-v2-v3-u4:at_risk:12")
