"""A prefix of an S3 bucket: an object is there when it is complete, so nothing has to be moved.

Each request carries the checksum of its bytes, which the store compares before it answers. What it
tells of the object then proves that it holds what was sent; from a store that tells nothing the
object is read back.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import s3fs
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)
from fsspec.asyn import sync
from fsspec.config import conf as fsspec_conf

from controller.delivery.causes import (
    BUSY,
    FORBIDDEN,
    FULL,
    OVER_QUOTA,
    REFUSED_USER,
    SLOW,
    UNTRUSTED,
    Cause,
    network_cause,
    status_cause,
)
from controller.delivery.options import S3Options, options_of
from controller.delivery.place import BLOCK_BYTES, Content, IsOurs, sha256_of
from controller.errors import DeliveryError
from controller.product_files import file_name

PART_BYTES = 8 * 2**20
"""Sent in one request [bytes], where that is enough: so one who hangs is soon found out."""

PARTS_MAX = 10_000
"""All that S3 allows."""

RATE_BYTES_PER_S_MIN = 100_000
"""A store that takes bytes more slowly than this [bytes/s] is as good as dead."""

_MISSING = frozenset(("NoSuchKey", "NotFound", "404"))

_UNLISTED = frozenset(("AccessDenied", "403", "NotImplemented", "501", "MethodNotAllowed", "405"))
"""Who may not list uploads, or whose store cannot, leaves them to a lifecycle rule."""

_CODES: Mapping[str, Cause] = {
    "NoSuchBucket": Cause("is a bucket that does not exist", "Make it, or correct its name", False),
    "AccessDenied": FORBIDDEN,
    "403": FORBIDDEN,
    "InvalidAccessKeyId": REFUSED_USER,
    "SignatureDoesNotMatch": REFUSED_USER,
    "ExpiredToken": REFUSED_USER,
    "InvalidToken": REFUSED_USER,
    "QuotaExceeded": OVER_QUOTA,
    "XMinioStorageFull": FULL,
    "SlowDown": BUSY,
    "ServiceUnavailable": BUSY,
    "503": BUSY,
    "RequestTimeout": SLOW,
    "RequestTimeTooSkewed": Cause(
        "tells another time than this machine's clock", "Set the clock", False
    ),
    "NoSuchUpload": Cause("lost an upload that was under way", "It is tried again", True),
    "BadDigest": Cause("received other bytes than were sent", "It is tried again", True),
}


_KINDS: tuple[tuple[tuple[type[Exception], ...], Cause], ...] = (
    ((NoCredentialsError, PartialCredentialsError), REFUSED_USER),
    ((SSLError,), UNTRUSTED),
    ((ConnectTimeoutError,), SLOW),
)


@dataclass(slots=True)
class _Sums:
    """Checksums of what is sent: of one request, or of a row of them as S3 composes it."""

    sha256: list[bytes] = field(default_factory=list)
    md5: list[bytes] = field(default_factory=list)

    def of(self, body: bytes) -> dict[str, str]:
        """Count a request's bytes in, and return the headers that vouch for them."""
        self.sha256.append(hashlib.sha256(body).digest())
        self.md5.append(hashlib.md5(body, usedforsecurity=False).digest())
        return {"ChecksumSHA256": _base64(self.sha256[-1]), "ContentMD5": _base64(self.md5[-1])}

    def are_told_by(self, answer: Mapping[str, Any], *, parts: bool) -> bool:
        """Tell whether a store's answer about an object proves these sums.

        A store may compute its ETag in another way; that proves nothing, one way or the other.
        """
        count = f"-{len(self.md5)}" if parts else ""
        sha256 = hashlib.sha256(b"".join(self.sha256)).digest() if parts else self.sha256[0]
        md5 = (
            hashlib.md5(b"".join(self.md5), usedforsecurity=False).digest()
            if parts
            else self.md5[0]
        )
        told = str(answer.get("ChecksumSHA256", "")).removesuffix(count)
        etag = str(answer.get("ETag", "")).strip('"')
        return told == _base64(sha256) or etag == md5.hex() + count


