"""Scenarios as people name them: one that comes with the program, a file, or a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pydantic import create_model

from controller.cli.loads import opener_of, scenario_of_trace
from controller.cli.trials import unknown
from controller.config.checked import check, hint
from controller.config.mirror import build, model_of
from controller.config.settings import ORDERS, RULES
from controller.config.yaml_lines import Document, Fault, read_document
from planner.errors import SlackwaterError
from planner.settings import PlannerSettings
from sim.scenario import Archived, Bursts, Scenario, Standing, Stream, Strict, TraceFile
from sim.simulator import OpenLoad
from sim.traces.opening import ENDINGS

FOLDER = files("sim") / "scenarios"

SCENARIO_ENDINGS = (".yaml", ".yml")
TRACE_ENDINGS = tuple(ENDINGS)

LOADS: Mapping[str, type[Strict]] = {
    "bursts": Bursts,
    "stream": Stream,
    "standing": Standing,
    "archive": Archived,
    "trace": TraceFile,
}
"""What a load may be, by its ``kind``."""


class UnknownScenario(SlackwaterError):
    """No scenario of that name comes with the program, and no file is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A scenario that can be run.

    Parameters
    ----------
    scenario : Scenario
    source : tuple of str
        Words that name it on a command line.
    open_load : callable
    text : str
        As it was written.
    """

    scenario: Scenario
    source: tuple[str, ...]
    open_load: OpenLoad
    text: str


def built_in() -> list[str]:
    """Return the names of the scenarios that come with the program, sorted."""
    found = (Path(file.name) for file in FOLDER.iterdir())
    return sorted(file.stem for file in found if file.suffix in SCENARIO_ENDINGS)


def chosen_scenario(name: str, archive: str | None = None) -> Chosen:
    """Return the scenario that a name or a file means.

    Parameters
    ----------
    name : str
        Of a built-in scenario, or a path.
    archive : str or None
        Folder or URL of the archive that a load of kind ``archive`` is read from.

    Raises
    ------
    UnknownScenario
        There is none.
    FileFault
        All faults of the file at once, each with its line.
    """
    source = (name, *(("--archive", archive) if archive else ()))
    if name in built_in():
        with as_file(FOLDER / f"{name}.yaml") as file:
            return _opened(file, source, archive)
    path = Path(name)
    if not path.is_file():
        raise UnknownScenario(
            f"no scenario and no file is called {name!r}", fix=hint(name, built_in())
        )
    if path.name.lower().endswith(TRACE_ENDINGS):
        return _ready(scenario_of_trace(path), path.parent, source, archive, "")
    return _opened(path, source, archive)


def _opened(path: Path, source: tuple[str, ...], archive: str | None) -> Chosen:
    scenario = read_scenario(path)
    return _ready(scenario, path.parent, source, archive, path.read_text("utf-8-sig"))


def _ready(
    scenario: Scenario, folder: Path, source: tuple[str, ...], archive: str | None, text: str
) -> Chosen:
    opener = opener_of(scenario, folder, archive)
    return Chosen(scenario=scenario, source=source, open_load=opener, text=text)


def misused_archive(chosen: Chosen, archive: str | None) -> list[str]:
    """Return in words whether an archive is given that nothing is read from."""
    if archive is None or isinstance(chosen.scenario.load, Archived):
        return []
    return ["--archive: the load of this scenario is not read from an archive; leave it out"]


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises
    ------
    FileFault
        All faults of the file at once, each with its line.
    """
    document = read_document(path)
    kind, faults = _load_of(document)
    found, more = check(document, _shape(kind), lambda where: ("", where))
    document.refuse([*faults, *more, *_faults_of(found, document)])
    assert found is not None
    settings = asdict(build(PlannerSettings, found.settings))
    plain = found.model_dump(exclude={"settings"})
    scenario = Scenario.model_validate({**plain, "settings": settings})
    return scenario if scenario.name else scenario.model_copy(update={"name": path.stem})


def _load_of(document: Document) -> tuple[type[Strict], list[Fault]]:
    """Return what the load of a file should look like, and what is wrong with its kind."""
    value = document.value if isinstance(document.value, dict) else {}
    load = value.get("load")
    kind = load.get("kind") if isinstance(load, dict) else None
    if not isinstance(load, dict) or kind is None or (isinstance(kind, str) and kind in LOADS):
        return LOADS.get(str(kind), Bursts), []
    what = f"load.kind: unknown {str(kind)!r}. {hint(str(kind), LOADS)}"
    return Strict, [Fault(document.line(("load", "kind")), what)]


def _shape(load: type[Strict]) -> type[Scenario]:
    """Return the model of a scenario with this load, and with the rules of all settings."""
    settings = model_of(PlannerSettings, RULES, ORDERS)
    fields: dict[str, Any] = {"load": (load, ...), "settings": (settings, settings())}
    shape: type[Scenario] = create_model("Scenario", __base__=Scenario, **fields)
    return shape


def _faults_of(scenario: Scenario | None, document: Document) -> Iterator[Fault]:
    """Yield what is wrong although every value alone is right."""
    if scenario is None:
        return
    yield from _ranges(scenario, document)
    yield from _names(scenario, document)
    places: dict[str, int] = {}
    for place, kind in enumerate(scenario.fleet):
        first = places.setdefault(kind.name, place)
        if first != place:
            line = document.line(("fleet", first))
            what = f"node type {kind.name!r} stands on line {line} already"
            yield Fault(document.line(("fleet", place)), what)
    if not scenario.fleet:
        yield Fault(document.line(("fleet",)), "fleet must offer at least one type of node")


def _names(scenario: Scenario, document: Document) -> Iterator[Fault]:
    for kind, section in (("policy", "scaling"), ("partitioner", "cutting")):
        name = getattr(getattr(scenario.settings, section), kind)
        line = document.line(("settings", section, kind))
        yield from (Fault(line, what) for what in unknown(kind, f"settings.{section}", [name]))


def _ranges(scenario: Scenario, document: Document) -> Iterator[Fault]:
    for name, value in _pairs(scenario.load):
        if value[0] > value[1]:
            line = document.line(("load", name))
            yield Fault(line, f"load.{name}: the first of two values must not be the larger one")


def _pairs(load: Strict) -> Iterable[tuple[str, tuple[float, float]]]:
    return ((name, value) for name, value in load if isinstance(value, tuple) and len(value) == 2)
