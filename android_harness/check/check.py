"""Compiles everything of android_harness without Gradle and the Android SDK, and runs what can run.

`core` and the benchmark's suite are compiled and tested on this machine. Whatever touches Android,
Compose or a runtime is compiled against the stubs in `stubs/`, so its types are checked and nothing
of it is run; the mistakes in `mistakes/` must be found, or the stubs would prove nothing.

    npm install --prefix android_harness/check            # the Kotlin compiler
    apt-get install junit5 libandroid-json-org-java       # JUnit, and Android's org.json
    python android_harness/check/check.py

Exit codes: 0 passed, 1 something failed, 3 a tool is missing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECK = Path(__file__).parent
HARNESS = CHECK.parent
DOCUMENT = HARNESS.parent / "docs" / "android.md"
MISTAKE = re.compile(r"// mistake\b")
#: `mistakes.kt:3:5: error: ...` in the compiler's plain messages.
REPORTED = re.compile(r"\.kt:(\d+):\d+: error: ")


class MissingToolError(Exception):
    """A sentence that says what to install."""


@dataclass(frozen=True)
class Tools:
    """The tools that compile and run: a JDK's `java`, the compiler's jars, JUnit and org.json."""

    java: str
    kotlin: Path
    jars: Path

    def libraries(self) -> list[Path]:
        """Classes for every module: the standard library, coroutines, Android's org.json."""
        names = ("kotlin-stdlib", "kotlinx-coroutines-core-jvm")
        return [*(self.kotlin / f"{name}.jar" for name in names), self.jars / "json-android.jar"]

    def test_libraries(self) -> list[Path]:
        """JUnit, and kotlin.test on it."""
        names = ("junit-jupiter-api", "opentest4j", "apiguardian-api", "junit-platform-commons")
        kotlin = (self.kotlin / f"{name}.jar" for name in ("kotlin-test", "kotlin-test-junit5"))
        return [*kotlin, *(self.jars / f"{name}.jar" for name in names)]

    def launcher(self) -> list[Path]:
        """The runner that finds and runs the tests."""
        names = (
            *("junit-platform-console", "junit-platform-launcher", "junit-platform-engine"),
            *("junit-platform-reporting", "junit-jupiter-engine", "picocli", "univocity-parsers"),
        )
        return [path for name in names if (path := self.jars / f"{name}.jar").exists()]


def find_tools(kotlin: Path, jars: Path) -> Tools:
    """The tools, or a sentence about the first one that is missing."""
    java = shutil.which("java")
    if java is None:
        raise MissingToolError("there is no java: install a JDK of version 17 or later")
    lib = kotlin / "lib"
    if not (lib / "kotlin-compiler.jar").is_file():
        raise MissingToolError(f"{lib} holds no Kotlin compiler: npm install --prefix {CHECK}")
    tools = Tools(java, lib, jars)
    for path in (
        *tools.libraries(),
        *tools.test_libraries(),
        jars / "junit-jupiter-engine.jar",
        jars / "junit4.jar",
    ):
        if not path.is_file():
            raise MissingToolError(
                f"{path} is missing: apt-get install junit5 libandroid-json-org-java"
            )
    return tools


@dataclass(frozen=True)
class Module:
    """Sources that are compiled together.

    Attributes:
        name: Its folder among the classes.
        sources: Folders or files.
        needs: Modules on its class path.
        friend: The module whose internal names it may use, as a module's tests may.
        options: Of the compiler, beyond everybody's.
        libraries: Jars, beyond everybody's.
        makes_classes: Whether it is compiled to the end; Compose's own rules can be checked
            without its runtime, code for it cannot be made.
    """

    name: str
    sources: tuple[Path, ...]
    needs: tuple[str, ...] = ()
    friend: str | None = None
    options: tuple[str, ...] = ()
    libraries: tuple[Path, ...] = ()
    makes_classes: bool = True


_PUBLIC = ("-Xexplicit-api=strict",)
_BACKENDS = ("litert", "executorch", "onnx")
#: What an app sees.
EVERYTHING = ("core", "stubs", "android", *_BACKENDS, "compose")


