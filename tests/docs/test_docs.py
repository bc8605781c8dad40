"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer.main

import controller
import partitioners
import planner
import sim
from controller import shared_reads
from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.derived.catalogue import BUILT_IN as DERIVED
from controller.apps.argo.derived.mixed_layer import DENSITY_STEP_KG_M3, REFERENCE_DEPTH_M
from controller.apps.argo.deriving import WORSE
from controller.apps.argo.load_map import MASSES_MAX
from controller.apps.argo.policy import RULES
from controller.calibration.probing import ROUND_S_MAX, SHARE_FIRST, SHARE_MAX
from controller.calibration.requests import AREA_FILES_MAX, FILES_MAX
from controller.calibration.statistics import RESAMPLES
from controller.calibration.study import SAMPLES, SAMPLES_MIN
from controller.cli import Exit, rehearsing
from controller.cli.app import app
from controller.cli.loads import BOOTS_MIN, COMBINING_MAX
from controller.cli.planned import Plan, as_data
from controller.config.settings import Settings
from controller.config.subscriptions import _Wish
from controller.config.yaml_lines import BYTES_MAX
from controller.cutting import CUT_S_MAX
from controller.delivery import DELIVERIES_MAX
from controller.demo.load import PROFILES
from controller.service import BATCH_MAX
from partitioners import history
from partitioners.catalogue import BUILT_IN as PARTITIONERS
from planner import admission, durations, journal, savings, steering
from planner.commands import AnyCommand
from planner.course import Course
from planner.errors import SlackwaterError
from planner.events import AnyEvent
from planner.extent import Period
from planner.forecast import FORECAST_PARTS_MAX
from planner.importance import ORDERS
from planner.model import NoticeKind
from planner.report import RISK_MAX, Moment, Report, State, TaskReport, Usage, usage_of
from planner.results import TaskResult
from planner.savings import Saving, Savings
from planner.scaling.policy import BUILT_IN as POLICIES
from planner.settings import PlannerSettings
from sim.baselines.catalogue import BASELINES
from sim.luck import TIERS
from sim.scenario import (
    Archived,
    Bursts,
    Faults,
    NodeType,
    Scenario,
    Standing,
    Storage,
    Stream,
    Strict,
    TraceFile,
    Truth,
)
from sim.stage import BYTES_A_VALUE
from sim.traces import archive, deadlines, swf
from sim.traces import table as jobs_table
from sim.traces.journal import OUTSIDE
from sim.traces.opening import ENDINGS
from sim.traces.regions import RECENT_SHARE, REGIONS
from sim.traces.table import COLUMNS
from tests.docs import lifecycle_diagrams
from tests.docs.pages import DOCS, ROOT, Page, all_pages, coded, first_cells, page, rows

NOUNS = ("update", "subscription", "task", "part", "product", "node", "worker", "ttd", "slack")
"""The domain's words, each of which the glossary explains once."""

HOSTS = {
    "127.0.0.1:8750",  # where a service is by default
    "data.example.org:8750",
    "argo.ucsd.edu",
    "diataxis.fr",
    "doi.org",
    "example.org",
    "geojson.org",
    "s3.example.org",
    "semver.org",
    "w3id.org",
    "wis.wmo.int",
    "www.ocean-ops.org",
}
"""The only places outside that documentation may name."""

every_page = pytest.mark.parametrize("one", all_pages(), ids=str)
messages = pytest.mark.parametrize(
    ("union", "where"),
    [(AnyEvent, "reference/events.md"), (AnyCommand, "reference/commands.md")],
    ids=["events", "commands"],
)


@messages
def test_every_message_and_each_of_its_fields_is_described(union: Any, where: str) -> None:
    kinds = {kind.__name__: kind for kind in get_args(union)}
    described = page(where)
    assert sorted(described.headings(3)) == sorted(kinds)
    for name, kind in kinds.items():
        expected = [one.name for one in fields(kind) if one.name != "at"]
        assert first_cells(described.section(name)) == expected, name


