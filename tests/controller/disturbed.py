"""What a service has to do while somebody disturbs it, and what must be so in spite of that.

Each product is delivered once, with the content that it has in peace, and told of at least once,
always under the same id; and the whole journal replays to identical commands.
"""

from __future__ import annotations

from pathlib import Path

from controller.notify.address_book import AddressBook
from controller.notify.guard import Guard
from controller.notify.letters import OPERATOR
from controller.snapshotting import archived_lines
from controller.store.schema import upgrade
from planner.journal import decode_step, replay
from planner.scaling.catalogue import Policies
from tests.controller.notify.receiver import Receiver
from tests.controller.served import PATIENCE_S, Serving

HOST = "127.0.0.1"

SETTINGS = """
archive: {read_latency_s: 0.01}
nodes: {local: {slots: 2, nodes_max: 2}}
engine: {lease_s: 2}
notify: {hosts_allowed: [127.0.0.1], webhook_attempts_s: [0.2, 0.5, 1, 2, 4, 8]}
planner:
  scaling: {nodes_min: 1, nodes_max: 2}
  dispatch: {attempts_max: 9, retry_s: 0.2}
"""
"""Some 5 s of work for four workers; a part may lose every worker that is killed."""

SNAPSHOT_STEPS = 12
"""A run has some 45 steps: it is killed while snapshots are made, and restarts from them."""

WISHES = """
subscriptions:
  - {id: world, dataset: argo, parameters: [TEMP, PSAL], deadline: PT10M}
  - {id: mediterranean, dataset: argo, bbox: "-6,30,36.5,46", parameters: TEMP}
  - {id: north, dataset: argo, bbox: "-180,0,180,90", parameters: TEMP, deadline: PT5M}
  - {id: south, dataset: argo, bbox: "-180,-90,180,0", parameters: PSAL, deadline: PT20M}
"""
NAMES = frozenset(f"{name}-v1-to-u0" for name in ("world", "mediterranean", "north", "south"))


def in_peace(folder: Path, archive: Path) -> dict[str, str]:
    """Return the content digests of products that were made undisturbed."""
    serving = Serving(folder=folder, archive=archive, wishes=WISHES, settings=SETTINGS)
    try:
        serving.start()
        serving.until("all is delivered", lambda: serving.delivered(len(NAMES)))
        assert serving.stop() == 0
        digests = serving.products()
    finally:
        serving.close()
    assert digests.keys() == NAMES
    return digests


def subscribe_operator(serving: Serving, url: str) -> None:
    """Have all notices sent to a URL, from the first on."""
    serving.data.mkdir(mode=0o700, parents=True)
    with serving.reading() as store:
        upgrade(store.database, "test")
        AddressBook(store.database, Guard(hosts_allowed=(HOST,))).add_endpoint(OPERATOR, url)


def await_all(serving: Serving, receiver: Receiver, patience_s: float = PATIENCE_S) -> None:
    """Wait until all is delivered and the operator has heard of every product under its id."""
    told: set[str] = set()

    def all_told() -> bool:
        while receiver.heard:
            told.add(receiver.next().headers["webhook-id"])
        return told >= NAMES

    serving.until("all is delivered", lambda: serving.delivered(len(NAMES)), patience_s)
    serving.until("all is told", all_told)


def check_unharmed(serving: Serving, undisturbed: dict[str, str]) -> int:
    """See that a service that was stopped has done what it would in peace; return its steps."""
    assert serving.products() == undisturbed
    tasks = serving.tasks()
    assert {task.product_id for task in tasks} == NAMES
    assert {task.state for task in tasks} <= {"delivered", "late"}
    with serving.reading() as store:
        # What was not begun or not done when it was told to stop: nodes that are to stand or go.
        assert {key.split()[0] for key, _ in store.open_commands()} <= {"provision", "remove"}
        header, lines = store.header(0), dict(archived_lines(serving.data / "journal"))
        lines |= dict(store.lines(0))
    assert header is not None
    steps = [decode_step(line, number) for number, line in lines.items()]
    assert replay(header, steps, Policies()) == (len(lines), None)
    return len(lines)
