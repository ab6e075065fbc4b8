"""The parity report on a terminal, in a log, in Markdown and as JUnit XML."""

import re
import xml.etree.ElementTree as ElementTree

from rich.console import Console

from sqsam_deploy.report.parity_text import append_step_summary, junit, markdown, print_report


def test_junit_counts_failures_and_undecided_gates(make_report):
    for loss, tag in ((0.002, None), (0.02, "error"), (0.1, "failure")):
        suite = ElementTree.fromstring(junit(make_report(loss))).find("testsuite")
        counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors")}
        # Three kinds, each with its drift, two parts of it, and the masks' disagreement.
        assert counts["tests"] == 12
        assert (counts["failures"] > 0, counts["errors"] > 0) == (tag == "failure", tag == "error")
        if tag:
            assert "4" in suite.find(f"testcase/{tag}").get("message")


def test_markdown_goes_to_the_job_summary_of_github(make_report, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    report = make_report(0.06)
    append_step_summary(report)
    text = summary.read_text()
    assert text.startswith("before\n## ❌ Parity failed")
    assert "| int8 |" in text
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    append_step_summary(report)
    assert summary.read_text() == text


def test_markdown_tables_have_as_many_cells_as_columns(make_report):
    for block in re.findall(r"(?:^\|.*\n?)+", markdown(make_report(0.06)), re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_a_log_is_plain_text_and_ends_with_the_result(make_report, capsys):
    print_report(make_report(0.06), Console(force_terminal=False, width=60))
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "─" not in text
    assert text.splitlines()[-1].startswith("failed: 1 artifact,")
    assert "SqueezeSAM (paper)" in text


def test_a_terminal_gets_color(make_report, capsys):
    print_report(make_report(0.06), Console(force_terminal=True, width=200))
    assert "\x1b[" in capsys.readouterr().out
