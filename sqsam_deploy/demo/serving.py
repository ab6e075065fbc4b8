"""Listening on a port, and serving an application there until somebody ends it."""

import asyncio
import socket

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

#: On every answer. The page loads nothing from anywhere else; `blob:` and `data:` are the photo
#: and its mask. WebAssembly is compiled, and no text becomes code; the two headers in the middle
#: isolate the page, without which browsers give WebAssembly no threads.
HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
        "style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
#: Without a complete header of a request a connection is closed after this time, or twice that.
SILENT_SECONDS = 10.0
#: More connections are answered with 503.
_MOST_CONNECTIONS = 500


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that a port in use is known before anything is printed.

    Raises:
        OSError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Whoever asks from now on waits for the server instead of being refused.
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


def make_server(app: Starlette) -> uvicorn.Server:
    """A server of the application that gives every answer, its own errors too, `HEADERS`."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        headers=list(HEADERS),
        limit_concurrency=_MOST_CONNECTIONS,
    )
    return uvicorn.Server(config)


def serve(app: Starlette, listener: socket.socket) -> None:
    """Serves until interrupted (Ctrl-C or SIGTERM)."""
    make_server(app).run(sockets=[listener])


class _Protocol(H11Protocol):
    """Uvicorn's HTTP/1.1 without two of its gaps.

    It waits for ever for the rest of a request's header, and for that of a body that it has
    answered already; and what is no HTTP it answers without the configured headers.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(SILENT_SECONDS, self._close_if_silent, None)

    def _close_if_silent(self, before: object) -> None:
        """Closes the connection where no request is being answered, and none was since `before`."""
        silent = self.cycle is None or self.cycle.response_complete
        if silent and self.cycle is before:
            self.transport.close()
        elif not self.transport.is_closing():
            seen = self.cycle if silent else self
            self.loop.call_later(SILENT_SECONDS, self._close_if_silent, seen)

    def send_400_response(self, msg: str) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS)
        ending = "content-length: 0\r\nconnection: close\r\n\r\n"
        self.transport.write(f"HTTP/1.1 400 Bad Request\r\n{lines}{ending}".encode())
        self.transport.close()
