#!/usr/bin/env bash
# Runs every fuzz target for so many seconds: scripts/fuzz.sh SECONDS [TARGET...]
# A crash prints its input's path and the command that replays it. cargo-fuzz is installed when missing; without a
# nightly toolchain the stable one is told to take the sanitizer's flags.
set -uo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-60}
mkdir -p target
shift || true
fuzz=(cargo +nightly fuzz)
if ! cargo +nightly --version >/dev/null 2>&1; then
  fuzz=(cargo fuzz)
  export RUSTC_BOOTSTRAP=1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "fuzz: installing cargo-fuzz"
  cargo install -q --locked cargo-fuzz || { echo "fuzz: cargo-fuzz cannot be installed"; exit 1; }
fi
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  while read -r target; do targets+=("$target"); done < <("${fuzz[@]}" list)
fi
mkdir -p target
passed=0 failed=0
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target" "seeds/$target"
  log=target/$target.log
  options=(-max_total_time="$seconds" -print_final_stats=1)
  for dictionary in "dictionaries/$target.dict" dictionaries/http1.dict; do
    if [ -e "$dictionary" ]; then options+=(-dict="$dictionary"); break; fi
  done
  if "${fuzz[@]}" run "$target" "corpus/$target" "seeds/$target" -- "${options[@]}" >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    echo "fuzz: $target: $(grep -oE 'number_of_executed_units: *[0-9]+' "$log" | tail -1), $(grep -oE 'cov: [0-9]+' "$log" | tail -1)"
  else
    failed=$((failed + 1))
    tail -40 "$log"
    input=$(grep -oE 'artifacts/[^ ]+' "$log" | tail -1)
    echo "fuzz: $target FAILED${input:+; replay: cargo fuzz run $target fuzz/$input}"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
