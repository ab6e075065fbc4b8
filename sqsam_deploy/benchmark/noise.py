"""Was the machine quiet enough: what others took of the processor, and what the samples show."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sqsam_deploy.benchmark.result import Environment, Measurement, Noise
from sqsam_deploy.benchmark.statistics import summarize, typical

#: Half the 95% interval of a median, as a share of it, above which nothing is claimed.
WIDEST_INTERVAL = 0.05
#: Share of the processor that other processes may take, mean over the rounds.
MOST_FOREIGN = 0.10
#: Share of the processor that the hypervisor may give away.
MOST_STOLEN = 0.02
#: Change from the first third of the rounds to the last: throttling, or a neighbor that came.
MOST_DRIFT = 0.10

_STAT = Path("/proc/stat")
#: Fields of the first line of /proc/stat: proc_stat(5).
_USER, _IDLE, _IOWAIT, _STEAL = 0, 3, 4, 7


@dataclass(frozen=True)
class CpuShares:
    """Other processes' use of the processor between two moments, as shares of all cores."""

    foreign: float
    stolen: float


class CpuWatch:
    """Measures what other processes take while ours work.

    Linux only; elsewhere `shares` is None, and only the samples tell of noise.
    """

    def __init__(self) -> None:
        self._wall, self._busy, self._stolen = 0.0, 0.0, 0.0
        self.start()

    def start(self) -> None:
        """Begins a new span."""
        self._wall = time.monotonic()
        self._busy, self._stolen = _processor_seconds()

    def shares(self, own_seconds: float) -> CpuShares | None:
        """Shares since `start`; `own_seconds` is the processor time of our own processes."""
        if not _STAT.exists():
            return None
        busy, stolen = _processor_seconds()
        whole = (time.monotonic() - self._wall) * (os.cpu_count() or 1)
        if whole <= 0:
            return CpuShares(0.0, 0.0)
        foreign = (busy - self._busy - own_seconds) / whole
        return CpuShares(max(foreign, 0.0), max((stolen - self._stolen) / whole, 0.0))


def _processor_seconds() -> tuple[float, float]:
    """Seconds that all processes together ran, and seconds stolen, since boot."""
    if not _STAT.exists():
        return 0.0, 0.0
    fields = _STAT.read_text().split("\n", 1)[0].split()[1:]
    ticks = [int(field) for field in fields[: _STEAL + 1]]
    per_second = os.sysconf("SC_CLK_TCK")
    busy = sum(ticks[_USER:_STEAL]) - ticks[_IDLE] - ticks[_IOWAIT]
    return busy / per_second, ticks[_STEAL] / per_second


def concluded(
    measurements: Iterable[Measurement], environment: Environment
) -> tuple[Measurement, ...]:
    """Measurements with what follows from their samples: summaries and the verdict on noise."""
    return tuple(_concluded(item, environment) for item in measurements)


def _concluded(item: Measurement, environment: Environment) -> Measurement:
    stages = {
        stage: timing.model_copy(update={"summary": summarize(timing)})
        for stage, timing in item.stages.items()
    }
    return item.model_copy(update={"stages": stages, "noise": judge(item, environment)})


def judge(measurement: Measurement, environment: Environment) -> Noise:
    """Says whether a measurement's median can be believed, and every reason why not."""
    reasons = (
        *_from_samples(measurement),
        *_from_processor(environment),
        *_from_device(measurement),
    )
    return Noise(believable=not reasons, reasons=reasons)


def _from_samples(measurement: Measurement) -> list[str]:
    reasons = []
    width = typical(measurement.inference).relative_half_width
    if width > WIDEST_INTERVAL:
        reasons.append(f"the median is known to ±{width:.0%} only")
    drift = _drift([float(np.median(r)) for r in measurement.inference.rounds])
    if abs(drift) > MOST_DRIFT:
        reasons.append(f"the last rounds took {drift:+.0%} against the first")
    return reasons


def _drift(medians: list[float]) -> float:
    third = len(medians) // 3
    if not third:
        return 0.0
    first, last = np.median(medians[:third]), np.median(medians[-third:])
    return float(last / first - 1)


def _from_processor(environment: Environment) -> list[str]:
    reasons = []
    foreign = float(np.mean(environment.foreign_cpu)) if environment.foreign_cpu else 0.0
    if foreign > MOST_FOREIGN:
        reasons.append(f"other processes took {foreign:.0%} of the processor")
    stolen = float(np.mean(environment.stolen_cpu)) if environment.stolen_cpu else 0.0
    if stolen > MOST_STOLEN:
        reasons.append(f"the hypervisor gave {stolen:.0%} of the processor to others")
    return reasons


def _from_device(measurement: Measurement) -> list[str]:
    reasons = []
    hot = [state for state in measurement.thermal or () if state in ("serious", "critical")]
    if hot:
        reasons.append(f"the device reported the thermal state '{hot[-1]}'")
    if measurement.low_power:
        reasons.append("low power mode was on")
    return reasons
