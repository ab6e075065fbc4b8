"""Commands in forks of one process, which imports once what every one of them needs.

`Forks` starts that process; `Forks.command` is the command line of a client that gives it its own
arguments, directory, environment and streams, and ends as the fork does. The client needs nothing
but the standard library.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

#: What commands import when they run: most of their time on a few photos.
LIBRARIES = (
    *("executorch.exir", "executorch.runtime", "onnxruntime", "scipy.ndimage"),
    *("sqsam_deploy.predictor", "sqsam_deploy.quantization", "sqsam_deploy.report.export"),
    *("sqsam_deploy.report.parity", "sqsam_deploy.pipeline.plan", "sqsam_deploy.release.publish"),
)


class Forks:
    """A process that forks for every client; a context manager."""

    def __enter__(self) -> "Forks":
        # Not in a test's own directory: the address of a socket is a short path.
        self._folder = tempfile.TemporaryDirectory()
        self._address = str(Path(self._folder.name, "forks"))
        command = [sys.executable, __file__, "serve", self._address]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.kill()
        self._server.communicate()
        self._folder.cleanup()

    def command(self, name: str) -> list[str]:
        """Begins the command line of `sqsam-NAME`, or of "python" for a text that is run."""
        return [sys.executable, "-SE", __file__, "ask", self._address, name]


def ask(address: str, words: list[str]) -> int:
    """The client: what the fork ended with."""
    message = json.dumps([words, str(Path.cwd()), dict(os.environ)]).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [len(message).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(message)
        code = connection.recv(1)
    return code[0] if code else 70


def serve(address: str) -> None:
    """Forks for every client until it is killed."""
    for name in LIBRARIES:
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"ready\n")
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                code = _answer(connection)
                connection.sendall(bytes([code]))
                os._exit(code)
            connection.close()


def _answer(connection: socket.socket) -> int:
    """In the fork: runs what the client asks for, in its place."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    header, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as file:
        words, folder, environment = json.loads(file.read(int.from_bytes(header, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = _run(*words)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _run(name: str, *words: str) -> int:
    try:
        if name == "python":
            names: dict[str, Any] = {"__name__": "__main__"}
            exec(words[0], names)
        else:
            sys.argv = [f"sqsam-{name}", *words]
            import_module(f"sqsam_deploy.cli.{name}").main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(ask(sys.argv[2], sys.argv[3:]))
