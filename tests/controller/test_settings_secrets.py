"""Secrets come from files and from the environment, and are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config.origins import settings_told
from controller.config.secret_files import SECRET_BYTES_MAX, file_of, is_telling, secrets_of
from controller.config.settings import Settings, read_settings, read_told
from controller.config.shape import plain_values
from controller.errors import FileFault

SECRET = "correct-horse"


def write(folder: Path, text: str) -> Path:
    path = folder / "slackwater.yaml"
    path.write_text(text)
    return path


def faults(path: Path | None, environment: dict[str, str]) -> list[str]:
    with pytest.raises(FileFault) as caught:
        read_settings(path, environment)
    assert SECRET not in str(caught.value)
    return caught.value.faults


def test_each_secret_may_come_from_a_file() -> None:
    places = {where for where, _ in plain_values(Settings)}
    secrets = list(secrets_of(Settings))
    assert ("store", "password") in secrets
    assert {file_of(secret) for secret in secrets} <= places


def test_a_secret_in_the_settings_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"""\
store:
  url: postgresql://me:{SECRET}@host/name
notify:
  smtp_password: {SECRET}
  smtp_url: smtp://host?password={SECRET}
  smtp_from: me@example.org
  public_url: https://data.example.org
""",
    )
    assert faults(path, {}) == [
        "line 2: store.url holds a password. Write it without; name a file that holds the password"
        " in store.password_file, or set SLACKWATER_STORE__PASSWORD",
        "line 4: notify.smtp_password is a secret, which does not belong into this file; name a"
        " file that holds the password in notify.smtp_password_file, or set"
        " SLACKWATER_NOTIFY__SMTP_PASSWORD",
        "line 5: notify.smtp_url holds a password. Write it without; name a file that holds the"
        " password in notify.smtp_password_file, or set SLACKWATER_NOTIFY__SMTP_PASSWORD",
    ]


def test_it_is_read_from_a_file_and_told_by_that(tmp_path: Path) -> None:
    held = tmp_path / "password"
    held.write_text(f"{SECRET}\n")
    path = write(tmp_path, f"store: {{url: 'postgresql://me@host/name', password_file: {held}}}")
    told = read_told(path, {})
    password = told.settings.store.password
    assert password is not None
    assert password.get_secret_value() == SECRET
    assert SECRET not in repr(told.settings)
    shown = {each.name: (each.value, each.origin, each.place) for each in settings_told(told)}
    assert shown["store.password"] == ("set", "secret file", str(held))
    assert shown["store.password_file"] == (str(held), "file", f"{path}:1")
    assert shown["store.url"] == ("postgresql://me@host/name", "file", f"{path}:1")
    assert shown["notify.smtp_password"] == ("not set", "default", "")
    assert SECRET not in str(shown)


def test_the_environment_outdoes_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, "store: {password_file: /missing}")
    store = read_settings(path, {"SLACKWATER_STORE__PASSWORD": SECRET}).store
    assert store.password is not None
    assert store.password.get_secret_value() == SECRET


def test_a_password_in_a_url_of_the_environment_is_taken_out_of_it() -> None:
    url = "postgresql://me:co%40rr:ect@[::1]:5432/name?sslmode=require"
    told = read_told(None, {"SLACKWATER_STORE__URL": url})
    store = told.settings.store
    assert store.url == "postgresql://me@[::1]:5432/name?sslmode=require"
    assert store.password is not None
    assert store.password.get_secret_value() == "co@rr:ect"
    shown = {each.name: (each.value, each.place) for each in settings_told(told)}
    assert shown["store.password"] == ("set", "SLACKWATER_STORE__URL")


def test_a_secret_that_is_said_twice_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "lines").write_text(f"{SECRET}\nmore")
    (tmp_path / "large").write_bytes(b"x" * (SECRET_BYTES_MAX + 1))
    (tmp_path / "bytes").write_bytes(b"\xff")
    file = "SLACKWATER_STORE__PASSWORD_FILE"
    expected = {
        "missing": "cannot be read (No such file or directory)",
        "empty": "is empty",
        "lines": "is no single line",
        "large": "is larger than 64 KiB",
        "bytes": "is not UTF-8",
    }
    for name, what in expected.items():
        path = str(tmp_path / name)
        assert faults(None, {file: path}) == [f"{file}: store.password_file: {path} {what}"]
    twice = {file: "/some", "SLACKWATER_STORE__PASSWORD": SECRET}
    assert faults(None, twice) == [
        f"{file}: store.password comes from SLACKWATER_STORE__PASSWORD too; keep one"
    ]


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("SLACKWATER_STORE__URL", f"postgresql://me:{SECRET}/x@host/name"),
        ("SLACKWATER_STORE__URL", f"mysql://me:{SECRET}@host/name"),
        ("SLACKWATER_STORE__URL", f"postgresql://host/name?password={SECRET}"),
        ("SLACKWATER_STORE__URL", f"postgresql://me:{SECRET}@[host/name"),
        ("SLACKWATER_NOTIFY__SMTP_URL", f"http://me:{SECRET}@host"),
        ("SLACKWATER_NOTIFY", f'{{"smtp_password": ["{SECRET}"]}}'),
        ("SLACKWATER_STORE", f'{{"password": "{SECRET}"'),
    ],
)
def test_no_message_shows_one(variable: str, said: str) -> None:
    (fault,) = faults(None, {variable: said})
    assert fault.startswith(f"{variable}: ")


def test_which_urls_hold_a_password() -> None:
    assert is_telling("postgresql://me:x@host")
    assert is_telling("postgresql://me:@host")
    assert is_telling("postgresql://host/db?sslpassword=x")
    assert not is_telling("postgresql://me@host:5432/db?passfile=/x")
    assert not is_telling("postgresql://[::1]:5432/db")
