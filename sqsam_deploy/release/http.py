"""A store that a web server serves: read only, and trusted with nothing.

Every answer is bounded by what was asked for, in bytes and in time, before anything of it is
believed: a server that sends a login page, compressed zeros or a byte a second, or nothing at
all, costs a pull one sentence.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sqsam_deploy.errors import ReleaseError, SqsamError, StoreError, UsageError, first_line

if TYPE_CHECKING:
    from aiohttp import ClientResponse

#: Seconds until a connection stands, until an answer begins, and between two parts of it.
_CONNECT_SECONDS = 15.0
_ANSWER_SECONDS = 30.0
_IDLE_SECONDS = 30.0
#: In every period of so many seconds at least so many bytes come, as `curl --speed-limit` has it.
_PERIOD_SECONDS = 30.0
_PERIOD_BYTES = 30 << 10

_NOT_THERE = (404, 410)
_Take = Callable[["ClientResponse"], Awaitable[bytes]]


class NotInStoreError(StoreError):
    """The store answered, and the path is not in it."""


class UnresponsiveError(StoreError):
    """The store is silent or too slow; asking again would take as long."""


class HttpStore:
    """A store behind `http://` or `https://`; see `Store` for its methods.

    Args:
        url: Where it is, with user name and password if it wants them.
        shown: The same without them.
    """

    def __init__(self, url: str, shown: str) -> None:
        from aiohttp import ClientTimeout
        from fsspec.implementations.http import HTTPFileSystem

        waits = ClientTimeout(None, sock_connect=_CONNECT_SECONDS, sock_read=_IDLE_SECONDS)
        options = {"auto_decompress": False, "trust_env": True, "timeout": waits}
        # fsspec keeps the session and the thread it runs in, and closes both.
        self._filesystem = HTTPFileSystem(client_kwargs=options)
        self._root = url.rstrip("/")
        self.url = shown

    def read(self, path: str, limit: int) -> bytes:
        """See `Store.read`."""

        async def take(response: "ClientResponse") -> bytes:
            if response.status != 200:
                raise _unexpected(response)
            content = await _body(response, limit)
            if len(content) > limit:
                raise ReleaseError(
                    f"{self.url}/{path} has more than {limit} bytes: this is no release document"
                )
            return content

        return self._get(path, {}, take)

    def read_range(self, path: str, start: int, end: int, size: int) -> bytes:
        """See `Store.read_range`."""

        async def take(response: "ClientResponse") -> bytes:
            expected = _expected_length(response, start, end, size)
            content = await _body(response, expected)
            if len(content) != expected:
                raise ReleaseError(f"{len(content)} bytes or more came where {expected} must come")
            return content

        try:
            return self._get(path, {"Range": f"bytes={start}-{end - 1}"}, take)
        except ReleaseError as error:
            raise ReleaseError(
                f"{self.url}/{path} is cut off, too long or another file: {error}"
            ) from None

    def names(self, path: str) -> list[str]:
        """See `Store.names`."""
        self._refuse_writing()

    def put(self, path: str, content: bytes) -> None:
        """See `Store.put`."""
        self._refuse_writing()

    def put_new(self, path: str, content: bytes) -> bool:
        """See `Store.put_new`."""
        self._refuse_writing()

    def put_file(self, path: str, source: Path) -> None:
        """See `Store.put_file`."""
        self._refuse_writing()

    def _refuse_writing(self) -> NoReturn:
        raise UsageError(f"{self.url} is read-only: publish to the place that it serves")

    def _get(self, path: str, headers: Mapping[str, str], take: _Take) -> bytes:
        from fsspec.asyn import sync

        what = f"{self.url}/{path}"
        try:
            content: bytes = sync(
                self._filesystem.loop, self._ask, f"{self._root}/{path}", headers, take
            )
        except NotInStoreError:
            raise NotInStoreError(f"{self.url} has no {path}") from None
        except TimeoutError:
            raise UnresponsiveError(f"{what} cannot be read: the server is silent") from None
        except StoreError as error:
            raise type(error)(f"{what} cannot be read: {error}") from None
        except SqsamError:
            raise
        except Exception as error:  # the HTTP library raises many kinds
            reason = first_line(error)
            reason = reason.replace(self._root, self.url)  # which shows no password
            raise StoreError(f"{what} cannot be read: {reason}") from error
        return content

    async def _ask(self, url: str, headers: Mapping[str, str], take: _Take) -> bytes:
        session = await self._filesystem.set_session()
        asked = {"Accept-Encoding": "identity", **headers}
        response = await asyncio.wait_for(session.get(url, headers=asked), _ANSWER_SECONDS)
        try:
            if response.status in _NOT_THERE:
                raise NotInStoreError(url)
            coding = response.headers.get("Content-Encoding", "identity")
            if coding != "identity":
                raise StoreError(f"it came compressed ({coding[:20]!r}), which was not asked for")
            return await take(response)
        finally:
            response.close()  # what else the server has to say is not read


def _expected_length(response: "ClientResponse", start: int, end: int, size: int) -> int:
    """How many bytes must come: those that were asked for, or the whole file."""
    if response.status == 206:
        answered = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answered)
        right = match and (int(match[1]), int(match[2])) == (start, end - 1)
        if not match or not right or match[3] not in (str(size), "*"):
            raise ReleaseError(f"the server sent {answered[:60]!r} of {size} bytes")
        return end - start
    if response.status == 200:
        if response.content_length not in (None, size):
            raise ReleaseError(f"the server has {response.content_length} bytes of {size}")
        return size
    if response.status == 416:
        raise ReleaseError("the server has fewer bytes")
    raise _unexpected(response)


def _unexpected(response: "ClientResponse") -> StoreError:
    return StoreError(f"the server answered with HTTP status {response.status}")


async def _body(response: "ClientResponse", limit: int) -> bytes:
    """The answer's body; of a longer one than `limit`, a little more than that."""
    content = bytearray()
    began, before = time.monotonic(), 0
    # The library's own timeout hears every byte; here only those of the file count.
    while block := await asyncio.wait_for(response.content.readany(), _IDLE_SECONDS):
        content += block
        if len(content) > limit:
            break
        if time.monotonic() - began > _PERIOD_SECONDS:
            if len(content) - before < _PERIOD_BYTES:
                raise UnresponsiveError(
                    f"{len(content) - before} bytes came in {_PERIOD_SECONDS:.0f} seconds"
                )
            began, before = time.monotonic(), len(content)
    return bytes(content)
