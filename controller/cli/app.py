"""The Typer application: one function a command, its text the help that people read."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from controller.cli import Panel, service_app
from controller.cli.db_app import db_app
from controller.cli.keys_app import keys_app
from controller.cli.trace_app import trace_app

app = typer.Typer(
    name="slackwater",
    help="Deliver data subscriptions before their deadlines at the least cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ARCHIVE_HELP = "Folder or fsspec URL of an Argo archive (GDAC layout)."
ArchiveFolder = Annotated[str | None, typer.Option("--archive", help=ARCHIVE_HELP)]
Policy = Annotated[
    str,
    typer.Option(
        "--policy", help="Scaling policy: prefix, none, static, dynamic, lookahead or a plug-in."
    ),
]
OtherPolicy = Annotated[
    str | None, typer.Option("--policy", help="Scaling policy, instead of the settings'.")
]
Subscriptions = Annotated[Path, typer.Option("--subscriptions", help="YAML file of subscriptions.")]
CONFIG_VARIABLE = "SLACKWATER_CONFIG"
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar=CONFIG_VARIABLE, help="Settings (slackwater.yaml)."),
]
Calibration = Annotated[
    Path | None,
    typer.Option("--calibration", help="A calibration, instead of the one kept for this archive."),
]
Page = Annotated[
    Path | None, typer.Option("--html", help="Write a page with pictures to this file.")
]


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO|TRACE",
        help="A scenario's name, a YAML file, or a trace (.jsonl, .swf, .csv).",
    ),
]
Cap = Annotated[
    int | None, typer.Option("--cap", min=1, help="Most nodes, instead of the scenario's.")
]
ScenarioArchive = Annotated[
    str | None, typer.Option("--archive", help="Argo archive, for a load that is read from one.")
]
FailLate = Annotated[bool, typer.Option("--fail-late", help="Exit 3 if a deadline was missed.")]

app.add_typer(trace_app, name="trace", rich_help_panel=Panel.TRY)
app.add_typer(db_app, name="db", rich_help_panel=Panel.KEEP)
app.add_typer(keys_app, name="keys", rich_help_panel=Panel.KEEP)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(installed_version("slackwater"))
        raise typer.Exit


@app.callback()
def slackwater(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Deliver data subscriptions before their deadlines at the least cost."""


@app.command(rich_help_panel=Panel.START)
def demo(
    archive: ArchiveFolder = None,
    out: Annotated[
        Path, typer.Option("--out", help="Working place; made, or renewed if a demo made it.")
    ] = Path("slackwater-demo"),
    policy: Policy = "prefix",
    json: Json = False,
) -> None:
    """See it work: a small archive, a handful of subscriptions, deadlines met by adding nodes."""
    from controller.cli.demo import run_demo

    raise typer.Exit(run_demo(archive=archive, out=out, policy=policy, as_json=json))


@app.command(rich_help_panel=Panel.ONCE)
def run(
    subscriptions: Subscriptions,
    archive: ArchiveFolder = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", help="An older index: deliver only what changed since then."),
    ] = None,
    policy: OtherPolicy = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="Write every event and command to this file.")
    ] = None,
    config: Config = None,
    calibration: Calibration = None,
    out: Annotated[
        Path, typer.Option("--out", help="Where products go whose subscription does not say.")
    ] = Path("products"),
    json: Json = False,
) -> None:
    """Deliver every subscription of a file once, and exit 3 if a deadline was missed."""
    from controller.cli.run import run_job

    raise typer.Exit(
        run_job(
            archive=archive,
            subscriptions=subscriptions,
            since=since,
            policy=policy,
            journal=journal,
            config=config,
            calibration=calibration,
            out=out,
            as_json=json,
        )
    )


@app.command(rich_help_panel=Panel.KEEP)
def serve(
    archive: ArchiveFolder = None,
    subscriptions: Annotated[
        Path | None,
        typer.Option("--subscriptions", help="YAML file of subscriptions to begin with."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Data folder, instead of the settings' service.data_dir."),
    ] = None,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait while another service lives, then take over.")
    ] = False,
    config: Config = None,
) -> None:
    """Serve subscriptions until told to stop; goes on where the last service ended."""
    from controller.cli.serve import serve_until_stopped

    raise typer.Exit(
        serve_until_stopped(
            archive=archive,
            subscriptions=subscriptions,
            data=data,
            standby=standby,
            config=config,
        )
    )


