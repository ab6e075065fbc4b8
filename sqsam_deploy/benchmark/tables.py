"""Results as rows of text: one table for the terminal and for Markdown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqsam_deploy.benchmark.noise import WIDEST_INTERVAL
from sqsam_deploy.benchmark.quality import PROMPTS, Scores
from sqsam_deploy.benchmark.rates import (
    arithmetic_bound,
    gmac_per_second,
    kernel_rate,
    share_of_best_kernel,
)
from sqsam_deploy.benchmark.result import (
    BenchmarkResult,
    Device,
    Estimate,
    Measurement,
    Memory,
    PlannedOperations,
    Setup,
    Stage,
    Subject,
    Summary,
)
from sqsam_deploy.benchmark.statistics import (
    estimate_of_mean,
    estimate_of_values,
    paired_ratio,
    summarize,
    typical,
)
from sqsam_deploy.published import BoxRow, published
from sqsam_deploy.runtimes.registry import all_runtimes

NONE = "-"
#: What follows a number that should not be believed.
NOISY = " (noisy)"


@dataclass(frozen=True)
class Table:
    """Text by column; columns after the first `left` ones are numbers.

    Attributes:
        title: One line.
        columns: Headings.
        rows: Cells.
        left: Columns of text at the start.
        notes: Lines below.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table as GitHub's Markdown, with its title above and its notes below."""
        align = [":--" if i < self.left else "--:" for i in range(len(self.columns))]
        lines = [_line(self.columns), _line(align), *(_line(row) for row in self.rows)]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"**{self.title}**", "", *lines, *(["", *notes] if notes else [])])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def latency_table(result: BenchmarkResult) -> Table:
    """Latency, load time, memory and size of every subject, and what was not measured."""
    rows = [_latency_row(item, result.measurements) for item in _shown(result)]
    rows += [(row.subject, row.setup, "not measured", *[NONE] * 11) for row in result.not_measured]
    return Table(
        title=f"{result.device.name}, {result.device.cores} cores, {result.device.system}",
        columns=(
            "subject",
            "setup",
            "inference ms (95% interval)",
            "p90",
            "p99",
            "GMAC/s",
            "of best kernel",
            "first ms",
            "load ms",
            "RSS peak MB",
            "RSS by loading MB",
            "USS by loading MB",
            "USS by first MB",
            "file MB",
        ),
        rows=tuple(rows),
        left=2,
        notes=(
            *_peak_notes(result),
            *_plan_notes(result),
            *_doubt_notes(result),
            *_reasons(result),
        ),
    )


def _shown(result: BenchmarkResult) -> list[Measurement]:
    return [item for item in result.measurements if item.subject.role != "peak"]


def _latency_row(item: Measurement, among: Sequence[Measurement]) -> tuple[str, ...]:
    summary = summary_of(item)
    return (
        label(item),
        setup_text(item.setup),
        marked(item),
        number(summary.p90),
        number(summary.p99),
        number(gmac_per_second(item)),
        share(share_of_best_kernel(item, among)),
        of_values(item.first),
        of_values(item.load),
        of_bytes([memory.peak for memory in item.memory_readings]),
        of_bytes([memory.loaded for memory in item.memory_readings]),
        *_unique(item.memory_readings),
        megabytes(item.subject.bytes),
    )


def _unique(readings: Sequence[Memory]) -> tuple[str, str]:
    """Growth of the pages of one process alone by loading and the first inference."""
    growth = [
        (after.uss - memory.before_loading.uss, first.uss - memory.before_loading.uss)
        for memory in readings
        if memory.before_loading
        and (after := memory.after_loading)
        and (first := memory.after_first)
    ]
    return of_bytes([loaded for loaded, _ in growth]), of_bytes([first for _, first in growth])


def marked(item: Measurement) -> str:
    """The typical time with its interval, and a mark where it should not be believed."""
    noisy = item.noise is not None and not item.noise.believable
    return interval(summary_of(item).median) + (NOISY if noisy else "")


def of_values(values: Sequence[float]) -> str:
    """The typical value of several processes, with an interval where there are three or more."""
    estimate = estimate_of_values(values)
    if estimate is None:
        return NONE
    return believed(estimate) if len(values) > 2 else number(estimate.value)


def of_bytes(values: Sequence[int]) -> str:
    """The mean of several processes in MB, with an interval where there are three or more."""
    if not values:
        return NONE
    estimate = estimate_of_mean([value / 1e6 for value in values])
    return believed(estimate) if len(values) > 2 else number(estimate.value)


