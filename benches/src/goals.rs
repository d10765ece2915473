//! What Proofkey is held to, and whether it is so.

use std::time::Duration;

use proofkey_benches::step::ROWS;

use crate::loopback::{CLIENTS, Cost, IN_FLIGHT};
use crate::markdown::Login;
use crate::scaling::Growth;
use crate::size::Size;

/// Goal, measured, whether it is met.
#[derive(Default)]
pub struct Goals(Vec<(String, String, bool)>);

impl Goals {
    fn at_most(&mut self, what: String, limit: f64, measured: f64) {
        self.0.push((format!("{what}: at most {limit}"), format!("{measured:.2}"), measured <= limit));
    }

    fn at_least(&mut self, what: String, limit: f64, measured: f64) {
        self.0.push((format!("{what}: at least {limit}"), format!("{measured:.2}"), measured >= limit));
    }

    pub fn login(&mut self, names: &[&str], login: &Login) {
        let of = |name: &str| names.iter().position(|other| *other == name).unwrap_or_default();
        let (ours, oauth2, shaped) = (of("proofkey"), of("oauth2"), of("shaped"));
        let whole = &ROWS[0];
        let ratio = |to: usize| login.instructions(ours, whole) / login.instructions(to, whole);
        self.at_most("login, instructions over oauth2's".to_owned(), 0.33, ratio(oauth2));
        self.at_most("login, instructions over shaped's".to_owned(), 1.25, ratio(shaped));
        let (allocations, reallocations) = login.allocations(ours, whole);
        self.at_most("login, allocations with reallocations".to_owned(), 12.0, allocations + reallocations);
        for (row, limit) in ROWS[1..].iter().zip([4.0, 5.0, 6.0, 2.0, 3.0, 3.5]) {
            let fewer = login.instructions(oauth2, row) / login.instructions(ours, row);
            self.at_least(format!("{}, oauth2's instructions over proofkey's", row.name), limit, fewer);
        }
        let unknown = &ROWS[7];
        let faster = login.time(oauth2, unknown) / login.time(ours, unknown);
        self.at_least(format!("{}, oauth2's time over proofkey's", unknown.name), 4.0, faster);
        self.at_most("a pending login, bytes in memory".to_owned(), 512.0, login.allocations[ours].pending as f64);
        self.at_most("a pending login, bytes stored".to_owned(), 600.0, login.stored[ours] as f64);
    }

    /// Ten times as much takes at most twelve times as long.
    pub fn scaling(&mut self, rows: &[Growth], times: &[Vec<Option<f64>>]) {
        let time = |name: &str| {
            rows.iter().position(|row| row.name.contains(name)).and_then(|row| times[row][0]).unwrap_or(f64::INFINITY)
        };
        for (small, large) in
            [("100000 bytes", "1000000 bytes"), ("1000 unknown", "10000 unknown"), ("100 deep", "1000 deep")]
        {
            self.at_most(format!("{large}, time over that of {small}"), 12.0, time(large) / time(small));
        }
    }

    pub fn loopback(&mut self, costs: &[[Cost; 3]]) {
        let sixteen = IN_FLIGHT.iter().position(|count| *count == 16).unwrap_or_default();
        for ((name, raw), costs) in CLIENTS.iter().zip(costs).filter(|((name, _), _)| name.starts_with("proofkey")) {
            self.at_most(format!("{name}, client CPU over {raw}'s, 16 in flight"), 1.05, costs[sixteen].over_raw);
        }
    }

    pub fn size(&mut self, sizes: &[Size], (core, dependencies): (Duration, Duration)) {
        let ratio = core.as_secs_f64() / dependencies.as_secs_f64();
        self.at_most("core, clean build over its dependencies' own".to_owned(), 1.2, ratio);
        let [ours, oauth2, ..] = sizes else { return };
        self.at_most("minimal program, bytes over oauth2's".to_owned(), 1.0, ours.bytes as f64 / oauth2.bytes as f64);
        self.at_most("minimal program, crates".to_owned(), oauth2.crates as f64, ours.crates as f64);
    }

    pub fn print(&self) {
        println!("| goal | measured | |\n|---|--:|---|");
        for (goal, measured, met) in &self.0 {
            println!("| {goal} | {measured} | {} |", if *met { "met" } else { "**missed**" });
        }
    }
}
