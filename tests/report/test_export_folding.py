"""The folding table has a sentence for whatever folding can do."""

from typing import get_args

from sqsam_deploy.folding import FoldStep
from sqsam_deploy.folding.steps import Rule
from sqsam_deploy.report.export_sections import folded_rules
from tests.tiny_network import tiny_folded


def test_every_rule_is_explained():
    steps = [FoldStep(f"norm{i}", rule) for i, rule in enumerate(get_args(Rule))]
    meanings = [rule.meaning for rule in folded_rules(steps)]
    assert all(meanings) and len(set(meanings)) == len(get_args(Rule))


def test_no_step_is_lost():
    steps = tiny_folded().steps
    rules = folded_rules(steps)
    assert sorted(map(id, steps)) == sorted(id(step) for rule in rules for step in rule.steps)
    assert all(step.rule == rule.rule for rule in rules for step in rule.steps)
