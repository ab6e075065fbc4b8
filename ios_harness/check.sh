#!/usr/bin/env bash
# Checks everything in this folder that can be checked without a Mac: format, types in Swift 5 and 6
# (Apple's and ExecuTorch's modules are those of Stubs/), that mistakes are found, and the tests.
#
#   check.sh [lint] [types] [mistakes] [tests]     nothing named: all of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
work=${SQSAM_SWIFT_SCRATCH:-$(mktemp -d)}
mkdir -p "$work"
[ -n "${SQSAM_SWIFT_SCRATCH:-}" ] || trap 'rm -rf "$work"' EXIT

lint() {
    swift format lint --strict --recursive --configuration .swift-format \
        Package.swift ExecuTorch Sources Tests Stubs BenchmarkApp/Sources SampleApp/Sources
}

# Modules, each after those it imports.
stubs=(ObjectiveC CryptoKit CoreGraphics CoreVideo CoreImage ImageIO UniformTypeIdentifiers CoreML
    Darwin UIKit SwiftUI PhotosUI ExecuTorch)
modules=(Core=Sources/SqueezeSAMCore CoreML=Sources/SqueezeSAMCoreML UI=Sources/SqueezeSAMUI
    Benchmark=Sources/SqueezeSAMBenchmark Vectors=Sources/SqueezeSAMVectors
    ExecuTorch=ExecuTorch/Sources/SqueezeSAMExecuTorch)

build_stubs() {
    local module
    mkdir -p "$work/stubs"
    for module in "${stubs[@]}"; do
        [ "$work/stubs/$module.swiftmodule" -nt "Stubs/$module.swift" ] ||
            swiftc -swift-version 5 -emit-module -parse-as-library -I "$work/stubs" \
                -module-name "$module" -o "$work/stubs/$module.swiftmodule" "Stubs/$module.swift"
    done
}

# check_types SWIFT_VERSION: all modules, then what is built on them.
check_types() {
    local out="$work/types$1" entry
    local options=(-swift-version "$1" -warnings-as-errors -I "$work/stubs" -I "$out")
    mkdir -p "$out"
    for entry in "${modules[@]}"; do
        swiftc "${options[@]}" -emit-module -parse-as-library -module-name "SqueezeSAM${entry%%=*}" \
            -o "$out/SqueezeSAM${entry%%=*}.swiftmodule" "${entry#*=}"/*.swift
    done
    for entry in Sources/squeezesam BenchmarkApp/Sources SampleApp/Sources; do
        swiftc "${options[@]}" -typecheck -parse-as-library "$entry"/*.swift
    done
}

types() {
    build_stubs
    check_types 5
    check_types 6
}

# Every line of Stubs/mistakes.txt, FILE|TEXT|REPLACEMENT, must make a type-check fail, so that
# the stand-ins refuse what the systems' modules refuse; without it the same check must pass.
mistakes() {
    build_stubs
    [ -d "$work/types6" ] || check_types 6
    local file text replacement number=0 sound=
    while IFS='|' read -r file text replacement; do
        [ -n "$file" ] && [ "${file:0:1}" != "#" ] || continue
        number=$((number + 1))
        rm -rf "$work/mistake"
        cp -r "$(dirname "$file")" "$work/mistake"
        if [ "$sound" != "$(dirname "$file")" ]; then
            sound=$(dirname "$file")
            is_sound || { echo "$sound does not pass without a mistake" >&2; exit 1; }
        fi
        make_mistake "$work/mistake/$(basename "$file")" "$text" "$replacement"
        if is_sound 2>/dev/null; then
            echo "nothing was found in $file with '$replacement' for '$text'" >&2
            exit 1
        fi
    done <Stubs/mistakes.txt
    echo "mistakes: $number of $number found"
}

is_sound() {
    swiftc -swift-version 6 -warnings-as-errors -I "$work/stubs" -I "$work/types6" -typecheck \
        -parse-as-library -module-name Mistake "$work/mistake"/*.swift
}

# make_mistake FILE TEXT REPLACEMENT: both are plain text, no patterns.
make_mistake() {
    TEXT=$2 REPLACEMENT=$3 perl -0pi -e 's/\Q$ENV{TEXT}\E/$ENV{REPLACEMENT}/ and $done = 1;
        END { exit($done ? 0 : 1) }' "$1" || { echo "mistakes.txt: '$2' is not in $1" >&2; exit 1; }
}

# In the package's own mode: what SwiftPM writes around tests is not free of warnings in Swift 6.
# The tests are optimized, because they resize photos.
tests() {
    swift build --scratch-path "$work/build" -Xswiftc -warnings-as-errors
    swift test --scratch-path "$work/tests" -Xswiftc -O
}

for part in "${@:-lint types mistakes tests}"; do
    for step in $part; do
        echo "== $step"
        "$step"
    done
done
