#!/usr/bin/env bash
# Runs every fuzz target for so many seconds: scripts/fuzz.sh SECONDS [TARGET...]; with --known in place of SECONDS, once
# over its seeds and what is in its corpus; with --dictionaries, only says which dictionary each target is given. In place of
# targets, --with-python stands for those that hold an interpreter.
# A crash prints its input's path and the command that replays it: scripts/fuzz.sh --replay TARGET INPUT. cargo-fuzz is
# installed when missing; without a nightly toolchain the stable one is told to take the sanitizer's flags.
#
#   PYTHON  the interpreter of a virtual environment; targets that hold a Python interpreter embed its like
set -uo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-60}
shift || true
replayed=()
if [ "$seconds" = --replay ]; then
  replayed=("$(realpath "../$2" 2>/dev/null || realpath "$2")")
  set -- "$1"
fi

# Prints the targets with (1) or without (0) an interpreter inside.
targets_with_python() {
  awk -v wanted="$1" '
    function flush() { if (name != "" && python == wanted) print name; name = ""; python = 0 }
    /^\[/ { flush(); in_bin = ($0 == "[[bin]]") }
    in_bin && /^name *=/ { split($0, part, "\""); name = part[2] }
    in_bin && /^required-features *=.*"python"/ { python = 1 }
    END { flush() }' Cargo.toml
}

# Prints the file of tokens that inputs of a target are made of; nothing for one whose inputs are programs of a machine of
# its own: bytes that say what to do next, which no token stands for. The only place that says so: all other scripts run
# targets by way of this one.
dictionary_of() {
  case $1 in
    http1_head | http1_split_invariance | http1_roundtrip | chunked_body) echo dictionaries/http1.dict ;;
    json_encode | json_body_verdict) echo dictionaries/json.dict ;;
    sse_roundtrip) echo dictionaries/sse.dict ;;
    multipart) echo dictionaries/multipart.dict ;;
    router_find) echo dictionaries/router.dict ;;
    dispatch_result | ft_dispatch | ft_stream | ft_swap) ;;
    *) return 1 ;;
  esac
}

targets=("$@")
if [ "${1:-}" = --with-python ]; then
  mapfile -t targets < <(targets_with_python 1)
elif [ ${#targets[@]} -eq 0 ]; then
  # Those without first: the library is built once for each kind.
  while read -r target; do targets+=("$target"); done < <(targets_with_python 0; targets_with_python 1)
fi
if [ "$seconds" = --dictionaries ]; then
  for target in "${targets[@]}"; do
    dictionary=$(dictionary_of "$target") || { echo "fuzz: $target has no row in dictionary_of"; exit 1; }
    echo "$target ${dictionary:-none}"
  done
  exit
fi

fuzz=(cargo +nightly fuzz)
if ! cargo +nightly --version >/dev/null 2>&1; then
  fuzz=(cargo fuzz)
  export RUSTC_BOOTSTRAP=1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "fuzz: installing cargo-fuzz"
  cargo install -q --locked cargo-fuzz || { echo "fuzz: cargo-fuzz cannot be installed"; exit 1; }
fi

figure() { grep -oE "$1: *[0-9]+" "$log" | tail -1 | grep -oE '[0-9]+$'; }

mkdir -p target
passed=0 failed=0 skipped=0
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target" "seeds/$target"
  log=target/$target.log
  options=(-max_total_time="$seconds" -print_final_stats=1)
  if [ "$seconds" = --known ]; then options=(-runs=0 -print_final_stats=1); fi
  inputs=("corpus/$target" "seeds/$target")
  if ! dictionary=$(dictionary_of "$target"); then
    failed=$((failed + 1))
    echo "fuzz: $target FAILED: it has no row in dictionary_of"
    continue
  fi
  if [ -n "$dictionary" ]; then options+=(-dict="$dictionary"); fi
  features=() environment=() build=(env)
  if targets_with_python 1 | grep -qx "$target"; then
    if [ -z "${PYTHON:-}" ]; then
      skipped=$((skipped + 1))
      echo "SKIPPED fuzz: $target: PYTHON names no interpreter to embed"
      continue
    fi
    features=(--features python)
    # The flags of .cargo/config.toml give way to cargo-fuzz's own.
    build=(env PYO3_PYTHON="$PYTHON" RUSTFLAGS="--cfg pyo3_disable_reference_pool")
    # For the run alone: a build runs other interpreters, which PYTHONHOME would lead astray. CPython itself leaks locks at
    # its exit.
    environment=("${build[@]:1}" ASAN_OPTIONS=detect_leaks=0
      PYTHONHOME="$("$PYTHON" -c 'import sys; print(sys.base_prefix)')"
      PYTHONPATH="$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'):$PWD/..")
  fi
  if ! "${build[@]}" "${fuzz[@]}" build "${features[@]}" "$target" >"$log" 2>&1 </dev/null; then
    failed=$((failed + 1))
    tail -40 "$log"
    echo "fuzz: $target FAILED: it does not build"
    continue
  fi
  if [ ${#replayed[@]} -gt 0 ]; then
    env "${environment[@]}" "${fuzz[@]}" run "${features[@]}" "$target" "${replayed[@]}"
    exit
  fi
  started=$SECONDS
  if env "${environment[@]}" "${fuzz[@]}" run "${features[@]}" "$target" "${inputs[@]}" -- "${options[@]}" >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    echo "fuzz: $target: $(figure number_of_executed_units) inputs, $(figure average_exec_per_sec) each second," \
      "$(grep -oE 'cov: [0-9]+' "$log" | tail -1)"
  else
    failed=$((failed + 1))
    tail -40 "$log"
    input=$(grep -oE 'artifacts/[^ /]+/[^ /]+$' "$log" | tail -1)
    echo "fuzz: $target FAILED after $((SECONDS - started)) s" \
      "${input:+; replay: ${features:+PYTHON=$PYTHON }bash scripts/fuzz.sh --replay $target fuzz/$input}"
  fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
