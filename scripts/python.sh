#!/usr/bin/env bash
# Finds or builds one CPython, and prints the path of its executable on standard output (and nothing else there).
#
#   scripts/python.sh 3.13t | 3.13 | 3.14t | 3.14
#   scripts/python.sh 3.13t-tsan        built with the thread sanitizer, for scripts/sanitize.sh
#
# Order: what was built before (cached outside of the checkout); a matching interpreter with headers on PATH or under
# pyenv; `uv python install`; a build from source. Sources: an archive in $TURBOAPI_PYTHON_SOURCES, else Debian's own
# source package. Idempotent: a build counts only once its stamp is written; a second run waits for the first.
# Exit 3: not to be had here, with a last line that says why. Exit 2: no such version.
#
#   TURBOAPI_PYTHON_CACHE    where builds are kept (default: ~/.cache/turboapi/python)
#   TURBOAPI_PYTHON_SOURCES  a folder with source archives: Debian's python3.X_*.orig.tar.xz, python.org's Python-3.X.*.tar.xz
#   TURBOAPI_PYTHON_SYSTEM   0: build, whatever PATH, pyenv and uv have
set -euo pipefail

wanted=${1:-}
case $wanted in
  3.13t | 3.14t | 3.13 | 3.14 | 3.13t-tsan) ;;
  *) echo "usage: scripts/python.sh 3.13t|3.13|3.14t|3.14|3.13t-tsan" >&2; exit 2 ;;
esac
series=${wanted%-tsan}
name=$series
series=${series%t}
threads=with; [ "$wanted" != "$series" ] && threads=free
cache=${TURBOAPI_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/turboapi/python}
home=$cache/$wanted
system=${TURBOAPI_PYTHON_SYSTEM:-1}
[ "$wanted" = "$name" ] || system=0
why=
work=

say() { echo "python.sh: $*" >&2; }

# `timeout` and `flock` are not everywhere (macOS): then without.
within() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo -n "$@"; else return 1; fi
}

