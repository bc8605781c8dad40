"""One service over HTTP: asks again when it is told to, and reads problem documents."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec

from controller.build import VERSION
from controller.client.access import Access
from controller.config.variables import CA_FILE_VARIABLE
from controller.errors import AccessError, RequestFault, ServiceError, Unreachable

Answer = TypeVar("Answer")

ATTEMPTS_MAX = 5
"""A request that is told to come back later is made so often at most."""

PAUSE_S, PAUSE_S_MAX = 1.0, 30.0
"""Before another attempt, where the service does not say; and at most, whatever it says [s]."""

CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 45.0
"""The service itself gives up after 30 s [s]."""

_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

_UNROUTED = (HTTPStatus.NOT_FOUND.phrase, HTTPStatus.METHOD_NOT_ALLOWED.phrase)
"""All that is said of a path that leads nowhere; of a thing that is not there, its name is told."""


class Connection:
    """Carries requests to a service.

    Parameters
    ----------
    access : Access
    pause : callable
        Waits for a number of seconds.
    """

    def __init__(self, access: Access, pause: Callable[[float], None] = time.sleep) -> None:
        self.access = access
        self._pause = pause
        headers = {"User-Agent": f"slackwater/{VERSION}"}
        if access.key:
            headers["Authorization"] = f"Bearer {access.key}"
        self._http = httpx.Client(
            headers=headers,
            verify=_trusting(access.ca_file) if access.ca_file else True,
            timeout=httpx.Timeout(ANSWER_S_MAX, connect=CONNECT_S_MAX),
            # A proxy of the environment does not lead to this machine.
            trust_env=not access.is_local,
        )

    def close(self) -> None:
        """Give the connection up."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        may_be: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Return the answer to a request, asked again while the service says so.

        Parameters
        ----------
        method, path : str
        query : mapping or None
        body : bytes or None
        headers : mapping of str to str or None
            A body is JSON unless they say otherwise.
        may_be : tuple of int
            Statuses of refusals that are returned like success.

        Raises
        ------
        Unreachable
            Nobody answers there, or not in time.
        ServiceError
            The service refuses.
        """
        told = {"Content-Type": "application/json"} if body is not None else {}
        request = self._http.build_request(
            method,
            self.access.url + path,
            params=query,
            content=body,
            headers={**told, **(headers or {})},
        )
        answer = self._sent(request)
        for attempt in range(1, ATTEMPTS_MAX):
            if answer.status_code not in (*_LATER,) or answer.status_code in may_be:
                break
            self._pause(_pause_s(answer, attempt))
            answer = self._sent(request)
        if answer.is_success or answer.status_code in may_be:
            return answer
        raise _refusal(answer)

    def value(self, kind: type[Answer], method: str, path: str, **how: Any) -> Answer:
        """Return the answer to a request as a value; see `ask`."""
        return decoded(kind, self.ask(method, path, **how))

    def entries(self, kind: type[Answer], path: str, query: Mapping[str, Any]) -> Iterator[Answer]:
        """Yield the entries of a listing, page after page; see `ask`."""
        asked: Mapping[str, Any] | None = {k: v for k, v in query.items() if v is not None}
        while asked is not None:
            page = self.value(dict[str, Any], "GET", path, query=asked)
            try:
                yield from msgspec.convert(page["items"], list[kind])  # type: ignore[valid-type]
                following = _next(page["links"])
            except (KeyError, TypeError, msgspec.ValidationError) as error:
                raise _unreadable(HTTPStatus.OK, path, error) from error
            assert following != asked, "a page leads to itself"
            asked = following

    def _sent(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._http.send(request)
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"the service at {self.access.url} does not answer in time",
                fix="Ask whether it was done before you send it again",
            ) from error
        except (httpx.TransportError, UnicodeError) as error:
            raise Unreachable(
                f"no service answers at {self.access.url} ({_cause(error)})",
                fix=_fix_of(error),
            ) from error


def _trusting(ca_file: str) -> ssl.SSLContext:
    """Return what trusts the authorities of a PEM file.

    Raises
    ------
    AccessError
        It holds none.
    """
    try:
        return ssl.create_default_context(cafile=Path(ca_file).expanduser())
    except (OSError, ValueError, RuntimeError) as error:
        raise AccessError(
            f"no authority can be read from {ca_file}: {error}",
            fix=f"Let {CA_FILE_VARIABLE} name the PEM file of the service's authority",
        ) from error


def _fix_of(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"Let {CA_FILE_VARIABLE} name the PEM file of its authority, if it is your own"
    return "Start one (`slackwater serve`), or give another --url or SLACKWATER_URL"


def decoded(kind: type[Answer], answer: httpx.Response) -> Answer:
    """Return an answer as a value.

    Raises
    ------
    ServiceError
        It is none.
    """
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(answer.status_code, str(answer.request.url.path), error) from error


def _next(links: list[dict[str, str]]) -> dict[str, str] | None:
    """Return what the next page is asked with; its path is ours, wherever the service thinks."""
    found = next((link["href"] for link in links if link["rel"] == "next"), None)
    return None if found is None else dict(parse_qsl(urlsplit(found).query))


def _pause_s(answer: httpx.Response, attempt: int) -> float:
    told = answer.headers.get("retry-after", "")
    wanted = float(told) if told.isascii() and told.isdigit() else PAUSE_S * 2 ** (attempt - 1)
    return min(wanted, PAUSE_S_MAX)


def _refusal(answer: httpx.Response) -> ServiceError:
    """Return a refusal; one that is no problem document came from something between."""
    try:
        told = msgspec.json.decode(answer.content, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = _Problem()
    if not told.detail:
        phrase = answer.reason_phrase or "no reason"
        return ServiceError(
            f"{answer.request.url.copy_with(query=None)} answers {answer.status_code} ({phrase})",
            status=answer.status_code,
            fix="Is it the URL of a slackwater service?",
        )
    if told.detail in _UNROUTED:
        request = f"{answer.request.method} {answer.request.url.path}"
        return ServiceError(
            f"the service does not offer {request}",
            status=answer.status_code,
            fix="It is of another version",
        )
    faults = [
        RequestFault(pointer=each.pointer or each.parameter, what=each.detail)
        for each in told.errors
    ]
    return ServiceError(told.detail, status=answer.status_code, faults=faults)


class _Fault(msgspec.Struct):
    pointer: str = ""
    parameter: str = ""
    detail: str = ""


class _Problem(msgspec.Struct):
    """A problem document as of RFC 9457."""

    detail: str = ""
    errors: list[_Fault] = []


def _unreadable(status: int, path: str, error: Exception) -> ServiceError:
    return ServiceError(
        f"the answer to {path} cannot be read ({error})",
        status=status,
        fix="Is it the URL of a slackwater service, of about this version?",
    )


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
