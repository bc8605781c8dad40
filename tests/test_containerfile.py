"""The image holds what it should, as who it should; its steps really make it (slow)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from controller.config.settings import Settings
from tests.containerfile import Build, Stage, read

ROOT = Path(__file__).parent.parent
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
DEBIAN = "docker.io/library/debian:bookworm-slim"
DEBOOTSTRAP_S_MAX = 1500.0
FETCH_S_MAX = 900.0


def stages() -> list[Stage]:
    return read(CONTAINERFILE)


def project() -> dict[str, object]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def test_it_begins_with_debian_and_ends_without_what_made_it() -> None:
    wheels, installed, final = stages()
    assert (wheels.base, installed.base, final.base) == (DEBIAN, "wheels", DEBIAN)
    assert final.said("COPY") == ["--from=installed /opt/slackwater /opt/slackwater"]


def test_all_that_is_installed_is_pinned_and_fetched_in_one_place() -> None:
    wheels, installed, final = stages()
    (fetching,) = [each for each in wheels.said("RUN") if " download " in each]
    assert "--require-hashes --only-binary :all:" in fetching
    installing = [each for each in installed.said("RUN") if " -m pip " in each]
    assert installing
    assert all("--no-index" in each for each in installing)
    assert not any("pip" in each for each in final.said("RUN"))


def test_the_lock_of_the_image_holds_the_same_as_the_one_that_is_tested() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return {line.split(";")[0].rstrip(" \\") for line in lines if "==" in line.split(";")[0]}

    assert pins("run.txt") <= pins("image.txt") <= pins("dev.txt")


def test_what_it_copies_is_there_and_not_ignored() -> None:
    let_in = {each[1:] for each in (ROOT / ".dockerignore").read_text().split() if each[0] == "!"}
    copied = [words.split()[0] for stage in stages()[:2] for words in stage.said("COPY")]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in let_in, source
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert set(tables["targets"]["wheel"]["only-include"]) <= set(copied)


def test_it_runs_as_a_user_and_says_where_it_listens() -> None:
    final = stages()[-1]
    assert final.said("USER") == ["10001:10001"]
    assert final.said("EXPOSE") == [f"{Settings().service.port} 8786"]
    assert json.loads(final.said("ENTRYPOINT")[0])[-1] == "slackwater"


def test_the_manifests_name_the_image_of_this_version() -> None:
    text = (ROOT / "deploy" / "kubernetes" / "service.yaml").read_text()
    named = {line.split()[-1] for line in text.splitlines() if "image:" in line}
    assert named == {f"slackwater:{project()['version']}"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the image of Debian is: the system's smallest set, and where packages come from."""
    if os.getuid() or shutil.which("debootstrap") is None:
        pytest.skip("a clean root needs root and debootstrap: apt-get install debootstrap")
    root = tmp_path_factory.mktemp("clean") / "root"
    told = [each.read_text() for each in Path("/etc/apt/sources.list.d").glob("*.sources")]
    mirrors = [line.split()[1] for text in told for line in text.splitlines() if "URIs:" in line]
    # Without one, debootstrap knows Debian's own.
    mirror = [each for each in mirrors if each.rstrip("/").endswith("debian")][:1]
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", "bookworm", str(root), *mirror],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEBOOTSTRAP_S_MAX,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    shutil.copytree("/etc/apt", root / "etc/apt", dirs_exist_ok=True, symlinks=True)
    return root


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch what the image holds as this machine does, which may have a registry of its own."""
    folder = tmp_path_factory.mktemp("wheels")
    own = folder / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(own)], check=True)
    done = subprocess.run(
        [
            *(own / "bin" / "python", "-m", "pip", "download", "--quiet", "--require-hashes"),
            *("--only-binary", ":all:", "--dest", folder / "wheels"),
            *("--requirement", ROOT / "requirements" / "image.txt"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=FETCH_S_MAX,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "wheels"


@pytest.mark.slow
def test_its_steps_make_an_image_that_works(clean: Path, wheels: Path, tmp_path: Path) -> None:
    build = Build(
        ROOT,
        clean,
        tmp_path,
        arguments={"FETCH": "--no-index --find-links /build/offline"},
        wheels=wheels,
    )
    made: list[Stage] = []
    for stage in stages():
        build.carry_out(stage, made)
        made.append(stage)
    version = build.run("final", "slackwater --version", user=10001)
    assert str(project()["version"]) in version
    build.run("final", "cd /tmp && slackwater worker --help >help && test -s help", user=10001)
    build.run("final", "python3 -c 'import controller.nodes.kubernetes, libcloud'", user=10001)
    writable = "find /opt /usr /etc /var/lib -xdev -perm -002 ! -type l"
    assert build.run("final", writable) == ""
