"""Datasets that are known without being opened, to read subscriptions with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.apps.argo.application import ArgoApplication
from controller.apps.argo.catalogue import Catalogue
from controller.apps.argo.orders import ArchiveAddress
from controller.config.settings import ARGO_DOI
from controller.config.subscriptions import KnownApplication


@dataclass(frozen=True)
class Known:
    """Datasets by alias: their identifiers, and the applications by identifier."""

    aliases: Mapping[str, str]
    applications: Mapping[str, KnownApplication]

    def identifiers(self) -> Mapping[str, str]:
        return self.aliases

    def application(self, identifier: str) -> KnownApplication:
        return self.applications[identifier]


def known_argo(folder: Path = Path("gdac")) -> Known:
    """Return Argo's dataset, of an archive that lists nothing."""
    application = ArgoApplication(
        dataset=ARGO_DOI,
        archive=ArchiveAddress(url=str(folder)),
        fragments_url=str(folder),
        staging_url=str(folder),
        catalogue=Catalogue.from_rows([]),
    )
    return Known({"argo": ARGO_DOI}, {ARGO_DOI: application})
