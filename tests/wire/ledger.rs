//! docs/wire.md names tests: each must exist.

use std::fs;
use std::path::Path;

/// Names in backquotes in the last-but-one column of the tables of docs/wire.md.
fn named_tests(ledger: &str) -> Vec<String> {
    let mut names = Vec::new();
    for row in ledger.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--")) {
        let columns: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let Some(tests) = columns.get(2) else { continue };
        names.extend(tests.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    names
}

fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_named_in_the_ledger_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ledger = fs::read_to_string(root.join("docs/wire.md")).unwrap();
    let mut all = String::new();
    for folder in ["tests/wire", "src/http1", "src/router", "src"] {
        sources(&root.join(folder), &mut all);
    }
    let names = named_tests(&ledger);
    assert!(names.len() > 30, "the ledger names tests: {names:?}");
    for name in names {
        assert!(all.contains(&format!("fn {name}(")), "docs/wire.md names a test that is gone: {name}");
    }
}
