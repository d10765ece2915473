//! What the protocol core pulls in: little, and nothing that opens a socket, drives a task, encrypts or makes entropy.

use std::collections::BTreeSet;
use std::process::Command;

/// `cargo tree -p proofkey-core -e normal --prefix none`, line by line.
fn tree() -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "proofkey-core", "-e", "normal", "--prefix", "none", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8_lossy(&tree.stdout).lines().map(str::to_owned).collect()
}

/// The names of the packages.
fn packages() -> BTreeSet<String> {
    tree().iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_core_has_few_dependencies() {
    // A package that stands below two others has a second line, marked with a star.
    let crates: BTreeSet<_> = tree().into_iter().map(|line| line.replace(" (*)", "")).collect();
    assert!(crates.iter().any(|line| line.starts_with("proofkey-core ")), "{crates:?}");
    assert!(crates.len() <= 60, "{} packages: {crates:#?}", crates.len());
}

/// `cargo tree -p proofkey-core -e normal --prefix none | sort -u | wc -l`, starred lines counted too.
#[test]
fn the_tree_has_few_lines() {
    assert!(tree().len() <= 60, "{} lines", tree().len());
}

#[test]
fn the_core_does_no_io() {
    let named = "async-std attohttpc aws-lc-rs aws-lc-sys curl fastrand futures getrandom h2 hyper hyper-util isahc mio \
        native-tls openssl quinn rand rand_chacha reqwest ring rustls schannel smol socket2 surf tokio tower ureq webpki-roots";
    let named: BTreeSet<_> = named.split_whitespace().map(str::to_owned).collect();
    let found: Vec<_> = packages().intersection(&named).cloned().collect();
    assert!(found.is_empty(), "{found:?}");
    for expected in ["http", "url", "rand_core", "serde_json"] {
        assert!(packages().contains(expected), "the tree was not read: {expected} is missing");
    }
}