def modules(tools: Tools, stubs: Path) -> list[Module]:
    """Everything there is, in the order in which it can be compiled."""
    compose = (f"-Xplugin={tools.kotlin / 'compose-compiler-plugin.jar'}",)
    tests = tuple(tools.test_libraries())
    named = [
        Module("core", _sources("core"), options=_PUBLIC),
        Module("core-test", _sources("core", "test"), ("core",), "core", libraries=tests),
        Module("stubs", (stubs / "modules",)),
        Module("android", _sources("android"), ("core", "stubs"), options=_PUBLIC),
        *(Module(each, _sources(each), ("core", "stubs"), options=_PUBLIC) for each in _BACKENDS),
        Module(
            "android-test",
            _sources("android", "androidTest"),
            ("core", "stubs", "android"),
            "android",
            libraries=(tools.jars / "junit4.jar",),
        ),
        Module("compose", _sources("compose"), ("core", "stubs", "android"), options=_PUBLIC),
        Module(
            "benchmark",
            (*_sources("benchmark"), stubs / "benchmark"),
            ("core", "stubs", *_BACKENDS),
        ),
        Module(
            "benchmark-test",
            _sources("benchmark", "test"),
            ("core", "benchmark"),
            "benchmark",
            libraries=tests,
        ),
    ]
    return [
        *named,
        Module("sample", _sources("sample"), EVERYTHING),
        Module("document", (stubs / "document",), EVERYTHING),
        Module(
            "compose-rules",
            (*_sources("compose"), *_sources("sample")),
            EVERYTHING[:-1],
            options=compose,
            makes_classes=False,
        ),
    ]


def _sources(module: str, kind: str = "main") -> tuple[Path, ...]:
    return (HARNESS / module / "src" / kind / "kotlin",)


def write_stubs(work: Path) -> Path:
    """The stubs as Kotlin files, one for each package."""
    target = work / "stubs"
    for file in sorted((CHECK / "stubs").glob("*.stubs")):
        folder = target / ("benchmark" if file.stem == "buildconfig" else "modules")
        folder.mkdir(parents=True, exist_ok=True)
        parts = re.split(r"^(?=package )", file.read_text(), flags=re.MULTILINE)[1:]
        for part in parts:
            name = part.split(maxsplit=2)[1]
            (folder / f"{file.stem}-{name}.kt").write_text(part)
    return target


def write_snippets(target: Path) -> None:
    """The Kotlin of docs/android.md that stands alone, as files."""
    target.mkdir(parents=True, exist_ok=True)
    fences = re.findall(r"^```kotlin\n(import .*?)^```$", DOCUMENT.read_text(), re.M | re.S)
    for number, text in enumerate(fences):
        (target / f"snippet{number}.kt").write_text(text)


