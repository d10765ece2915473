//! Times, taken in turns: each round runs every run of every column, so that whatever else the machine does falls on all
//! alike. The median of the rounds stands for each.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use proofkey_benches::column::Column;
use proofkey_benches::step::RUNS;

const ROUNDS: usize = 301;
const BATCH: usize = 24;

/// Nanoseconds per run, by column and run.
pub fn measure(columns: &[Box<dyn Column>]) -> Vec<Vec<f64>> {
    let mut samples = vec![vec![Vec::with_capacity(ROUNDS); RUNS.len()]; columns.len()];
    for _ in 0..ROUNDS {
        for (column, samples) in columns.iter().zip(&mut samples) {
            for (run, samples) in RUNS.into_iter().zip(samples) {
                let mut worlds: Vec<_> = (0..BATCH).map(|_| run.world()).collect();
                let start = Instant::now();
                for world in &mut worlds {
                    run.go(&**column, world);
                }
                samples.push(start.elapsed().as_secs_f64() * 1e9 / BATCH as f64);
            }
        }
    }
    samples.into_iter().map(|runs| runs.into_iter().map(median).collect()).collect()
}

/// The processor's time so far, user and system.
pub fn processor(who: UsageWho) -> io::Result<Duration> {
    let usage = getrusage(who)?;
    let time = usage.user_time() + usage.system_time();
    Ok(Duration::new(time.tv_sec().unsigned_abs(), 1000 * time.tv_usec() as u32))
}

pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
