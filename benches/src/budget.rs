//! The instructions of Proofkey's own steps, held to a budget: they are the same in every run on machines of one kind, but
//! for a few that the kernel's answers cost. A change that costs more than a twentieth is to be seen.

use std::io;

use proofkey_benches::step::{ROWS, Row};

use crate::instructions;
use crate::markdown::difference;

/// By row. On x86-64 with SHA instructions, rustc 1.95.
const BUDGET: [f64; ROWS.len()] = [20_370.0, 5_200.0, 4_030.0, 2_900.0, 8_270.0, 3_270.0, 1_390.0, 520.0];

/// Fails if a step takes a twentieth more than its budget.
pub fn hold() -> io::Result<()> {
    if !std::arch::is_x86_feature_detected!("sha") {
        println!("not held: this processor has no SHA instructions, and the budget counts on them");
        return Ok(());
    }
    let counts = instructions::count(0)?;
    let taken = |row: &Row| difference(row, |run| counts[run] as f64);
    let mut over = false;
    for (row, budget) in ROWS.iter().zip(BUDGET) {
        let taken = taken(row);
        let is_over = taken > budget * 1.05;
        println!("{}: {taken:.0} instructions of {budget:.0}{}", row.name, if is_over { ": OVER" } else { "" });
        over |= is_over;
    }
    if over { Err(io::Error::other("over the budget")) } else { Ok(()) }
}
