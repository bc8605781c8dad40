"""One's own cloud in place of a bed, where SLACKWATER_TEST_CLOUD asks for it, and only there.

Whoever has ``OS_CLOUD`` or ``KUBECONFIG`` in a shell has not asked for anything: then the beds are
used, and what the shell says of clouds is kept from them. What is made on one's own cloud bears a
mark of this run, and nothing without it is touched. How to:
docs/how-to/test-on-your-own-cloud.md.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

CHOICE = "SLACKWATER_TEST_CLOUD"
KINDS = ("openstack", "ec2", "kubernetes")

WAIT_S = 600.0
"""What has not come by then will not [s]; SLACKWATER_TEST_WAIT_S says otherwise."""

MARK = f"test-{secrets.token_hex(4)}"
"""Whose all is that this run makes."""

MADE = "at most two at a time, ten in all"
"""What the suites make of nodes, with a type of which two may stand."""

BELONGS_TO_CLOUDS = ("OS_", "AWS_")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCloud:
    """What was chosen of one's own cloud; SLACKWATER_TEST_SIZE and so on, empty if not said."""

    kind: str
    size: str
    image: str
    network: str
    namespace: str
    address: str
    wait_s_max: float

    def needed(self, name: str) -> str:
        """Return what has to be said; fail where it is not, rather than guess what to pay for."""
        value: str = getattr(self, name)
        if not value:
            pytest.fail(f"{CHOICE}={self.kind} needs SLACKWATER_TEST_{name.upper()}", pytrace=False)
        return value


def own_cloud(kind: str, environment: Mapping[str, str] = os.environ) -> OwnCloud | None:
    """Return one's own cloud of a kind, if it was asked for."""
    chosen = environment.get(CHOICE, "")
    if chosen not in ("", *KINDS):
        pytest.fail(f"{CHOICE}={chosen} is none of {', '.join(KINDS)}", pytrace=False)
    if chosen != kind:
        return None
    names = ("size", "image", "network", "namespace", "address")
    said = {each: environment.get(f"SLACKWATER_TEST_{each.upper()}", "") for each in names}
    wait_s_max = float(environment.get("SLACKWATER_TEST_WAIT_S") or WAIT_S)
    return OwnCloud(kind=kind, wait_s_max=wait_s_max, **said)


@contextmanager
def no_clouds_of_the_shell() -> Iterator[None]:
    """Keep from a bed's tests what a developer's shell says of other clouds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.startswith(BELONGS_TO_CLOUDS)]:
            patch.delenv(name)
        yield


def tell(config: pytest.Config, words: str) -> None:
    """Say something at once, also where what tests print is kept back."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None:  # One of several processes that run tests.
        print(words, file=sys.__stderr__, flush=True)
        return
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(words, yellow=True, bold=True)


def tell_cost(
    config: pytest.Config, where: str, what: str, mark: str = f"slackwater-{MARK}"
) -> None:
    """Say what will be made, and what to look for if this run is killed."""
    tell(
        config,
        f"{CHOICE}: making {what} at {where}: {MADE}. They cost money from their request to their "
        f"end. All are marked {mark}; after a run that was killed, delete what bears that mark.",
    )
