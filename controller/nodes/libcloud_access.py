"""How a cloud is reached: who logs in by which way, from settings, clouds.yaml and environment.

What is said in the settings counts first, then the entry of clouds.yaml, then the variables that
the cloud's own tools read. A `Login` never shows its secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from controller.errors import NodeError, NodeFault
from controller.nodes.libcloud_options import CloudOptions

if TYPE_CHECKING:
    from controller.nodes.libcloud_keystone import Scope

SECURE_YAML = "secure.yaml"
"""Beside clouds.yaml: of the same form, for what others may not read; it counts first."""

CLOUDS_YAML = ("clouds.yaml", "~/.config/openstack/clouds.yaml", "/etc/openstack/clouds.yaml")
"""Where OpenStack's own tools look, after OS_CLIENT_CONFIG_FILE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Arguments of a driver.

    Parameters
    ----------
    driver : str
    given : tuple
        Who, and the secret.
    options : dict
    scope : Scope or None
        Of OpenStack, with a password: domains and project.
    authority_file : str
        Of OpenStack: certificates that the cloud's are judged by, if not the system's.
    """

    driver: str
    given: tuple[str, ...] = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    scope: Scope | None = None
    authority_file: str = ""

    def new_driver(self) -> Any:
        """Return a driver of one's own; it asks the cloud nothing yet."""
        from libcloud.compute.providers import get_driver  # noqa: PLC0415 - slow to import

        try:
            driver = get_driver(self.driver)(*self.given, **self.options)
            if self.driver == "openstack":
                from controller.nodes.libcloud_keystone import prepare_driver  # noqa: PLC0415

                prepare_driver(driver, self.scope, self.authority_file)
        except (AttributeError, TypeError, ValueError) as error:
            raise NodeError(
                f"Libcloud has no driver {self.driver} of these options: {error}",
                fault=NodeFault.OURS,
                fix="See the provider's driver and region, and https://libcloud.apache.org",
            ) from None  # What was given may be in the chain.
        return driver


def login_of(
    name: str, options: CloudOptions, environment: Mapping[str, str] = os.environ
) -> Login:
    """Return how a provider logs in.

    Raises
    ------
    NodeError
        Something is not said (credentials, ours).
    """
    known = {"openstack": _openstack, "ec2": _ec2}.get(options.driver, _other)
    return known(_Said(name, options, environment))


@dataclass(slots=True)
class _Said:
    """Looks values up, in the settings first."""

    name: str
    options: CloudOptions
    environment: Mapping[str, str]

    def password(self, *variables: str, entry: str = "") -> str:
        said = self.options.password
        if said is not None:
            return said.get_secret_value()
        return self.needed("password", entry, *variables)

    def first(self, said: str, entry: str, *variables: str) -> str:
        found = (said, entry, *(self.environment.get(each, "") for each in variables))
        return next(filter(None, found), "")

    def needed(self, what: str, said: str, *variables: str) -> str:
        found = self.first(said, "", *variables)
        if not found:
            ways = "".join(f", or set {each}" for each in variables)
            raise NodeError(
                f"provider {self.name} has no {what}",
                fault=NodeFault.CREDENTIALS,
                fix=f"Set providers.{self.name}.{what}{ways}",
            )
        return found


def _openstack(said: _Said) -> Login:
    options = said.options
    entry = _entry(said)
    auth = entry.get("auth") or {}
    is_application = options.login == "application-credential" or (
        entry.get("auth_type") == "v3applicationcredential"
    )
    kind = "application_credential_" if is_application else ""
    who, secret = ("id", "secret") if is_application else ("username", "password")
    user = said.needed(
        "user",
        said.first(options.user, auth.get(kind + who, "")),
        f"OS_{kind}{who}".upper(),
    )
    password = said.password(f"OS_{kind}{secret}".upper(), entry=auth.get(kind + secret, ""))
    url = said.needed("url", said.first(options.url, auth.get("auth_url", "")), "OS_AUTH_URL")
    region = said.first(options.region, entry.get("region_name", ""), "OS_REGION_NAME")
    given: dict[str, Any] = {
        "ex_force_auth_url": url.rstrip("/").removesuffix("/v3"),
        "ex_force_auth_version": "3.x_appcred" if is_application else "3.x_password",
        "api_version": "2.2",
        "timeout": options.call_s_max,
    }
    scope = None
    if not is_application:
        scope = _scope(said, auth)
        # Libcloud wants one; what is sent is the scope.
        given["ex_tenant_name"] = scope.project.get("name") or scope.project["id"]
    if region:
        given["ex_force_service_region"] = region
    return Login(
        driver="openstack",
        given=(user, password),
        options=given,
        scope=scope,
        authority_file=_authority_file(said, entry),
    )


