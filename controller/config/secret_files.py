"""Secrets of the settings: they come from files and from the environment, never from the file.

A secret ``password`` has a sibling ``password_file`` that names a file which holds it. A settings
file is copied, shown and kept under version control; so one that holds a secret is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from controller.config.environment import variable_of
from controller.config.shape import bare, plain_values
from controller.config.yaml_lines import Document, Fault, Where

SECRET_BYTES_MAX = 64 * 2**10
"""A file above this [bytes] holds no password and no key."""

FILE = "_file"

_TELLING = re.compile(r"://[^@]*:[^@]*@", re.DOTALL)
_SECRET_WORDS = frozenset(("password", "sslpassword"))


@dataclass(slots=True)
class _Secrets:
    """Works on the copy of a document's value."""

    document: Document
    value: Any
    variables: dict[Where, str]
    files: dict[Where, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def with_secrets(
    document: Document, secrets: Iterable[Where], urls: Mapping[Where, Where]
) -> tuple[Document, Mapping[Where, str], list[Fault]]:
    """Return a document with its secrets filled in, the files they came from, and what is wrong.

    Parameters
    ----------
    document : Document
    secrets : iterable of Where
        Values that are secrets.
    urls : mapping of Where to Where
        URLs of the settings, and the secret that a password in one is.
    """
    found = _Secrets(document, deepcopy(document.value), dict(document.variables))
    for where, secret in urls.items():
        _split(found, where, secret)
    for where in secrets:
        _fill(found, where)
    document = replace(document, value=found.value, variables=found.variables)
    return document, found.files, found.faults


def secrets_of(kind: type) -> Iterator[Where]:
    """Yield the way to each secret."""
    return (where for where, hint in plain_values(kind) if bare(hint) is SecretStr)


def file_of(secret: Where) -> Where:
    """Return the way to the value that names a secret's file."""
    return (*secret[:-1], f"{secret[-1]}{FILE}")


def is_telling(url: str) -> bool:
    """Tell whether a URL holds a password."""
    return bool(_TELLING.search(url)) or _has_secret_words(url)


def _has_secret_words(url: str) -> bool:
    words = parse_qsl(url.partition("?")[2], keep_blank_values=True)
    return any(word in _SECRET_WORDS for word, _ in words)


def _split(found: _Secrets, where: Where, secret: Where) -> None:
    """Take the password out of a URL that a variable brought; refuse one in the file."""
    url = _at(found.value, where)
    if not isinstance(url, str) or not is_telling(url):
        return
    name = ".".join(map(str, where))
    if where not in found.variables or _has_secret_words(url):
        what = f"{name} holds a password. Write it without; {_advice(secret)}"
        found.faults.append(found.document.fault(where, what))
        return
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:
        return  # what checks the URL says so
    user, at, host = parts.netloc.rpartition("@")
    bare_url = urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}"))
    _set(found.value, where, bare_url)
    if _at(found.value, secret) is None:
        _set(found.value, secret, unquote(password))
        found.variables[secret] = found.variables[where]


def _fill(found: _Secrets, where: Where) -> None:
    name, file = ".".join(map(str, where)), file_of(where)
    path, document = _at(found.value, file), found.document
    is_said = _at(found.value, where) is not None
    if is_said and where not in found.variables:
        what = f"{name} is a secret, which does not belong into this file; {_advice(where)}"
        found.faults.append(document.fault(where, what))
    elif is_said and path and file in found.variables:
        what = f"{name} comes from {found.variables[where]} too; keep one"
        found.faults.append(document.fault(file, what))
    elif not is_said and isinstance(path, str) and path:
        try:
            _set(found.value, where, read_secret(path))
            found.files[where] = path
        except ValueError as error:
            found.faults.append(document.fault(file, f"{'.'.join(map(str, file))}: {error}"))


def read_secret(path: str) -> str:
    """Return the secret that a file holds, without the line's end.

    Raises
    ------
    ValueError
        It cannot be read, is empty or is no text of one line.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: an unknown user's home
        cause = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path} cannot be read ({cause})") from error
    if len(content) > SECRET_BYTES_MAX:
        raise ValueError(f"{path} is larger than {SECRET_BYTES_MAX // 2**10} KiB")
    try:
        secret = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8") from error
    if not secret or not secret.isprintable():
        raise ValueError(f"{path} is {'no single line' if secret else 'empty'}")
    return secret


def _advice(secret: Where) -> str:
    file, word = ".".join(map(str, file_of(secret))), str(secret[-1]).rpartition("_")[2]
    return f"name a file that holds the {word} in {file}, or set {variable_of(secret)}"


def _at(value: Any, where: Where) -> Any:
    for step in where:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _set(value: Any, where: Where, said: str) -> None:
    *way, last = where
    for step in way:
        value = value.setdefault(step, {})
    value[last] = said
