"""What is shipped, what is pinned, and what a fresh machine is told."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("planner", "partitioners", "sim", "controller")
RUN_LOCK = ROOT / "requirements" / "run.txt"
DEV_LOCK = ROOT / "requirements" / "dev.txt"
APT_LINE = "apt-get install --yes make python3-venv"

COMMAND_S_MAX = 60  # the slowest, building the wheel, takes about 1 s
INSTALL_S_MAX = 240  # 15 s from a warm cache; a slow line takes minutes
DEMO_S_MAX = 240  # below 120 s are promised, of two cores that do nothing else

NODE_LOCK = ROOT / "requirements" / "node.txt"
ANSIBLE_LOCK = ROOT / "requirements" / "ansible.txt"
LOCKS = [RUN_LOCK, DEV_LOCK, NODE_LOCK, ANSIBLE_LOCK]
each_lock = pytest.mark.parametrize("lock", LOCKS, ids=[lock.stem for lock in LOCKS])


def run(
    *command: str | Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    timeout_s: float = COMMAND_S_MAX,
) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would, not as a part of the `make test` that started us."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command,
        cwd=cwd,
        env=ours | dict(env or {}),
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """Give the standard output of a command that must have succeeded."""
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


def project() -> dict[str, object]:
    """Give pyproject.toml's table of the project."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert isinstance(table, dict)
    return table


