import signal
import subprocess
import sys
import urllib.request

import pytest
from safetensors.torch import save_file

from sqsam_deploy.checkpoint import save_checkpoint
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.model.saliency import SaliencyNet


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_checkpoint(SqueezeSAM(NANO).eval(), folder / "nano.safetensors", {})
    save_file(SaliencyNet().state_dict(), folder / "saliency.safetensors")
    return folder / "nano.safetensors", folder / "saliency.safetensors"


def test_the_command_serves_the_page_until_it_is_interrupted(weights):
    artifact, saliency = (str(path) for path in weights)
    arguments = [artifact, "--saliency", saliency, "--port", "0", "--threads", "1"]
    code = "from sqsam_deploy.cli.demo import main; main()"
    running = subprocess.Popen(
        [sys.executable, "-u", "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        line = running.stdout.readline()
        assert line.startswith("nano fp32 on torch: http://127.0.0.1:")
        address = line.split()[4]
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"<title>SqueezeSAM cut-out</title>" in answer.read()
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(120)
        finally:
            running.kill()
