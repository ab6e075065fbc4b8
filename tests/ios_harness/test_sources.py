"""There is no Swift compiler here: what can be checked of the app without one."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from pydantic import BaseModel

from sqsam_deploy.benchmark import result
from sqsam_deploy.benchmark.ios import plan
from tests.ios_harness.swift import HARNESS, SOURCES, nodes, structs, tree

PROJECT = HARNESS / "BenchmarkApp" / "BenchmarkApp.xcodeproj"
RESULT, PLAN = (
    HARNESS / "BenchmarkApp" / "Sources" / name for name in ("BenchmarkResult.swift", "Plan.swift")
)
#: What Swift calls the types of the JSON schema.
SCALARS = {"string": "String", "integer": "Int", "number": "Double", "boolean": "Bool"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_source_parses(path: Path) -> None:
    wrong = [node for node in nodes(tree(path)) if node.type == "ERROR" or node.is_missing]
    assert not [(node.start_point, node.text) for node in wrong]


def test_parser_sees_what_is_no_swift(tmp_path: Path) -> None:
    (tmp_path / "x.swift").write_text("struct A { let x: Int\nfunc f( { }\n")
    assert any(
        node.type == "ERROR" or node.is_missing for node in nodes(tree(tmp_path / "x.swift"))
    )


def swift_type(schema: dict[str, object], definitions: dict[str, dict[str, object]]) -> str:
    """The Swift type of one field of a JSON schema."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]  # type: ignore[attr-defined]
        return swift_type(options[0], definitions) + "?"
    if schema["type"] == "array":
        items = schema.get("items") or schema["prefixItems"][0]  # type: ignore[index]
        return f"[{swift_type(items, definitions)}]"
    if schema["type"] == "object":
        return f"[String: {swift_type(schema['additionalProperties'], definitions)}]"  # type: ignore[arg-type]
    return SCALARS[str(schema["type"])]


def fields(model: type[BaseModel]) -> dict[str, str]:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return {
        name: swift_type(described, definitions) for name, described in schema["properties"].items()
    }


@pytest.mark.parametrize("name", sorted(structs(RESULT)))
def test_result_is_written_in_the_names_and_types_of_the_schema(name: str) -> None:
    model = getattr(result, name)
    known = {key: kind.removesuffix("?") for key, kind in fields(model).items()}
    written = {item.key: item.type for item in structs(RESULT)[name]}
    assert written == {key: known[key] for key in written}
    required = {key for key, field in model.model_fields.items() if field.is_required()}
    assert required <= written.keys()


@pytest.mark.parametrize("name", sorted(set(structs(PLAN)) - {"PlanFolder"}))
def test_plan_is_read_in_the_names_and_types_it_is_written_in(name: str) -> None:
    read = {item.key: item.type for item in structs(PLAN)[name]}
    assert read == fields(getattr(plan, name))


def test_project_refers_to_nothing_it_does_not_define() -> None:
    text = (PROJECT / "project.pbxproj").read_text()
    defined = set(re.findall(r"^\t\t([0-9A-F]{24})(?: /\*.*?\*/)? = \{", text, re.MULTILINE))
    used = set(re.findall(r"\b[0-9A-F]{24}\b", text))
    assert defined
    assert used == defined
    for opening, closing in ("{}", "()"):
        assert text.count(opening) == text.count(closing)
    assert "objectVersion = 77;" in text
    folder = re.search(r"isa = PBXFileSystemSynchronizedRootGroup;\s+path = (\w+);", text)
    assert folder is not None
    assert {path.parent for path in SOURCES} == {PROJECT.parent / folder[1]}


def test_scheme_builds_the_projects_target_for_release() -> None:
    scheme = ElementTree.parse(PROJECT / "xcshareddata" / "xcschemes" / "BenchmarkApp.xcscheme")
    references = list(scheme.iter("BuildableReference"))
    text = (PROJECT / "project.pbxproj").read_text()
    for reference in references:
        identifier = reference.attrib["BlueprintIdentifier"]
        assert f"{identifier} /* BenchmarkApp */ = {{\n\t\t\tisa = PBXNativeTarget;" in text
    launch = scheme.find("LaunchAction")
    assert launch is not None
    assert launch.attrib["buildConfiguration"] == "Release"


def test_app_looks_and_writes_where_the_mac_does() -> None:
    from sqsam_deploy.benchmark.ios.session import REMOTE_RESULT, TURN_MARK

    suite = (HARNESS / "BenchmarkApp" / "Sources" / "Suite.swift").read_text()
    assert f'documentsDirectory.appendingPathComponent("{Path(REMOTE_RESULT).name}")' in suite
    assert f'say("{TURN_MARK}' in suite
    assert f'== "{plan.PLAN_NAME}"' in PLAN.read_text()
