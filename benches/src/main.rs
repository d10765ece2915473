//! The command: checks that every column does the same job, measures, and prints everything as Markdown.
//!
//! Without arguments it does all; otherwise the parts that are named: `login`, `scaling`, `loopback`, `size`. `budget`
//! holds the instructions of Proofkey's own steps to theirs.

mod allocations;
mod budget;
mod goals;
mod instructions;
mod loopback;
mod markdown;
mod picture;
mod scaling;
mod size;
mod times;

use std::io;

use proofkey_benches::column;
use proofkey_benches::same_job;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().map_err(io::Error::other);
    match arguments[..] {
        // The child processes.
        ["stepped", column] => return instructions::stepped(number(column)?),
        ["serve"] => return loopback::serve(),
        ["exchange", client, in_flight, port] => return loopback::exchange(number(client)?, number(in_flight)?, port),
        ["budget"] => return budget::hold(),
        _ => {}
    }
    let wants = |part: &str| arguments.is_empty() || arguments.contains(&part);
    let columns = column::all();
    for column in &columns {
        same_job::check(&**column);
    }
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    let mut goals = goals::Goals::default();
    if wants("login") {
        let measured = markdown::Login {
            instructions: (0..columns.len()).map(instructions::count).collect::<io::Result<_>>()?,
            times: times::measure(&columns),
            allocations: allocations::count()?,
            stored: columns.iter().map(|column| column.pending().map_or(0, |(_, stored)| stored.len())).collect(),
        };
        markdown::login(&names, &measured);
        goals.login(&names, &measured);
        picture::write(&names, &measured)?;
    }
    if wants("scaling") {
        let rows = scaling::rows();
        let times: Vec<_> = rows.iter().map(|row| scaling::measure(row, &columns)).collect();
        markdown::scaling(&names, &rows, &times);
        goals.scaling(&rows, &times);
    }
    if wants("loopback") {
        let costs = loopback::measure()?;
        markdown::loopback(&costs);
        goals.loopback(&costs);
    }
    if wants("size") {
        let sizes = size::PROGRAMS.map(size::measure).into_iter().collect::<io::Result<Vec<_>>>()?;
        let core = size::core()?;
        markdown::size(&sizes, core);
        goals.size(&sizes, core);
    }
    goals.print();
    Ok(())
}
