#!/usr/bin/env bash
# root.sh ROOT: ExecuTorch and ONNX Runtime for arm64 in a folder, for `sqsam-parity outputs DIR --emulate ROOT`.
# On Debian and Ubuntu, with mmdebstrap, g++-aarch64-linux-gnu, pip and, to run it, qemu-user-static. About 300 MB.
set -euo pipefail
root=$1
here=$(cd "$(dirname "$0")" && pwd)

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mmdebstrap --arch=arm64 --variant=extract --include=python3,libgomp1,libstdc++6 "$suite" "$root"

# Without their dependencies: pip would take those of this machine's processor, and torch, which nothing here needs.
python=$(basename "$(readlink -f "$root/usr/bin/python3")")
packages=/usr/lib/python3/dist-packages
python3 -m pip install --quiet --no-deps --only-binary=:all: --constraint "$here/../../constraints.txt" \
    --implementation cp --python-version "${python#python}" \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    --target "$root$packages" executorch onnxruntime numpy flatbuffers packaging protobuf

# What runs the artifacts of each runtime, by the runtime's name.
mkdir -p "$root/opt/sqsam" "$root/proc"
cp "$here/run_onnx.py" "$root/opt/sqsam"
include=$root$packages/executorch/include
version=$(basename "$root$packages"/executorch-*.dist-info .dist-info)
aarch64-linux-gnu-g++ -std=c++17 -O2 -DC10_USING_CUSTOM_GENERATED_MACROS "-DSOFTWARE=\"${version/-/ }\"" \
    -I"$include" -I"$include/executorch/runtime/core/portable_type/c10" "$here/run_executorch.cpp" \
    -L"$root$packages/executorch/lib" -Wl,-rpath,"$packages/executorch/lib" -Wl,--no-as-needed \
    -lexecutorch -lexecutorch_threadpool -lexecutorch_backend_xnnpack -lexecutorch_kernels_optimized \
    -lexecutorch_kernels_quantized -o "$root/opt/sqsam/run_executorch"

# onnxruntime looks for the processor's features there, and would find this machine's.
cat > "$root/proc/cpuinfo" <<'CPU'
processor	: 0
BogoMIPS	: 100.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0c
CPU revision	: 1
CPU
