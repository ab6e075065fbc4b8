"""A report as JUnit XML, which every CI shows as tests."""

import xml.etree.ElementTree as ElementTree

from sqsam_deploy.evaluation.report import ArtifactReport, GateResult, ParityReport
from sqsam_deploy.evaluation.reports.tables import agreement_text, interval_text


def junit(report: ParityReport) -> str:
    """One test case a gate; undecided ones are errors, as a test that could not be evaluated."""
    suite = ElementTree.Element("testsuite", name="sqsam-parity")
    for name, artifact in report.artifacts.items():
        _add_cases(suite, name, artifact)
    counts = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    for attribute, path in counts.items():
        suite.set(attribute, str(len(suite.findall(path))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_cases(suite: ElementTree.Element, name: str, artifact: ArtifactReport) -> None:
    if artifact.gate:
        measured = f"drift {interval_text(artifact.drift)} mIoU points"
        _add_case(suite, name, f"drift against {artifact.reference}", measured, artifact.gate)
    if artifact.agreement and artifact.agreement_gate:
        measured = f"masks agree at {agreement_text(artifact.agreement)}"
        title = f"agreement with {artifact.reference}"
        _add_case(suite, name, title, measured, artifact.agreement_gate)
    if artifact.baseline:
        measured = f"drift {interval_text(artifact.baseline.drift)} mIoU points"
        _add_case(suite, name, "drift against the baseline", measured, artifact.baseline.gate)


def _add_case(
    suite: ElementTree.Element, artifact: str, title: str, measured: str, gate: GateResult
) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=artifact, name=title)
    message = f"{measured}, limit {gate.limit:g}"
    if gate.outcome == "passed":
        ElementTree.SubElement(case, "system-out").text = message
        return
    tag = "failure" if gate.outcome == "failed" else "error"
    needed = f", about {gate.objects_needed} objects would decide" if gate.objects_needed else ""
    ElementTree.SubElement(case, tag, message=message + needed, type=gate.outcome)
