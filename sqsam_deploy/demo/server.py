"""The web page's server: three routes over a `Studio`, and the page's own files."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sqsam_deploy.demo.studio import Cut, PhotoGoneError, Studio
from sqsam_deploy.errors import SqsamError
from sqsam_deploy.pictures import encode_png
from sqsam_deploy.prompts import Prompt

MAX_UPLOAD_BYTES = 25 * 1024 * 1024
_MAX_REQUEST_BYTES = 64 * 1024
_STATIC = Path(__file__).parent / "static"

#: The page loads nothing from anywhere else; `blob:` and `data:` are the photo and its mask.
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Click(BaseModel):
    """A click in pixels of the photo."""

    model_config = ConfigDict(extra="forbid")

    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    label: Literal[0, 1]


class Clicks(BaseModel):
    """What the page sends when clicks were added or removed."""

    model_config = ConfigDict(extra="forbid")

    points: tuple[Click, ...] = Field(max_length=100)

    def as_prompt(self) -> Prompt:
        """The same as a `Prompt`."""
        prompt = Prompt()
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
    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/about", _about),
            Route("/photos", _add_photo, methods=["POST"]),
            Route("/photos/{id}/mask", _cut, methods=["POST"]),
            Route("/photos/{id}/cutout.png", _cutout),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={SqsamError: _refused, HTTPException: _failed},
    )
    app.state.studio, app.state.title = studio, title
    return app


async def _page(request: Request) -> Response:
    headers = {"Content-Security-Policy": _CONTENT_POLICY, "Referrer-Policy": "no-referrer"}
    return FileResponse(_STATIC / "index.html", headers=headers)


async def _about(request: Request) -> Response:
    return JSONResponse({"title": request.app.state.title})


async def _add_photo(request: Request) -> Response:
    content = await _body(request, MAX_UPLOAD_BYTES)
    if not content:
        raise HTTPException(400, "the upload is empty")
    identifier, cut = await run_in_threadpool(request.app.state.studio.add, content)
    height, width = cut.mask.shape
    about = {"id": identifier, "width": width, "height": height}
    return JSONResponse(about | _answer(cut), status_code=201)


async def _cut(request: Request) -> Response:
    content = await _body(request, _MAX_REQUEST_BYTES)
    try:
        clicks = Clicks.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        raise HTTPException(400, f"{where}: {first['msg']}") from None
    studio, identifier = request.app.state.studio, request.path_params["id"]
    return JSONResponse(
        _answer(await run_in_threadpool(studio.cut, identifier, clicks.as_prompt()))
    )


async def _cutout(request: Request) -> Response:
    studio, identifier = request.app.state.studio, request.path_params["id"]
    png = await run_in_threadpool(studio.cutout_png, identifier)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, not read further than the limit whatever its header says."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            raise HTTPException(413, f"the upload is larger than {limit / 1024 / 1024:g} MB")
    return bytes(content)


def _answer(cut: Cut) -> dict[str, object]:
    mask = encode_png(np.where(cut.mask, 255, 0).astype(np.uint8))
    coords, labels = cut.prompt.point_coords.tolist(), cut.prompt.point_labels.tolist()
    return {
        "points": [
            {"x": x, "y": y, "label": label} for (x, y), label in zip(coords, labels, strict=True)
        ],
        "mask": "data:image/png;base64," + base64.b64encode(mask).decode(),
        "predicted_iou": round(cut.predicted_iou, 3),
        "milliseconds": cut.milliseconds,
    }


async def _refused(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, PhotoGoneError) else 400
    return JSONResponse({"error": str(error)}, status_code=status)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code)
