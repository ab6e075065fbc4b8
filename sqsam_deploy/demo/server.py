"""The web page's server: a few routes over a `Studio`, and the page's own files."""

import asyncio
import base64
import re
import secrets
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from sqsam_deploy.artifact.documents import first_problem
from sqsam_deploy.datasets.bundled import bundled_photo
from sqsam_deploy.demo.studio import Cut, FullError, Limits, PhotoGoneError, Studio
from sqsam_deploy.errors import SqsamError
from sqsam_deploy.prompts import Prompt

_MAX_REQUEST_BYTES = 64 << 10
#: Answers are sent in such pieces: what a slow reader has not taken yet is not copied.
_PIECE = 256 << 10
#: The page's own files.
STATIC = Path(__file__).parent / "static"
#: A photo of the bundled sample, which the page names with its author's page and license.
EXAMPLE = bundled_photo("coco_000000565778.jpg")
#: Tells visitors apart, so that nobody's photos push out another's; it gives access to nothing.
_COOKIE = "sqsam-visitor"


class Click(BaseModel):
    """A click in pixels of the photo."""

    model_config = ConfigDict(extra="forbid")

    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    label: Literal[0, 1]


_Pixel = Annotated[float, Field(allow_inf_nan=False)]


class Asked(BaseModel):
    """The page's message when clicks, the box or the choice among the masks changed.

    Attributes:
        points: The clicks.
        box: (x0, y0, x1, y1) in pixels of the photo.
        chosen: Which of the network's masks, the best first.
    """

    model_config = ConfigDict(extra="forbid")

    points: tuple[Click, ...] = Field(max_length=100)
    box: tuple[_Pixel, _Pixel, _Pixel, _Pixel] | None = None
    chosen: int = Field(default=0, ge=0, le=9)

    def as_prompt(self) -> Prompt:
        """The clicks and the box as a `Prompt`."""
        prompt = Prompt(box=self.box)
        for point in self.points:
            prompt = prompt.with_click(point.x, point.y, point.label)
        return prompt


def build_app(studio: Studio, title: str, hosts: Sequence[str]) -> Starlette:
    """The web application.

    Args:
        studio: Keeps the photos.
        title: What the page says it runs.
        hosts: Names under which it may be addressed: a page elsewhere cannot reach a server on
            this machine through a name of its own (DNS rebinding). `*` allows every name.
    """
    limits = studio.limits
    add = _InTurn(_add_photo, limits.uploads, limits.seconds)
    cut = _InTurn(_cut, 8, limits.seconds)
    download = _InTurn(_cutout, 2, limits.seconds)
    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/page.json", _about),
            Route("/example.jpg", _example),
            Route("/photos", add, methods=["POST"]),
            Route("/photos/{id}/mask", cut, methods=["POST"]),
            Route("/photos/{id}/cutout.png", download, methods=["GET"]),
            Mount("/", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
            Middleware(_OwnPageOnly),
        ],
        exception_handlers={
            SqsamError: _refused,
            HTTPException: _failed,
            TimeoutError: _slow,
            Exception: _crashed,
        },
    )
    app.state.studio, app.state.title = studio, title
    return app


def build_folder_app(folder: Path, hosts: Sequence[str]) -> Starlette:
    """A server of a folder that `demo.folder.write_page` wrote: it makes no masks itself.

    Args:
        folder: The page, its models and its runtime.
        hosts: As in `build_app`.
    """
    return Starlette(
        routes=[Mount("/", StaticFiles(directory=folder, html=True))],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
    )


