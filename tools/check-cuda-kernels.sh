#!/usr/bin/env bash
# Compiles every CUDA kernel that dpx reaches, without a GPU: NVRTC, ptxas and CUDA's headers from PyPI, and a stub of the driver
# (tools/libcuda-stub.c) that assembles what it is given and launches nothing. It proves that kernels compile, load and are launched
# within the limits of an architecture with the parameters they declare; it proves nothing of numbers.
#   tools/check-cuda-kernels.sh [architecture...]        75, 80, 86, 89, 90 (sm_90a), 100 (sm_100a), 120 (sm_120a); 80 and 90 if none
#   PARTS="kernels gpt2-tiny" tools/check-cuda-kernels.sh 80        some parts of crates/dpx-sgd/benches/device_kernels.rs alone
# CUDA_PYPI=12.4 takes that release of NVRTC. What is installed and found is kept in target/cuda-check (DPX_CUDA_CHECK).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
architectures=("$@")
[ $# -gt 0 ] || architectures=(80 90)
release=${CUDA_PYPI:-12.9}
work=${DPX_CUDA_CHECK:-$root/target/cuda-check}
kit=$work/toolkit-$release
parts=(${PARTS:-})
mkdir -p "$work"
work=$(cd "$work" && pwd)
kit=$work/toolkit-$release

fail() {
  echo "$*" >&2
  exit 1
}

# NVRTC and its headers; in one `include`, as a toolkit has them and as cubecl looks for them in CUDA_PATH.
toolkit() {
  [ ! -e "$kit/ready" ] || return 0
  rm -rf "$kit"
  python3 -m venv "$kit/python"
  local packages=()
  for package in nvrtc runtime cccl nvcc; do
    packages+=("nvidia-cuda-$package-cu12==$release.*")
  done
  "$kit/python/bin/pip" install --quiet --disable-pip-version-check --no-compile "${packages[@]}"
  local nvidia
  nvidia=$(echo "$kit"/python/lib/python3*/site-packages/nvidia)
  ln -s "$nvidia" "$kit/nvidia"
  mkdir -p "$kit/include"
  ln -sf "$nvidia"/cuda_runtime/include/* "$nvidia"/cuda_nvcc/include/* "$kit/include/"
  ln -s "$nvidia/cuda_cccl/include" "$kit/include/cccl"
  touch "$kit/ready"
}

# The file is called libcuda.so, not libcuda.so.1: by that name NVRTC itself would load it, and call what only NVIDIA knows.
stub() {
  rm -rf "$kit/stub"
  mkdir -p "$kit/stub"
  cc -std=gnu11 -O1 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -isystem "$kit/include" \
    -isystem "$kit/nvidia/cuda_nvrtc/include" -o "$kit/stub/libcuda.so" tools/libcuda-stub.c tools/libnvrtc-stub.c -ldl -lpthread
  ln -s libcuda.so "$kit/stub/libnvrtc.so"
}

# The program, by what cargo says of it. It runs once: what is large, and what is optimized for tests, is compiled without optimization.
build() {
  local crate plain=(--config profile.dev.opt-level=0)
  for crate in cubecl-{core,std} cubek{,-attention,-convolution,-fft,-matmul,-quant,-random,-reduce,-std} \
    burn{,-autodiff,-backend,-core,-cubecl,-cuda,-dispatch,-flex,-ir,-nn,-optim,-std,-tensor} gemm{,-c32,-c64,-common,-f16,-f32,-f64} \
    dpx-accounting minijinja pulp schemars serde_json tokenizers; do
    plain+=(--config "profile.dev.package.$crate.opt-level=0")
  done
  cargo build -p dpx-sgd --features dpx-nn/cuda --bench device_kernels "${plain[@]}" --message-format=json-render-diagnostics \
    >"$work/build.json"
  program=$(sed -n 's/.*"executable":"\([^"]*device_kernels[^"]*\)".*/\1/p' "$work/build.json" | tail -n 1)
  [ -x "$program" ] || fail "cargo built no device_kernels"
}

# One run in a folder of its own: cubecl keeps what autotuning found where its configuration says, and nowhere else.
run() {
  local folder=$1 sm=$2
  shift 2
  rm -rf "$folder"
  mkdir -p "$folder/ptx"
  printf '[autotune]\ncache = { file = "%s/autotune" }\n[autotune.logger]\nlevel = "full"\nfile = "%s/autotune.log"\n' "$folder" "$folder" \
    >"$folder/cubecl.toml"
  (
    cd "$folder"
    LD_LIBRARY_PATH="$kit/stub:$kit/nvidia/cuda_nvrtc/lib" CUDA_PATH=$kit DPX_STUB_DIR=$folder DPX_STUB_SM=$sm \
      DPX_STUB_PTXAS=$kit/nvidia/cuda_nvcc/bin/ptxas DPX_STUB_NVRTC=$kit/nvidia/cuda_nvrtc/lib/libnvrtc.so.12 \
      "$program" cuda:0 "$@"
  ) >"$folder/output" 2>&1
}

# Whether a run did what it should: it went through, and nothing was refused.
passed() {
  local folder=$1 status=$2
  [ "$status" = 0 ] && [ -s "$folder/counts" ] && [ ! -e "$folder/problems" ]
}

toolkit
stub
build

# A check that cannot fail says nothing: a program and a module that are damaged on purpose must be found.
for damage in source:5 ptx:5; do
  folder=$work/damaged
  status=0
  DPX_STUB_BREAK=$damage run "$folder" "${architectures[0]}" kernels || status=$?
  ! passed "$folder" "$status" || fail "a kernel that was damaged on purpose ($damage) was not noticed"
  grep -q -e "damaged on purpose" -e "'rex'" "$folder/problems" || fail "$damage went wrong otherwise: see $folder"
  echo "damaged on purpose ($damage): noticed"
done

failed=0
for sm in "${architectures[@]}"; do
  folder=$work/sm_$sm
  begun=$SECONDS
  status=0
  run "$folder" "$sm" "${parts[@]}" || status=$?
  taken=$((SECONDS - begun))
  count() { sed -n "s/^$1=//p" "$folder/counts"; }
  if passed "$folder" "$status" && [ "$(count kernels)" -gt 0 ] && [ "$(count launches)" -gt 0 ]; then
    echo "sm_$sm, NVRTC $release: $(count kernels) kernels compiled by NVRTC, assembled by ptxas and loaded, $(count launches) launches," \
      "$(count tensor_maps) tensor maps; $taken s, of them NVRTC $(count nvrtc_seconds) s, ptxas $(count ptxas_seconds) s"
  else
    failed=1
    echo "sm_$sm, NVRTC $release: FAILED with status $status after $taken s; all of it is in $folder" >&2
    tail -n 20 "$folder/output" >&2
    [ ! -e "$folder/problems" ] || { echo "problems: $(wc -l <"$folder/problems") lines" && head -n 40 "$folder/problems" | cut -c 1-400; } >&2
  fi
done
exit $failed
