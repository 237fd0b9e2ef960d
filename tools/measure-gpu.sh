#!/usr/bin/env bash
# All measurements on one GPU, with one command: tests on the device, one private step and generation beside PyTorch and Opacus.
#   tools/measure-gpu.sh [cuda|wgpu][:N] [output file]
# PYTHON names an interpreter with torch, transformers and opacus (pip install torch transformers opacus); without one the peers
# are left out. What fails says so, and the rest goes on. Copy what it prints to docs/performance.md with the date.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
device=${1:-cuda}
class=${device%%:*}
report=${2:-target/measure-$class.txt}
mkdir -p "$(dirname "$report")"

part() {
  echo "\$ $*"
  "$@" || echo "FAILED with status $?: $*"
}

tests() {
  local status=0
  DPX_TEST_DEVICE=$device cargo test --release -p dpx-nn --features "$class" --lib || status=$?
  DPX_TEST_DEVICE=$device cargo test --release -p dpx-sgd --features "dpx-nn/$class" --lib -- \
    trainer::device_tests trainer::replay || status=$?
  DPX_TEST_DEVICE=$device cargo test --release -p dpx --features "$class" --test main -- device:: || status=$?
  return $status
}

study() {
  local cache
  cache=$(mktemp -d)
  time cargo run --release --features "$class" -- run experiments/emotion.toml --device "$device" --device-slots "$1" \
    --cache "$cache" --set experiment.name="measure-$1" | tail -n 60
  local status=$?
  rm -rf "$cache"
  return $status
}

{
  echo "# $(date -u +%F), $(uname -srm), dpx $(git rev-parse --short HEAD 2>/dev/null || echo '?'), device $device"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"
  part cargo run --release --features "$class" -- devices

  echo "# Parity and exactness"
  part tests

  echo "# One step: GPT-2 124M, 64 x 64 and 256 x 32"
  part cargo bench -p dpx-sgd --features "dpx-nn/$class" --bench dp_step -- --device "$device" --reps 20 --update --peer
  part cargo bench -p dpx-sgd --features "dpx-nn/$class" --bench dp_step -- --device "$device" --reps 20 --update --bf16

  echo "# Generation: GPT-2 124M"
  for batch in 32 256; do
    part cargo bench -p dpx-nn --features "$class" --bench generate -- --device "$device" --batch "$batch"
  done

  echo "# The study, several rows at once"
  for slots in 1 2 4; do
    part study "$slots"
  done
} 2>&1 | tee "$report"
echo "written to $report"
! grep -q "^FAILED" "$report"