def _scope(said: _Said, auth: Mapping[str, Any]) -> Scope:
    """Return domains and project; what is said by one source is not mixed with another's."""
    from controller.nodes.libcloud_keystone import Scope  # noqa: PLC0415 - Libcloud is slow

    options, variables = said.options, said.environment
    names = {each.removeprefix("OS_").lower(): variables[each] for each in variables}

    def domain(whose: str, told: dict[str, str], otherwise: dict[str, str]) -> dict[str, str]:
        found = (told, *(_by_id_or_name(each, f"{whose}_domain") for each in (auth, names)))
        return next(filter(None, found), otherwise)

    user_domain = domain("user", _told(name=options.user_domain), {"name": "Default"})
    by_settings = _told(name=options.project)
    found = (by_settings, *(_by_id_or_name(each, "project") for each in (auth, names)))
    project: dict[str, Any] = next(filter(None, found), {})
    if not project:
        said.needed("project", "", "OS_PROJECT_NAME", "OS_PROJECT_ID")
    if "name" in project:
        of = domain("project", _told(id=options.project_domain), {"id": "default"})
        project = project | {"domain": of}
    return Scope(user_domain=user_domain, project=project)


def _by_id_or_name(source: Mapping[str, Any], what: str) -> dict[str, str]:
    """Return what a source says of something: its id, or else its name, or nothing."""
    by_id = _told(id=source.get(f"{what}_id"))
    return by_id or _told(name=source.get(f"{what}_name"))


def _told(**values: str | None) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _authority_file(said: _Said, entry: Mapping[str, Any]) -> str:
    told = said.first("", entry.get("cacert") or "", "OS_CACERT")
    path = Path(told).expanduser()
    if told and not path.is_file():
        raise NodeError(
            f"provider {said.name}: there is no file of certificates {told}",
            fault=NodeFault.OURS,
            fix="See cacert in clouds.yaml, or OS_CACERT",
        )
    return str(path) if told else ""


def _ec2(said: _Said) -> Login:
    options = said.options
    user = said.needed("user", options.user, "AWS_ACCESS_KEY_ID")
    password = said.password("AWS_SECRET_ACCESS_KEY")
    region = said.needed("region", options.region, "AWS_REGION", "AWS_DEFAULT_REGION")
    given: dict[str, Any] = {
        "region": region,
        "signature_version": "4",  # Its default is one that regions of today do not take.
        "timeout": options.call_s_max,
    }
    if token := said.environment.get("AWS_SESSION_TOKEN"):
        given["token"] = token
    return Login(driver="ec2", given=(user, password), options=given | _endpoint(options.url))


def _other(said: _Said) -> Login:
    user = said.needed("user", said.options.user)
    given: dict[str, Any] = {"timeout": said.options.call_s_max} | _endpoint(said.options.url)
    if said.options.region:
        given["region"] = said.options.region
    return Login(driver=said.options.driver, given=(user, said.password()), options=given)


def _endpoint(url: str) -> dict[str, Any]:
    if not url:
        return {}
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"host": parts.hostname, "port": port, "secure": parts.scheme == "https"}


def _entry(said: _Said) -> dict[str, Any]:
    """Return what clouds.yaml says of a cloud, if one is named."""
    name = said.first(said.options.cloud, "", "OS_CLOUD")
    if not name:
        return {}
    own = said.environment.get("OS_CLIENT_CONFIG_FILE")
    paths = [Path(own)] if own else [Path(each).expanduser() for each in CLOUDS_YAML]
    path = next((each for each in paths if each.is_file()), None)
    clouds = _clouds_in(path) if path else {}
    if name not in clouds:
        where = path or "a clouds.yaml that is nowhere"
        raise NodeError(
            f"provider {said.name}: cloud {name!r} is not in {where}",
            fault=NodeFault.OURS,
            fix="Name one that is, or say url, user, password and project here",
        )
    assert path is not None, "a cloud was found in it"
    secret = path.with_name(SECURE_YAML)
    beside = _clouds_in(secret).get(name) or {} if secret.is_file() else {}
    found: dict[str, Any] = clouds[name] or {}
    auth = (found.get("auth") or {}) | (beside.get("auth") or {})
    return found | beside | {"auth": auth}


def _clouds_in(path: Path) -> dict[str, Any]:
    return _read(path).get("clouds") or {}


def _read(path: Path) -> dict[str, Any]:
    reading: Callable[[str], Any] = yaml.safe_load
    try:
        read = reading(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        fix = "See its rights and what it says"
        raise NodeError(f"{path} cannot be read", fault=NodeFault.OURS, fix=fix) from error
    return read if isinstance(read, dict) else {}