def believed(estimate: Estimate) -> str:
    """An estimate with its interval, marked noisy where the interval is too wide to claim it."""
    wide = estimate.relative_half_width > WIDEST_INTERVAL
    return interval(estimate) + (NOISY if wide else "")


def share(estimate: Estimate | None) -> str:
    """`88% (86-90)`."""
    if estimate is None:
        return NONE
    return f"{estimate.value:.0%} ({100 * estimate.low:.0f}-{100 * estimate.high:.0f})"


def label(item: Measurement) -> str:
    """The subject's name, and what part of a network it is where it is not the whole."""
    subject = item.subject
    return subject.name if subject.role != "peer" else f"{subject.name} ({subject.scope})"


def setup_text(setup: Setup) -> str:
    """`cpu, 2 threads` and the like."""
    parts = [setup.compute]
    if setup.threads:
        parts.append(f"{setup.threads} thread{'s' if setup.threads > 1 else ''}")
    if setup.batch > 1:
        parts.append(f"batch {setup.batch}")
    if setup.variant:
        parts.append(setup.variant)
    return ", ".join(parts)


def _peak_notes(result: BenchmarkResult) -> list[str]:
    notes = []
    for setup in dict.fromkeys(item.setup for item in result.measurements):
        rates = {p: kernel_rate(result.measurements, p, setup) for p in ("fp32", "int8")}
        known = [
            f"{precision} {rate:.0f} GMAC/s{_bound_text(result.device, precision, setup)}"
            for precision, rate in rates.items()
            if rate
        ]
        if known:
            notes.append(
                f"Fastest kernel of the same run, {setup_text(setup)}: {', '.join(known)}."
            )
    return notes


def _bound_text(device: Device, precision: str, setup: Setup) -> str:
    bound = arithmetic_bound(device, precision, setup.threads or 1)
    if bound is None:
        return ""
    return f" (arithmetic bound at {device.frequency} MHz: {bound:.0f})"


def _plan_notes(result: BenchmarkResult) -> list[str]:
    """Where Core ML plans the work of each row, by its own estimate of the cost."""
    return [
        f"Planned: {item.subject.name}, {setup_text(item.setup)}: {_units(item.planned)}."
        for item in _shown(result)
        if item.planned
    ]


def _units(planned: Sequence[PlannedOperations]) -> str:
    costs: dict[str, float] = {}
    for operations in planned:
        costs[operations.unit] = costs.get(operations.unit, 0.0) + operations.cost
    ordered = sorted(costs.items(), key=lambda item: -item[1])
    return ", ".join(f"{unit} {cost:.0%}" for unit, cost in ordered)


def _doubt_notes(result: BenchmarkResult) -> list[str]:
    return [
        f"Noisy: {item.subject.name}, {setup_text(item.setup)}: {'; '.join(item.noise.reasons)}."
        for item in _shown(result)
        if item.noise is not None and not item.noise.believable
    ]


def _reasons(result: BenchmarkResult) -> list[str]:
    return [f"Not measured: {row.subject}: {row.reason}." for row in result.not_measured]


def stage_table(result: BenchmarkResult) -> Table | None:
    """The stages that an app waits for: photo, network, answer. None without stages."""
    rows = [
        (
            label(item),
            setup_text(item.setup),
            *(_stage_cell(item, stage) for stage in _STAGES),
            *(_wait_cell(item, stage) for stage in _WAITS),
        )
        for item in _shown(result)
        if "total" in item.stages
    ]
    columns = (
        *("subject", "setup", "prepare ms", "inference ms", "finish ms", "all ms"),
        *("first mask / inference", "next mask / inference"),
    )
    title = "From photo and prompt to mask; of the saliency network, from photo to clicks"
    return Table(title, columns, tuple(rows), left=2) if rows else None


_STAGES = ("preprocess", "inference", "postprocess", "total")
_WAITS: tuple[Stage, ...] = ("first_mask", "next_mask")


def _wait_cell(item: Measurement, stage: Stage) -> str:
    """How many times the inference a wait is, paired by process."""
    timing = item.stages.get(stage)
    return NONE if timing is None else interval(paired_ratio(timing, item.inference), unit="x")


def _stage_cell(item: Measurement, stage: str) -> str:
    for name, timing in item.stages.items():
        if name == stage:
            return believed(typical(timing))
    return NONE


def ratio_table(result: BenchmarkResult) -> Table | None:
    """Ratios within the run. None where there are none."""
    rows = [
        (
            f"{ratio.numerator} / {ratio.denominator}",
            setup_text(ratio.setup),
            interval(ratio.estimate, unit="x"),
        )
        for ratio in result.ratios
    ]
    columns = ("times of", "setup", "ratio (95% interval)")
    return Table("Ratios, paired by round", columns, tuple(rows), left=2) if rows else None