class Compiler:
    """Writes the compiler's jobs, runs them in one go, and reads what it said."""

    def __init__(self, tools: Tools, work: Path) -> None:
        self._tools, self._work = tools, work
        self._jobs: list[Path] = []

    def classes(self, module: str) -> Path:
        """Where a module's classes are."""
        return self._work / "classes" / module

    def add(self, module: Module, *, strict: bool = True) -> None:
        """Asks for a module."""
        needs = [self.classes(name) for name in module.needs]
        path = [*needs, *self._tools.libraries(), *module.libraries]
        arguments = [
            *("-no-stdlib", "-no-reflect", "-jvm-target", "11", "-module-name", module.name),
            *("-d", str(self.classes(module.name))),
            *("-cp", os.pathsep.join(map(str, path))),
            *(("-Werror", "-progressive") if strict else ()),
            *((f"-Xfriend-paths={self.classes(module.friend)}",) if module.friend else ()),
            *module.options,
            *map(str, module.sources),
        ]
        job = self._work / f"{module.name}.job"
        job.write_text("\n".join(arguments))
        self._jobs.append(job)

    def run(self) -> dict[str, tuple[str, str]]:
        """Exit code and messages of each module."""
        jars = [self._tools.kotlin / f"{name}.jar" for name in _COMPILER_JARS]
        command = [
            *(self._tools.java, "-Xmx1500m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-cp", os.pathsep.join(map(str, [*jars, *self._tools.libraries()]))),
            *(str(CHECK / "Compile.java"), *map(str, self._jobs)),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        codes = dict(line.split(" ", 1)[::-1] for line in done.stdout.splitlines())
        if len(codes) < len(self._jobs):
            raise RuntimeError(f"the compiler ended early: {done.stderr[-2000:]}")
        return {job.stem: (codes[str(job)], Path(f"{job}.said").read_text()) for job in self._jobs}


_COMPILER_JARS = (
    *("kotlin-compiler", "kotlin-script-runtime", "kotlin-reflect", "kotlin-daemon-client"),
    "annotations-13.0",
)


def mistakes() -> list[Path]:
    """Files with deliberate mistakes."""
    return sorted((CHECK / "mistakes").glob("*.kt"))


def check_mistakes(file: Path, said: str) -> list[str]:
    """A line for each mistake that was not found, and for each error that is none."""
    lines = file.read_text().splitlines()
    made = {number for number, line in enumerate(lines, 1) if MISTAKE.search(line)}
    found = {int(number) for number in REPORTED.findall(said)}
    missed = [
        f"{file.name}:{number}: not found: {lines[number - 1].strip()}" for number in made - found
    ]
    return missed + [
        f"{file.name}:{number}: an error that is no mistake" for number in found - made
    ]


def test_path(tools: Tools, compiler: Compiler) -> str:
    """The class path of the tests, and of whatever of the library runs here."""
    modules = ("core-test", "benchmark-test", "core", "benchmark", *_BACKENDS, "stubs")
    libraries = (*tools.libraries(), *tools.test_libraries(), *tools.launcher())
    return os.pathsep.join(map(str, [*map(compiler.classes, modules), *libraries]))


def run_tests(java: str, path: str, vectors: Path) -> bool:
    """Runs the tests of the core and of the benchmark's suite."""
    tested = os.pathsep.join(path.split(os.pathsep)[:2])
    command = [
        *(java, "-XX:TieredStopAtLevel=1", f"-Dsqsam.vectors={vectors}", "-cp", path),
        *("org.junit.platform.console.ConsoleLauncher", "--disable-banner"),
        *("--details=tree", "--details-theme=ascii", "--disable-ansi-colors"),
        *("--fail-if-no-tests", "--scan-class-path", tested),
    ]
    return subprocess.run(command).returncode == 0


def check(tools: Tools, work: Path, vectors: Path) -> list[str]:
    """Compiles and tests everything; the sentences are what failed."""
    compiler = Compiler(tools, work)
    stubs = write_stubs(work)
    write_snippets(stubs / "document")
    known = modules(tools, stubs)
    for module in known:
        compiler.add(module)
    options = (f"-Xplugin={tools.kotlin / 'compose-compiler-plugin.jar'}",)
    for file in mistakes():
        compiler.add(
            Module(f"mistakes-{file.stem}", (file,), EVERYTHING, options=options), strict=False
        )
    results = compiler.run()
    problems = []
    for module in known:
        code, said = results[module.name]
        passed = code == "OK" if module.makes_classes else not REPORTED.search(said)
        print(f"{module.name}: {'passed' if passed else 'FAILED'}", flush=True)
        if not passed:
            problems.append(f"{module.name} does not compile:\n{said}")
    for file in mistakes():
        missed = check_mistakes(file, results[f"mistakes-{file.stem}"][1])
        made = len(MISTAKE.findall(file.read_text()))
        print(f"mistakes in {file.name}: {made - len(missed)} of {made} found", flush=True)
        problems += missed
    path = test_path(tools, compiler)
    (work / "class-path").write_text(path)
    if not problems and not run_tests(tools.java, path, vectors):
        problems.append("tests failed")
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    installed = os.environ.get("KOTLIN_COMPILER", CHECK / "node_modules" / "kotlin-compiler")
    parser.add_argument(
        "--kotlin",
        type=Path,
        default=installed,
        help="npm package kotlin-compiler (KOTLIN_COMPILER)",
    )
    parser.add_argument("--jars", type=Path, default=Path("/usr/share/java"), help="JUnit's jars")
    parser.add_argument("--vectors", type=Path, default=HARNESS.parent / "tests" / "vectors")
    parser.add_argument("--work", type=Path, help="folder to keep the classes in")
    options = parser.parse_args(arguments)
    try:
        tools = find_tools(options.kotlin, options.jars)
    except MissingToolError as missing:
        print(missing, file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        problems = check(tools, work, options.vectors)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
