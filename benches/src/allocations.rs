//! Allocations, counted by the program `allocations`.

use std::io;
use std::process::Command;

/// What one column does to the allocator.
pub struct Allocations {
    /// Allocations and reallocations of each run.
    pub runs: Vec<(u64, u64)>,
    /// Bytes of a login under way, of a hundred thousand.
    pub pending: u64,
}

/// By column.
pub fn count() -> io::Result<Vec<Allocations>> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--release", "--bin", "allocations"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| read(line).ok_or_else(|| io::Error::other(format!("allocations: {line}"))))
        .collect()
}

fn read(line: &str) -> Option<Allocations> {
    let (runs, pending) = line.rsplit_once(' ')?;
    let pair = |text: &str| text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    Some(Allocations {
        runs: runs.split_whitespace().map(pair).collect::<Option<_>>()?,
        pending: pending.parse().ok()?,
    })
}