def test_every_value_that_messages_carry_is_described() -> None:
    described = page("reference/journal.md")
    values = {kind.__name__: kind for kind in values_in(*get_args(AnyEvent), *get_args(AnyCommand))}
    assert sorted(described.headings(3)) == sorted(values)
    for name, kind in values.items():
        found = first_cells(described.section(name))
        assert sorted(found) == sorted(one.name for one in fields(kind)), name


def values_in(*kinds: type) -> set[type]:
    """Return the dataclasses that messages hold, but for the settings, which have a page."""
    found: set[type] = set()
    waiting = [hint for kind in kinds for hint in get_type_hints(kind).values()]
    while waiting:
        hint = waiting.pop()
        waiting += get_args(hint)
        if is_dataclass(hint) and hint is not PlannerSettings and hint not in found:
            assert isinstance(hint, type)
            found.add(hint)
            waiting += get_type_hints(hint).values()
    return found


def test_every_kind_of_notice_is_described() -> None:
    (kind,) = (r for r in rows(page("reference/commands.md").section("Notify")) if "kind" in r[0])
    assert sorted(coded(kind[1])) == sorted(NoticeKind)


def test_every_setting_has_a_row_with_its_default() -> None:
    told = {
        name: cell[1]
        for cell in rows(page("reference/settings.md").text)
        for name in coded(cell[0])
    }
    assert told == dict(settings_of(Settings))


