//! What the crates pull in: little, and in the protocol core nothing that opens a socket, drives a task, encrypts or makes
//! entropy. `deny.toml` has what else is not allowed.

use std::collections::BTreeSet;
use std::process::Command;

/// `cargo tree -e normal --prefix none`, line by line.
fn tree(package: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-e", "normal", "--prefix", "none", "--locked", "--offline", "-p"])
        .args(package)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8_lossy(&tree.stdout).lines().map(str::to_owned).collect()
}

/// The packages, each once: one that stands below two others has a second line, marked with a star.
fn packages(package: &[&str]) -> BTreeSet<String> {
    tree(package).into_iter().map(|line| line.replace(" (*)", "")).collect()
}

/// Their names.
fn names(package: &[&str]) -> BTreeSet<String> {
    tree(package).iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

const CORE: &[&str] = &["proofkey-core"];

#[test]
fn the_core_has_few_dependencies() {
    let crates = packages(CORE);
    assert!(crates.iter().any(|line| line.starts_with("proofkey-core ")), "{crates:?}");
    assert!(crates.len() <= 60, "{} packages: {crates:#?}", crates.len());
}

/// `cargo tree -p proofkey-core -e normal --prefix none | sort -u | wc -l`, starred lines counted too.
#[test]
fn the_tree_has_few_lines() {
    assert!(tree(CORE).len() <= 60, "{} lines", tree(CORE).len());
}

#[test]
fn the_core_does_no_io() {
    let named = "async-std attohttpc aws-lc-rs aws-lc-sys curl fastrand futures getrandom h2 hyper hyper-util isahc mio \
        native-tls openssl quinn rand rand_chacha reqwest ring rustls schannel smol socket2 surf tokio tower ureq webpki-roots";
    let named: BTreeSet<_> = named.split_whitespace().map(str::to_owned).collect();
    let found: Vec<_> = names(CORE).intersection(&named).cloned().collect();
    assert!(found.is_empty(), "{found:?}");
    for expected in ["http", "url", "rand_core", "serde_json"] {
        assert!(names(CORE).contains(expected), "the tree was not read: {expected} is missing");
    }
}

/// Each feature of the facade has its budget, a few above what it was, and brings nothing of the others.
#[test]
fn each_feature_has_its_budget() {
    let rows = [
        ("", 44, "", "getrandom tokio rustls"),
        ("blocking", 61, "ureq", "h2 hyper reqwest tokio"),
        ("hyper", 85, "hyper", "reqwest ureq"),
        ("reqwest", 96, "reqwest", "ureq"),
        ("blocking,hyper,reqwest", 101, "ureq hyper reqwest", ""),
    ];
    for (features, budget, in_it, not_in_it) in rows {
        let facade = ["proofkey", "--no-default-features", "--features", features];
        let (crates, names) = (packages(&facade), names(&facade));
        println!("{features:<24} {:>3} packages of {budget}", crates.len());
        assert!(crates.len() <= budget, "{features}: {} packages: {crates:#?}", crates.len());
        assert!(in_it.split_whitespace().all(|name| names.contains(name)), "{features}: {names:?}");
        for name in not_in_it.split_whitespace().chain(["native-tls", "openssl", "aws-lc-rs"]) {
            assert!(!names.contains(name), "{features} brings {name}");
        }
    }
}
