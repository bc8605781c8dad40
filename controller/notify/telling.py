"""What is told of a task, from what the listings know of it when the planner says so."""

from __future__ import annotations

from controller.destinations import without_user
from controller.notify.notices import Delivered, Notice, notice_id
from controller.product_files import beside
from controller.store.listed import TaskRow
from planner.commands import Notify
from planner.model import NoticeKind, View


def notice_of(
    command: Notify, task: TaskRow, views: tuple[View, ...], *, at: float, step: int
) -> Notice:
    """Return the notice that a command asks for.

    Parameters
    ----------
    command : Notify
    task : TaskRow
        As it stands at this step.
    views : tuple of View
        Of its subscription; empty if that is gone.
    at : float
        Of the step [POSIX s].
    step : int
        Its number in the journal.
    """
    return Notice(
        id=notice_id(task.product_id, command.kind, step),
        kind=command.kind,
        at=at,
        subscription_id=command.subscription_id,
        task_id=command.task_id,
        product_id=task.product_id,
        version=_version(task),
        views=views,
        deadline_at=task.deadline_at,
        slack_s=command.slack_s,
        text=command.text,
        delivered=_delivered(task, at) if command.kind in _WITH_PRODUCT else None,
    )


_WITH_PRODUCT = (NoticeKind.DELIVERED, NoticeKind.LATE)


def _version(task: TaskRow) -> int:
    """Return the version of the subscription that the task is of; it may have changed since."""
    return int(task.product_id.removeprefix(f"{task.subscription_id}-v").partition("-")[0])


def _delivered(task: TaskRow, at: float) -> Delivered:
    manifest_url = without_user(task.manifest_url)
    return Delivered(
        at=at,
        url=beside(manifest_url, task.file),
        manifest_url=manifest_url,
        rows=task.product_rows,
        size_bytes=task.size_bytes,
        sha256=task.sha256,
        digest=task.digest,
    )