def settings_of(kind: type, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the default of every setting, as the page shows them."""
    hints = get_type_hints(kind)
    for one in fields(kind):
        hint = hints[one.name]
        made = one.default_factory
        default = one.default if made is MISSING else made()
        section = next(filter(is_dataclass, (hint, *get_args(hint))), None)
        if section is not None and not isinstance(default, dict | Period):
            assert isinstance(section, type)
            yield from settings_of(section, f"{before}{one.name}.")
        elif isinstance(default, dict) and default:
            key = {"nodes": "<name>", "datasets": "<alias>"}[one.name]
            yield from settings_of(get_args(hint)[1], f"{one.name}.{key}.")
        else:
            yield f"{before}{one.name}", shown(default)


def shown(default: object) -> str:
    match default:
        case None:
            return "unset"
        case "" | {}:
            return "empty"
        case Period():
            return "all of time"
        case _ if default is MISSING:
            return "required"
        case bool():
            return str(default).lower()
        case tuple():
            return ", ".join(map(shown, default)) or "empty"
        case float() if default.is_integer():
            return str(int(default))
        case float():
            return f"{default:.6g}"
    return str(default)


def test_every_name_that_a_setting_may_have_is_told() -> None:
    told = page("reference/settings.md").text
    for name in (*POLICIES, *PARTITIONERS, *ORDERS):
        assert f"`{name}`" in told, name


def test_every_baseline_has_a_row() -> None:
    before = page("reference/baselines.md").text.partition("## What is simplified")[0]
    assert first_cells(before) == list(BASELINES)


def commands() -> dict[str, Any]:
    """Return the command line's commands by name, those of a group as "group command"."""
    return dict(commands_below("", typer.main.get_command(app)))


def commands_below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = vars(command).get("commands")
    if not below:
        yield name, command
    for one, each in (below or {}).items():
        yield from commands_below(f"{name} {one}".strip(), each)


def options_of(command: Any) -> list[str]:
    """Return a command's options as they are written, and its arguments in capitals."""
    return [
        name.upper() if one.param_type_name == "argument" else name
        for one in command.params
        for name in one.opts
        if name != "--help"
    ]


def test_every_command_and_option_is_described() -> None:
    described = page("reference/cli.md")
    titles = [title for title in described.headings(2) if title.startswith("slackwater ")]
    assert sorted(titles) == sorted(f"slackwater {name}" for name in commands())
    for name, command in commands().items():
        tables = described.section(f"slackwater {name}").split("With `--json`")[0]
        assert sorted(first_cells(tables)) == sorted(options_of(command)), name


def test_every_option_of_the_program_itself_is_described() -> None:
    before = page("reference/cli.md").text.partition("## Exit codes")[0]
    told = options_of(typer.main.get_command(app))
    assert sorted(first_cells(before)) == sorted([*told, "--help"])


def test_every_exit_code_is_described() -> None:
    told = {
        cells[0]: coded(cells[1]) for cells in rows(page("reference/cli.md").section("Exit codes"))
    }
    assert told == {str(code.value): [code.name] for code in Exit}


def test_every_key_of_a_subscription_is_described() -> None:
    before = page("reference/subscriptions-file.md").text.partition("## Half-open edges")[0]
    assert first_cells(before) == list(_Wish.model_fields)
    defaults = {coded(cells[0])[0]: cells[1] for cells in rows(before)}
    assert defaults["parameters"] == ", ".join(ArgoApplication.default_parameters)


def test_every_key_of_a_scenario_is_described() -> None:
    whole = page("reference/scenario-files.md")
    told = {name for cells in rows(whole.text) for name in coded(cells[0])}
    kinds = (Scenario, Bursts, Stream, Standing, Archived, TraceFile, NodeType, Truth, Faults)
    keys = {key for kind in (*kinds, Storage) for key in kind.model_fields}
    assert told == keys - {"kind"}
    sections: dict[str, type[Strict]] = {"Fleet": NodeType, "Truth": Truth, "Storage": Storage}
    for section, kind in sections.items():
        found = [n for cells in rows(whole.section(section)) for n in coded(cells[0])]
        assert found == list(kind.model_fields)
    tiers = next(cells[2] for cells in rows(whole.section("Storage")) if "tier" in cells[0])
    for name, (_, megabytes_per_s) in TIERS.items():
        assert f"`{name}`" in tiers
        assert f"{megabytes_per_s:,.0f} MB/s" in tiers


def test_every_scenario_has_its_page_and_picture() -> None:
    folder = Path(sim.__file__).parent / "scenarios"
    for path in folder.glob("*.yaml"):
        told = page("reference/scenarios.md").section(path.stem)
        assert f"../images/scenario-{path.stem}.svg" in told, path.stem


def test_every_derived_parameter_is_described() -> None:
    section = page("reference/subscriptions-file.md").section("Derived parameters")
    told = {coded(cells[0])[0]: (cells[2], cells[3]) for cells in rows(section)}
    assert told == {
        name: (one.attributes["units"], ", ".join(one.needs)) for name, one in DERIVED.items()
    }
    assert f"{DENSITY_STEP_KG_M3} kg/m3 above that at {REFERENCE_DEPTH_M:g} m" in " ".join(
        section.split()
    )
    order = ", ".join(str(flag) for flag in WORSE if flag not in (6, 7))
    assert f"in this order: {order};" in section


def test_every_user_mode_is_described() -> None:
    tables = rows(page("reference/subscriptions-file.md").text)
    assert set(RULES) <= {name for cells in tables for name in coded(cells[0])}


def test_every_typed_error_is_described() -> None:
    for package in (planner, partitioners, sim, controller):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    errors = {error.__name__ for error in descendants(SlackwaterError)}
    assert sorted(first_cells(page("reference/errors.md").text)) == sorted(errors)


def descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield the product's own classes below a class."""
    for below in kind.__subclasses__():
        if below.__module__.partition(".")[0] in ("planner", "partitioners", "sim", "controller"):
            yield below
        yield from descendants(below)


def test_the_glossary_holds_each_noun_once() -> None:
    headings = Counter(heading.lower() for heading in page("explanation/glossary.md").headings(3))
    assert {noun: headings[noun] for noun in NOUNS} == dict.fromkeys(NOUNS, 1)
    assert max(headings.values()) == 1


def test_lifecycle_diagrams_are_those_of_the_tables() -> None:
    text = lifecycle_diagrams.PAGE.read_text(encoding="utf-8")
    assert text == lifecycle_diagrams.drawn(text), "run python -m tests.docs.lifecycle_diagrams"


def test_modules_that_the_architecture_names_exist() -> None:
    for name in coded(page("explanation/architecture.md").section("Where to find what")):
        folder = ROOT / "controller/apps/argo" if "/" not in name else ROOT
        assert (folder / name).exists(), name


@every_page
def test_links_lead_somewhere(one: Page) -> None:
    for link in one.links():
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (one.path.parent / path).resolve() if path else one.path
        assert target.exists(), f"{one} links to {link}"
        assert not anchor or anchor in Page(target).anchors(), f"{one} links to {link}"


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (one.path.parent / link.partition("#")[0]).resolve()
        for one in all_pages()
        for link in one.links()
    }
    unreachable = [str(Page(path)) for path in DOCS.rglob("*.md") if path not in linked]
    assert not unreachable


