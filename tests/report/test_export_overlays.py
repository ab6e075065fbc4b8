"""Overlays show the worst of what was compared, and what differs."""

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.report.export_overlays import overlays, shown_artifacts


@pytest.fixture
def half_lost(small_export):
    """Evidence in which one artifact loses the left half of a mask of the whole second photo."""
    evidence = small_export.evidence
    probe = next(p for p in evidence.probes if p.record.id != evidence.probes[0].record.id)
    changed = evidence.probes.index(probe)
    whole = np.full_like(probe.expected.low_res_masks, 5)
    probes = list(evidence.probes)
    expected = dataclasses.replace(probe.expected, low_res_masks=whole)
    probes[changed] = dataclasses.replace(probe, expected=expected)
    edited = dataclasses.replace(evidence, probes=probes, answers={})
    answers = edited.expected()
    answers[changed] = answers[changed].copy()
    answers[changed][:, : answers[changed].shape[1] // 2] = -5
    edited.answers["tiny-int8.pte"] = answers
    return edited, changed


def test_the_int8_artifacts_are_shown(small_export):
    shown = shown_artifacts(small_export.manifest, small_export.evidence)
    assert shown == ("tiny-int8.onnx", "tiny-int8.pte", "tiny-int8.mlpackage")


def test_one_case_a_photo_with_the_least_alike_prompt(small_export, half_lost):
    evidence, changed = half_lost
    found = overlays(small_export.manifest, evidence)
    assert len(found) == 2
    assert found[1].name == evidence.probes[changed].record.path.name
    assert found[1].pictures[-1].caption == "tiny-int8.pte: IoU 0.500"
    assert found[0].pictures[-1].caption == "tiny-int8.pte: IoU 1.000"


def test_what_was_lost_is_red(small_export, half_lost):
    evidence, _ = half_lost
    picture = overlays(small_export.manifest, evidence)[1].pictures[-1]
    file = io.BytesIO(base64.b64decode(picture.address.split(",")[1]))
    pixels = np.asarray(Image.open(file)).astype(float)
    left, right = np.array_split(pixels.mean(0), 2)
    assert (left[5:-5, 0] > left[5:-5, 2]).mean() > 0.95
    assert (right[5:-5, 2] > right[5:-5, 0]).mean() > 0.95
