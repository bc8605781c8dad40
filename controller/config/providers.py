"""What settings say of where nodes come from: each provider's plug-in reads its own part.

A provider is written as its kind and whatever options that kind has; a node type of it may have
options, too. The plug-in declares both as dataclasses, so that here all faults are found at once,
each with its line, a secret comes from a file or a variable, and nothing of a cloud is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any, Protocol, cast

from pydantic import SecretStr

from controller.config.checked import held, hint
from controller.config.mirror import build, model_of
from controller.config.shape import bare, plain_values
from controller.config.yaml_lines import Document, Fault, Where
from planner.errors import BrokenPlugin, UnknownPlugin
from planner.plugins import IMPORT_FAULTS, installed, load

GROUP = "slackwater.nodes"
"""Entry point group; each entry names a `controller.nodes.plugins.NodePlugin`."""

HERE = "process"
"""The provider of this machine, which is there without being named."""

BUILT_IN: Mapping[str, EntryPoint] = {
    "libcloud": EntryPoint("libcloud", "controller.nodes.libcloud_plugin:PLUGIN", GROUP),
    "kubernetes": EntryPoint("kubernetes", "controller.nodes.kubernetes_plugin:KUBERNETES", GROUP),
    "slurm": EntryPoint("slurm", "controller.nodes.slurm:PLUGIN", GROUP),
}
"""Kinds that need no installation; each is imported when it is named."""

OF_THIS_MACHINE = ("cpu_quota",)
"""What only a node type of this machine may say."""


class Kind(Protocol):
    """A plug-in as far as settings need it: the dataclasses of its options."""

    @property
    def options(self) -> type:
        """Of a provider."""

    @property
    def type_options(self) -> type:
        """Of each of its node types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Where nodes come from, besides this machine.

    Parameters
    ----------
    kind : str
        Name of the plug-in.
    options : object
        What it is told, as the plug-in's own dataclass.
    """

    kind: str
    options: Any


def kind_of(name: str) -> Kind:
    """Return the plug-in of this name.

    Raises
    ------
    UnknownPlugin
        No built-in or installed plug-in has this name.
    BrokenPlugin
        It cannot be imported, or is none.
    """
    found = load(GROUP, name, cast("Mapping[str, object]", BUILT_IN))
    if isinstance(found, EntryPoint):
        found = _imported(found)
    shapes = (getattr(found, "options", None), getattr(found, "type_options", None))
    if not all(isinstance(each, type) and is_dataclass(each) for each in shapes):
        raise BrokenPlugin(
            f"the plug-in {name!r} of {GROUP} is no NodePlugin",
            fix="Repair or uninstall its distribution",
        )
    return cast("Kind", found)


def _imported(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except IMPORT_FAULTS as error:
        raise BrokenPlugin(f"{entry.value} cannot be imported: {error}") from error


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds of providers, sorted."""
    return tuple(sorted({*BUILT_IN, *installed(GROUP)}))


def kinds_of(document: Document) -> tuple[dict[str, Kind], list[Fault]]:
    """Return the plug-in of each provider in a document, and what is wrong with the rest."""
    found: dict[str, Kind] = {}
    faults = []
    for name, said in _section(document, "providers").items():
        where: Where = ("providers", name)
        if name == HERE:
            what = f"{HERE!r} is this machine, which needs no entry; give it another name"
            faults.append(document.fault(where, what))
        elif not isinstance(said, dict) or not isinstance(kind := said.get("kind"), str):
            what = f"providers.{name} needs a kind. Known: {', '.join(kinds()) or 'none'}"
            faults.append(document.fault(where, what))
        else:
            try:
                found[name] = kind_of(kind)
            except (UnknownPlugin, BrokenPlugin) as error:
                faults.append(document.fault((*where, "kind"), str(error)))
    return found, faults


def secrets_of_providers(kinds: Mapping[str, Kind]) -> Iterator[Where]:
    """Yield the way to each secret among the options of providers."""
    for name, kind in kinds.items():
        for where, each in plain_values(kind.options):
            if bare(each) is SecretStr:
                yield ("providers", name, *where)


def with_options(document: Document, kinds: Mapping[str, Kind]) -> tuple[Document, list[Fault]]:
    """Return a document with the options of providers and node types as their plug-ins have them.

    Those that have faults are left out of it, and their faults returned.
    """
    if not isinstance(document.value, dict):
        return document, []
    faults: list[Fault] = []
    value: dict[str, Any] = dict(document.value)
    if isinstance(value.get("providers"), dict):
        value["providers"] = {
            name: ProviderSettings(
                kind=said["kind"], options=_read(document, faults, name, said, kinds[name])
            )
            for name, said in value["providers"].items()
            if name in kinds
        }
    if isinstance(value.get("nodes"), dict):
        value["nodes"] = {
            name: _node_type(document, faults, name, said, kinds) if type(said) is dict else said
            for name, said in value["nodes"].items()
        }
    return replace(document, value=value), faults


def _read(document: Document, faults: list[Fault], name: str, said: Any, kind: Kind) -> object:
    options = {key: each for key, each in said.items() if key != "kind"}
    return _held(document, faults, ("providers", name), options, kind.options)


def _node_type(
    document: Document, faults: list[Fault], name: str, said: Any, kinds: Mapping[str, Kind]
) -> object:
    """Return what was said of a node type with its options as the plug-in has them."""
    where: Where = ("nodes", name)
    options, provider = said.get("options"), said.get("provider", HERE)
    rest = {key: each for key, each in said.items() if key != "options"}
    if provider in kinds:
        faults += [
            document.fault((*where, key), f"{key} is for node types of this machine only")
            for key in OF_THIS_MACHINE
            if said.get(key) is not None
        ]
        shape = kinds[provider].type_options
        return rest | {"options": _held(document, faults, (*where, "options"), options, shape)}
    if provider != HERE and provider not in _section(document, "providers"):
        known = hint(str(provider), [HERE, *_section(document, "providers")])
        faults.append(document.fault((*where, "provider"), f"no provider {provider!r}. {known}"))
    elif options is not None and provider == HERE:
        what = f"nodes.{name}.options are for types of a provider; this machine has none"
        faults.append(document.fault((*where, "options"), what))
    return rest


def _held(
    document: Document, faults: list[Fault], where: Where, said: Any, shape: type
) -> object | None:
    """Return options as their dataclass, None where they have faults."""
    name = ".".join(map(str, where))
    if said is not None and not isinstance(said, dict):
        faults.append(document.fault(where, f"{name} must be a mapping of settings"))
        return None
    model = model_of(shape, {}, {})
    value, found = held(said or {}, model, lambda rest: ("", (*where, *rest)))
    faults += [document.fault((*where, *rest), what) for rest, what in found]
    if value is None:
        return None
    try:
        return build(cast("Callable[..., object]", shape), value)
    except ValueError as error:
        faults.append(document.fault(where, f"{name}: {error}"))
        return None


def _section(document: Document, name: str) -> dict[str, Any]:
    said = document.value.get(name) if isinstance(document.value, dict) else None
    return said if isinstance(said, dict) else {}
