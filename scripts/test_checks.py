"""The checks of scripts/ fail on trees that break their rules, and pass on ones that keep them.

Rule: a check is shown a small tree for each breach; the line it prints is the one expected, and no other.
"""

from __future__ import annotations

import importlib.util
import pathlib
import re
import subprocess
import types

import pytest

pytestmark = pytest.mark.once

SCRIPTS = pathlib.Path(__file__).parent


def load(name: str) -> types.ModuleType:
    """Import a script by its file."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


layers = load("check_layers")
unsafe = load("check_unsafe")
coverage = load("fuzz_coverage")


def plant(root: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
    """Write a tree of files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("file", "text", "breach"),
    [
        ("http1/conn.rs", "use crate::runtime::Worker;", "http1 may not use runtime"),
        ("http1/conn.rs", "fn f() { crate::dispatch::call() }", "http1 may not use dispatch"),
        ("http1/conn.rs", "use super::super::service::Reply;", "http1 may not use service"),
        ("sse.rs", "use super::http1::Head;", "sse may not use http1"),
        ("runtime/mod.rs", "use crate::{http1::{Head, conn}, dispatch::Plan};", "runtime may not use dispatch"),
        ("dispatch/mod.rs", "use crate::{\n    service::Reply,\n    runtime,\n};", "dispatch may not use runtime"),
        ("router/params.rs", "use pyo3::prelude::*;", "pyo3 is named in router"),
        ("router/params.rs", "fn f(py: Python<'_>) {}", "a Python token in a sans-IO module"),
        ("service/mod.rs", "use monoio::net::TcpStream;", "monoio is named outside of runtime"),
        ("sse/mod.rs", "pub fn f() {}", "a sans-IO module forbids unsafe code"),
        ("helpers.rs", "", "module helpers has no row in the table of scripts/check_layers.py"),
        ("lib.rs", "pub fn f() {}", "lib.rs is the module map, nothing else"),
    ],
)
def test_layer_breach_is_named(tmp_path: pathlib.Path, file: str, text: str, breach: str) -> None:
    forbid = "#![forbid(unsafe_code)]\n" if file == "sse.rs" else ""
    root = plant(tmp_path, {file: f"//! Owns: something.\n{forbid}{text}\n"})
    assert layers.breaches(root) == [f"{file}: {breach}"]


def test_layer_check_wants_a_module_header(tmp_path: pathlib.Path) -> None:
    root = plant(tmp_path, {"bytes_ext.rs": "pub fn f() {}\n"})
    assert layers.breaches(root) == ["bytes_ext.rs: no module header"]


def test_layer_check_passes_when_arrows_are_kept(tmp_path: pathlib.Path) -> None:
    root = plant(
        tmp_path,
        {
            "lib.rs": "//! The module map.\npub mod http1;\n",
            "http1/mod.rs": "//! Heads.\n#![forbid(unsafe_code)]\npub mod conn;\n",
            "http1/conn.rs": "//! Order.\n// runtime reads; crate::runtime is only named here\nuse super::Head;\n",
            "runtime/mod.rs": "//! Work.\nuse crate::{http1::{Head, conn::{self, Conn}}, service as s};\nuse monoio;\n",
        },
    )
    assert layers.breaches(root) == []


def test_layer_check_passes_on_this_tree() -> None:
    assert layers.breaches(SCRIPTS.parent / "src") == []


ARGUED = "//! X.\n// SAFETY: p is valid.\nunsafe { p.read() };\n"
LEDGER = "| file | what |\n|---|---|\n| `src/x.rs` | one read |\n"


@pytest.mark.parametrize(
    ("text", "ledger", "expected"),
    [
        (ARGUED, LEDGER, []),
        (ARGUED, "", ["src/x.rs: has unsafe blocks and is not listed in docs/unsafe.md"]),
        ("//! X.\n", LEDGER, ["docs/unsafe.md: lists src/x.rs, which has no unsafe block"]),
        ("//! X.\nunsafe { p.read() };\n", LEDGER, ["src/x.rs:2: unsafe without SAFETY above"]),
        ("//! X.\nlet y = z.unwrap();\n", "", ["src/x.rs:2: unwrap outside of tests"]),
        ("//! X.\n// as z.unwrap() would\n", "", []),
        ("//! X.\n#[cfg(test)]\nmod tests {\n    z.unwrap();\n}\n", "", []),
        ("//! X.\n#[allow(clippy::x)]\nfn f() {}\n", "", ["src/x.rs:2: allow without a reason"]),
        ('//! X.\n#[allow(clippy::x, reason = "table")]\nfn f() {}\n', "", []),
    ],
)
def test_unsafe_breach_is_named(tmp_path: pathlib.Path, text: str, ledger: str, expected: list[str]) -> None:
    root = plant(tmp_path, {"src/x.rs": text, "docs/unsafe.md": ledger})
    assert unsafe.breaches(root) == expected


def dictionaries() -> dict[str, str]:
    """Tell the dictionary of each fuzz target, as the script that runs them does."""
    command = ["bash", str(SCRIPTS / "fuzz.sh"), "--dictionaries"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in told.splitlines())


def test_each_fuzz_target_has_the_dictionary_of_its_own_format() -> None:
    """JSON and events were fuzzed with tokens of HTTP: no dictionary had a target's name, so one stood in for all."""
    fuzz = SCRIPTS.parent / "fuzz"
    found = dictionaries()
    assert found.keys() == {path.stem for path in (fuzz / "fuzz_targets").iterdir() if path.is_file()}
    assert set(found.values()) == {f"dictionaries/{path.name}" for path in (fuzz / "dictionaries").iterdir()} | {"none"}
    for target, file in found.items():
        format_ = target.partition("_")[0]
        if (fuzz / "dictionaries" / f"{format_}.dict").exists():
            assert file == f"dictionaries/{format_}.dict", target


@pytest.mark.parametrize(
    "path", sorted((SCRIPTS.parent / "fuzz" / "dictionaries").iterdir()), ids=lambda path: path.name
)
def test_dictionary_is_one_that_the_fuzzer_reads(path: pathlib.Path) -> None:
    """It refuses to start on a line of another form; a token of over 64 bytes it drops without a word."""
    tokens = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    for token in tokens:
        quoted = re.fullmatch(r'"((?:[ !#-\[\]-~]|\\[\\"]|\\x[0-9a-fA-F]{2})+)"', token)
        assert quoted, token
        assert len(re.findall(r"\\x..|\\.|.", quoted[1])) <= 64, token
    assert len(set(tokens)) == len(tokens)


def test_coverage_tells_of_the_library_alone():
    log = """
INFO: 3 files
COVERED_FUNC: hits: 4 edges: 2/7 <turboapi::a::A as core::fmt::Debug>::fmt /tree/src/a.rs:12
  UNCOVERED_PC: /tree/src/a.rs:13
UNCOVERED_FUNC: hits: 0 edges: 0/3 turboapi::a::never /tree/src/a.rs:5
COVERED_FUNC: hits: 1 edges: 5/5 turboapi::b::whole /tree/src/b/mod.rs:1
COVERED_FUNC: hits: 1 edges: 5/5 other::src /elsewhere/src/a.rs:1
"""
    assert coverage.report("target", coverage.read(log, "/tree")).splitlines() == [
        "src/a.rs: 1 of 2 functions, 2 of 10 edges",
        "      5     never turboapi::a::never",
        "     12       2/7 <turboapi::a::A as core::fmt::Debug>::fmt",
        "src/b/mod.rs: 1 of 1 functions, 5 of 5 edges",
        "target: 2 of 3 functions, 7 of 15 edges",
    ]
