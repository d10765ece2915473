//! Against authorization servers that nobody here wrote: each case of `interop/cases.rs`, with each server, through each
//! transport. What comes of it is the matrix in the README, and what they answer is in `transcripts/`.
//!
//! `cargo test --test interop --all-features` runs all of it, and `-- authlib` or `-- refresh` a part. Without node or
//! python their servers are left out, unless `PROOFKEY_REQUIRE_INTEROP=1`. `PROOFKEY_UPDATE_INTEROP=1` writes matrix and
//! transcripts; otherwise they are what is expected.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

#[path = "interop/browser.rs"]
mod browser;
#[path = "interop/cases.rs"]
mod cases;
#[path = "support/driver.rs"]
mod driver;
#[path = "support/figure.rs"]
mod figure;
#[path = "interop/matrix.rs"]
mod matrix;
#[path = "interop/places.rs"]
mod places;
#[path = "interop/recording.rs"]
mod recording;
#[path = "interop/running.rs"]
mod running;
mod support;
#[path = "interop/tls.rs"]
mod tls;

use cases::{CASES, Scene};
use driver::{Driver, Library};
use matrix::Matrix;
use places::Places;
use running::Kind;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let update = is_set("PROOFKEY_UPDATE_INTEROP");
    let (places, matrix) = (Arc::new(Places::default()), Arc::new(Matrix::read(update)));
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        let lacks = kind.lacks();
        if let Some(tool) = lacks {
            eprintln!("{} is left out: {tool} does not run here", kind.name());
        }
        let mut add = |what: String, test: Test| {
            let places = places.clone();
            let trial = Trial::test(format!("{}: {what}", kind.name()), move || match lacks {
                Some(tool) => Err(format!("{tool} does not run here").into()),
                None => Ok(test(&places)?),
            });
            trials.push(trial.with_ignored_flag(lacks.is_some() && !is_set("PROOFKEY_REQUIRE_INTEROP")));
        };
        for (row, case) in CASES {
            for library in Library::ALL {
                let matrix = matrix.clone();
                let test = move |places: &Places| {
                    let (running, server) = places.plain(kind);
                    let driver = Driver::new(library);
                    let told = case(&Scene { kind, library, places, running, server, driver });
                    matrix.note(kind, row, told)
                };
                add(format!("{row}: {library}"), Box::new(test));
            }
        }
        add(
            "the transcripts are what it answers".to_owned(),
            Box::new(move |places| recording::settle(places, kind, update)),
        );
    }
    let all = trials.len();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if usize::try_from(conclusion.num_passed) == Ok(all)
        && let Err(error) = matrix.settle(&places)
    {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// What fails by a panic or by what it says.
type Test = Box<dyn FnOnce(&Places) -> Result<(), String> + Send>;

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}
