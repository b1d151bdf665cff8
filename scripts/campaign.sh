#!/usr/bin/env bash
# Fuzzes for hours: scripts/campaign.sh HOURS [TARGET...]
# In rounds of ten minutes a target, so that all get on; the corpus is kept in fuzz/corpus and minimised after each round.
# A crash prints how to replay it, and its target is left out of the next rounds. At the end, coverage of each corpus.
#
#   PYTHON  as for scripts/fuzz.sh
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
declare -A crashed=()
while [ "$SECONDS" -lt "$end" ] && [ ${#crashed[@]} -lt ${#targets[@]} ]; do
  for target in "${targets[@]}"; do
    [ -z "${crashed[$target]:-}" ] || continue
    left=$((end - SECONDS))
    [ "$left" -gt 0 ] || break
    bash scripts/fuzz.sh "$((left < round ? left : round))" "$target" | grep -v ' passed, ' || true
    if [ -n "$(ls -A "fuzz/artifacts/$target" 2>/dev/null)" ]; then
      crashed[$target]=1
      for input in fuzz/artifacts/"$target"/*; do
        echo "campaign: $target CRASHED; replay: cd fuzz && cargo fuzz run $target ${input#fuzz/}"
        base64 <"$input" | head -c 4096
      done
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
      echo "campaign: $target: $before inputs, $(ls "fuzz/corpus/$target" | wc -l) kept," \
        "$(grep -oE 'cov: [0-9]+' "fuzz/target/$target.merge.log" | tail -1)"
    fi
  done
done
echo "${#targets[@]} targets, ${#crashed[@]} crashed"
[ ${#crashed[@]} -eq 0 ]
