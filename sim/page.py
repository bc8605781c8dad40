"""One self-contained HTML page: opens by double click, offline, light or dark, without scripts.

What it was made of (inputs, command, numbers) is embedded as JSON, so that a page can be checked
and made again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

STYLE = "page.css"


def page(title: str, sections: Iterable[str], data: Mapping[str, object]) -> str:
    """Return a whole page.

    Parameters
    ----------
    title : str
    sections : iterable of str
        HTML, as `section` makes it.
    data : mapping of str to object
        What the page was made of, fit for JSON; each entry becomes an embedded document.
    """
    style = files("sim").joinpath(STYLE).read_text("utf-8")
    embedded = "\n".join(_embedded(name, value) for name, value in data.items())
    body = "\n".join(sections)
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</main>\n{embedded}\n</body>\n</html>\n"
    )
    # Names of files may hold bytes that are no text.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def section(heading: str, *blocks: str) -> str:
    """Return a section of a page: a heading and blocks of HTML."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n" + "\n".join(blocks) + "\n</section>"


def paragraph(text: str) -> str:
    """Return plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def figure(svg: str, caption: str) -> str:
    """Return a drawing (see `sim.drawing`) with its caption."""
    return f"<figure>\n{svg}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "") -> str:
    """Return a table of plain text; a column ">name" is set flush right."""
    classes = [' class="number"' if name.startswith(">") else "" for name in columns]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(name.lstrip(">"))}</th>'
        for name, kind in zip(columns, classes, strict=True)
    )
    lines = "\n".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, classes, strict=True))
        + "</tr>"
        for row in rows
    )
    # The span keeps a caption in sight where its table is wider than the screen.
    said = f"<caption><span>{escape(caption)}</span></caption>" if caption else ""
    return (
        f'<div class="wide"><table>{said}\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></div>"
    )


def json_text(value: object, *, indent: int) -> str:
    """Return a value as JSON that every reader takes: what is no finite number is null."""
    return json.dumps(_finite(value), indent=indent, sort_keys=True, allow_nan=False)


def _finite(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
    return value


def _embedded(name: str, value: object) -> str:
    # "</script>" inside a text would end the element, "<!--<script>" would keep it from ending.
    text = json_text(value, indent=1).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(name)}">\n{text}\n</script>'
