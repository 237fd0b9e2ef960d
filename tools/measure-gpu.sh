#!/usr/bin/env bash
# All measurements on one GPU, with one command: tests on the device, one private step and generation beside PyTorch and Opacus.
#   tools/measure-gpu.sh [cuda|wgpu] [output file]
# PYTHON names an interpreter with torch, transformers and opacus (pip install torch transformers opacus); without one the peers
# are left out. Copy what it prints to docs/performance.md with the date.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda}
class=${device%%:*}
report=${2:-target/measure-$class.txt}
mkdir -p "$(dirname "$report")"

{
  echo "# $(date -u +%F), $(uname -srm), dpx $(git rev-parse --short HEAD 2>/dev/null || echo '?'), device $device"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"
  cargo run --release --features "$class" -- devices

  echo "# Parity and exactness on $device"
  DPX_TEST_DEVICE=$device cargo test --release --features "$class" --lib -- nn:: model::parity dp::trainer::device_tests dp::trainer::replay 2>&1 |
    grep -E "^test |^test result"

  echo "# One step: GPT-2 124M, 64 x 64 and 256 x 32"
  peer=(--peer)
  for arithmetic in "" --bf16; do
    # shellcheck disable=SC2086
    cargo bench --features "$class" --bench dp_step -- --device "$device" --reps 20 --update $arithmetic "${peer[@]}"
    peer=()
  done

  echo "# Generation"
  for batch in 32 256; do
    cargo bench --features "$class" --bench generate -- --device "$device" --batch "$batch"
  done

  echo "# The study on the GPU, several rows at once"
  for slots in 1 2 4; do
    cache=$(mktemp -d)
    (time cargo run --release --features "$class" -- run experiments/emotion.toml --device "$device" --device-slots "$slots" \
      --cache "$cache" --set experiment.name="measure-$slots") 2>&1 | tail -n 8
    rm -rf "$cache"
  done
} 2>&1 | tee "$report"
echo "written to $report"
