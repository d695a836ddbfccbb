"""The page of a reading room as a web application: five small JSON routes, one for images, three files. Nothing else is served.

Every path begins with the room's token; without it, and for whatever is not there, the answer is the same 404. No answer may be cached, no
header tells one image from another, nothing is loaded from elsewhere, and a request that another site's page makes the browser send is
refused (its Host or Origin is not ours, or its content is not JSON).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from importlib.resources import files
from typing import Any

from manikin.data.errors import InputError, MissingExtraError
from manikin.workflow.reading.room import NotFoundError, Room

MOST_BODY = 16_384  # bytes of a request
MOST_PATH = 400
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
}
Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


def application(room: Room, *, hosts: Collection[str]) -> Application:
    """The ASGI application of a room.

    Parameters
    ----------
    hosts : what a request's Host may be, "name:port" each.

    Raises
    ------
    MissingExtraError : starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import Request
        from starlette.responses import JSONResponse, Response
        from starlette.routing import Route
    except ImportError:
        raise MissingExtraError("The page for readers needs an extra: pip install 'manikin[web]'.") from None

    def answered(value: Any, status: int = 200) -> Response:
        """A JSON answer."""
        return JSONResponse(value, status_code=status)

    def file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
        """A route of the page, its style or its script."""

        async def route(_request: Request) -> Response:
            """The file as it is."""
            return Response((files("manikin.web") / "pages" / name).read_bytes(), media_type=kind)

        return route

    async def form(_request: Request) -> Response:
        """What is asked."""
        return answered(room.form.to_json())

    async def image(request: Request) -> Response:
        """One image."""
        return Response(await run_in_threadpool(room.image, request.path_params["token"]), media_type="image/png")

    def posted(take: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        """A route that takes a JSON object with the reader's key."""

        async def route(request: Request) -> Response:
            """Reads the body, no more of it than is allowed, and answers."""
            given = await _object(request)
            key = given.get("reader")
            return answered(await run_in_threadpool(take, key if isinstance(key, str) else "", given))

        return route

    def refused(_request: Request, error: Exception) -> Response:
        """What the room would not take, in its words."""
        if isinstance(error, NotFoundError):
            return answered({"error": str(error)}, 404)
        return answered({"error": str(error)}, 400)

    def failed(_request: Request, _error: Exception) -> Response:
        """A disk that is full, say: the reader must know that nothing was stored."""
        return answered({"error": "The answer could not be stored. Tell whoever runs this test."}, 500)

    routes = [
        *(Route(f"/{path}", file(*known)) for path, known in FILES.items()),
        Route("/form", form),
        Route("/join", posted(lambda _key, given: room.join(given)), methods=["POST"]),
        Route("/state", posted(lambda key, _given: room.state(key)), methods=["POST"]),
        Route("/answer", posted(room.answer), methods=["POST"]),
        Route("/detail", posted(room.detail), methods=["POST"]),
        Route("/image/{token:str}", image),
    ]
    handlers: Any = {InputError: refused, OSError: failed}
    return _guarded(Starlette(routes=routes, exception_handlers=handlers), room.access, frozenset(hosts))


async def _object(request: Any) -> dict[str, Any]:
    """The JSON object of a request.

    Raises
    ------
    InputError : it is too long, not JSON, or no object.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise InputError("A request must be JSON.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise InputError("The request is too long.")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise InputError("A request must be a JSON object.")
    return given


def _guarded(inner: Application, access: str, hosts: frozenset[str]) -> Application:
    """Checks host, origin, length and token before anything else, and puts the same headers on every answer."""

    async def guard(scope: Scope, receive: Any, send: Any) -> None:
        """The outermost layer."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await inner(scope, receive, send)
            return

        async def plain(message: Any) -> None:
            """Adds the headers."""
            if message["type"] == "http.response.start":
                kept = [one for one in message["headers"] if one[0].lower() != b"allow"]
                message = {**message, "headers": kept + [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]}
            await send(message)

        status = _refusal(scope, hosts)
        prefix, _, rest = scope["path"].lstrip("/").partition("/")
        if not status and not hmac.compare_digest(prefix.encode(), access.encode()):
            status = 404
        if status:
            await plain({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
            await plain({"type": "http.response.body", "body": b"Not here."})
            return
        if not rest and not scope["path"].endswith("/"):  # the page's own addresses are relative to its folder
            location = (b"location", f"/{access}/".encode())
            await plain({"type": "http.response.start", "status": 307, "headers": [location]})
            await plain({"type": "http.response.body", "body": b""})
            return
        path = f"/{rest}"
        await inner({**scope, "path": path, "raw_path": path.encode()}, receive, plain)

    return guard


def _refusal(scope: Scope, hosts: frozenset[str]) -> int:
    """The status of a request that is refused unread; 0 for one that is looked at."""
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    if headers.get("host", "").lower() not in hosts:
        return 421
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        return 403
    if scope["method"] != "GET" and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return 403
    length = headers.get("content-length", "0")
    if not length.isdigit() or len(length) > 9 or int(length) > MOST_BODY:
        return 413
    return 414 if len(scope["path"]) > MOST_PATH else 0
