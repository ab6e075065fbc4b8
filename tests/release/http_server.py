"""An HTTP server on loopback, with ranges, that can be told to misbehave."""

import re
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class RangeServer:
    """Serves a folder.

    Attributes:
        ranges: Whether it honors `Range`.
        cut_after: Bytes of blobs it sends, over all requests, before it drops connections.
        requests: Path and Range header of every GET.
        takeover: Asked before every answer; true where it answered itself.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ranges = True
        self.cut_after: int | None = None
        self.requests: list[tuple[str, str | None]] = []
        self.takeover: Callable[[BaseHTTPRequestHandler], bool] = lambda handler: False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "RangeServer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers["Range"]))
                try:
                    if outer.takeover(self):
                        return
                except OSError:  # the other side has heard enough
                    self.close_connection = True
                    return
                path = outer.root / self.path.lstrip("/")
                if not path.is_file():
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                self._send(path.read_bytes())

            def _send(self, content: bytes) -> None:
                total = len(content)
                match = re.match(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
                if match and outer.ranges:
                    start, end = int(match[1]), min(int(match[2]), total - 1)
                    content = content[start : end + 1]
                    self.send_response(HTTPStatus.PARTIAL_CONTENT)
                    self.send_header("Content-Range", f"bytes {start}-{end}/{total}")
                else:
                    self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(self._allowed(content))

            def _allowed(self, content: bytes) -> bytes:
                if outer.cut_after is None or "/blobs/" not in self.path:
                    return content
                allowed = content[: outer.cut_after]
                outer.cut_after -= len(allowed)
                self.close_connection = True
                return allowed

            def log_message(self, format: str, *arguments: object) -> None:
                """Keeps the test's output clean."""

        return Handler