@app.command(rich_help_panel=Panel.ONCE)
def partition(
    archive: Annotated[str, typer.Option("--archive", help=ARCHIVE_HELP)],
    bbox: Annotated[
        str | None, typer.Option("--bbox", help="west,south,east,north in degrees; default all.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="ISO 8601 interval start/end, '..' is open.")
    ] = None,
    parameters: Annotated[
        str | None, typer.Option("--parameters", help="Names, separated by commas.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--options", help="name=value, as in a subscription; repeatable."),
    ] = None,
    parts: Annotated[int, typer.Option("--parts", min=1, max=4096, help="Parts wanted.")] = 32,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Workers that the parts are placed on.")
    ] = 8,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", help="A partitioner's name; repeatable; default all."),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Really read every part, and measure that.")
    ] = False,
    html: Page = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write a picture to this file.")] = None,
    json: Json = False,
) -> None:
    """Show how each strategy cuts one request, and how even the parts are."""
    from controller.cli.partition import Asked, Output, show_cuts

    wish = Asked(
        archive=archive,
        bbox=bbox,
        time=time,
        parameters=parameters,
        options=options or (),
        parts=parts,
        workers=workers,
        strategies=strategy or (),
    )
    raise typer.Exit(show_cuts(wish, run=run, output=Output(as_json=json, html=html, svg=svg)))


@app.command(rich_help_panel=Panel.ONCE)
def calibrate(
    archive: ArchiveFolder = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="A dataset of the settings: sampled if it has no index."),
    ] = None,
    bbox: Annotated[
        str | None, typer.Option("--bbox", help="Of --dataset: west,south,east,north; default all.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Of --dataset: ISO 8601 interval; default all.")
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            "--samples", min=20, help="Requests to read, each twice; or strata to sample."
        ),
    ] = 120,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same.")] = 1,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", envvar=CONFIG_VARIABLE, help="Settings: the fleet that the advice is for."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where the calibration goes, instead of your state folder."),
    ] = None,
    html: Page = None,
    json: Json = False,
) -> None:
    """Measure what reading an archive costs, and advise how to cut; `run` then predicts by it."""
    from controller.cli.calibrate import run_calibration

    raise typer.Exit(
        run_calibration(
            archive=archive,
            dataset=dataset,
            bbox=bbox,
            time=time,
            samples=samples,
            seed=seed,
            config=config,
            out=out,
            html=html,
            as_json=json,
        )
    )


@app.command(rich_help_panel=Panel.ONCE)
def plan(
    subscriptions: Subscriptions,
    archive: ArchiveFolder = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", help="An older index: plan only what changed since then."),
    ] = None,
    policy: OtherPolicy = None,
    config: Config = None,
    calibration: Calibration = None,
    out: Annotated[
        Path, typer.Option("--out", help="Where `run` would deliver; nothing is written there.")
    ] = Path("products"),
    html: Page = None,
    json: Json = False,
) -> None:
    """Tell what a load will take, and exit 3 if a deadline may be missed; runs nothing."""
    from controller.cli.plan import show_plan

    raise typer.Exit(
        show_plan(
            archive=archive,
            subscriptions=subscriptions,
            since=since,
            policy=policy,
            config=config,
            calibration=calibration,
            out=out,
            html=html,
            as_json=json,
        )
    )


@app.command(rich_help_panel=Panel.TRY)
def simulate(
    scenario: ScenarioName,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Scaling policy, instead of the scenario's.")
    ] = None,
    partitioner: Annotated[
        str | None, typer.Option("--partitioner", help="Instead of the scenario's.")
    ] = None,
    order: Annotated[
        str | None, typer.Option("--order", help="Dispatch order, instead of the scenario's.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same.")] = 1,
    cap: Cap = None,
    archive: ScenarioArchive = None,
    html: Page = None,
    json: Json = False,
    fail_late: FailLate = False,
) -> None:
    """Play one load in virtual time, and tell what came of it and how far from the best it was."""
    from controller.cli.simulate import run_simulation
    from sim.simulator import Trial

    trial = Trial(policy=policy, partitioner=partitioner, order=order, seed=seed, nodes_max=cap)
    raise typer.Exit(
        run_simulation(
            scenario, trial, archive=archive, html=html, as_json=json, fail_late=fail_late
        )
    )