class _OwnPageOnly:
    """Lets no page of another site post: a browser says whose page asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            headers = Headers(scope=scope)
            host = headers.get("host", "").lower()
            own = {f"http://{host}", f"https://{host}"}
            asking = {origin.lower() for origin in headers.getlist("origin")}
            site = headers.get("sec-fetch-site", "same-origin")
            if not asking <= own or site not in ("same-origin", "none"):
                refusal = JSONResponse({"error": "only this server's own page may ask"}, 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _InTurn:
    """An endpoint that a few requests at a time are in; the others wait, unread, for their turn.

    Args:
        endpoint: Answers a request.
        at_once: Requests in it, their answers' way to the reader included.
        seconds: To wait for a turn, and to be rid of the answer.
    """

    def __init__(
        self, endpoint: Callable[[Request], Awaitable[Response]], at_once: int, seconds: float
    ) -> None:
        self._endpoint, self._seconds = endpoint, seconds
        self._turns = asyncio.Semaphore(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise HTTPException(503, "the server is busy: try again") from None
        try:
            answer = await self._endpoint(Request(scope, receive))
            with suppress(TimeoutError):  # the reader is too slow: what is left is not sent
                async with asyncio.timeout(self._seconds):
                    await answer(scope, receive, send)
        finally:
            self._turns.release()


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html")


async def _example(request: Request) -> Response:
    return FileResponse(EXAMPLE)


async def _about(request: Request) -> Response:
    return JSONResponse({"backend": "server", "title": request.app.state.title})


async def _add_photo(request: Request) -> Response:
    studio: Studio = request.app.state.studio
    content = await _body(request, studio.limits.upload_bytes, studio.limits)
    if not content:
        raise HTTPException(400, "the upload is empty")
    visitor = request.cookies.get(_COOKIE, "")
    if not re.fullmatch(r"[\w-]{16,64}", visitor, re.ASCII):
        visitor = secrets.token_urlsafe(16)
    identifier, cut = await run_in_threadpool(studio.add, visitor, content)
    width, height = cut.size
    about = {"id": identifier, "width": width, "height": height}
    answer = JSONResponse(about | _answer(cut), status_code=201)
    answer.set_cookie(_COOKIE, visitor, httponly=True, samesite="strict")
    return answer


async def _cut(request: Request) -> Response:
    studio: Studio = request.app.state.studio
    content = await _body(request, _MAX_REQUEST_BYTES, studio.limits)
    try:
        asked = Asked.model_validate_json(content)
    except ValidationError as error:
        raise HTTPException(400, first_problem(error)) from None
    identifier = request.path_params["id"]
    cut = await run_in_threadpool(studio.cut, identifier, asked.as_prompt(), asked.chosen)
    return JSONResponse(_answer(cut))


async def _cutout(request: Request) -> Response:
    studio, identifier = request.app.state.studio, request.path_params["id"]
    png = await run_in_threadpool(studio.cutout_png, identifier)
    headers = {"Cache-Control": "no-store", "Content-Length": str(len(png))}
    return StreamingResponse(_pieces(png), media_type="image/png", headers=headers)


async def _pieces(content: bytes) -> AsyncIterator[memoryview]:
    for start in range(0, len(content), _PIECE):
        yield memoryview(content)[start : start + _PIECE]


async def _body(request: Request, limit: int, limits: Limits) -> bytes:
    """The request's body, not read further, or for longer, than the limits allow."""
    pieces: list[bytes] = []
    size = 0
    stream = aiter(request.stream())
    async with asyncio.timeout(limits.seconds):
        while True:
            async with asyncio.timeout(limits.stalled_seconds):
                piece = await anext(stream, None)
            if piece is None:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise HTTPException(413, f"the upload is larger than {limit / 1024 / 1024:g} MB")


def _answer(cut: Cut) -> dict[str, object]:
    coords, labels = cut.prompt.point_coords.tolist(), cut.prompt.point_labels.tolist()
    return {
        "points": [
            {"x": x, "y": y, "label": label, "used": used}
            for (x, y), label, used in zip(coords, labels, cut.used, strict=True)
        ],
        "box": cut.prompt.box,
        "choices": [
            {"mask": _address(choice.small_png), "predicted_iou": round(choice.predicted_iou, 3)}
            for choice in cut.choices
        ],
        "chosen": cut.chosen,
        "mask": _address(cut.mask_png),
        "empty": cut.is_empty,
        "milliseconds": cut.milliseconds,
    }


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


async def _refused(request: Request, error: Exception) -> Response:
    _forget(error)
    status = 404 if isinstance(error, PhotoGoneError) else 400
    return JSONResponse({"error": str(error)}, 503 if isinstance(error, FullError) else status)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _slow(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the upload took too long"}, status_code=408)


def _forget(error: BaseException | None) -> None:
    """Lets go of what the frames behind an error hold, the upload: they refer to one another, and
    the garbage collector may come when ten such uploads are there."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


async def _crashed(request: Request, error: Exception) -> Response:
    _forget(error)
    return JSONResponse({"error": "the server could not do that"}, status_code=500)
