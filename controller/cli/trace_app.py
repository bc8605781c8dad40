"""The Typer application of `slackwater trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

trace_app = typer.Typer(
    help="Make traces: by playing a scenario, from other systems' logs, from a real archive.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Native = Annotated[Path, typer.Option("--out", help="Where the trace goes: .jsonl or .jsonl.gz.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same.")]


@trace_app.command()
def record(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO|TRACE",
            help="A scenario's name, a YAML file, or a trace (.jsonl, .swf, .csv).",
        ),
    ],
    out: Native,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Scaling policy, instead of the scenario's.")
    ] = None,
    partitioner: Annotated[
        str | None, typer.Option("--partitioner", help="Instead of the scenario's.")
    ] = None,
    order: Annotated[
        str | None, typer.Option("--order", help="Dispatch order, instead of the scenario's.")
    ] = None,
    seed: Seed = 1,
    cap: Annotated[
        int | None, typer.Option("--cap", min=1, help="Most nodes, instead of the scenario's.")
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option("--archive", help="Argo archive, for a load that is read from one."),
    ] = None,
    json: Json = False,
) -> None:
    """Play a load once, and write every event and command as a journal."""
    from controller.cli.trace import record_trace
    from sim.simulator import Trial

    trial = Trial(policy=policy, partitioner=partitioner, order=order, seed=seed, nodes_max=cap)
    raise typer.Exit(record_trace(scenario, trial, archive=archive, out=out, as_json=json))


@trace_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A trace: .swf, .csv or .jsonl, each also .gz.")],
    target: Annotated[Path, typer.Argument(help="Where it goes: .jsonl or .csv, each also .gz.")],
    factor: Annotated[
        float, typer.Option("--factor", min=0.0, help="Deadline of a .swf job: times its length.")
    ] = 3.0,
    grace: Annotated[
        float, typer.Option("--grace", min=0.0, help="Added to that deadline, in seconds.")
    ] = 600.0,
    spread: Annotated[
        float,
        typer.Option("--spread", min=0.0, max=1.0, help="Each job's factor is drawn so far about."),
    ] = 0.0,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Write a trace in another form, as the ending of its name says."""
    from controller.cli.trace import convert_trace
    from sim.traces.deadlines import DeadlineRule

    rule = DeadlineRule(factor=factor, grace_s=grace, spread=spread, seed=seed)
    raise typer.Exit(convert_trace(source, target, rule, as_json=json))


@trace_app.command()
def generate(
    archive: Annotated[
        str, typer.Option("--archive", help="Folder or fsspec URL of an Argo archive, or index.")
    ],
    out: Native,
    year: Annotated[int, typer.Option("--year", min=1997, max=2100, help="Arrivals of it.")] = 2023,
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="From the start of the year.")
    ] = 366,
    subscriptions: Annotated[
        int, typer.Option("--subscriptions", min=1, help="Drawn over regions and parameters.")
    ] = 200,
    deadlines: Annotated[
        tuple[float, float],
        typer.Option("--deadlines", help="Shortest and longest, in seconds."),
    ] = (3600.0, 21600.0),
    look: Annotated[
        float, typer.Option("--look", min=60.0, help="Seconds between two looks at the index.")
    ] = 21600.0,
    profile: Annotated[
        float, typer.Option("--profile", min=0.0, help="Seconds that reading a profile takes.")
    ] = 0.02,
    reprocessed: Annotated[
        bool, typer.Option(help="Whether delayed-mode reprocessing arrives too.")
    ] = True,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Write a year of a real archive's arrivals, and invented subscribers, as a trace."""
    from controller.cli.loads import period_of
    from controller.cli.trace import generate_trace
    from sim.traces.archive import Wanted

    wanted = Wanted(
        period=period_of(year, days),
        subscriptions=subscriptions,
        seed=seed,
        look_s=look,
        deadline_s=deadlines,
        reprocessed=reprocessed,
        file_s=profile,
    )
    raise typer.Exit(generate_trace(archive, wanted, out=out, as_json=json))
