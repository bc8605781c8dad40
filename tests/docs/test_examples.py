"""The examples of the documentation do what the pages say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import gsw
import netCDF4
import numpy as np
import pytest
import yaml

from controller.apps.argo.derived.catalogue import GROUP as DERIVED
from controller.cli.scenarios import read_scenario
from controller.config.settings import read_settings
from controller.config.subscriptions import read_subscriptions
from controller.delivery.options import read_options
from controller.destinations import Destinations
from partitioners.catalogue import GROUP as PARTITIONERS
from partitioners.testing import check_partitioner
from planner.commands import CutTask, ProvisionNode
from planner.core import Planner
from planner.events import OffersChanged, SubscriptionAdded, Ticked
from planner.extent import Extent
from planner.journal import Header, encode_header, encode_step
from planner.scaling.catalogue import GROUP as POLICIES
from planner.settings import PlannerSettings, ScalingSettings
from tests.argo_files import (
    PRESSURE,
    SALINITY,
    TEMPERATURE,
    a_cast,
    archive_of,
    product_of,
)
from tests.controller.known import known_argo
from tests.docs.pages import Page, all_pages, page
from tests.planner.building import OFFER, archive_stands, cut, every, feed, one, subscription

EXAMPLES = [
    pytest.param(block, id=f"{one_page}-{number}")
    for one_page in all_pages()
    for number, block in enumerate(one_page.blocks("yaml"))
]

ROOTS = (
    "s3://ocean-products/argo",
    "sftp://archive.example.org/srv/argo",
    "webdavs://b2drop.eudat.eu/remote.php/webdav/argo",
)
"""Where the guides deliver to."""


@pytest.fixture
def speed_of_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the derived parameter of the guide as pip would, and return its module."""
    guide = page("how-to/add-a-derived-parameter.md")
    project = tomllib.loads(guide.blocks("toml")[0])["project"]
    information = tmp_path / "site" / f"{project['name'].replace('-', '_')}-0.1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Name: {project['name']}\nVersion: 0.1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n".join(lines))
    module = tmp_path / "site" / "sound.py"
    module.write_text(guide.blocks("python")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(module.parent)
    return module


def test_the_derived_parameter_of_the_guide_reaches_a_product(
    speed_of_sound: Path, tmp_path: Path
) -> None:
    guide = page("how-to/add-a-derived-parameter.md")
    source, test = guide.blocks("python")
    module = imported(speed_of_sound, source)
    namespace = {"speed_of_sound": module.speed_of_sound}
    exec(compile(test, str(guide), "exec"), namespace)
    namespace["test_the_speed_of_sound_obeys_the_laws"]()
    name = module.speed_of_sound.name
    assert entry_points(guide) == {DERIVED: {name: "sound:speed_of_sound"}}
    address, files = archive_of(tmp_path / "archive", [a_cast()])
    core = Extent(parameters=("PRES", "PSAL", "TEMP"))
    product_of(address, files, tmp_path, core, derived=name, depth="0/300")
    with netCDF4.Dataset(tmp_path / "product.nc") as dataset:
        salinity = gsw.SA_from_SP(SALINITY, PRESSURE, 20.0, 35.0)
        temperature = gsw.CT_from_t(salinity, TEMPERATURE, PRESSURE)
        expected = gsw.sound_speed(salinity, temperature, PRESSURE)
        np.testing.assert_allclose(dataset[name][:], expected, rtol=1e-6)
        assert dataset[name].comment.startswith("Computed by slackwater-sound 0.1.0 (SOUND_SPEED")
        assert {f"{name}_QC", "PRES", "PSAL", "TEMP"} <= dataset.variables.keys()


SETTINGS_FOLDER = "/etc/slackwater"
"""Where the guides for operators keep settings and the secrets that these name."""


@pytest.mark.usefixtures("speed_of_sound")
@pytest.mark.parametrize("example", EXAMPLES)
def test_yaml_is_read_by_the_real_reader(example: str, tmp_path: Path) -> None:
    name = example.splitlines()[0].removeprefix("# ")
    assert name in READERS, "the first line of an example names its file"
    path = tmp_path / name
    path.write_text(example.replace(SETTINGS_FOLDER, str(tmp_path)), encoding="utf-8")
    path.chmod(0o600)
    for secret in re.findall(rf"{SETTINGS_FOLDER}/(\S+-password)", example):
        (tmp_path / secret).write_text("secret")
        (tmp_path / secret).chmod(0o600)
    READERS[name](path)


def read_wishes(path: Path) -> None:
    """Read subscriptions to wherever the guides deliver."""
    found = read_subscriptions(
        path,
        datasets=known_argo(path.parent),
        destinations=Destinations(
            roots=(str(path.parent), *ROOTS), schemes=("file", "s3", "sftp", "webdavs")
        ),
        now=0.0,
    )
    assert not found.warnings


READERS: Mapping[str, Callable[[Path], object]] = {
    "slackwater.yaml": read_settings,
    "scenario.yaml": read_scenario,
    "subscriptions.yaml": read_wishes,
    "delivery.yaml": read_options,
    "prometheus.yaml": lambda path: yaml.safe_load(path.read_text()),
}
"""Who reads each kind of file that examples show."""


def imported(path: Path, source: str) -> ModuleType:
    """Save an example under its name and import it."""
    path.write_text(source, encoding="utf-8")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry_points(guide: Page) -> dict[str, dict[str, str]]:
    """Return the entry points of a guide's pyproject.toml by group."""
    (block,) = guide.blocks("toml")
    groups: dict[str, dict[str, str]] = tomllib.loads(block)["project"]["entry-points"]
    return groups


def test_the_partitioner_of_the_guide_obeys_the_laws(tmp_path: Path) -> None:
    guide = page("how-to/write-a-partitioner.md")
    source, test = guide.blocks("python")
    module = imported(tmp_path / "strips.py", source)
    check_partitioner(module.strips)
    namespace = {"strips": module.strips}
    exec(compile(test, str(guide), "exec"), namespace)
    namespace["test_strips_obey_the_laws"]()
    assert entry_points(guide) == {PARTITIONERS: {module.strips.name: "strips:strips"}}


def test_the_policy_of_the_guide_scales_with_the_queue(tmp_path: Path) -> None:
    guide = page("how-to/write-a-policy.md")
    (source,) = guide.blocks("python")
    module = imported(tmp_path / "queue_length.py", source)
    settings = PlannerSettings(scaling=ScalingSettings(policy="queue-length"))
    planner = Planner(settings, {"queue-length": module.queue_length})
    feed(planner, OffersChanged(at=0.0, offers=(OFFER,)), archive_stands())
    for number in range(9):
        wish = SubscriptionAdded(at=0.0, subscription=subscription(f"s{number}"))
        feed(planner, cut(one(planner.handle(wish), CutTask).task_id, 0.0, 10))
    launches = every(planner.handle(Ticked(at=0.0)), ProvisionNode)
    assert [launch.reason for launch in launches] == ["9 tasks wait for 0 nodes"] * 3
    assert entry_points(guide) == {POLICIES: {"queue-length": "queue_length:queue_length"}}


def test_the_journal_reader_of_the_guide_counts_commands(tmp_path: Path) -> None:
    (source,) = page("how-to/replay-a-journal.md").blocks("python")
    module = imported(tmp_path / "reader.py", source)
    settings = PlannerSettings()
    planner = Planner(settings)
    event = SubscriptionAdded(at=0.0, subscription=subscription())
    feed(planner, archive_stands())
    journal = tmp_path / "run.jsonl"
    header = encode_header(Header(build="test", settings=settings))
    journal.write_bytes(header + encode_step(event, planner.handle(event)))
    assert module.commands_by_kind(journal) == {"CutTask": 1}


def test_yaml_examples_are_there_to_be_read() -> None:
    texts = [str(example.values[0]) for example in EXAMPLES]
    assert sum("subscriptions" in yaml.safe_load(text) for text in texts) >= 3
    assert sum("nodes" in yaml.safe_load(text) for text in texts) >= 3
