//! Against authorization servers that nobody here wrote: each case of `interop/cases.rs`, with each server, through each
//! transport. What comes of it is the matrix in the README.
//!
//! `cargo test --test interop --all-features` runs all of it, and `-- authlib` or `-- refresh` a part. Without node or
//! python their servers are left out, unless `PROOFKEY_REQUIRE_INTEROP=1`. `PROOFKEY_UPDATE_INTEROP=1` writes the matrix.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

#[path = "interop/browser.rs"]
mod browser;
#[path = "interop/cases.rs"]
mod cases;
#[path = "support/driver.rs"]
mod driver;
#[path = "interop/matrix.rs"]
mod matrix;
#[path = "interop/places.rs"]
mod places;
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
    let (places, matrix) = (Arc::new(Places::default()), Arc::new(Matrix::default()));
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        let lacks = kind.lacks();
        if let Some(tool) = lacks {
            eprintln!("{} is left out: {tool} does not run here", kind.name());
        }
        for (row, case) in CASES {
            for library in Library::ALL {
                let (places, matrix) = (places.clone(), matrix.clone());
                let trial = Trial::test(format!("{}: {row}: {library}", kind.name()), move || {
                    if let Some(tool) = lacks {
                        return Err(format!("{tool} does not run here").into());
                    }
                    let (running, server) = places.plain(kind);
                    let driver = Driver::new(library);
                    let told = case(&Scene { kind, library, places: &places, running, server, driver });
                    Ok(matrix.note(kind, row, told)?)
                });
                trials.push(trial.with_ignored_flag(lacks.is_some() && !is_set("PROOFKEY_REQUIRE_INTEROP")));
            }
        }
    }
    let all = trials.len();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if usize::try_from(conclusion.num_passed) == Ok(all)
        && let Err(error) = matrix.settle(&places, is_set("PROOFKEY_UPDATE_INTEROP"))
    {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}