def profile_tables(result: BenchmarkResult) -> list[Table]:
    """One table a profiled subject: the ten costliest kinds of operator."""
    return [_profile_table(item) for item in _shown(result) if item.profile is not None]


def _profile_table(item: Measurement) -> Table:
    assert item.profile is not None
    rows = tuple(
        (
            cost.operator,
            cost.place or NONE,
            str(cost.calls or NONE),
            number(cost.milliseconds),
            percent(cost.share),
        )
        for cost in item.profile.operators
    )
    entered = item.profile.delegate_calls
    delegates = f", {entered} delegate calls" if entered is not None else ""
    return Table(
        f"Where {label(item)} spends its time ({setup_text(item.setup)}, {item.profile.tool}, "
        f"{number(item.profile.total)} ms while profiled{delegates})",
        ("operator", "place", "calls", "ms", "share"),
        rows,
        left=2,
    )


def paper_table(results: Sequence[BenchmarkResult]) -> Table | None:
    """The paper's Table 1, and beneath it what was measured here. None without peers."""
    if not any(item.subject.role == "peer" for r in results for item in r.measurements):
        return None
    rows = [_stated_row(row) for row in published().table_1]
    rows += [
        row
        for result in results
        for item in result.measurements
        if (row := _measured_row(result, item)) is not None
    ]
    columns = (
        "network",
        "measured on",
        "parameters M",
        "file MB",
        "GMAC",
        "measured ms (95% interval)",
        "paper: A100 ms",
        "paper: iPhone 14 CPU ms",
    )
    return Table("Latency and size, the paper's Table 1", columns, tuple(rows), 2, _PAPER_NOTES)


_PAPER_NOTES = (
    "Peers carry random weights, and so may this project's artifacts: latency does not depend on "
    "what the weights are.",
    "Peers marked 'image encoder' are measured without neck and mask decoder, in their favor; "
    "SqueezeSAM is measured whole. Peers are fed the same random numbers again and again, without "
    "the work of preparing photos and masks between two inferences.",
    "Compare a peer with this project's artifact of the same precision, as the ratios below do.",
    "The rows of the paper are its own statements (arXiv 2312.06736 v1, Table 1) for its own "
    "devices; `paper` is this project's reconstruction within the bounds that its text states.",
)


def _stated_row(row: BoxRow) -> tuple[str, ...]:
    stated = (row.a100_ms, row.iphone_14_cpu_ms)
    latencies = (NONE if value is None else f"{value}" for value in stated)
    name = f"{row.network} (the paper)"
    return (name, NONE, f"{row.parameters_m}", NONE, NONE, NONE, *latencies)


def _measured_row(result: BenchmarkResult, item: Measurement) -> tuple[str, ...] | None:
    subject = item.subject
    ours = _is_ours(subject)
    most = most_threads(result)
    if not (ours or subject.role == "peer") or (item.setup.threads or 0) != most:
        return None
    return (
        label(item),
        f"{result.device.name}, {setup_text(item.setup)}",
        number(subject.parameters / 1e6 if subject.parameters else None),
        megabytes(subject.bytes),
        number(subject.macs / 1e9 if subject.macs else None),
        marked(item),
        NONE,
        NONE,
    )


def front_table(result: BenchmarkResult, scores: Scores) -> Table:
    """`paper` and the peers of one run by time, each at every precision in its fastest runtime."""
    times = {
        (ratio.numerator, ratio.setup, ratio.denominator): ratio.estimate for ratio in result.ratios
    }
    rows = [
        (
            _front_name(item.subject),
            item.subject.precision,
            runtime_title(item.subject.runtime),
            megabytes(item.subject.bytes),
            *(number(scores.of(item.subject, kind)) for kind in PROMPTS),
            marked(item),
            _times_text(
                times.get((item.subject.name, item.setup, f"paper-{item.subject.precision}.pte"))
            ),
        )
        for item in fastest(result)
    ]
    columns = (
        "network",
        "precision",
        "runtime",
        "MB",
        *(f"mIoU, {title}" for title in PROMPTS.values()),
        "ms (95% interval)",
        "relative time",
    )
    threads = most_threads(result)
    title = f"{result.device.name}, {threads} threads, {result.created[:10]}"
    waits = (_click_note(result), *_saliency_notes(result))
    notes = (*_faster_notes(result), *waits, *scores.notes(), *_FRONT_NOTES)
    return Table(title, columns, tuple(rows), 3, notes)