class S3Place:
    """A prefix of a bucket.

    Parameters
    ----------
    filesystem : s3fs.S3FileSystem
    bucket : str
    prefix : str
        What the keys of the folder begin with, without a slash at its end.
    options : S3Options
    """

    faults: tuple[type[Exception], ...] = (OSError, BotoCoreError, ClientError, aiohttp.ClientError)

    def __init__(self, filesystem: Any, bucket: str, prefix: str, options: S3Options) -> None:
        self._filesystem = filesystem
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._patience_s = options.connect_s + options.read_s

    def cause(self, error: Exception) -> Cause:
        """See `Place`."""
        code, status = _told(error)
        if code in _CODES:
            return _CODES[code]
        if isinstance(error, ProfileNotFound):
            return Cause(f"cannot be asked ({error})", "Correct delivery.options_file", False)
        for kinds, cause in _KINDS:
            if isinstance(error, kinds):
                return cause
        if status and not network_cause(error):
            return status_cause(status)
        return network_cause(error) or Cause(f"failed: {error}", "", True)

    def prepare(self, is_ours: IsOurs) -> None:
        """Give up the uploads that an earlier crash left unfinished: they cost, though unseen."""
        try:
            found = self._call("list_multipart_uploads", Prefix=self._prefix)
        except OSError as error:
            if _told(error)[0] in _UNLISTED:
                return
            raise
        for upload in found.get("Uploads", ()):
            if is_ours(upload["Key"].removeprefix(self._prefix)):
                self._abort(upload["Key"], upload["UploadId"])

    def names(self) -> list[str]:
        """See `Place`."""
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=self._prefix, Delimiter="/", **more)
            found += [file_name(one["Key"]) for one in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def has(self, name: str) -> bool:
        """See `Place`."""
        try:
            self._head(name)
        except FileNotFoundError:
            return False
        return True

    def blocks(self, name: str) -> Iterator[bytes]:
        """See `Place`."""
        body = self._on_key("get_object", name)["Body"]
        try:
            while block := sync(
                self._filesystem.loop, body.read, BLOCK_BYTES, timeout=self._limit_s(BLOCK_BYTES)
            ):
                yield block
        finally:
            body.close()

    def sha256(self, name: str) -> str:
        """Return the checksum that the store vouches for; where there is none, of what is read."""
        head = self._head(name)
        told = str(head.get("ChecksumSHA256", ""))
        # Of an object that came in parts it is a checksum of checksums.
        if told and "-" not in told and "-" not in str(head.get("ETag", "")):
            return base64.b64decode(told).hex()
        return sha256_of(self.blocks(name))

    def put(self, name: str, content: Content) -> None:
        """Store an object by one request, or by several of which the last makes it appear."""
        if content.size_bytes <= PART_BYTES:
            self._put_at_once(name, b"".join(content.blocks))
        else:
            self._put_in_parts(name, content)

    def remove(self, name: str) -> None:
        """See `Place`."""
        self._on_key("delete_object", name)

    def close(self) -> None:
        """See `Place`; connections are kept for the next delivery of this thread."""

    def _put_at_once(self, name: str, body: bytes) -> None:
        sums = _Sums()
        answer = self._on_key("put_object", name, Body=body, bytes_moved=len(body), **sums.of(body))
        if not sums.are_told_by(answer, parts=False):
            self._read_back(name, hashlib.sha256(body).hexdigest())

    def _put_in_parts(self, name: str, content: Content) -> None:
        created = self._on_key("create_multipart_upload", name, ChecksumAlgorithm="SHA256")
        upload_id, sums, whole = created["UploadId"], _Sums(), hashlib.sha256()
        try:
            parts = []
            for number, body in enumerate(_regrouped(content), start=1):
                whole.update(body)
                parts.append(self._put_part(name, upload_id, number, body, sums))
            answer = self._on_key(
                "complete_multipart_upload",
                name,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
            )
        except BaseException:
            with suppress(*self.faults):
                self._abort(f"{self._prefix}{name}", upload_id)
            raise
        if not sums.are_told_by(answer, parts=True):
            self._read_back(name, whole.hexdigest())

    def _put_part(
        self, name: str, upload_id: str, number: int, body: bytes, sums: _Sums
    ) -> dict[str, object]:
        answer = self._on_key(
            "upload_part",
            name,
            UploadId=upload_id,
            PartNumber=number,
            Body=body,
            bytes_moved=len(body),
            **sums.of(body),
        )
        told = {key: each for key, each in answer.items() if key in {"ETag", "ChecksumSHA256"}}
        return told | {"PartNumber": number}

    def _read_back(self, name: str, sent: str) -> None:
        if sha256_of(self.blocks(name)) != sent:
            self.remove(name)
            raise DeliveryError(f"{name} was damaged on its way")

    def _abort(self, key: str, upload_id: str) -> None:
        with suppress(FileNotFoundError):
            self._call("abort_multipart_upload", Key=key, UploadId=upload_id)

    def _head(self, name: str) -> Mapping[str, Any]:
        return self._on_key("head_object", name, ChecksumMode="ENABLED")

    def _on_key(
        self, method: str, name: str, *, bytes_moved: int = 0, **arguments: Any
    ) -> dict[str, Any]:
        return self._call(method, Key=f"{self._prefix}{name}", bytes_moved=bytes_moved, **arguments)

    def _call(self, method: str, *, bytes_moved: int = 0, **arguments: Any) -> dict[str, Any]:
        """Have one request answered, in bounded time."""
        try:
            answer = self._filesystem.call_s3(
                method, timeout=self._limit_s(bytes_moved), Bucket=self._bucket, **arguments
            )
        except FileNotFoundError as error:
            if _told(error)[0] in _MISSING:
                raise
            # A bucket that is missing is no file that is missing.
            raise error.__cause__ or error from None
        return cast("dict[str, Any]", answer)

    def _limit_s(self, bytes_moved: int) -> float:
        # aiohttp has no limit for a peer that accepts no more bytes, so each request gets one.
        return self._patience_s + bytes_moved / RATE_BYTES_PER_S_MIN


def open_place(url: str, said: Mapping[str, object]) -> S3Place:
    """Return the prefix that a URL names; nothing is asked of the store yet.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``.
    said : mapping
        Its options.
    """
    options = options_of(S3Options, "s3", said)
    bucket, _, prefix = url.partition("://")[2].partition("/")
    of_client = {"region_name": options.region, "verify": options.ca_file}
    below = fsspec_conf.get("s3", {})
    given = {
        name: value
        for name, value in (
            ("endpoint_url", options.endpoint_url),
            ("key", options.key),
            ("secret", options.secret),
            ("token", options.token),
            ("profile", options.profile),
        )
        if value
    }
    filesystem = s3fs.S3FileSystem(
        **given,
        use_listings_cache=False,
        client_kwargs={
            **below.get("client_kwargs", {}),
            **{name: value for name, value in of_client.items() if value},
        },
        config_kwargs={
            "connect_timeout": options.connect_s,
            "read_timeout": options.read_s,
            "retries": {"total_max_attempts": 1},  # The planner tries again.
            # Stores that are not Amazon's stumble over checksums they did not ask for.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
    )
    filesystem.retries = 1
    return S3Place(filesystem, bucket, prefix.strip("/"), options)


def _regrouped(content: Content) -> Iterator[bytes]:
    """Yield the same bytes in parts of one size; the last may be shorter."""
    part_bytes = max(PART_BYTES, -(-content.size_bytes // PARTS_MAX))
    held = bytearray()
    for block in content.blocks:
        held += block
        while len(held) >= part_bytes:
            yield bytes(held[:part_bytes])
            del held[:part_bytes]
    if held:
        yield bytes(held)


def _told(error: BaseException) -> tuple[str, int]:
    """Return the code and the status of HTTP that a store answered with, empty and 0 if none."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ClientError):
            status = at.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return str(at.response.get("Error", {}).get("Code", "")), int(status)
        at = at.__cause__
    return "", 0


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
