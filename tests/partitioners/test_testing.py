"""The law kit accepts what is lawful and says what is not, for authors of plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from partitioners.linear import Linear
from partitioners.protocol import CutRequest
from partitioners.testing import check_partitioner, example_requests
from planner.density import Density
from planner.extent import Extent
from planner.model import UnitCosts

Spoil = Callable[[tuple[Extent, ...]], object]


@dataclass
class Spoilt:
    """Linear, but for what is done to its answers."""

    spoil: Spoil
    name: str = "spoilt"
    version: str = "1"

    def cut(
        self, extent: Extent, density: Density | None, costs: UnitCosts, n: int
    ) -> tuple[Extent, ...]:
        return self.spoil(Linear().cut(extent, density, costs, n))  # type: ignore[return-value]


def doubled(pieces: tuple[Extent, ...]) -> object:
    return (*pieces, pieces[-1])


def without_parameters(pieces: tuple[Extent, ...]) -> object:
    return tuple(replace(piece, parameters=()) for piece in pieces)


def fickle() -> Spoil:
    turns = [0]

    def spoil(pieces: tuple[Extent, ...]) -> object:
        turns[0] += 1
        return pieces if turns[0] % 2 else pieces[::-1]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda pieces: pieces[1:] or pieces, "gap"),
        (doubled, "wanted|overlap"),
        (without_parameters, "other parameters"),
        (list, "no tuple of extents"),
        (fickle(), "answers differently twice"),
    ],
)
def test_a_spoilt_partitioner_is_found_out(spoil: Spoil, said: str) -> None:
    with pytest.raises(AssertionError, match=said) as caught:
        check_partitioner(Spoilt(spoil))
    assert "spoilt" in str(caught.value)
    assert "n = " in str(caught.value)


def test_a_lawful_partitioner_passes() -> None:
    check_partitioner(Spoilt(tuple))


@pytest.mark.parametrize("candidate", [Linear, None, Spoilt(tuple, name=""), object()])
def test_what_is_no_partitioner_is_told_what_is_wanted(candidate: object) -> None:
    with pytest.raises(AssertionError, match=r"name.* version"):
        check_partitioner(candidate)  # type: ignore[arg-type]


def test_requests_of_ones_own_are_checked_alone() -> None:
    asked: list[CutRequest] = [next(example_requests())]
    check_partitioner(Spoilt(tuple), asked)


def test_examples_cannot_be_changed_by_a_partitioner() -> None:
    densities = [request.density for request in example_requests() if request.density]
    assert any(len(density) for density in densities)
    assert not any(density.files.flags.writeable for density in densities)
