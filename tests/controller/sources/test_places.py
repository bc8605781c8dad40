"""Datasets of the settings, opened for a service: each source in its own folder, where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config.commands import CommandSettings
from controller.config.settings import ARGO_DOI, DatasetSettings, Settings
from controller.datasets import Datasets, Places
from controller.demo.archive import make_archive, reprocess
from controller.sources.reaching import Limits

QUAKES = "10.5066/F7MS3QZH"


def test_sources_keep_what_they_told_below_their_aliases(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", profiles=150, seed=11)
    (tmp_path / "quakes").mkdir()
    settings = Settings(
        datasets={
            "argo": DatasetSettings(identifier=ARGO_DOI, archive=str(archive.folder)),
            "quakes": DatasetSettings(
                identifier=QUAKES,
                application="command",
                archive=str(tmp_path / "quakes"),
                command=CommandSettings(run=("true",), ending=".csv", files="*.csv"),
            ),
        }
    )

    def opened(known: dict[str, int]) -> Datasets:
        places = Places(
            archive=None,
            fragments_url=str(tmp_path / "fragments"),
            staging_url=str(tmp_path / "staging"),
            sources=tmp_path / "data" / "sources",
            known=known,
            limits=Limits(settle_s=0.0),
        )
        return Datasets(settings, places)

    first = opened({})
    assert [first[name].source.look() for name in (ARGO_DOI, QUAKES)] == [None, None]
    reprocess(archive, profiles=20)
    (tmp_path / "quakes" / "2024.csv").write_text("x")
    for name in (ARGO_DOI, QUAKES):
        update = first[name].source.look()
        assert update is not None
        assert update.number == 1
    kept = tmp_path / "data" / "sources"
    assert sorted(path.name for path in kept.iterdir()) == ["argo", "quakes"]
    assert kept.stat().st_mode & 0o777 == 0o700

    again = opened({ARGO_DOI: 1, QUAKES: 1})
    assert [again[name].source.look() for name in (ARGO_DOI, QUAKES)] == [None, None]


def test_an_archive_named_from_here_means_the_same_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(tmp_path / "archive", profiles=150, seed=11)
    monkeypatch.chdir(tmp_path)
    places = Places(
        archive="archive",
        fragments_url=str(tmp_path / "fragments"),
        staging_url=str(tmp_path / "staging"),
    )
    datasets = Datasets(Settings(), places)
    datasets.application(ARGO_DOI)
    assert datasets[ARGO_DOI].archive == str(archive.folder)
