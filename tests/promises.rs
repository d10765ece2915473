//! Each test that `SECURITY.md` names is there.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_promise_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let document = read("SECURITY.md");
    let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| P")).collect();
    let mut named = BTreeSet::new();
    for row in &rows {
        let quoted = row.split('`').skip(1).step_by(2);
        let tests: Vec<_> = quoted.filter(|name| name.starts_with(char::is_lowercase)).collect();
        assert!(!tests.is_empty(), "a promise that nothing shows: {row}");
        named.extend(tests.into_iter().filter_map(|name| name.split_once("::")));
    }
    assert!(rows.len() >= 17 && named.len() > 40, "the table was not read: {} rows, {named:?}", rows.len());
    for (file, test) in named {
        let source = read(&format!("tests/{file}.rs"));
        assert!(source.contains(&format!("fn {test}(")) || source.contains(&format!("fn {test}<")), "{file}::{test}");
    }
}
