"""The Typer applications and commands that talk to a running service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli import Panel

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Url = Annotated[
    str | None, typer.Option("--url", help="Of the service; default SLACKWATER_URL, this machine.")
]
Named = Annotated[str, typer.Argument(metavar="ID", help="Of the subscription.")]
NamedOrAll = Annotated[
    str, typer.Argument(metavar="ID", help="Of the subscription; operators: '*' is all of them.")
]
NodeNames = Annotated[list[str], typer.Argument(metavar="NODE", help="Ids of nodes.")]


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode="rich")


subscribe_app = _group("Make, list, show, pause and end subscriptions of a running service.")
webhook_app = _group("Have URLs told of products that are delivered, late or at risk.")
subscribe_app.add_typer(webhook_app, name="webhook")
products_app = _group("List what a running service has delivered, and get it.")
nodes_app = _group("List the nodes of a running service, and let them go.")
policy_app = _group("Show and set the scaling policy of a running service.")

DatasetNames = Annotated[
    list[str] | None, typer.Option("--dataset", help="Alias or identifier; repeatable.")
]
Bbox = Annotated[
    str | None, typer.Option("--bbox", help="west,south,east,north in degrees; default all.")
]
Interval = Annotated[
    str | None, typer.Option("--time", help="ISO 8601 interval start/end, '..' is open.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameters", "--variable", help="Names, with commas or repeated."),
]
Deadline = Annotated[
    str | None, typer.Option("--deadline", help="Duration after arrival (PT2H), or instant.")
]
Firm = Annotated[bool, typer.Option("--firm", help="Too late is of no use: let it expire then.")]
Priority = Annotated[
    float | None, typer.Option("--priority", help="Weight where not all can be in time.")
]
Backfill = Annotated[bool, typer.Option(help="Whether what is there already is delivered first.")]
Destination = Annotated[
    str | None, typer.Option("--destination", help="Folder or URL that products go to.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="name=value, as in a subscriptions file; repeatable."),
]
ELSEWHERE = "The same, as other tools spell it"
Edge = Annotated[
    float | None,
    typer.Option(help="All four, instead of --bbox.", rich_help_panel=ELSEWHERE),
]
Instant = Annotated[
    str | None,
    typer.Option(help="One or both, instead of --time.", rich_help_panel=ELSEWHERE),
]
WishFile = Annotated[
    Path | None, typer.Option("--file", help="Take all of a subscriptions file instead.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Change one that is there already.")]
EstimateOnly = Annotated[
    bool, typer.Option("--estimate", help="Only tell what it would take; exit 3 if late.")
]


@subscribe_app.command()
def add(
    subscription: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Id of the new subscription.")
    ] = None,
    dataset: DatasetNames = None,
    bbox: Bbox = None,
    time: Interval = None,
    parameters: Parameters = None,
    deadline: Deadline = None,
    firm: Firm = False,
    priority: Priority = None,
    backfill: Backfill = True,
    destination: Destination = None,
    option: Options = None,
    file: WishFile = None,
    replace: Replace = False,
    estimate: EstimateOnly = False,
    minimum_longitude: Edge = None,
    maximum_longitude: Edge = None,
    minimum_latitude: Edge = None,
    maximum_latitude: Edge = None,
    start_datetime: Instant = None,
    end_datetime: Instant = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Subscribe to a view of a dataset: area, time, parameters, deadline."""
    from controller.cli.subscribe import How, add_file, add_one
    from controller.cli.wishes import area, interval, wish_of

    how = How(replace=replace, estimate=estimate, as_json=json)
    edges = (minimum_longitude, minimum_latitude, maximum_longitude, maximum_latitude)
    told: dict[str, Any] = {
        "dataset": dataset,
        "bbox": area(bbox, edges),
        "time": interval(time, start_datetime, end_datetime),
        "parameters": parameters,
        "deadline": deadline,
        "firm": firm or None,
        "priority": priority,
        "backfill": None if backfill else False,
        "destination": destination,
        "options": option,
    }
    wish = wish_of(subscription, told, file)
    if file is not None:
        raise typer.Exit(add_file(url, file, how))
    raise typer.Exit(add_one(url, wish, how))


