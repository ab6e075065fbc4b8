"""Peak memory of the server when many photos arrive at once; docs/security.md states it."""

import http.client
import io
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.demo.studio import Limits

#: Four times as many as there is room for.
UPLOADS = 40
#: Decoding, resizing and encoding one photo at a time, with the allocator's slack.
WORKING_BYTES = 600 << 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc"),
]


def peak_bytes(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def post(port: int, content: bytes, statuses: list[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", "/photos", content)
        statuses.append(connection.getresponse().status)
    finally:
        connection.close()


def test_many_uploads_at_once_stay_within_the_stated_memory():
    # 12 megapixels of smooth noise: a few MB as a JPEG file, 48 MB kept.
    small = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    photo = io.BytesIO()
    Image.fromarray(small).resize((4000, 3000)).save(photo, "JPEG", quality=95)
    command = [sys.executable, "-c", "from sqsam_deploy.cli.demo import main; main()"]
    options = ["--port", "0", "--threads", "1"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(re.search(r":(\d+)/", server.stdout.readline())[1])
            statuses: list[int] = []
            post(port, photo.getvalue(), statuses)
            before = peak_bytes(server.pid)
            uploads = [
                threading.Thread(target=post, args=(port, photo.getvalue(), statuses))
                for _ in range(UPLOADS)
            ]
            for upload in uploads:
                upload.start()
            for upload in uploads:
                upload.join()
            more = peak_bytes(server.pid) - before
        finally:
            server.kill()
    print(f"{photo.tell() >> 20} MB each, {more >> 20} MB more, from {before >> 20} MB")
    assert len(statuses) == UPLOADS + 1
    assert set(statuses) == {201, 503}
    limits = Limits()
    assert more < limits.all_bytes + limits.uploads * 2 * limits.upload_bytes + WORKING_BYTES
