//! Criterion's benches of each step, taken from the login's beginning, for comparing one state of Proofkey with another.
//! The table's own times are measured in turns, by the command.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use proofkey_benches::step::RUNS;
use proofkey_benches::{column, same_job};

fn login(criterion: &mut Criterion) {
    let columns = column::all();
    for column in &columns {
        same_job::check(&**column);
    }
    for run in RUNS {
        let mut group = criterion.benchmark_group(format!("{run:?}"));
        for column in &columns {
            group.bench_function(column.name(), |bencher| {
                bencher.iter_batched_ref(|| run.world(), |world| run.go(&**column, world), BatchSize::SmallInput);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, login);
criterion_main!(benches);
