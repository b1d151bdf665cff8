#!/usr/bin/env bash
# Fuzzes for hours: scripts/campaign.sh HOURS [TARGET...]
# In rounds of ten minutes a target, so that all get on; the corpus is kept in fuzz/corpus and minimised after each round.
# A crash prints how to replay it, and its target is left out of the next rounds. At the end, and when it is interrupted, a
# table: seconds and inputs that each target ran, how many a second, inputs kept, edges that they cover, functions of the
# library that they run. fuzz/coverage/TARGET.txt names each function that was not run, or not all of it.
#
#   PYTHON                   as for scripts/fuzz.sh
#   TURBOAPI_CAMPAIGN_ROUND  seconds of a round
set -uo pipefail
cd "$(dirname "$0")/.."
hours=${1:?hours}
shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v '^turboapi-fuzz$')
fi
round=${TURBOAPI_CAMPAIGN_ROUND:-600}
end=$((SECONDS + $(awk -v hours="$hours" 'BEGIN { print int(hours * 3600) }')))
declare -A crashed=() ran=() inputs=() kept_inputs=() edges=() functions=()

report() {
  local target
  echo
  printf '%-24s %9s %12s %12s %8s %8s  %s\n' target seconds inputs 'each second' kept edges 'functions of the library'
  for target in "${targets[@]}"; do
    printf '%-24s %9s %12s %12s %8s %8s  %s\n' "$target" "${ran[$target]:-0}" "${inputs[$target]:-0}" \
      "$((${inputs[$target]:-0} / (${ran[$target]:-0} > 0 ? ${ran[$target]:-0} : 1)))" "${kept_inputs[$target]:-}" \
      "${edges[$target]:-}" "${functions[$target]:-}${crashed[$target]:+CRASHED}"
  done
}
trap 'report; exit 130' INT TERM

mkdir -p fuzz/coverage
while [ "$SECONDS" -lt "$end" ] && [ ${#crashed[@]} -lt ${#targets[@]} ]; do
  for target in "${targets[@]}"; do
    [ -z "${crashed[$target]:-}" ] || continue
    left=$((end - SECONDS))
    [ "$left" -gt 0 ] || break
    this=$((left < round ? left : round))
    said=$(bash scripts/fuzz.sh "$this" "$target")
    echo "$said"
    line=$(grep "^fuzz: $target: " <<<"$said")
    ran[$target]=$((${ran[$target]:-0} + this))
    inputs[$target]=$((${inputs[$target]:-0} + $(grep -oE '[0-9]+ inputs' <<<"${line:-0 inputs}" | grep -oE '[0-9]+')))
    if [ -n "$(ls -A "fuzz/artifacts/$target" 2>/dev/null)" ]; then
      crashed[$target]=1
      for input in fuzz/artifacts/"$target"/*; do
        echo "campaign: $target CRASHED; replay: ${PYTHON:+PYTHON=$PYTHON }bash scripts/fuzz.sh --replay $target $input"
        base64 <"$input" | head -c 4096
      done
      continue
    fi
    if [ -z "$line" ]; then
      echo "campaign: $target was not run: left out"
      crashed[$target]=1
      continue
    fi
    # Only inputs that add coverage are kept: libFuzzer's own merge, into an empty folder.
    binary=$(ls fuzz/target/*/release/"$target" 2>/dev/null | head -1)
    [ -x "$binary" ] || continue
    kept=$(mktemp -d)
    environment=()
    if [ -n "${PYTHON:-}" ]; then
      environment=(ASAN_OPTIONS=detect_leaks=0 PYTHONHOME="$("$PYTHON" -c 'import sys; print(sys.base_prefix)')"
        PYTHONPATH="$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'):$PWD")
    fi
    before=$(ls "fuzz/corpus/$target" | wc -l)
    if env "${environment[@]}" "$binary" -merge=1 "$kept" "fuzz/corpus/$target" >"fuzz/target/$target.merge.log" 2>&1; then
      rm -rf "fuzz/corpus/$target"
      mv "$kept" "fuzz/corpus/$target"
      kept_inputs[$target]=$(ls "fuzz/corpus/$target" | wc -l)
      edges[$target]=$(grep -oE 'cov: [0-9]+' "fuzz/target/$target.merge.log" | tail -1 | grep -oE '[0-9]+')
      echo "campaign: $target: $before inputs, ${kept_inputs[$target]} kept, ${edges[$target]} edges"
    fi
    log=fuzz/target/$target.coverage.log covered=fuzz/coverage/$target.txt
    if (cd fuzz && env "${environment[@]}" "../$binary" -runs=0 -print_coverage=1 "corpus/$target" "seeds/$target") \
      >"$log" 2>&1 && python3 scripts/fuzz_coverage.py "$log" "$target" >"$covered"; then
      functions[$target]=$(tail -1 "$covered" | sed "s/^$target: //")
      echo "campaign: $target: ${functions[$target]}; $covered"
    else
      echo "campaign: $target: no coverage report; $log"
    fi
  done
done
report
echo "${#targets[@]} targets, ${#crashed[@]} crashed"
[ ${#crashed[@]} -eq 0 ]
