"""What a derived parameter is asked and what it answers: measured levels in, its values out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@runtime_checkable
class DerivedParameter(Protocol):
    """A quantity computed from what one profile measured.

    The laws, checked by `derived.testing.check_derived`: the same question always gets the same
    answer, of the promised shape, without writing to what was given.

    Attributes
    ----------
    name : str
        What subscriptions and products call it: capitals, digits and underscores ("CT").
    version : str
        Changes whenever answers do; products carry it.
    needs : tuple of str
        The measured parameters it is computed from, as Argo names them.
    software : tuple of str
        Distributions whose versions decide the answer ("gsw"); products carry those too.
    attributes : mapping of str to str
        CF attributes: ``long_name`` and ``units``, and ``standard_name`` where CF has one.
    per_profile : bool
        Whether it is one number for the whole profile, which then stands on each of its rows.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def needs(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def software(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def attributes(self) -> Mapping[str, str]: ...  # noqa: D102

    @property
    def per_profile(self) -> bool: ...  # noqa: D102

    def compute(
        self, columns: Mapping[str, Values], latitude: float, longitude: float
    ) -> Values | float:
        """Compute it for one profile.

        Parameters
        ----------
        columns : mapping of str to array of shape (levels,)
            Each parameter of `needs`, without gaps: levels that lack one of them, or that the
            subscription's policy refuses, are not among these. At least one level, in the order of
            the file.
        latitude, longitude : float
            Of the profile [degrees north, degrees east].

        Returns
        -------
        array of shape (levels,) or float
            A value for each level, or one number if it is `per_profile`; NaN where there is none.
        """
