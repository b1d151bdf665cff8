#!/usr/bin/env bash
# Runs every fuzz target for so many seconds: scripts/fuzz.sh SECONDS [TARGET...]
# A crash prints the command that replays it. Needs the nightly toolchain; cargo-fuzz is installed when missing.
set -uo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-60}
shift || true
if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "SKIPPED fuzz: no nightly toolchain (rustup toolchain install nightly)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
  cargo install -q --locked cargo-fuzz || exit 1
fi
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <(cargo +nightly fuzz list); fi
passed=0 failed=0
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target" "seeds/$target"
  dictionary=()
  if [ -e "dictionaries/$target.dict" ]; then dictionary=(-dict="dictionaries/$target.dict"); elif [ -e dictionaries/http1.dict ]; then dictionary=(-dict=dictionaries/http1.dict); fi
  if cargo +nightly fuzz run --release "$target" "corpus/$target" "seeds/$target" -- -max_total_time="$seconds" \
    -print_final_stats=1 "${dictionary[@]}" >"target/$target.log" 2>&1; then
    passed=$((passed + 1))
    echo "fuzz: $target: $(grep -oE 'average_exec_per_sec: *[0-9]+' "target/$target.log" | tail -1), $(grep -oE 'cov: [0-9]+' "target/$target.log" | tail -1)"
  else
    failed=$((failed + 1))
    tail -40 "target/$target.log"
    echo "fuzz: $target FAILED; replay: cargo +nightly fuzz run $target fuzz/artifacts/$target/<file>"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
