"""Logs in at an OpenStack where Libcloud's own way does not suffice.

Libcloud names the user's domain, and takes the project's by its id only. Clouds and their tools say
either by name or by id, give a project by its id, and may have an authority of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libcloud.common.openstack_identity import OpenStackIdentity_3_0_Connection
from libcloud.http import LibcloudConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Who logs in where, in the words of Keystone's version 3.

    Parameters
    ----------
    user_domain : mapping of str to str
        Its name or its id.
    project : mapping of str to Any
        Its id, or its name and its domain.
    """

    user_domain: Mapping[str, str]
    project: Mapping[str, Any]


def prepare_driver(driver: Any, scope: Scope | None, authority_file: str) -> None:
    """Have a driver of OpenStack log in like this; it asks the cloud nothing yet.

    Parameters
    ----------
    driver : object
        Libcloud's, for version 2 of the interfaces.
    scope : Scope or None
        None for an application credential, which holds its project.
    authority_file : str
        Certificates that the cloud's are judged by; empty leaves it to Libcloud.
    """
    identity_class: Any = _Identity  # Libcloud's are untyped.
    for each in (driver.connection, driver.image_connection, driver.network_connection):
        if authority_file:
            each.conn_class = _trusting(authority_file)
            each.connect()  # The one that its constructor made is of the other class.
        if scope is not None:
            identity = each.get_auth_class()
            own = identity_class(
                auth_url=identity.auth_url,
                user_id=identity.user_id,
                key=identity.key,
                tenant_name=identity.tenant_name,
                timeout=identity.timeout,
                parent_conn=each,
            )
            own.scope = scope
            each.get_auth_class = lambda own=own: own


class _Identity(OpenStackIdentity_3_0_Connection):
    """A login with a `Scope`."""

    scope: Scope

    def _get_auth_data(self) -> dict[str, Any]:
        inherited: Any = super()._get_auth_data
        told: dict[str, Any] = inherited()
        told["auth"]["identity"]["password"]["user"]["domain"] = dict(self.scope.user_domain)
        told["auth"]["scope"] = {"project": dict(self.scope.project)}
        return told


def _trusting(authority_file: str) -> type[Any]:
    """Return a connection that judges certificates by a file; Libcloud's own file is global."""

    class Trusting(LibcloudConnection):
        def __init__(self, *given: Any, **more: Any) -> None:
            inherited: Any = super().__init__
            inherited(*given, **more)
            self.ca_cert = authority_file

    return Trusting