@every_page
def test_no_page_names_a_machine_or_a_registry(one: Page) -> None:
    assert not re.findall(r"(?<![\w.>])/(?:work|root|home|tmp|mnt|Users)\b", one.text)
    hosts = set(re.findall(r"https?://([^/\s)>\"'`]+)", one.text))
    assert hosts <= HOSTS, hosts - HOSTS


@pytest.mark.parametrize("path", sorted((DOCS / "adr").glob("0*.md")), ids=lambda path: path.stem)
def test_a_decision_is_told_whole_and_on_one_page(path: Any) -> None:
    decision = Page(path)
    assert decision.headings(2) == ["Context", "Decision", "Alternatives", "Consequences"]
    (title,) = decision.headings(1)
    assert title.startswith(f"{int(path.stem[:4])}. ")
    assert len(decision.text.splitlines()) <= 70


def test_decisions_are_numbered_through_and_listed() -> None:
    paths = sorted((DOCS / "adr").glob("0*.md"))
    assert [int(path.stem[:4]) for path in paths] == list(range(1, len(paths) + 1))
    listed = [link for link in page("adr/README.md").links() if link.endswith(".md")]
    assert listed == [path.name for path in paths]


def test_fragments_of_the_changelog_are_named_by_kind() -> None:
    kinds = first_cells((ROOT / "changes" / "README.md").read_text(encoding="utf-8"))
    named = re.compile(rf"[a-z0-9-]+\.({'|'.join(kinds)})\.md")
    fragments = [path.name for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    assert all(named.fullmatch(name) for name in fragments), fragments


def test_places_for_measured_figures_are_marked() -> None:
    readme, performance = (ROOT / "README.md").read_text(), page("reference/performance.md").text
    for text, marker in ((readme, "demo output"), (performance, "bench")):
        assert text.count(f"<!-- {marker} -->") == text.count(f"<!-- end of {marker} -->") == 1


def test_keys_of_the_json_result_of_run_are_described() -> None:
    section = page("reference/cli.md").section("slackwater run")
    (told,) = (cells for cells in rows(section) if "`tasks`" in cells[0])
    assert set(coded(told[1])) == {one.name for one in fields(TaskResult)} | {"missed"}


def test_keys_of_the_json_result_of_plan_are_described() -> None:
    section = page("reference/cli.md").section("slackwater plan")
    told = {name for cells in rows(section) for cell in cells[:2] for name in coded(cell)}
    kinds = (TaskReport, Usage, Moment, Saving)
    assert {one.name for kind in kinds for one in fields(kind)} <= told
    assert set(as_data(Plan(report=nothing_planned(), savings=Savings(), one_worker=""))) <= told


def nothing_planned() -> Report:
    usage = usage_of(Course(began_at=0.0, ended_at=0.0), {})
    return Report(policy="", order="", workers_max=0, tasks=(), median=usage, cautious=usage)


def test_every_state_of_a_plan_is_described() -> None:
    (table,) = (page("how-to/plan-before-you-spend.md").section("3. Read the two cases"),)
    assert [cells[0] for cells in rows(table)] == [str(state) for state in State]


def test_every_event_is_told_to_come_from_outside_or_not() -> None:
    section = page("reference/traces.md").section("What comes from outside")
    told = {coded(cells[0])[0]: cells[1] for cells in rows(section)}
    assert told == {kind.__name__: "yes" if is_so else "no" for kind, is_so in OUTSIDE.items()}


def test_every_form_and_column_of_a_trace_is_described() -> None:
    described = page("reference/traces.md")
    forms = first_cells(described.text.partition("## Native traces")[0])
    assert {*forms, *(f"{form}.gz" for form in forms)} == set(ENDINGS)
    assert first_cells(described.section("Table of jobs")) == list(COLUMNS)


FIGURES = [
    ("explanation/planning.md", f"above a chance of {RISK_MAX:g}"),
    ("reference/cli.md", f"late with a chance above {RISK_MAX:g}"),
    ("how-to/plan-before-you-spend.md", f"a chance of at most {RISK_MAX:g}"),
    ("explanation/planning.md", f"up to {savings.NODES_SOUGHT_MAX} nodes"),
    ("explanation/planning.md", "a tenth more" * (savings.DEADLINE_MARGIN == 0.1)),
    ("explanation/planning.md", "up to four times" * (savings.DEADLINE_ROUNDS_MAX == 4)),
    (
        "explanation/planning.md",
        "1, 2, 4, 8 and 16 parts" * (savings.PARTS_PER_WORKER_TRIED == (1, 2, 4, 8, 16)),
    ),
    ("explanation/planning.md", f"at most {savings.REHEARSALS_MAX} rehearsals"),
    ("explanation/planning.md", f"fewer than {savings.REHEARSALS_MIN} could be made"),
    ("explanation/planning.md", f"{rehearsing.MASSES_PLANNED_MAX:,} masses"),
    ("explanation/planning.md", f"at least {rehearsing.MASSES_PLANNED_MIN}."),
    ("explanation/planning.md", f"more than {rehearsing.PARTS_PLANNED_MAX:,} parts"),
    ("explanation/planning.md", f"more than {rehearsing.TASKS_JUDGED_MAX} tasks"),
    ("explanation/planning.md", f"judged {rehearsing.JUDGEMENTS_MAX} times"),
    ("explanation/planning.md", f"{BYTES_A_VALUE} bytes are reckoned"),
    ("explanation/durations.md", f"About the last {durations.MEMORY_PARTS} parts count"),
    ("explanation/durations.md", f"beyond {durations.SURPRISE_MAX + 1:g} times its prediction"),
    ("explanation/durations.md", f"the last {durations.OBSERVATIONS_MAX} count"),
    ("explanation/durations.md", f"logarithmic scatter of {durations.BOOT_SIGMA_PRIOR}"),
    ("explanation/durations.md", "moved by a tenth" * (steering.RE_ESTIMATE_CHANGE == 0.1)),
    ("explanation/durations.md", "after ten times" * (steering.ATTEMPT_LIMIT_FACTOR == 10)),
    ("explanation/durations.md", f"never before {steering.ATTEMPT_S_MIN:g} s"),
    ("explanation/durations.md", f"never below {durations.COMMON_ERROR_MIN:g}"),
    (
        "explanation/durations.md",
        "taken for 0.3 each" * (durations.SCATTER_PRIOR == durations.COMMON_ERROR_PRIOR == 0.3),
    ),
    ("reference/table-1.md", f"a bootstrap of {RESAMPLES:,} resamples"),
    ("reference/cli.md", f"| `--samples` | {SAMPLES} | Requests to draw, at least {SAMPLES_MIN}."),
    (
        "reference/cli.md",
        f"A box holds at most {FILES_MAX} files, the one area at most {AREA_FILES_MAX:,}.",
    ),
    ("how-to/calibrate.md", f"draws {SAMPLES} requests"),
    ("how-to/calibrate.md", f"into {SAMPLES} strata"),
    ("how-to/calibrate.md", f"while a round takes less than {ROUND_S_MAX:g} s"),
    ("how-to/calibrate.md", "reads up to half of a small one" * (3 * SHARE_MAX < 1 / 2)),
    (
        "explanation/cutting.md",
        "from 1/400 to 4/25 of a stratum" * ((SHARE_FIRST, SHARE_MAX) == (1 / 400, 4 / 25)),
    ),
    ("explanation/cutting.md", f"expected to take less than {ROUND_S_MAX:g} s"),
    ("reference/cli.md", f"strata, at most {history.OBSERVATIONS_MAX:,}"),
    ("explanation/scaling.md", f"up to {FORECAST_PARTS_MAX:,} parts"),
    ("explanation/ranking.md", "a tenth more work than expected" * (admission.SPARE == 1.1)),
    ("explanation/cutting.md", f"Beyond {MASSES_MAX:,} profiles"),
    ("explanation/cutting.md", f"at most {CUT_S_MAX:g} s"),
    ("explanation/cutting.md", f"The newest {history.OBSERVATIONS_MAX:,} parts are remembered"),
    ("explanation/architecture.md", f"Up to {BATCH_MAX:,} events"),
    ("explanation/architecture.md", f"waited {shared_reads.TURN_S_MAX:g} s for another worker"),
    ("explanation/architecture.md", "an eighth" * (shared_reads.ENTRY_FRACTION_MAX == 1 / 8)),
    ("reference/performance.md", "Up to four products" * (DELIVERIES_MAX == 4)),
    ("reference/subscriptions-file.md", f"up to {BYTES_MAX // 2**20} MiB"),
    ("reference/journal.md", f"Version of the format: {journal.FORMAT}."),
    ("reference/traces.md", f"with a `factor` of {deadlines.FACTOR:g} and"),
    ("reference/traces.md", f"a `grace_s` of {deadlines.GRACE_S:g}."),
    ("reference/cli.md", f"| `--factor` | {deadlines.FACTOR:g} |"),
    ("reference/cli.md", f"| `--grace` | {deadlines.GRACE_S:g} |"),
    ("reference/traces.md", f"0 counts as {swf.RUN_S_MIN:g} s"),
    ("reference/traces.md", f"at most {swf.PARTS_MAX:,};"),
    ("reference/traces.md", f"fewer or more than {swf.FIELDS} fields"),
    ("reference/traces.md", f"1 to {jobs_table.PARTS_MAX:,}."),
    ("reference/traces.md", f"at least {BOOTS_MIN} boots"),
    (
        "reference/traces.md",
        f"combines {COMBINING_MAX} product at a time and delivers {DELIVERIES_MAX}",
    ),
    ("reference/traces.md", f"within {archive.FRESH_S_MAX / archive.DAY_S:g} days of"),
    (
        "reference/traces.md",
        "between {:g} and {:g} hours".format(*(delay_s / 3600 for delay_s in archive.DELAY_S)),
    ),
    ("reference/traces.md", f"visited once in {archive.VISIT_YEARS:g} years"),
    ("reference/traces.md", f"from {archive.VISIT_YEARS + 1:g} years to 1 year before"),
    ("reference/traces.md", "at once: {} to {} profiles".format(*archive.BURST)),
    ("reference/traces.md", f"every {archive.LOOK_S / 3600:g} hours"),
    ("reference/traces.md", f"one of {len(REGIONS)} regions"),
    ("reference/traces.md", f"from the start of the trace ({100 * RECENT_SHARE:.0f} %)"),
    ("reference/traces.md", f"takes {archive.FILE_S:g} s by default"),
    ("../README.md", f"an Argo-like archive of {PROFILES:,} profiles"),
]
"""Sentences with a figure that a constant of the code decides."""


@pytest.mark.parametrize(("where", "sentence"), FIGURES)
def test_figures_are_those_of_the_code(where: str, sentence: str) -> None:
    assert sentence, "the constant has changed: say so on the page, and here"
    assert sentence in " ".join(page(where).text.split())
