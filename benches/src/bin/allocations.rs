//! Allocations of each run of each column, and the memory of logins under way: a program of its own, because counting
//! costs time. The command reads what it prints.

use std::alloc::System;

use proofkey_benches::column;
use proofkey_benches::step::RUNS;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    for column in column::all() {
        for run in RUNS {
            run.go(&*column, &mut run.world());
            let mut world = run.world();
            let region = Region::new(ALLOCATOR);
            run.go(&*column, &mut world);
            let change = region.change();
            print!("{},{} ", change.allocations, change.reallocations);
        }
        let region = Region::new(ALLOCATOR);
        let kept: Vec<_> = (0..LOGINS).filter_map(|_| Some(column.pending()?.0)).collect();
        let change = region.change();
        let bytes = change.bytes_allocated - change.bytes_deallocated;
        println!("{}", if kept.is_empty() { 0 } else { bytes / LOGINS });
    }
}

/// Under way at once.
const LOGINS: usize = 100_000;