def _faster_notes(result: BenchmarkResult) -> list[str]:
    """Of each precision of `paper`: the peers that take less time, or that none was measured."""
    notes = []
    for mine in (item for item in fastest(result) if _is_ours(item.subject)):
        precision, time = mine.subject.precision, summary_of(mine).median.value
        peers = [
            item
            for item in fastest(result)
            if item.subject.role == "peer" and item.subject.precision == precision
        ]
        faster = [network_name(p.subject) for p in peers if summary_of(p).median.value < time]
        if not peers:
            notes.append(f"At {precision} no other network was measured.")
        elif faster:
            notes.append(f"Faster than SqueezeSAM at {precision}: {', '.join(faster)}.")
        else:
            notes.append(f"At {precision} SqueezeSAM is the fastest.")
    return notes


def _click_note(result: BenchmarkResult) -> str:
    mine = [item for item in fastest(result) if _is_ours(item.subject)]
    times = (f"{number(summary_of(m).median.value)} ms at {m.subject.precision}" for m in mine)
    return (
        f"A click of SqueezeSAM is a run of the whole network: {', '.join(times)}. A network with "
        "an image encoder runs that once a photo, and a smaller decoder at each click."
    )


def _saliency_notes(result: BenchmarkResult) -> list[str]:
    mine = _fastest_of(result, _is_saliency)
    if not mine:
        return []
    times = (f"{number(summary_of(m).median.value)} ms at {m.subject.precision}" for m in mine)
    return [
        f"With `--auto` the saliency network runs once a photo before that: {', '.join(times)}."
    ]


def _is_saliency(subject: Subject) -> bool:
    return subject.role == "artifact" and subject.preset is not None and not subject.makes_masks


def fastest(result: BenchmarkResult) -> list[Measurement]:
    """`paper` and the peers at the most threads, by time, each precision in its fastest runtime."""
    return _fastest_of(result, lambda subject: subject.role == "peer" or _is_ours(subject))


def _fastest_of(result: BenchmarkResult, wanted: Callable[[Subject], bool]) -> list[Measurement]:
    found: dict[tuple[str, str], Measurement] = {}
    for item in sorted(result.measurements, key=lambda item: summary_of(item).median.value):
        subject = item.subject
        if wanted(subject) and (item.setup.threads or 0) == most_threads(result):
            found.setdefault((network_name(subject), subject.precision), item)
    return list(found.values())


def most_threads(result: BenchmarkResult) -> int:
    """The largest number of threads that anything was measured at, 0 on a GPU."""
    return max((item.setup.threads or 0) for item in result.measurements)


def network_name(subject: Subject) -> str:
    """One name for a network's files, whatever their runtime and precision."""
    if subject.role != "peer":
        return "SqueezeSAM (whole)"
    name = subject.name.rpartition(" .")[0] or subject.name
    return f"{name.removesuffix(f' {subject.precision}')} ({subject.scope})"


def runtime_title(name: str) -> str:
    """A runtime's title; its name where this package does not know it."""
    return next((known.title for known in all_runtimes() if known.name == name), name)


def _front_name(subject: Subject) -> str:
    name = network_name(subject)
    return name if subject.role == "peer" else f"**{name}**"


_FRONT_NOTES = (
    "Peers carry random weights: latency does not depend on what the weights are, and their "
    "quality was not measured here.",
    "Of a peer marked 'image encoder', neck and mask decoder are not in the time, in its favor.",
    "Relative time: SqueezeSAM's ExecuTorch file at the same precision, measured in turns, is 1x.",
)


def _is_ours(subject: Subject) -> bool:
    return subject.role == "artifact" and subject.preset == "paper"


def _times_text(estimate: Estimate | None) -> str:
    return interval(estimate, "x") if estimate else NONE


def summary_of(item: Measurement) -> Summary:
    """The summary of the inference, worked out where the file has none."""
    return item.inference.summary or summarize(item.inference)


def interval(estimate: Estimate, unit: str = "") -> str:
    """`67.4 (66.9-68.2)`."""
    low, high = number(estimate.low), number(estimate.high)
    return f"{number(estimate.value)}{unit} ({low}-{high})"


def number(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return NONE
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(value: float | None) -> str:
    """A share in whole percents."""
    return NONE if value is None else f"{value:.0%}"


def megabytes(value: int | None) -> str:
    """Bytes as megabytes of a million."""
    return number(None if value is None else value / 1e6)
