"""The sections of ``slackwater.yaml`` that only the long-lived service reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from controller.config.ranges import Count, Host, NotNegative, Positive
from controller.config.yaml_lines import Where

URLS: Mapping[Where, Where] = {
    ("store", "url"): ("store", "password"),
    ("notify", "smtp_url"): ("notify", "smtp_password"),
}
"""URLs that may come with a password, and the secret that it is."""

HOUR_S = 3600.0

_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")


def _read_bind(text: str) -> str:
    if not text or not text.isprintable() or any(mark in text for mark in " /@"):
        raise ValueError(f"host {text!r} cannot be. Write a name or an address, as 127.0.0.1")
    return text


def _read_store_url(text: str) -> str:
    if text and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError(
            "store.url must begin with postgresql://; leave it out for SQLite in service.data_dir"
        )
    return _well_formed("store.url", text)


def _read_smtp_url(text: str) -> str:
    if text and not re.match(r"smtps?://", text):
        raise ValueError(
            "notify.smtp_url must begin with smtp:// (which turns to TLS) or smtps://,"
            " as smtp://mail.example.org:587"
        )
    return _well_formed("notify.smtp_url", text)


def _well_formed(name: str, text: str) -> str:
    try:
        _ = urlsplit(text).port
    except ValueError:
        # What is wrong with it is not told, for it may be a piece of a password.
        raise ValueError(f"{name} is no URL. Write what is special in it as %40 for @") from None
    return text


def _read_public_url(text: str) -> str:
    if text and not re.match(r"https?://[^/@]+", text):
        raise ValueError("notify.public_url must be as https://data.example.org")
    return _well_formed("notify.public_url", text)


def _read_address(text: str) -> str:
    if text and not _ADDRESS.fullmatch(text):
        raise ValueError(f"notify.smtp_from {text!r} is no address, as slackwater@example.org")
    return text


def _read_fragments_url(text: str) -> str:
    url = urlsplit(text)
    if text and not (url.scheme or text.startswith("/")):
        raise ValueError(
            "service.fragments_url must be an absolute path or a URL: nodes use it too"
        )
    if "@" in url.netloc:
        raise ValueError(
            "service.fragments_url holds a user's name; give credentials to fsspec's configuration"
        )
    return text.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How the service runs on its machine.

    Parameters
    ----------
    data_dir : str
        Folder of all that the service keeps.
    host : str
        Name or address that it listens on.
    port : int
        Port of the API and the pages; 0 takes a free one.
    drain_s_max : float
        A clean stop waits this long [s] for what runs.
    snapshot_steps : int
        A snapshot is written after this many steps, which bounds what a restart replays.
    inbox_max : int
        Events that may wait to be handled; above it, new ones are refused for a while.
    fragments_url : str
        Where fragments lie that nodes elsewhere reach, a folder or fsspec URL; empty is `data_dir`.
    log_format, log_level : str
        How much is logged, and as lines to read or JSON.
    """

    data_dir: Annotated[str, Field(min_length=1)] = "slackwater-data"
    host: Annotated[str, AfterValidator(_read_bind)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8750
    drain_s_max: NotNegative = 30.0
    snapshot_steps: Count = 10_000
    inbox_max: Count = 100_000
    fragments_url: Annotated[str, AfterValidator(_read_fragments_url)] = ""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the service keeps its tables.

    Parameters
    ----------
    url : str
        Of a PostgreSQL database, without its password; empty is SQLite in `data_dir`.
    password : SecretStr or None
        From the environment or from `password_file`, never from the settings file.
    password_file : str
        File that holds the password.
    """

    url: Annotated[str, AfterValidator(_read_store_url)] = ""
    password: SecretStr | None = None
    password_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What the API accepts and how much of it.

    Parameters
    ----------
    keys_required : bool
        Whether clients need a key; those of other machines need one anyway.
    body_mb_max : float
        A request's body may be this large [MB].
    page_max : int
        Entries of one page of a listing.
    clients_max : int
        Connections at the same time.
    certificate_file, key_file : str
        PEM files with which the API speaks HTTPS; both or none.
    at_risk : str
        Whether a subscription is accepted whose deadline is at risk.
    """

    keys_required: bool = False
    body_mb_max: Positive = 8.0
    page_max: Count = 1000
    clients_max: Count = 256
    certificate_file: str = ""
    key_file: str = ""
    at_risk: Literal["accept", "refuse"] = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesSettings:
    """How the service learns of new data.

    Parameters
    ----------
    poll_s : float
        An index or a folder is looked at this often [s].
    http_timeout_s : float
        An archive that says nothing for this long [s] is tried again at the next look.
    push_enabled : bool
        Whether updates are taken over HTTP.
    hosts : tuple of str
        Hosts that a pushed message may point to, besides those of the datasets' archives.
    """

    poll_s: Positive = 60.0
    http_timeout_s: Positive = 30.0
    push_enabled: bool = True
    hosts: tuple[Host, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """How subscribers are told of products and risks.

    Parameters
    ----------
    webhook_timeout_s : float
        A webhook that does not answer for this long [s] is tried again.
    webhook_attempts_s : tuple of float
        Pauses before the second attempt and each further one [s].
    private_addresses_allowed : bool
        Whether webhooks may go to private and loopback addresses.
    hosts_allowed : tuple of str
        Hosts that webhooks may go to wherever they lie, also by http.
    public_url : str
        Where people reach this service: the links of mails lead there.
    smtp_url : str
        The mail server, without its password; empty sends no mail.
    smtp_from : str
        Address that mails come from.
    smtp_password, smtp_password_file : SecretStr or None, str
        Of the user that `smtp_url` names, and the file that holds it.
    """

    webhook_timeout_s: Positive = 20.0
    # The schedule that Standard Webhooks recommends: three days in all.
    webhook_attempts_s: tuple[NotNegative, ...] = (
        *(5.0, 300.0, HOUR_S / 2),
        *(2 * HOUR_S, 5 * HOUR_S, 10 * HOUR_S, 14 * HOUR_S, 20 * HOUR_S, 24 * HOUR_S),
    )
    private_addresses_allowed: bool = False
    hosts_allowed: tuple[Host, ...] = ()
    public_url: Annotated[str, AfterValidator(_read_public_url)] = ""
    smtp_url: Annotated[str, AfterValidator(_read_smtp_url)] = ""
    smtp_from: Annotated[str, AfterValidator(_read_address)] = ""
    smtp_password: SecretStr | None = None
    smtp_password_file: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.smtp_url and not self.smtp_from:
            raise ValueError("notify.smtp_url needs notify.smtp_from: who mails come from")
        if self.smtp_url and not self.public_url:
            raise ValueError("notify.smtp_url needs notify.public_url: where links in mails lead")
