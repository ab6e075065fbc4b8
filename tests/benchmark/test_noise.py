import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sqsam_deploy.benchmark.noise import CpuWatch, judge
from sqsam_deploy.benchmark.result import Environment, Timing
from tests.benchmark.results import measurement, rounds_around, subject

QUIET = Environment(foreign_cpu=(0.01, 0.02), stolen_cpu=(0.0, 0.0))


def test_a_quiet_machine_is_believed():
    assert judge(measurement(subject(), 10), QUIET).believable


def test_a_wide_interval_is_not_believed():
    noise = judge(measurement(subject(), 10, spread=0.5), QUIET)
    assert not noise.believable
    assert "the median is known to" in noise.reasons[0]


def test_a_machine_that_slows_down_is_not_believed():
    rounds = tuple(
        tuple(value * (1 + 0.02 * index) for value in taken)
        for index, taken in enumerate(rounds_around(10))
    )
    slowing = measurement(subject(), 10).model_copy(
        update={"stages": {"inference": Timing(rounds=rounds)}}
    )
    assert judge(slowing, QUIET).reasons[-1] == "the last rounds took +16% against the first"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (Environment(foreign_cpu=(0.0, 0.6)), "other processes took 30% of the processor"),
        (Environment(stolen_cpu=(0.05,)), "the hypervisor gave 5% of the processor to others"),
    ],
)
def test_a_busy_machine_is_not_believed(environment, reason):
    assert judge(measurement(subject(), 10), environment).reasons == (reason,)


def test_a_hot_phone_that_saves_power_is_not_believed():
    hot = measurement(subject(), 10, thermal=("nominal", "serious"), low_power=True)
    assert judge(hot, QUIET).reasons == (
        "the device reported the thermal state 'serious'",
        "low power mode was on",
    )


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="reads /proc/stat")
def test_another_process_shows_as_foreign():
    burn = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    watch = CpuWatch()
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", burn], check=True)
    shares = watch.shares(own_seconds=0.0)
    assert shares is not None
    least = 0.4 / ((time.monotonic() - start) * os.cpu_count())
    assert shares.foreign >= least
    assert watch.shares(own_seconds=1000.0).foreign == 0.0