# Prints the path of an interpreter if it is the one wanted: series, GIL, and headers to build against.
accept() {
  local found
  [ -n "${1:-}" ] || return 1
  found=$("$1" -c '
import os, sys, sysconfig
series, threads = sys.argv[1:]
free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
header = os.path.join(sysconfig.get_path("include"), "Python.h")
if "%d.%d" % sys.version_info[:2] == series and free == (threads == "free") and os.path.exists(header):
    print(os.path.realpath(sys.executable))
' "$series" "$threads" 2>/dev/null </dev/null) || return 1
  [ -n "$found" ] && echo "$found"
}

find_built() {
  [ -e "$home/.complete" ] && accept "$home/bin/python$name"
}

find_installed() {
  local candidate
  [ "$system" = 1 ] || return 1
  for candidate in "python$wanted" "$HOME"/.pyenv/versions/"$series"*/bin/"python$wanted"; do
    command -v "$candidate" >/dev/null 2>&1 && accept "$candidate" && return 0
  done
  return 1
}

find_by_uv() {
  [ "$system" = 1 ] && command -v uv >/dev/null 2>&1 || return 1
  say "asking uv for CPython $wanted"
  within 300 uv python install "$wanted" >&2 </dev/null || { say "uv has none to give; building"; return 1; }
  accept "$(uv python find "$wanted" 2>/dev/null)"
}

install_libraries() {
  command -v apt-get >/dev/null 2>&1 || return 0
  local packages=(build-essential xz-utils libssl-dev zlib1g-dev libffi-dev libsqlite3-dev libbz2-dev liblzma-dev
    libreadline-dev uuid-dev)
  dpkg -s "${packages[@]}" >/dev/null 2>&1 && return 0
  say "installing the libraries that a build needs: ${packages[*]}"
  as_root apt-get update -qq >&2 </dev/null || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >&2 </dev/null
}

# Prints the newest source archive of the series in the folder $1, as Debian names it before as python.org does.
archive_in() {
  local archive
  archive=$(ls "$1"/python"$series"_*.orig.tar.[gx]z 2>/dev/null | sort -V | tail -1) || true
  [ -n "$archive" ] || archive=$(ls "$1"/Python-"$series".*.tar.xz 2>/dev/null | sort -V | tail -1) || true
  [ -n "$archive" ] && echo "$archive"
}

# Puts a source archive of the series into the folder $1.
fetch_source() {
  local archive
  if archive=$(archive_in "${TURBOAPI_PYTHON_SOURCES:-/nonexistent}"); then
    say "source: $archive"
    cp "$archive" "$1/"
    return
  fi
  command -v apt-get >/dev/null 2>&1 || { why="no interpreter found, uv gave none, and there is no apt to fetch Debian's source"; return 1; }
  local mirror keyring suite
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources /etc/apt/mirrors/* 2>/dev/null |
    grep -vE '^[[:space:]]*#' | grep -oE 'https?://[^][:space:]]+/debian/?([[:space:]]|$)' | head -1 | tr -d '[:space:]') || true
  [ -n "$mirror" ] || { why="apt knows no mirror of Debian to fetch the source of python$series from"; return 1; }
  for suite in trixie forky sid; do
    for keyring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
      [ -e "$keyring" ] && fetch_from "$1" "$mirror" "$suite" "$keyring" && return 0
    done
  done
  why="Debian's source package python$series could not be fetched from trixie, forky or sid"
  return 1
}

# One suite's source package, with a state of apt's own in the folder: the system's lists and pins stay as they are.
fetch_from() {
  local folder=$1 mirror=$2 suite=$3 keyring=$4 state=$1/apt
  rm -rf "$state"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  echo "deb-src [signed-by=$keyring] $mirror $suite main" >"$state/sources.list"
  local options=(-qq -o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache" -o APT::Sandbox::User="$(id -un)"
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Debug::NoLocking=1
    -o APT::Update::Error-Mode=any)
  within 300 apt-get "${options[@]}" update >&2 </dev/null &&
    (cd "$folder" && within 300 apt-get "${options[@]}" source --download-only "python$series" >&2 </dev/null) &&
    archive_in "$folder" >/dev/null && say "source: python$series of Debian $suite"
}

# Static libpython, -O3, no profile-guided pass (it takes longer than all the rest of the set-up).
build() {
  local options=(--prefix="$home" --with-ensurepip=install) install=() jobs
  [ $threads = free ] && options+=(--disable-gil)
  # Its pip, and the compiling of the whole library, would run under the sanitizer, for minutes.
  if [ "$wanted" != "$name" ]; then
    options+=(--with-thread-sanitizer --with-ensurepip=no CFLAGS="-O1 -g1")
    install=(COMPILEALL_OPTS=-r0)
  fi
  jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
  install_libraries || say "the libraries could not be installed; trying without"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  fetch_source "$work" || return 1
  say "building CPython $wanted (about 5 minutes on 2 cores); log: $home.log"
  mkdir -p "$work/src"
  tar -xf "$(archive_in "$work")" -C "$work/src" --strip-components=1 || { why="the archive is broken"; return 1; }
  rm -rf "$home"
  if ! (cd "$work/src" && ./configure "${options[@]}" && make -j"$jobs" && make install ${install[@]+"${install[@]}"}) >"$home.log" 2>&1 </dev/null; then
    tail -5 "$home.log" >&2
    why="the build failed; see $home.log"
    return 1
  fi
  accept "$home/bin/python$name" >/dev/null || { why="what was built is not CPython $wanted with headers"; return 1; }
  "$home/bin/python$name" -c 'import ssl, sqlite3, ctypes, zlib' 2>>"$home.log" >&2 ||
    { why="what was built lacks ssl, sqlite3, ctypes or zlib: their -dev packages are missing; see $home.log"; return 1; }
  touch "$home/.complete"
  find_built
}

mkdir -p "$cache"
exec 9>"$cache/.$wanted.lock"
if command -v flock >/dev/null 2>&1; then flock 9; fi
find_built || find_installed || find_by_uv || build || { say "$wanted cannot be had on this machine: ${why:-no reason known}"; exit 3; }
