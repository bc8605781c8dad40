"""The client does what its page says, and nothing that the page does not say."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass

from controller.client import Client, Wish, answers
from controller.client.connection import ATTEMPTS_MAX, PAUSE_S_MAX
from controller.config.subscriptions import _Wish
from tests.docs.pages import coded, first_cells, page, rows

PAGE = page("reference/client.md")


def test_every_method_is_described_with_what_it_takes() -> None:
    told = {
        call.partition("(")[0]: call
        for cells in rows(PAGE.section("Methods"))
        for call in coded(cells[0])
    }
    public = {name: one for name, one in vars(Client).items() if not name.startswith("_")}
    assert sorted(told) == sorted(public)
    for name, method in public.items():
        if not isinstance(method, property):
            names = [each for each in inspect.signature(method).parameters if each != "self"]
            assert re.findall(r"[(,] ?(\w+)", told[name]) == names, name


def test_every_answer_and_each_of_its_fields_is_described() -> None:
    kinds = {
        kind.__name__: kind
        for kind in vars(answers).values()
        if is_dataclass(kind) and isinstance(kind, type) and kind is not Wish
    }
    assert sorted(PAGE.headings(3)) == sorted(kinds)
    for name, kind in kinds.items():
        expected = [one.name for one in fields(kind)]
        assert sorted(first_cells(PAGE.section(name))) == sorted(expected), name


def test_a_wish_has_the_keys_of_a_subscriptions_file() -> None:
    assert {one.name for one in fields(Wish)} == set(_Wish.model_fields)


def test_figures_are_those_of_the_code() -> None:
    text = " ".join(PAGE.text.split())
    assert f"made up to {ATTEMPTS_MAX} times in all" in text
    assert f"at most {PAUSE_S_MAX:g} s each" in text
