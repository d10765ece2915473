//! Each test that `SECURITY.md` names is there, and each lint.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_promise_has_its_tests() {
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

#[test]
fn the_lints_are_those_that_core_denies() {
    let document = read("SECURITY.md");
    let row = document.lines().find(|line| line.starts_with("| P13 ")).expect("a promise about panics");
    let (_, lints) = row.split_once("the lints").expect("lints");
    let named: BTreeSet<_> =
        lints.split('`').skip(1).step_by(2).filter(|name| !name.contains('/')).map(str::to_owned).collect();
    let core = read("core/src/lib.rs");
    let denied = core.lines().filter_map(|line| line.trim().strip_prefix("clippy::"));
    let denied: BTreeSet<_> = denied.map(|lint| lint.trim_end_matches(',').to_owned()).collect();
    assert!(!denied.is_empty());
    assert_eq!(named, denied);
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