def hashes_by_pin(lock: Path) -> dict[str, list[str]]:
    """Give the hashes of each requirement in a lock."""
    lines = lock.read_text().replace("\\\n", "").splitlines()
    entries = [line.split("--hash=") for line in lines if line and not line.startswith("#")]
    return {pin.strip(): [one.strip() for one in hashes] for pin, *hashes in entries}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release would, with the back end that the lock pins."""
    folder = tmp_path_factory.mktemp("wheel")
    output_of(run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder))
    (built,) = folder.iterdir()
    return built


def test_wheel_holds_the_product_and_nothing_else(wheel: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in shipped} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= shipped
    assert "controller/playbooks/README.md" in shipped
    assert not [name for name in shipped if "test_" in name or "__pycache__" in name]


def test_wheel_holds_every_module_of_the_checkout(wheel: Path) -> None:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    scenarios = list((ROOT / "sim" / "scenarios").glob("*.yaml"))
    shipped = set(zipfile.ZipFile(wheel).namelist())
    assert scenarios
    assert {str(path.relative_to(ROOT)) for path in (*modules, *scenarios)} <= shipped


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a clean environment, with what the lock pins and nothing else."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    install = (f"VENV={venv}", f"PYTHON={sys.executable}", f"PROJECT={wheel}", f"{venv}/.run")
    output_of(run("make", *install, timeout_s=INSTALL_S_MAX))
    return venv


@pytest.mark.registry
def test_wheel_runs_in_a_clean_environment_from_elsewhere(
    environment: Path, tmp_path: Path
) -> None:
    command = environment / "bin" / "slackwater"
    assert str(project()["version"]) in output_of(run(command, "--version", cwd=tmp_path))
    assert "--archive" in output_of(run(command, "demo", "--help", cwd=tmp_path))
    asked = (
        "import controller, importlib.util as u; print(controller.__file__, u.find_spec('pytest'))"
    )
    controller_file, pytest_found = output_of(
        run(environment / "bin" / "python", "-c", asked, cwd=tmp_path)
    ).split()
    assert Path(controller_file).is_relative_to(environment)
    assert pytest_found == "None"


@pytest.mark.registry
@pytest.mark.timeout(INSTALL_S_MAX + DEMO_S_MAX)
def test_the_demo_runs_from_the_installed_wheel(environment: Path, tmp_path: Path) -> None:
    command = environment / "bin" / "slackwater"
    done = run(command, "demo", "--json", cwd=tmp_path, timeout_s=DEMO_S_MAX)
    assert done.returncode in (0, 3), done.stderr  # A busy machine may make it miss a deadline,
    default, alone = (trial["measured"]["tasks"].values() for trial in json.loads(done.stdout))
    assert outcomes(default)["late"] < outcomes(alone)["late"]  # but not as many as one node does.
    assert outcomes(default).keys() <= {"delivered", "late", None}
    place = tmp_path / "slackwater-demo"
    found = {path.stem for path in place.glob("products/prefix/*/*.nc")}
    assert found == {task["product_id"] for task in default if task["outcome"]}
    journal = place / "prefix.jsonl"
    assert "identical" in output_of(run(command, "replay", journal, "--exact", cwd=tmp_path))


def outcomes(tasks: Iterable[dict[str, str | None]]) -> Counter[str | None]:
    """Count what became of the tasks that --json tells."""
    return Counter(task["outcome"] for task in tasks)


@each_lock
def test_lock_pins_every_requirement_with_a_hash(lock: Path) -> None:
    for pin, hashes in hashes_by_pin(lock).items():
        (specifier,) = Requirement(pin).specifier
        assert specifier.operator == "==", pin
        assert hashes, pin
        assert all(one.startswith("sha256:") for one in hashes), pin


@each_lock
def test_lock_names_no_address_and_no_machine(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert all("/" not in line for line in text.splitlines() if line.startswith("#"))


def test_dev_lock_is_the_run_lock_and_more() -> None:
    run_pins, dev_pins = hashes_by_pin(RUN_LOCK), hashes_by_pin(DEV_LOCK)
    assert run_pins.items() < dev_pins.items()


def test_a_node_gets_what_the_tests_run_with() -> None:
    assert hashes_by_pin(NODE_LOCK).items() < hashes_by_pin(DEV_LOCK).items()


def test_what_is_gpl_is_in_no_environment_of_ours() -> None:
    assert not [pin for pin in hashes_by_pin(DEV_LOCK) if pin.startswith("ansible-core")]


def test_run_lock_covers_the_declared_dependencies() -> None:
    pinned = {canonicalize_name(Requirement(pin).name) for pin in hashes_by_pin(RUN_LOCK)}
    declared = project()["dependencies"]
    assert isinstance(declared, list)
    assert {canonicalize_name(Requirement(line).name) for line in declared} <= pinned
    assert "argopy" not in pinned  # EUPL: for the tests only


@pytest.mark.parametrize(
    "spoiler",
    ["sys.modules['ensurepip'] = None", "sys.version_info = (3, 10, 12)"],
    ids=["no-venv", "too-old"],
)
def test_unfit_python_gets_the_apt_line(spoiler: str, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    wrapped = f"import sys; {spoiler}; exec(sys.argv[1])"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{wrapped}" "$2"\n')
    python.chmod(0o755)
    assert_told_the_apt_line(python, tmp_path / "venv")


def test_missing_python_gets_the_apt_line(tmp_path: Path) -> None:
    assert_told_the_apt_line(tmp_path / "absent", tmp_path / "venv")


def assert_told_the_apt_line(python: Path, venv: Path) -> None:
    """Ask the Makefile for an environment, without uv, from a Python that cannot make one."""
    done = run("make", "UV=", f"PYTHON={python}", f"VENV={venv}", f"{venv}/.run")
    assert done.returncode != 0
    assert APT_LINE in done.stderr
    assert not venv.exists()


@pytest.mark.parametrize(
    ("failing", "called"), [("none", "check\ntest\n"), ("check", "check\n")], ids=["green", "red"]
)
def test_ci_checks_then_tests_and_stops_at_a_failure(
    failing: str, called: str, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    stand_ins = {
        "make": f'echo "$1" >> "{calls}"; test "$1" != {failing}',
        "python3": "exit 0",
        "apt-get": "exit 1",
    }
    for name, does in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run(ROOT / ".ci" / "run", cwd=tmp_path, env={"PATH": path})
    assert (done.returncode == 0) == (failing == "none"), done.stderr
    assert calls.read_text() == called
