"""Figures of the SqueezeSAM paper (arXiv 2312.06736, Table 1 and text), beside what we measure.

They are the paper's statements for its own devices: an A100 and the CPU of an iPhone 14. Nothing
here was measured by this project.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperRow:
    """One network as the paper reports it.

    Attributes:
        network: The paper's name.
        parameters: In millions.
        a100_ms: Latency on an A100; None where not stated.
        iphone_ms: Latency on an iPhone 14's CPU; None where not stated.
    """

    network: str
    parameters: float
    a100_ms: float | None = None
    iphone_ms: float | None = None


PAPER_ROWS = {
    row.network: row
    for row in (
        PaperRow("SAM ViT-H", 600, a100_ms=500),
        PaperRow("MobileSAM", 9.7, a100_ms=12),
        PaperRow("SqueezeSAM", 12.5, a100_ms=10, iphone_ms=300),
    )
}

#: Names that this project's subjects and peers have in the paper.
_NAMES = {"paper": "SqueezeSAM", "SAM ViT-H": "SAM ViT-H", "MobileSAM": "MobileSAM"}


def paper_row(name: str | None) -> PaperRow | None:
    """The paper's row for a preset or a peer, None where it has none."""
    return PAPER_ROWS.get(_NAMES.get(name or "", ""))
