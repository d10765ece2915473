//! The tables, as Markdown.

use std::time::Duration;

use proofkey_benches::step::{ROWS, RUNS, Row, Run};

use crate::allocations::Allocations;
use crate::loopback::{CLIENTS, Cost, IN_FLIGHT};
use crate::scaling::Growth;
use crate::size::{PROGRAMS, Size};

/// All that is measured of a login, by column.
pub struct Login {
    pub instructions: Vec<Vec<u64>>,
    pub times: Vec<Vec<f64>>,
    pub allocations: Vec<Allocations>,
    pub stored: Vec<usize>,
}

impl Login {
    /// Instructions of a row in this column.
    pub fn instructions(&self, column: usize, row: &Row) -> f64 {
        difference(row, |run| self.instructions[column][run] as f64)
    }

    /// Nanoseconds.
    pub fn time(&self, column: usize, row: &Row) -> f64 {
        difference(row, |run| self.times[column][run])
    }

    /// Allocations and reallocations.
    pub fn allocations(&self, column: usize, row: &Row) -> (f64, f64) {
        let of = |run: usize| self.allocations[column].runs[run];
        (difference(row, |run| of(run).0 as f64), difference(row, |run| of(run).1 as f64))
    }
}

/// What a row says, from what each run measured.
pub fn difference(row: &Row, measured: impl Fn(usize) -> f64) -> f64 {
    let of = |run: Run| RUNS.iter().position(|other| *other == run).map_or(0.0, &measured);
    (of(row.run) - row.less.map_or(0.0, of)) / row.each as f64
}

pub fn login(names: &[&str], login: &Login) {
    let columns = 0..names.len();
    head("per operation", names);
    for (unit, value) in [("instructions", Login::instructions as fn(&Login, usize, &Row) -> f64), ("ns", Login::time)]
    {
        for row in &ROWS {
            line(&format!("{}, {unit}", row.name), columns.clone().map(|column| thousands(value(login, column, row))));
        }
    }
    for row in &ROWS {
        let cell = |column| {
            let (allocations, reallocations) = login.allocations(column, row);
            if reallocations > 0.0 { format!("{allocations} + {reallocations}") } else { format!("{allocations}") }
        };
        line(&format!("{}, allocations + reallocations", row.name), columns.clone().map(cell));
    }
    let or_none = |bytes: u64| if bytes == 0 { String::new() } else { bytes.to_string() };
    line("a pending login, bytes in memory", login.allocations.iter().map(|all| or_none(all.pending)));
    line("a pending login, bytes stored", login.stored.iter().map(|bytes| or_none(*bytes as u64)));
    let megabytes = |bytes: u64| if bytes == 0 { String::new() } else { format!("{:.0} MB", bytes as f64 / 10.0) };
    line("100,000 of them, in memory", login.allocations.iter().map(|all| megabytes(all.pending)));
    println!();
}

pub fn scaling(names: &[&str], rows: &[Growth], times: &[Vec<Option<f64>>]) {
    head("microseconds", names);
    for (row, times) in rows.iter().zip(times) {
        line(&row.name, times.iter().map(|time| time.map_or("refused".to_owned(), |time| format!("{time:.1}"))));
    }
    println!();
}

pub fn loopback(costs: &[[Cost; 3]]) {
    let columns = IN_FLIGHT.map(|count| format!("{count} in flight"));
    head(
        "client CPU, µs per exchange (over the raw library); exchanges per second",
        &columns.each_ref().map(|name| &**name),
    );
    for ((name, _), costs) in CLIENTS.iter().zip(costs) {
        let cells =
            costs.iter().map(|cost| format!("{:.1} ({:.2}); {}", cost.cpu, cost.over_raw, thousands(cost.per_second)));
        line(name, cells);
    }
    println!();
}

pub fn size(sizes: &[Size], (core, dependencies): (Duration, Duration)) {
    head("a minimal login program", &PROGRAMS);
    line("crates", sizes.iter().map(|size| size.crates.to_string()));
    line("clean build, s", sizes.iter().map(|size| format!("{:.1}", size.build.as_secs_f64())));
    line("stripped, MB", sizes.iter().map(|size| format!("{:.2}", size.bytes as f64 / 1e6)));
    println!();
    println!(
        "The core: a clean build takes {:.1} s of the processor, its dependencies' alone {:.1} s.\n",
        core.as_secs_f64(),
        dependencies.as_secs_f64()
    );
}

fn head(what: &str, names: &[&str]) {
    line(what, names.iter().map(|name| (*name).to_owned()));
    println!("|---|{}", "--:|".repeat(names.len()));
}

fn line(name: &str, cells: impl Iterator<Item = String>) {
    println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

/// `12,345`.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("-{text}") } else { text }
}
