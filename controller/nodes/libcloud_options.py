"""What settings say of a cloud that Apache Libcloud reaches, and of its node types."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from controller.config.ranges import COUNT, POSITIVE

LIBCLOUD_NAME = r"[a-z][a-z0-9_]{0,40}"


def _read_network(text: str) -> str:
    if text:
        ipaddress.ip_network(text)  # Its ValueError says what is wrong.
    return text


def _read_pool(text: str) -> str:
    if text:
        first, last = map(ipaddress.ip_address, map(str.strip, f"{text}-".split("-")[:2]))
        if first.version != last.version or int(first) > int(last):
            raise ValueError(f"subnet_pool {text!r} ends before it begins")
    return text


Network = Annotated[str, AfterValidator(_read_network)]
Pool = Annotated[str, AfterValidator(_read_pool)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOptions:
    """A cloud by Apache Libcloud.

    Parameters
    ----------
    driver : str
        Libcloud's name of it: openstack, ec2, or any other compute driver.
    cloud : str
        Of OpenStack: an entry of clouds.yaml that says what is not said here; by default OS_CLOUD.
    url : str
        Of OpenStack, where Keystone answers (OS_AUTH_URL); of EC2, an endpoint of your own.
    user : str
        Who logs in: user name, access key or id of an application credential (OS_USERNAME,
        OS_APPLICATION_CREDENTIAL_ID, AWS_ACCESS_KEY_ID).
    password : SecretStr or None
        Proves it: password or secret (OS_PASSWORD, OS_APPLICATION_CREDENTIAL_SECRET,
        AWS_SECRET_ACCESS_KEY).
    password_file : str
        A file that holds it.
    login : str
        Of OpenStack: "password" or "application-credential".
    project : str
        Of OpenStack: whose quota is used, by name (OS_PROJECT_ID, OS_PROJECT_NAME).
    user_domain : str
        Of OpenStack: the user's, by name; by default Default (OS_USER_DOMAIN_ID,
        OS_USER_DOMAIN_NAME).
    project_domain : str
        Of OpenStack: the project's, by id; by default default (OS_PROJECT_DOMAIN_ID,
        OS_PROJECT_DOMAIN_NAME).
    region : str
        (OS_REGION_NAME, AWS_REGION)
    network : str
        Name or id of the network of the nodes; empty leaves it to the cloud.
    subnet_cidr, subnet_pool : str
        Of OpenStack: a network of these addresses is made with the fleet and removed with it; the
        pool is a range within it, as 10.0.0.10-10.0.0.99.
    security_groups : tuple of str
        Names of those that nodes are in.
    reach_from : str
        The service's addresses, as 10.0.0.5/32: a security group that lets in what it needs to
        reach nodes is made with the fleet, and removed with it. Of OpenStack.
    key_name : str
        A key pair of the cloud; by default one is made with the fleet, and removed with it.
    key_file : str
        The private key to that one, mode 0600.
    calls_max : int
        Calls to the cloud at the same time.
    call_s_max : float
        A connection on which nothing comes for this long has failed [s].
    poll_s : float
        Pause between two listings [s].
    launch_s_max : float
        A machine that does not run this long after its request is broken [s].
    setup : str
        "none" if the image brings the worker up by itself, "playbook" if it is set up by ssh.
    login_user : str
        Whom the machine lets in by ssh; another one than root needs sudo without a password.
    address : str
        Which address a machine is reached at: "private" or "public".
    setup_s_max : float
        Setting a machine up may take this long [s].
    ansible_playbook : str
        The program, by path or by name.
    worker_archive : str
        The Python environment that workers get, as ``make worker-archive`` makes it.
    """

    driver: Annotated[str, Field(pattern=LIBCLOUD_NAME)]
    cloud: str = ""
    url: str = ""
    user: str = ""
    password: SecretStr | None = None
    password_file: str = ""
    login: Literal["password", "application-credential"] = "password"
    project: str = ""
    user_domain: str = ""
    project_domain: str = ""
    region: str = ""
    network: str = ""
    subnet_cidr: Network = ""
    subnet_pool: Pool = ""
    security_groups: tuple[str, ...] = ()
    reach_from: Network = ""
    key_name: str = ""
    key_file: str = ""
    calls_max: Annotated[int, COUNT] = 4
    call_s_max: Annotated[float, POSITIVE] = 60.0
    poll_s: Annotated[float, POSITIVE] = 5.0
    launch_s_max: Annotated[float, POSITIVE] = 300.0
    setup: Literal["playbook", "none"] = "playbook"
    login_user: str = "root"
    address: Literal["private", "public"] = "private"
    setup_s_max: Annotated[float, POSITIVE] = 600.0
    ansible_playbook: str = "ansible-playbook"
    worker_archive: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.network and self.subnet_cidr:
            raise ValueError("network names one that is there, subnet_cidr makes one; keep one")
        if self.subnet_pool and not self.subnet_cidr:
            raise ValueError("subnet_pool needs subnet_cidr, the network that it is part of")
        if self.driver != "openstack" and (self.subnet_cidr or self.reach_from):
            raise ValueError("networks and security groups are made on OpenStack only")
        if self.setup == "playbook" and bool(self.key_name) != bool(self.key_file):
            raise ValueError("key_name and key_file go together: the pair, and its private half")
        if self.calls_max < 2:
            raise ValueError("calls_max must be 2 at least: one call looks while another creates")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTypeOptions:
    """What a node type is on a cloud.

    Parameters
    ----------
    size : str
        Flavour or instance type, by name or id.
    image : str
        What it starts from, by name or id.
    user_data_file : str
        What cloud-init is given; empty gives it nothing.
    """

    size: Annotated[str, Field(min_length=1)]
    image: Annotated[str, Field(min_length=1)]
    user_data_file: str = ""
