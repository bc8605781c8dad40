"""What products and manifests say of the derived parameters that they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from controller.apps.argo.fragment import Derivation, Failure, Harvest


def account(harvest: Harvest) -> list[dict[str, object]]:
    """Return how each derived parameter was computed and where it failed, fit for JSON."""
    return [
        {
            "name": one.name,
            "version": one.version,
            "plugin": one.plugin,
            "software": list(one.software),
            "needs": list(one.needs),
            "failures": [
                {"reason": reason, "profiles": profiles}
                for reason, profiles in _counted(one.name, harvest.failures).items()
            ],
        }
        for one in harvest.derivations
    ]


def derived_attributes(harvest: Harvest) -> Mapping[str, dict[str, object]]:
    """Return the attributes of the derived parameters by name, as a product's variables have them.

    ``comment`` tells how a value was computed, as CF wants it told of a single variable.
    """
    ways: dict[str, list[Derivation]] = {}
    for one in harvest.derivations:
        ways.setdefault(one.name, []).append(one)
    return {
        name: {**those[0].attributes, "comment": _comment(those, harvest.failures)}
        for name, those in ways.items()
    }


def _comment(ways: list[Derivation], failures: Iterable[Failure]) -> str:
    computed = " or ".join(
        f"by {one.plugin} ({', '.join((f'{one.name} version {one.version}', *one.software))})"
        for one in ways
    )
    said = [f"Computed {computed} from {', '.join(ways[0].needs)}"]
    for reason, profiles in _counted(ways[0].name, failures).items():
        noun = "profile" if profiles == 1 else "profiles"
        said.append(f"no value in {profiles} {noun}: {reason}")
    return "; ".join(said)


def _counted(name: str, failures: Iterable[Failure]) -> Counter[str]:
    return Counter(failure.reason for failure in failures if failure.name == name)
