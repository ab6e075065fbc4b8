import itertools

import pytest
from semver import Version

from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.catalog import latest_of
from sqsam_deploy.release.version import Reference, check_name, parse_reference, parse_version

# The example of precedence in section 11 of the Semantic Versioning specification.
ORDERED = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "2.0.0",
    "2.1.0",
    "2.1.1",
]


def test_precedence_is_that_of_the_specification() -> None:
    for lower, higher in itertools.pairwise(map(parse_version, ORDERED)):
        assert lower < higher


@pytest.mark.parametrize("text", ["1.2", "v1.2.0", "01.2.3", "1.2.3 ", "", "1.0.0+build", "latest"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_version(text)


def test_references() -> None:
    assert parse_reference("nano") == Reference("nano", tag="latest")
    assert parse_reference("nano@stable") == Reference("nano", tag="stable")
    assert parse_reference("nano@1.2.0-rc.1") == Reference("nano", Version(1, 2, 0, "rc.1"))


@pytest.mark.parametrize("text", ["", "@1.0.0", "Nano", "a/b", "../x", "list", "nano@../x"])
def test_reference_that_could_leave_the_store_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


@pytest.mark.parametrize("name", ["a" * 65, "-a", "a-", "a b", ".", "..", "a\n"])
def test_unfit_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


def test_latest_is_the_highest_release_and_a_prerelease_only_where_there_is_no_other() -> None:
    assert latest_of(["1.9.0", "1.10.0", "2.0.0-rc.1"]) == "1.10.0"
    assert latest_of(["1.0.0-rc.1", "1.0.0-rc.2"]) == "1.0.0-rc.2"
