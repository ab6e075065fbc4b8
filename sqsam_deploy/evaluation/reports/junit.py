"""A report as JUnit XML, which every CI shows as tests."""

import xml.etree.ElementTree as ElementTree

from sqsam_deploy.evaluation.report import ArtifactReport, ParityReport
from sqsam_deploy.evaluation.reports.tables import gate_text


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
    for gate in artifact.gates:
        case = ElementTree.SubElement(
            suite, "testcase", classname=name, name=f"{gate.measure}, {gate.kind}"
        )
        message = gate_text(gate)
        if gate.outcome == "passed":
            ElementTree.SubElement(case, "system-out").text = message
        else:
            tag = "failure" if gate.outcome == "failed" else "error"
            ElementTree.SubElement(case, tag, message=message, type=gate.outcome)
