"""The SqueezeSAM paper's numbers, from the one file that holds them (`published.toml`).

They are the paper's statements for its own networks, data and devices: nothing of them was
measured by this project. `Decimal` keeps the digits that the paper prints.
"""

import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ratio(_Frozen):
    """How much faster and smaller than SAM one version of the paper says that it is."""

    faster: str
    smaller: str


class Int8(_Frozen):
    """Of the network at int8 (the text beneath Table 1): its file, and what it lost."""

    megabytes: Decimal
    lost_points: str


class BoxScores(_Frozen):
    """mIoU and mask AP with a detector's boxes, in points; None where the paper has a dash."""

    miou: Decimal | None = None
    ap: Decimal
    large: Decimal
    medium: Decimal
    small: Decimal
    person: Decimal | None = None


class BoxRow(_Frozen):
    """A network in Table 1.

    Attributes:
        network: The paper's name for it.
        computed_by: Who measured its mIoU and AP.
        parameters_m: In millions.
        a100_ms: Latency on an A100.
        iphone_14_cpu_ms: Latency on an iPhone 14's CPU.
        coco: On COCO.
        lvis: On LVIS.
    """

    network: str
    computed_by: str
    parameters_m: Decimal
    a100_ms: Decimal | None = None
    iphone_14_cpu_ms: Decimal | None = None
    coco: BoxScores
    lvis: BoxScores


class SizeScores(_Frozen):
    """mIoU in points, overall and by COCO's sizes."""

    overall: Decimal
    large: Decimal
    medium: Decimal
    small: Decimal


class PointsRow(_Frozen):
    """A network in Table 2: COCO, three points drawn from the mask."""

    network: str
    miou: SizeScores


class PersonRow(_Frozen):
    """A network in Table 3: photos of a person; the paper does not say with which prompts."""

    network: str
    miou: Decimal


class SaliencyRow(_Frozen):
    """A network in Table 4: mIoU with points of the saliency mask."""

    network: str
    one_point: Decimal
    three_points: Decimal


class Published(_Frozen):
    """All of it.

    Attributes:
        source: The paper.
        tables_of: Version that the tables are those of.
        ratios: By version and place.
        int8: What the text says of the quantized network.
    """

    source: str
    tables_of: str
    ratios: dict[str, Ratio]
    int8: Int8
    table_1: tuple[BoxRow, ...]
    table_2: tuple[PointsRow, ...]
    table_3: tuple[PersonRow, ...]
    table_4: tuple[SaliencyRow, ...]


@cache
def published() -> Published:
    """The paper's numbers."""
    text = Path(__file__).with_suffix(".toml").read_text("utf-8")
    return Published.model_validate(tomllib.loads(text, parse_float=Decimal))
