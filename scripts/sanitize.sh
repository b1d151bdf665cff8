#!/usr/bin/env bash
# Sanitizers: scripts/sanitize.sh thread|address
#
# `address`: AddressSanitizer over the Rust tests, without and with Python inside, the library checking its own invariants;
# then each fuzz target, which is built with it anyway, once over its seeds and what is in its corpus.
#
# `thread`: ThreadSanitizer over the Rust tests and over the server under load, Python inside.
# The tests of the runtime first, without an interpreter. Then the extension is built with the sanitizer, and served
# under the load of `tests/soak`: all kinds of handlers, `shared` with two workers, the raw half and the FastAPI half. The
# interpreter is built with its own `--with-thread-sanitizer`, so that its locks are seen. A report counts if an access in
# it is ours; those of the interpreter alone are counted and named beside. Exits 1 if one counts. Suppressions:
# scripts/tsan.supp and scripts/lsan.supp, each with a reason.
#
#   PYTHON                     a virtual environment's interpreter of 3.13t, with what the tests need
#   TURBOAPI_SANITIZE_SECONDS  of load (default 60)
#   TURBOAPI_SANITIZE_STEPS    what to run: rust server (thread), rust python fuzz (address)
set -uo pipefail
cd "$(dirname "$0")/.."
kind=${1:-thread}
case $kind in
  thread) every="rust server" ;;
  address) every="rust python fuzz" ;;
  *) echo "sanitize: $kind is neither thread nor address" >&2 && exit 2 ;;
esac
python=${PYTHON:-python3}
seconds=${TURBOAPI_SANITIZE_SECONDS:-60}
steps=" ${TURBOAPI_SANITIZE_STEPS:-$every} "
triple=$(rustc -vV | sed -n 's/^host: //p')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# Without a nightly toolchain the stable one is told to take the flag.
cargo=(cargo +nightly)
if ! cargo +nightly --version >/dev/null 2>&1; then
  cargo=(cargo)
  export RUSTC_BOOTSTRAP=1
fi
# The flags of .cargo/config.toml give way to these. The standard library comes without the sanitizer: its flag differs.
flags="--cfg pyo3_disable_reference_pool -Zsanitizer=$kind -Cunsafe-allow-abi-mismatch=sanitizer"
target_dir=$PWD/target/sanitize-$kind

if [ "$kind" = address ]; then
  tested() { RUSTFLAGS="$flags" CARGO_TARGET_DIR="$target_dir" "${cargo[@]}" test -q --target "$triple" "$@"; }
  if [[ $steps == *" rust "* ]]; then
    echo "== rust, address sanitizer"
    # What a connection costs in memory is not to be measured here.
    LSAN_OPTIONS="suppressions=$PWD/scripts/lsan.supp:print_suppressions=0" \
      tested --no-default-features --features runtime,invariants --lib --tests -- --skip idle_connections_are_cheap || failed=1
  fi
  if [[ $steps == *" python "* ]]; then
    echo "== rust, with Python, address sanitizer"
    # CPython itself leaves memory behind at its exit. A build runs other interpreters: PYTHONHOME is for the tests alone.
    PYO3_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
    export PYO3_PYTHON
    LD_LIBRARY_PATH=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))') \
      PYTHONHOME=$("$python" -c 'import sys; print(sys.base_prefix)') ASAN_OPTIONS=detect_leaks=0 \
      tested --features invariants --lib || failed=1
  fi
  if [[ $steps == *" fuzz "* ]]; then
    echo "== fuzz targets over what is known, address sanitizer"
    PYTHON="$python" bash scripts/fuzz.sh --known || failed=1
  fi
  if [ "$failed" = 0 ]; then echo "sanitize: nothing found"; fi
  exit "$failed"
fi

export RUSTFLAGS="$flags"
export CARGO_TARGET_DIR=$target_dir
# The sanitizer wants an address space that is not shuffled.
fixed=(setarch -R)
"${fixed[@]}" true 2>/dev/null || fixed=()
suppressions="suppressions=$PWD/scripts/tsan.supp history_size=4"

if [[ $steps == *" rust "* ]]; then
  echo "== rust, runtime, thread sanitizer"
  # What is printed is not captured: threads would share a buffer under a lock of the standard library's, which is not seen.
  TSAN_OPTIONS="$suppressions" \
    "${fixed[@]}" "${cargo[@]}" test -q --target "$triple" --no-default-features --features runtime --lib \
    -- --nocapture || failed=1
fi

if [[ $steps == *" server "* ]]; then
  echo "== the server under load, thread sanitizer"
  interpreter=$(bash scripts/python.sh 3.13t-tsan </dev/null) || exit 1
  PYO3_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
  export PYO3_PYTHON
  PYO3_BUILD_EXTENSION_MODULE=1 "${cargo[@]}" build -q --target "$triple" -p turboapi-ext || exit 1
  # A package of its own beside the checkout's, which may hold an extension of another build.
  cp -r python tests "$work/"
  rm -f "$work"/python/turboapi_rs/_core*.so
  suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
  cp "$CARGO_TARGET_DIR/$triple/debug/lib_core.so" "$work/python/turboapi_rs/_core$suffix"
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # The interpreter brings its compiler's sanitizer library, which may be too old to know these three.
  cat >"$work/names.c" <<'C'
#include <string.h>
void *__tsan_memcpy(void *to, const void *from, size_t size) { return memcpy(to, from, size); }
void *__tsan_memmove(void *to, const void *from, size_t size) { return memmove(to, from, size); }
void *__tsan_memset(void *to, int value, size_t size) { return memset(to, value, size); }
C
  cc -shared -fPIC -fno-builtin -O1 -o "$work/names.so" "$work/names.c" || exit 1
  for app in server fastapi; do
    (cd "$work" && env LD_PRELOAD="$work/names.so" PYTHONPATH="$work/python:$work:$site" \
      TSAN_OPTIONS="$suppressions exitcode=0 log_path=$work/report" timeout -k 30 $((seconds + 600)) \
      "${fixed[@]}" "$interpreter" -m tests.soak --isolation shared --app "$app" --seconds $((seconds / 2))) || failed=1
    cat "$work"/report.* >"$work/all" 2>/dev/null
    rm -f "$work"/report.*
    "$python" scripts/sanitizer_reports.py "$work/all" "$app" || failed=1
  done
fi
if [ "$failed" = 0 ]; then echo "sanitize: nothing found"; fi
exit "$failed"