@subscribe_app.command("list")
def list_subscriptions(url: Url = None, json: Json = False) -> None:
    """List your subscriptions; with an operator's key all of them."""
    from controller.cli import subscribe

    raise typer.Exit(subscribe.list_subscriptions(url, as_json=json))


@subscribe_app.command()
def show(subscription: Named, url: Url = None, json: Json = False) -> None:
    """Show one subscription, and what it has cost so far."""
    from controller.cli.subscribe import show_subscription

    raise typer.Exit(show_subscription(url, subscription, as_json=json))


@subscribe_app.command()
def pause(subscription: Named, url: Url = None, json: Json = False) -> None:
    """Deliver nothing until it is resumed; what comes meanwhile is one product then."""
    from controller.cli.subscribe import switch

    raise typer.Exit(switch(url, subscription, paused=True, as_json=json))


@subscribe_app.command()
def resume(subscription: Named, url: Url = None, json: Json = False) -> None:
    """Deliver again."""
    from controller.cli.subscribe import switch

    raise typer.Exit(switch(url, subscription, paused=False, as_json=json))


@subscribe_app.command("rm")
def remove(
    subscriptions: Annotated[list[str], typer.Argument(metavar="ID", help="Of the subscriptions.")],
    url: Url = None,
    json: Json = False,
) -> None:
    """End subscriptions; their open tasks are dropped, their products stay."""
    from controller.cli import subscribe

    raise typer.Exit(subscribe.remove(url, subscriptions, as_json=json))


@subscribe_app.command()
def full(subscription: Named, url: Url = None, json: Json = False) -> None:
    """Have one product made of all that was delivered so far."""
    from controller.cli.subscribe import make_full

    raise typer.Exit(make_full(url, subscription, as_json=json))


