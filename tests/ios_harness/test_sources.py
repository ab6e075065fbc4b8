"""The Swift side without a Mac: compiled, tested, and its files compared with Python's."""

import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import read_manifest
from sqsam_deploy.benchmark.phones.checks import check_phone_result
from sqsam_deploy.benchmark.phones.ios import REMOTE_RESULT
from sqsam_deploy.benchmark.phones.plan import PLAN_NAME, TURN_MARK, PlanRequest, write_bundle
from sqsam_deploy.benchmark.resultfile import read_result
from tests.ios_harness.swift import HARNESS, ROOT, needs_swift, run_swift

PROJECTS = sorted(HARNESS.glob("*/*.xcodeproj"))


@needs_swift
@pytest.mark.parametrize("step", ["lint", "types", "mistakes", "tests"])
def test_swift_sources(step: str) -> None:
    """Its script, step by step, from the checkout's root: the vectors lie beside it."""
    assert f"== {step}" in run_swift(ROOT, f"ios_harness/check.sh {step}")


@needs_swift
def test_plan_is_measured_and_its_result_taken_in(tmp_path: Path, nano_export: Path) -> None:
    """Python writes a plan, Swift measures it with networks that only pretend, Python believes."""
    tree = tmp_path / "ios_harness"
    shutil.copytree(HARNESS, tree, ignore=shutil.ignore_patterns(".build"))
    bundle = tree / "bundle"
    bundle.mkdir()
    plan, _ = write_bundle(PlanRequest([nano_export], rounds=3, photos=2), bundle)
    assert (bundle / PLAN_NAME).is_file()
    first, *others = (artifact.name for artifact in plan.artifacts)
    run_swift(
        tree,
        f"SQSAM_PLAN=$PWD/bundle SQSAM_RESULT=$PWD/result.json SQSAM_FAILING={first} "
        "swift test --filter SuiteTests",
    )
    manifest = read_manifest(nano_export)
    result = check_phone_result(read_result(tree / "result.json"), [manifest])
    # A Core ML package has a row for each choice of compute units.
    assert list(dict.fromkeys(row.subject.name for row in result.measurements)) == others
    assert {row.subject for row in result.not_measured} == {first}
    assert all(len(row.inference.rounds) == plan.rounds for row in result.measurements)


def test_app_looks_and_writes_where_the_mac_does() -> None:
    log = (HARNESS / "BenchmarkApp" / "Sources" / "ProgressLog.swift").read_text()
    suite = (HARNESS / "Sources" / "SqueezeSAMBenchmark" / "Suite.swift").read_text()
    assert f'documents.appendingPathComponent("{Path(REMOTE_RESULT).name}")' in log
    assert f'"{TURN_MARK}' in suite


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.stem)
def test_project_refers_to_nothing_it_does_not_define(project: Path) -> None:
    text = (project / "project.pbxproj").read_text()
    defined = set(re.findall(r"^\t\t([0-9A-F]{24})(?: /\*.*?\*/)? = \{", text, re.MULTILINE))
    used = set(re.findall(r"\b[0-9A-F]{24}\b", text))
    assert defined
    assert used == defined
    for opening, closing in ("{}", "()"):
        assert text.count(opening) == text.count(closing)
    assert "objectVersion = 77;" in text
    for folder in re.findall(r"isa = PBXFileSystemSynchronizedRootGroup;\s+path = (\w+);", text):
        assert (project.parent / folder).is_dir()


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.stem)
def test_project_depends_on_packages_and_products_that_exist(project: Path) -> None:
    text = (project / "project.pbxproj").read_text()
    folders = re.findall(
        r'isa = XCLocalSwiftPackageReference;\s+relativePath = "?([^";]+)"?;', text
    )
    manifests = [(project.parent / folder / "Package.swift").read_text() for folder in folders]
    offered = {
        name for manifest in manifests for name in re.findall(r'\.library\(name: "(\w+)"', manifest)
    }
    wanted = set(re.findall(r"productName = (SqueezeSAM\w+);", text))
    assert wanted
    assert wanted <= offered
    imported = {
        name
        for source in (project.parent / "Sources").glob("*.swift")
        for name in re.findall(r"^import (SqueezeSAM\w+)", source.read_text(), re.MULTILINE)
    }
    assert imported == wanted


def test_scheme_builds_the_projects_target_for_release() -> None:
    project = HARNESS / "BenchmarkApp" / "BenchmarkApp.xcodeproj"
    scheme = ElementTree.parse(project / "xcshareddata" / "xcschemes" / "BenchmarkApp.xcscheme")
    references = list(scheme.iter("BuildableReference"))
    text = (project / "project.pbxproj").read_text()
    for reference in references:
        identifier = reference.attrib["BlueprintIdentifier"]
        assert f"{identifier} /* BenchmarkApp */ = {{\n\t\t\tisa = PBXNativeTarget;" in text
    launch = scheme.find("LaunchAction")
    assert launch is not None
    assert launch.attrib["buildConfiguration"] == "Release"
