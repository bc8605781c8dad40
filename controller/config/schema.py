"""The JSON Schema of ``slackwater.yaml``, by which editors complete, explain and check it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import getdoc
from typing import Any

from pydantic import SecretStr

from controller.config.commands import CommandSettings
from controller.config.mirror import model_of
from controller.config.providers import kind_of, kinds
from controller.config.secret_files import secrets_of
from controller.config.settings import Settings, settings_model
from controller.config.shape import bare, entries_in, hints_of, plain_values, section_in
from planner.errors import BrokenPlugin

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PARAMETERS = re.compile(r"Parameters\n-+\n(.*?)(?:\n\n\w+\n-+\n|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"^(\S[^\n]*?) : [^\n]*\n((?:(?: +[^\n]*)?(?:\n|\Z))*)", re.MULTILINE)

# A scalar is read as text whatever YAML calls it: `version: 2` is the text "2".
_TEXT = ["string", "number", "boolean"]


def settings_schema() -> dict[str, object]:
    """Return the schema of a settings file.

    Notes
    -----
    What two values must be to each other, and which names plug-ins bring, it does not tell;
    `slackwater config` does.
    """
    schema: dict[str, Any] = settings_model().model_json_schema()
    kinds = {kind.__name__: kind for kind in _sections(Settings)}
    for name, shape in [(Settings.__name__, schema), *schema["$defs"].items()]:
        _describe(shape, kinds[name])
    _plug(schema)
    for section, key in secrets_of(Settings):
        del _definition(schema, section)["properties"][key]
    del schema["$defs"][CommandSettings.__name__]["properties"]["period"]["default"]  # no YAML
    datasets = schema["properties"]["datasets"]
    datasets["additionalProperties"] = {
        "anyOf": [{"type": "string"}, datasets["additionalProperties"]]
    }
    return {"$schema": DIALECT, **_for_yaml(schema), "title": "Settings of slackwater"}


def _sections(kind: type) -> Iterator[type]:
    yield kind
    for hint in hints_of(kind).values():
        entries = entries_in(hint)
        if section := section_in(hint if entries is None else entries):
            yield from _sections(section)


def _plug(schema: dict[str, Any]) -> None:
    """Have the schema tell what each kind of provider takes, and its node types."""
    told: list[dict[str, Any]] = []
    of_types: list[dict[str, Any]] = []
    for name in kinds():
        try:
            kind = kind_of(name)
        except BrokenPlugin:
            continue  # Settings that name it are told so.
        own, of_type = _shape_of(kind.options), _shape_of(kind.type_options)
        own["properties"] = {"kind": {"const": name}, **own.get("properties", {})}
        own["required"] = ["kind", *own.get("required", [])]
        told.append(own)
        of_types.append(of_type | {"title": name})
    schema["properties"]["providers"]["additionalProperties"] = {"anyOf": told} if told else {}
    if of_types:
        of_node_type = schema["$defs"]["NodeTypeSettings"]["properties"]["options"]
        of_node_type["anyOf"] = [{"type": "null"}, *of_types]


def _shape_of(kind: type) -> dict[str, Any]:
    """Return the schema of a plug-in's options; secrets are not for the file."""
    shape: dict[str, Any] = model_of(kind, {}, {}).model_json_schema()
    assert "$defs" not in shape, "options of plug-ins are flat"
    _describe(shape, kind)
    for where, each in plain_values(kind):
        if bare(each) is SecretStr:
            del shape["properties"][where[0]]
    return shape


def _definition(schema: dict[str, Any], section: str | int) -> Any:
    name = schema["properties"][section]["$ref"].rpartition("/")[2]
    return schema["$defs"][name]


def _describe(shape: dict[str, Any], kind: type) -> None:
    text = getdoc(kind) or ""
    shape["description"] = text.partition("\n")[0]
    for name, told in _parameters(text).items():
        if told:
            shape["properties"][name]["description"] = told


def _parameters(text: str) -> Mapping[str, str]:
    """Return what a NumPy docstring tells of each parameter, in one line."""
    section = _PARAMETERS.search(text)
    return {
        name: " ".join(told.split())
        for names, told in _PARAMETER.findall(section[1] if section else "")
        for name in names.split(", ")
    }


def _for_yaml(said: Any) -> Any:
    """Return a schema without titles made of names, and with text as `yaml_lines` reads it."""
    if isinstance(said, list):
        return [_for_yaml(each) for each in said]
    if not isinstance(said, dict):
        return said
    kept = {
        key: _for_yaml(value)
        for key, value in said.items()
        if not (key == "title" and isinstance(value, str))
    }
    if kept.get("type") == "string" and "enum" not in kept:
        kept["type"] = _TEXT
    return kept