@webhook_app.command("add")
def add_webhook(
    subscription: NamedOrAll,
    hook: Annotated[str, typer.Argument(metavar="HOOK", help="URL that is told.")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Have a URL told; prints the secret that verifies its messages, this once."""
    from controller.cli import recipients

    raise typer.Exit(recipients.add(url, subscription, hook, as_json=json))


@webhook_app.command("list")
def list_webhooks(subscription: NamedOrAll, url: Url = None, json: Json = False) -> None:
    """List the webhooks of a subscription."""
    from controller.cli import recipients

    raise typer.Exit(recipients.list_webhooks(url, subscription, as_json=json))


@webhook_app.command("rm")
def remove_webhook(
    subscription: NamedOrAll,
    hook: Annotated[str, typer.Argument(metavar="HOOK", help="Id of the webhook.")],
    url: Url = None,
) -> None:
    """Tell a URL nothing any more."""
    from controller.cli import recipients

    raise typer.Exit(recipients.remove(url, subscription, hook))


@products_app.command("list")
def list_products(
    subscription: Annotated[
        str, typer.Option("--subscription", help="Only those of this subscription.")
    ] = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """List delivered products."""
    from controller.cli import products

    raise typer.Exit(products.list_products(url, subscription, as_json=json))


@products_app.command()
def get(
    product: Annotated[str, typer.Argument(metavar="ID", help="Of the product.")],
    out: Annotated[Path, typer.Option("--out", help="Folder that it is copied into.")] = Path(),
    url: Url = None,
    json: Json = False,
) -> None:
    """Copy a product and its manifest here, and check that it is what was delivered."""
    from controller.cli import products

    raise typer.Exit(products.get(url, product, out, as_json=json))


@nodes_app.command("list")
def list_nodes(
    every: Annotated[bool, typer.Option("--all", help="Those that are gone, too.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """List nodes, the newest first."""
    from controller.cli import fleet

    raise typer.Exit(fleet.list_nodes(url, every=every, as_json=json))


@nodes_app.command()
def drain(nodes: NodeNames, url: Url = None, json: Json = False) -> None:
    """Give nodes nothing more, and let each go when what it runs has ended."""
    from controller.cli.fleet import release

    raise typer.Exit(release(url, nodes, at_once=False, as_json=json))


@nodes_app.command("rm")
def remove_nodes(nodes: NodeNames, url: Url = None, json: Json = False) -> None:
    """Remove nodes at once; the parts that they run are run again elsewhere."""
    from controller.cli.fleet import release

    raise typer.Exit(release(url, nodes, at_once=True, as_json=json))


@policy_app.command("show")
def show_policy(url: Url = None, json: Json = False) -> None:
    """Show the scaling policy in force."""
    from controller.cli import fleet

    raise typer.Exit(fleet.show_policy(url, as_json=json))


@policy_app.command("set")
def set_policy(
    policy: Annotated[
        str | None, typer.Argument(metavar="[POLICY]", help="Built in or a plug-in's name.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="name=value of planner.scaling, or order; repeatable."),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Let another scaling policy decide, or by other settings, until the file says otherwise."""
    from controller.cli import fleet
    from controller.cli.wishes import pairs

    changes = pairs(option or ())
    if "policy" in changes or (policy is None and not changes):
        raise typer.BadParameter("name one, or give --option", param_hint="POLICY")
    raise typer.Exit(fleet.set_policy(url, policy, changes, as_json=json))


@policy_app.command("reset")
def reset_policy(url: Url = None, json: Json = False) -> None:
    """Let the policy, its settings and the number of nodes be as the settings file says."""
    from controller.cli import fleet

    raise typer.Exit(fleet.reset_policy(url, as_json=json))


def scale(
    nodes: Annotated[
        str, typer.Argument(metavar="N|auto", help="Nodes to hold; auto lets the policy decide.")
    ],
    url: Url = None,
    json: Json = False,
) -> None:
    """Hold a number of nodes, or let the policy decide again."""
    from controller.cli import fleet

    if nodes != "auto" and not (nodes.isascii() and nodes.isdigit()):
        raise typer.BadParameter(f"{nodes!r} is neither a number nor auto", param_hint="NODES")
    if nodes != "auto" and not int(nodes):
        words = "at least 1 node can be held; auto lets all go when no deadline needs them"
        raise typer.BadParameter(words, param_hint="NODES")
    raise typer.Exit(fleet.scale(url, None if nodes == "auto" else int(nodes), as_json=json))


def publish(
    message: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH|-]", help="CloudEvent, WIS2 notification or JSON; - is stdin."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Only say that this dataset changed.")
    ] = None,
    subject: Annotated[
        str, typer.Option("--subject", help="With --dataset: what changed, in any words.")
    ] = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Announce that a dataset changed, so that the service looks at its archive now."""
    from controller.cli.publish import publish_dataset, publish_message

    if dataset is not None and message is None:
        raise typer.Exit(publish_dataset(url, dataset, subject=subject, as_json=json))
    if message is None or dataset is not None:
        raise typer.BadParameter("give a message or --dataset, one of them", param_hint="MESSAGE")
    raise typer.Exit(publish_message(url, message, as_json=json))


def status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.2, help="With --watch: seconds between two looks.")
    ] = 2.0,
    url: Url = None,
    json: Json = False,
) -> None:
    """Tell how the service stands; exit 3 if a deadline is at risk or passed."""
    from controller.cli.status import show_status

    raise typer.Exit(show_status(url, watch=watch, every_s=every, as_json=json))


def add_to(app: typer.Typer) -> None:
    """Give the program the commands that talk to a service."""
    app.add_typer(subscribe_app, name="subscribe", rich_help_panel=Panel.ASK)
    app.add_typer(products_app, name="products", rich_help_panel=Panel.ASK)
    app.add_typer(nodes_app, name="nodes", rich_help_panel=Panel.ASK)
    app.add_typer(policy_app, name="policy", rich_help_panel=Panel.ASK)
    for command in (publish, status, scale):
        app.command(rich_help_panel=Panel.ASK)(command)
