import json
import shutil
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
from tests.commands import run_command


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_checkpoint(SqueezeSAM(NANO).eval(), folder / "nano.safetensors", {})
    save_file(SaliencyNet().state_dict(), folder / "saliency.safetensors")
    return folder / "nano.safetensors", folder / "saliency.safetensors"


def test_a_page_without_a_server_is_refused_where_nothing_runs_in_a_browser(weights, tmp_path):
    page = tmp_path / "page"
    assert run_command("demo", "--static", page).code == 2
    refused = run_command("demo", "--static", page, weights[0])
    assert (refused.code, ".onnx" in refused.stderr) == (2, True)
    assert not page.exists()


@pytest.mark.parametrize("name", ["none.onnx", "cut.onnx", "nano-int8.onnx", "saliency-int8.pte"])
def test_what_is_no_saliency_network_is_refused(nano_export, tmp_path, name):
    (tmp_path / "cut.onnx").write_bytes((nano_export / "saliency-int8.onnx").read_bytes()[:50_000])
    file = (nano_export if (nano_export / name).exists() else tmp_path) / name
    page = tmp_path / "page"
    refused = run_command("demo", nano_export, "--static", page, "--saliency", file)
    assert (refused.code in (2, 3), name in refused.stderr) == (True, True)
    assert not page.exists()
    if name != "saliency-int8.pte":
        refused = run_command("demo", "nano", "--saliency", file)
        assert (refused.code, name in refused.stderr) == (3, True)


@pytest.mark.skipif(not shutil.which("npm"), reason="no npm here")
def test_a_page_without_a_server_offers_every_artifact_of_a_directory(nano_export, tmp_path):
    page = tmp_path / "page"
    done = run_command("demo", "--static", page, nano_export, "--json")
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["result"]["artifacts"] == ["nano-int8.onnx"]
    about = json.loads((page / "page.json").read_text())
    assert about["models"][0]["saliency"]["path"] == "saliency-int8.onnx"
    assert (page / "nano-int8.onnx").read_bytes() == (nano_export / "nano-int8.onnx").read_bytes()
    missing = [name for name in about["files"] if not (page / name).is_file()]
    assert missing == []
    # It can be written again, and another folder is not replaced.
    assert run_command("demo", "--static", page, nano_export).code == 0
    assert run_command("demo", "--static", nano_export, nano_export).code == 2


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
