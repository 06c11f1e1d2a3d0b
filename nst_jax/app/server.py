"""The addresses of the page and what each answers."""

import json
import mimetypes
import os
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from nst_jax.app import orders, shelf, wording
from nst_jax.app.asked import AppConfig
from nst_jax.app.shelf import Picture
from nst_jax.app.studio import Studio
from nst_jax.errors import RequestError

_LONGEST_ORDER = 64 * 1024
_LONGEST_NUMBER = 18
_PIECE = 2**20
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class _TooLargeError(Exception):
    """More was sent than is taken."""


def app(studio: Studio, settings: AppConfig) -> Starlette:
    """The page's addresses, without the gate."""
    routes = [
        Route("/", _asset),
        Route("/{name}", _asset),
        Route("/api/first", _first),
        Route("/api/beginning", _beginning),
        Route("/api/news", _news),
        Route("/api/plan", _plan, methods=["POST"]),
        Route("/api/pictures", _hand_in, methods=["POST"]),
        Route("/api/pictures/{key}", _picture),
        Route("/api/pictures/{key}/about", _about),
        Route("/api/jobs", _submit, methods=["POST"]),
        Route("/api/jobs/{key}", _forget, methods=["DELETE"]),
        Route("/api/jobs/{key}/stop", _stop, methods=["POST"]),
        Route("/api/jobs/{key}/view", _view),
        Route("/api/jobs/{key}/result", _result),
    ]
    handlers: dict[Any, Any] = {RequestError: _refused, _TooLargeError: _too_large}
    made = Starlette(routes=routes, exception_handlers=handlers)
    made.state.studio, made.state.settings = studio, settings
    # Read once: what is asked for is a name in this table, never a path.
    made.state.assets = {
        file.name: file.read_bytes()
        for file in resources.files("nst_jax.app").joinpath("page").iterdir()
        if Path(file.name).suffix in _KINDS
    }
    return made


def _studio(request: Request) -> Studio:
    return cast(Studio, request.app.state.studio)


def _key(request: Request) -> str:
    return str(request.path_params["key"])


def _asset(request: Request) -> Response:
    name = str(request.path_params.get("name", "index.html"))
    data = request.app.state.assets.get(name)
    if data is None:
        return _nothing()
    return Response(data, media_type=_KINDS[Path(name).suffix])


def _nothing() -> Response:
    return PlainTextResponse("There is nothing here.\n", 404)


def _first(request: Request) -> Response:
    """What does not change while the program runs."""
    defaults = _studio(request).defaults
    presets = [
        {"name": name, "words": words, "about": about}
        for name, (words, about) in wording.PRESETS.items()
    ]
    return JSONResponse(
        {
            "preset": defaults.preset or "default",
            "presets": presets,
            "given": [row[2:].partition("=")[0] for row in defaults.flags],
            "limit": request.app.state.settings.upload_limit,
        }
    )


def _beginning(request: Request) -> Response:
    """The settings of a preset or an earlier result, as the page shows them."""
    sent, studio = request.query_params, _studio(request)
    order = orders.Order(preset=sent.get("preset", ""), earlier=sent.get("earlier", ""))
    config = orders.beginning(order, studio.shelf, studio.defaults)
    notes = orders.lost(config) if order.earlier else []
    return JSONResponse({"settings": orders.about(config), "notes": notes})


def _news(request: Request) -> Response:
    since = request.query_params.get("since", "")
    is_number = since.isdecimal() and len(since) <= _LONGEST_NUMBER
    found = _studio(request).news(int(since) if is_number else -1)
    return Response(status_code=204) if found is None else JSONResponse(found)


async def _plan(request: Request) -> Response:
    order = await _order(request)
    return JSONResponse(await run_in_threadpool(_studio(request).planned, order))


async def _hand_in(request: Request) -> Response:
    pictures = _studio(request).shelf
    path = pictures.room(request.query_params.get("name", ""))
    try:
        with path.open("xb") as file:
            most = request.app.state.settings.upload_limit * 10**6
            async for chunk in _chunks(request, most):
                file.write(chunk)
    except ClientDisconnect:
        pictures.drop(path)
        return Response(status_code=400)
    except OSError as error:
        pictures.drop(path)
        raise shelf.not_kept(path, error) from None
    except BaseException:
        pictures.drop(path)
        raise
    return _described(await run_in_threadpool(pictures.add, path))


def _described(picture: Picture) -> Response:
    rows, columns = picture.shape
    return JSONResponse(
        {
            "key": picture.key,
            "name": picture.path.name,
            "width": columns,
            "height": rows,
            "settings": picture.has_settings,
        }
    )


def _about(request: Request) -> Response:
    return _described(_studio(request).shelf.look_up(_key(request)))


def _picture(request: Request) -> Response:
    view = _studio(request).shelf.look_up(_key(request)).view
    return Response(view, media_type=shelf.kind(view))


async def _submit(request: Request) -> Response:
    order = await _order(request)
    key = await run_in_threadpool(_studio(request).submit, order)
    return JSONResponse({"key": key})


def _forget(request: Request) -> Response:
    _studio(request).forget(_key(request))
    return JSONResponse({})


def _stop(request: Request) -> Response:
    _studio(request).stop(_key(request))
    return JSONResponse({})


def _view(request: Request) -> Response:
    view = _studio(request).job(_key(request)).view
    return Response(view, media_type="image/jpeg") if view else _nothing()


def _result(request: Request) -> Response:
    path = _studio(request).job(_key(request)).result
    try:
        # Open from here on, so that it may be forgotten meanwhile.
        file = path.open("rb") if path else None
    except FileNotFoundError:
        file = None
    if not (path and file):
        return _nothing()
    headers = {
        "Content-Length": str(os.fstat(file.fileno()).st_size),
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(path.name)}",
    }
    kind = mimetypes.guess_type(path.name)[0]
    return StreamingResponse(_pieces(file), headers=headers, media_type=kind)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _refused(request: Request, error: Exception) -> Response:
    line = _studio(request).shelf.bare(str(error))
    return JSONResponse({"error": wording.plain(line)}, 422)


def _too_large(request: Request, error: Exception) -> Response:
    del error
    most = request.app.state.settings.upload_limit
    words = f"This file is larger than the {most} MB that the page takes."
    return JSONResponse({"error": words}, 413, {"Connection": "close"})


async def _order(request: Request) -> orders.Order:
    sent = b"".join([chunk async for chunk in _chunks(request, _LONGEST_ORDER)])
    try:
        data = json.loads(sent)
    except (ValueError, RecursionError):
        raise RequestError("expected an order in JSON, got something else") from None
    return orders.read(data)


async def _chunks(request: Request, most: int) -> AsyncIterator[bytes]:
    """What is sent, as it comes, up to so many bytes."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _TooLargeError
        yield chunk
