"""One self-contained HTML page: opens by double click, offline, light or dark, without scripts.

What it was made of (inputs, command, numbers) is embedded as JSON, so that a page can be checked
and made again.
"""

from __future__ import annotations

import json
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
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</main>\n{embedded}\n</body>\n</html>\n"
    )


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


def _embedded(name: str, value: object) -> str:
    # "</script>" inside a text would end the element; JSON bears the slash escaped.
    text = json.dumps(value, indent=1, sort_keys=True).replace("</", "<\\/")
    return f'<script type="application/json" id="{escape(name)}">\n{text}\n</script>'
