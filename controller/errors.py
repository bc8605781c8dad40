"""Typed faults of the acting side (see `planner.errors`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from planner.errors import SlackwaterError


class ArchiveError(SlackwaterError):
    """An archive, its index or one of its files cannot be read as it should.

    Parameters
    ----------
    what, fix : str
        See `SlackwaterError`.
    retry : bool
        Whether another try may succeed (an archive that was away may be back; a torn file stays).
    """

    def __init__(self, what: str, *, fix: str = "", retry: bool = False) -> None:
        super().__init__(what, fix=fix)
        self.retry = retry


class StorageError(SlackwaterError):
    """A fragment, a product or the journal cannot be written, or is not what was written.

    Parameters
    ----------
    what, fix : str
        See `SlackwaterError`.
    retry : bool
        Whether another try may succeed (a full disk may; a fragment that is gone may not).
    """

    def __init__(self, what: str, *, fix: str = "", retry: bool = True) -> None:
        super().__init__(what, fix=fix)
        self.retry = retry


class Fenced(SlackwaterError):
    """Another service has taken the store over; this one may write no more."""


class Overloaded(SlackwaterError):
    """More is under way than the service will hold; the same request may be made again later."""

    retry = True


class AccessError(SlackwaterError):
    """The URL of a service, or the key to it, cannot be used as it is given."""


class Unreachable(SlackwaterError):
    """A service does not answer; whether it heard the request may be unknown."""

    retry = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFault:
    """One thing that a service finds wrong with a request.

    Parameters
    ----------
    pointer : str
        Where it is: a JSON pointer (RFC 6901) into the body, or the name of a parameter.
    what : str
    """

    pointer: str
    what: str


class ServiceError(SlackwaterError):
    """A service refused a request, or could not do it.

    Parameters
    ----------
    what, fix : str
        See `SlackwaterError`.
    status : int
        The status of HTTP.
    faults : sequence of RequestFault
        All that is wrong with the request.
    """

    def __init__(
        self, what: str, *, status: int, fix: str = "", faults: Sequence[RequestFault] = ()
    ) -> None:
        lines = "".join(f"\n  {each.pointer or '/'}: {each.what}" for each in faults)
        super().__init__(what + lines, fix=fix)
        self.status = status
        self.faults = tuple(faults)
        self.retry = status in (429, 503)


class ApiError(SlackwaterError):
    """The API cannot be offered where it should be."""


class DeliveryError(SlackwaterError):
    """A destination does not take a product.

    Parameters
    ----------
    what, fix : str
        See `SlackwaterError`.
    retry : bool
        Whether another try may succeed (a full disk may; a forbidden folder may not).
    """

    def __init__(self, what: str, *, fix: str = "", retry: bool = True) -> None:
        super().__init__(what, fix=fix)
        self.retry = retry


class RecipientError(SlackwaterError):
    """A webhook, its secret or an e-mail address is none that notices may be sent to.

    Parameters
    ----------
    what, fix : str
        See `SlackwaterError`.
    retry : bool
        Whether another try may succeed (a name that was not found may be found later).
    """

    def __init__(self, what: str, *, fix: str = "", retry: bool = False) -> None:
        super().__init__(what, fix=fix)
        self.retry = retry


class TokenError(SlackwaterError):
    """A link from an e-mail was not made by us, is of another kind, or has expired."""


class CommandError(SlackwaterError):
    """A command of the application `command` failed, was ended, or left no usable fragment.

    Parameters
    ----------
    what, fix : str
        See `SlackwaterError`.
    retry : bool
        Whether another try may succeed (one that asked for it may; a wrong argument may not).
    """

    def __init__(self, what: str, *, fix: str = "", retry: bool = False) -> None:
        super().__init__(what, fix=fix)
        self.retry = retry


class NodeFault(StrEnum):
    """Whose fault a failed node call is, and so what helps."""

    RETRY = "retry"
    CAPACITY = "capacity"
    QUOTA = "quota"
    CREDENTIALS = "credentials"
    GONE = "gone"
    OURS = "ours"


class NodeError(SlackwaterError):
    """A provider refused or lost a node."""

    def __init__(self, what: str, *, fault: NodeFault, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.fault = fault
        self.retry = fault in (NodeFault.RETRY, NodeFault.CAPACITY)


class NameTaken(SlackwaterError):
    """Another program owns one of our import names here."""


class EngineError(SlackwaterError):
    """The engine that carries parts cannot be started or reached."""


class FileFault(SlackwaterError):
    """Faults of a file that a person wrote and of variables, all at once, each with its place."""

    def __init__(self, path: str, faults: list[str]) -> None:
        self.faults = faults
        lines = "\n".join(f"  {fault}" for fault in faults)
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{path}: {count}\n{lines}")


class CalibrationError(SlackwaterError):
    """A calibration cannot be made, read or written, or is of another archive."""
