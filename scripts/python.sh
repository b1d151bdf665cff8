#!/usr/bin/env bash
# Finds or builds one CPython, and prints the path of its executable on standard output (and nothing else there).
#
#   scripts/python.sh 3.13t | 3.13 | 3.14t
#
# Order: what was built before (cached outside of the checkout); a matching interpreter with headers on PATH or under
# pyenv; `uv python install`; a build from source. Sources: an archive in $TURBOAPI_PYTHON_SOURCES, else Debian's own
# source package. Idempotent: a build counts only once its stamp is written. Exit 3: not to be had here, with one line
# that says why.
#
#   TURBOAPI_PYTHON_CACHE    where builds are kept (default: ~/.cache/turboapi/python)
#   TURBOAPI_PYTHON_SOURCES  a folder with python3.X_*.orig.tar.xz archives
set -euo pipefail

wanted=${1:-}
case $wanted in
  3.13t | 3.14t | 3.13 | 3.14) ;;
  *) echo "usage: scripts/python.sh 3.13t|3.13|3.14t" >&2; exit 2 ;;
esac
series=${wanted%t}
threads=with; [ "$wanted" != "$series" ] && threads=free
cache=${TURBOAPI_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/turboapi/python}
home=$cache/$wanted

say() { echo "python.sh: $*" >&2; }
give_up() { say "$wanted: $*"; exit 3; }

# Prints the path of an interpreter if it is the one wanted: series, GIL, and headers to build against.
accept() {
  local found
  found=$("$1" -c '
import os, sys, sysconfig
series, threads = sys.argv[1:]
free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
header = os.path.join(sysconfig.get_path("include"), "Python.h")
if "%d.%d" % sys.version_info[:2] == series and free == (threads == "free") and os.path.exists(header):
    print(os.path.realpath(sys.executable))
' "$series" "$threads" 2>/dev/null) || return 1
  [ -n "$found" ] && echo "$found"
}

find_installed() {
  local candidate
  if [ -e "$home/.complete" ]; then accept "$home/bin/python$wanted" && return 0; fi
  for candidate in "python$wanted" "$HOME"/.pyenv/versions/"$series"*/bin/"python$wanted"; do
    command -v "$candidate" >/dev/null 2>&1 && accept "$candidate" && return 0
  done
  return 1
}

find_by_uv() {
  command -v uv >/dev/null 2>&1 || return 1
  timeout 300 uv python install "$wanted" >&2 || return 1
  accept "$(uv python find "$wanted" 2>/dev/null)"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo -n "$@"; else return 1; fi
}

install_headers() {
  command -v apt-get >/dev/null 2>&1 || return 0
  local packages=(build-essential xz-utils libssl-dev zlib1g-dev libffi-dev libsqlite3-dev libbz2-dev liblzma-dev
    libreadline-dev uuid-dev)
  dpkg -s "${packages[@]}" >/dev/null 2>&1 && return 0
  say "installing what a build needs"
  as_root apt-get update -qq >&2 || return 1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >&2
}

# Puts an .orig.tar.xz of the series into the folder $1.
fetch_source() {
  local archive suite list=/etc/apt/sources.list.d/turboapi-python-source.list
  archive=$(ls "${TURBOAPI_PYTHON_SOURCES:-/nonexistent}"/python"$series"_*.orig.tar.xz 2>/dev/null | sort -V | tail -1) || true
  if [ -n "$archive" ]; then cp "$archive" "$1/"; return 0; fi
  command -v apt-get >/dev/null 2>&1 || return 1
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || return 1
  # The mirror that this machine uses already; source packages of newer suites, pinned so that nothing is upgraded.
  local mirror
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -1)
  [ -n "$mirror" ] || mirror=http://deb.debian.org/debian
  for suite in trixie forky sid; do
    printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" |
      as_root tee "$list" >/dev/null || return 1
    if as_root apt-get update -qq >&2 && (cd "$1" && apt-get source --download-only "python$series" >&2); then
      as_root rm -f "$list"
      return 0
    fi
  done
  as_root rm -f "$list"
  return 1
}

build() {
  local work options=(--prefix="$home" --with-ensurepip=install)
  [ $threads = free ] && options+=(--disable-gil)
  install_headers || say "the libraries that a build needs could not be installed; trying without"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' RETURN
  fetch_source "$work" || { say "$wanted: no interpreter found, uv has none, and no source can be had"; return 1; }
  say "building CPython $wanted (about 5 minutes on 2 cores); log: $home.log"
  mkdir -p "$work/src" "$cache"
  rm -rf "$home"
  tar -xf "$work"/python*.orig.tar.xz -C "$work/src" --strip-components=1
  (
    cd "$work/src"
    ./configure "${options[@]}" && make -j"$(nproc)" && make install
  ) >"$home.log" 2>&1 </dev/null || { say "$wanted: the build failed; the last lines of $home.log:"; tail -5 "$home.log" >&2; return 1; }
  touch "$home/.complete"
  accept "$home/bin/python$wanted"
}

mkdir -p "$cache"
exec 9>"$cache/.$wanted.lock"
flock 9
find_installed || find_by_uv || build || give_up "cannot be had on this machine"
