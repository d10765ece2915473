//! What grows with its input: callbacks of many parameters, answers of many bytes, many members, and deep ones. Answers
//! are held against the smallest of their kind, in turns like [`times`](crate::times).

use std::time::Instant;

use http::StatusCode;

use proofkey_benches::column::Column;
use proofkey_benches::input;
use proofkey_benches::step::Until;
use proofkey_benches::world::World;

use crate::times::median;

/// A row: what grows, how far, and the surroundings of one login.
pub struct Growth {
    pub name: String,
    until: Until,
    after: String,
    body: String,
}

/// All rows.
pub fn rows() -> Vec<Growth> {
    let plain = || String::from_utf8(input::tokens().into_body()).expect("JSON");
    let with = |more: &str| format!("{},{more}}}", plain().trim_end_matches('}'));
    let members = |count: usize| {
        (0..count).map(|index| format!(r#""member_{index}":"value {index}""#)).collect::<Vec<_>>().join(",")
    };
    let parameters = [0, 10, 100].map(|count| Growth {
        name: format!("callback with {count} more parameters"),
        until: Until::Callback,
        after: input::ISS.to_owned() + &(0..count).map(|index| format!("&p{index}=v{index}")).collect::<String>(),
        body: plain(),
    });
    let answer = |name: String, body: String| Growth { name, until: Until::Answer, after: input::ISS.to_owned(), body };
    let bytes = [10_000, 100_000, 1_000_000].map(|size| {
        answer(format!("login, a member of {size} bytes"), with(&format!(r#""x":"{}""#, "x".repeat(size))))
    });
    let many =
        [10, 100, 1000, 10_000].map(|count| answer(format!("login, {count} unknown members"), with(&members(count))));
    let deep = [10, 100, 1000].map(|depth| {
        answer(
            format!("login, a member {depth} deep"),
            with(&format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth))),
        )
    });
    parameters.into_iter().chain(bytes).chain(many).chain(deep).collect()
}

/// Microseconds by column; `None` where the library refuses it.
pub fn measure(row: &Growth, columns: &[Box<dyn Column>]) -> Vec<Option<f64>> {
    let world = || {
        let mut world = World::new(row.until, input::answer(StatusCode::OK, &row.body));
        row.after.clone_into(&mut world.after);
        world
    };
    let mut samples = vec![Vec::new(); columns.len()];
    for _ in 0..51 {
        for (column, samples) in columns.iter().zip(&mut samples) {
            let mut world = world();
            let start = Instant::now();
            let end = column.login(&mut world);
            let elapsed = start.elapsed();
            if end.is_ok() || row.until != Until::Answer {
                samples.push(elapsed.as_secs_f64() * 1e6);
            }
        }
    }
    samples.into_iter().map(|samples| (!samples.is_empty()).then(|| median(samples))).collect()
}