@app.command(rich_help_panel=Panel.TRY)
def compare(
    scenario: ScenarioName,
    policies: Annotated[
        str, typer.Option("--policies", help="Names of scaling policies, separated by commas.")
    ] = "",
    partitioners: Annotated[
        str, typer.Option("--partitioners", help="Names, separated by commas.")
    ] = "",
    orders: Annotated[
        str, typer.Option("--orders", help="Dispatch orders, separated by commas.")
    ] = "",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each choice.")] = 3,
    cap: Cap = None,
    archive: ScenarioArchive = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=256, help="Processes; default one a core.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the table of runs: .csv, .parquet or .json."),
    ] = None,
    html: Page = None,
    json: Json = False,
    fail_late: FailLate = False,
) -> None:
    """Play one load under several policies, partitioners or orders: deadlines met, cost, regret."""
    from controller.cli.compare import Asked, Output, run_comparison

    asked = Asked(
        scenario=scenario,
        policies=policies,
        partitioners=partitioners,
        orders=orders,
        seeds=seeds,
        cap=cap,
        archive=archive,
        jobs=jobs,
    )
    output = Output(out=out, html=html, as_json=json)
    raise typer.Exit(run_comparison(asked, output, fail_late=fail_late))


@app.command(rich_help_panel=Panel.ONCE)
def replay(
    journal: Annotated[Path, typer.Argument(help="A journal that `run --journal` wrote.")],
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare every command with the recorded one.")
    ] = False,
    html: Page = None,
    json: Json = False,
) -> None:
    """Read a journal: tell its decisions, or prove that the planner would decide the same again.

    A page (--html) has the chapter's figures 7 to 9 of it; to draw them it is replayed exactly.
    """
    from controller.cli.replay import replay_journal

    raise typer.Exit(replay_journal(journal, exact=exact, html=html, as_json=json))


@app.command(rich_help_panel=Panel.TRY)
def chapter(
    archive: Annotated[
        str | None,
        typer.Option("--archive", help="Folder or URL of an Argo archive, or its index file."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same.")] = 1,
    html: Page = None,
    json: Json = False,
) -> None:
    """Repeat the experiments of the book chapter behind slackwater, on an archive's index."""
    from controller.cli.chapter import run_chapter

    raise typer.Exit(run_chapter(archive=archive, seed=seed, html=html, as_json=json))


@app.command(rich_help_panel=Panel.KEEP)
def doctor(
    archive: ArchiveFolder = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Data folder, instead of the settings' service.data_dir."),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Look whether a service can run here, and tell what to do where it cannot."""
    from controller.cli.doctor import examine

    raise typer.Exit(examine(archive, data, config, as_json=json))


@app.command(rich_help_panel=Panel.KEEP)
def worker(
    join_folder: Annotated[
        Path,
        typer.Argument(metavar="JOIN_FOLDER", help="What its service has written for this node."),
    ],
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Folder of the node's own; default below XDG_STATE_HOME."),
    ] = None,
) -> None:
    """Work as one node of a service on another machine, until told to end."""
    from controller.cli.worker import work

    raise typer.Exit(work(join_folder, state))


@app.command(rich_help_panel=Panel.TRY)
def plugins(json: Json = False) -> None:
    """List the policies, partitioners, applications and derived parameters that can be named."""
    from controller.cli.plugins import list_plugins

    raise typer.Exit(list_plugins(as_json=json))


@app.command(rich_help_panel=Panel.KEEP)
def config(
    config: Config = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a settings file.")
    ] = False,
    json: Json = False,
) -> None:
    """Show every setting and where it came from: default, file, environment or secret file."""
    from controller.cli.config import show_settings

    raise typer.Exit(show_settings(config, schema=schema, as_json=json))


service_app.add_to(app)
