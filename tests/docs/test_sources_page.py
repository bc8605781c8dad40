"""The page about sources: the real reader reads its examples, its tables are those of the code."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec.config
import pytest
from fsspec.config import set_conf_files

from controller.apps.argo.archive import open_archive
from controller.apps.argo.orders import ArchiveAddress
from controller.sources import argo, fetching, folder, indexes, messages, pace
from controller.sources.messages import CLOUDEVENT_TYPES, Form, Refusal, read_message
from controller.sources.reaching import BYTES_MAX, Limits
from tests.controller.sources.servers import PASSWORD, USER, dav_server
from tests.docs.pages import first_cells, page

PAGE = "reference/sources.md"
DATASETS = {"argo": "10.17882/42182"}


def request(example: str) -> tuple[dict[str, str], bytes]:
    head, _, body = example.partition("\n\n")
    return dict(line.split(": ", 1) for line in head.splitlines()), body.encode()


def test_every_example_of_a_message_is_understood() -> None:
    found = [read_message(*request(e), DATASETS) for e in page(PAGE).blocks("http")]
    assert [one.form for one in found] == [
        Form.PLAIN, Form.CLOUDEVENT, Form.CLOUDEVENT, Form.WIS2,
    ]  # fmt: skip
    assert {one.dataset for one in found} == {"10.17882/42182"}


def test_types_and_refusals_are_those_of_the_code() -> None:
    described = page(PAGE)
    assert sorted(first_cells(described.section("CloudEvents"))) == sorted(CLOUDEVENT_TYPES)
    assert first_cells(described.section("Refusals")) == list(Refusal)


@pytest.mark.parametrize(
    "sentence",
    [
        f"less than {Limits().settle_s:g} s ago",
        f"| {BYTES_MAX // 2**30} GiB |",
        f"| {indexes.UNPACKED_BYTES_MAX // 2**30} GiB |",
        f"| {Limits().fetch_s_max:,.0f} s |",
        f"| {Limits().timeout_s:g} s |",
        f"| {fetching.REDIRECTS_MAX}, to hosts",
        f"at most {pace.BACKOFF_S_MAX:g} s",
        "one a second at most" * (pace.LOOK_S_MIN == 1),
        "a tenth |" * (pace.JITTER == 0.1),
        f"more than {argo.REMOVED_MAX:,} profiles and more than a tenth"
        * (argo.REMOVED_FRACTION_MAX == 0.1),
        f"more than {folder.GONE_MAX} files and more than a tenth"
        * (folder.GONE_FRACTION_MAX == 0.1),
        f"more than {messages.BYTES_MAX // 2**10} KiB",
        f"deeper than {messages.DEPTH_MAX}",
        f"at most {messages.WIS2_BYTES_MAX:,} bytes",
    ],
)
def test_figures_are_those_of_the_code(sentence: str) -> None:
    assert sentence, "the constant has changed: say so on the page, and here"
    assert sentence in " ".join(page(PAGE).text.split())


def test_the_credentials_of_the_guide_open_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = page("how-to/follow-a-webdav-folder.md").blocks("json")
    archive, said = tmp_path / "archive", tmp_path / "fsspec"
    archive.mkdir()
    said.mkdir()
    (archive / "ar_index_global_prof.txt").touch()
    with dav_server(archive) as url:
        filled = example.replace("<user>", USER).replace("<app password>", PASSWORD)
        (said / "webdav.json").write_text(filled.replace("webdavs://b2drop.eudat.eu", url))
        found: dict[str, object] = {}
        set_conf_files(str(said), found)
        for name, value in found.items():
            monkeypatch.setitem(fsspec.config.conf, name, value)
        there = open_archive(ArchiveAddress(url=url))
        assert there.index_names() == ("ar_index_global_prof.txt",)
    assert list(json.loads(example)) == ["webdavs://b2drop.eudat.eu"]
