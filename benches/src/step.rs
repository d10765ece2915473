//! The steps of a login, and what is measured of each column.

use crate::column::Column;
use crate::input;
use crate::world::World;

/// How far a login is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Begin,
    Callback,
    Request,
    Answer,
}

/// What is measured. Libraries join some steps into one call, so each login starts at the beginning, and what a step
/// costs is the difference to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    Login(Until),
    Refused,
    /// With this many members that nobody knows in the token response.
    Unknown(usize),
    Bearer,
}

pub const RUNS: [Run; 7] = [
    Run::Login(Until::Begin),
    Run::Login(Until::Callback),
    Run::Login(Until::Request),
    Run::Login(Until::Answer),
    Run::Refused,
    Run::Unknown(UNKNOWN),
    Run::Bearer,
];

pub const UNKNOWN: usize = 100;

/// A row of the table: a run, and the run that is taken off. What remains is for this many.
pub struct Row {
    pub name: &'static str,
    pub run: Run,
    pub less: Option<Run>,
    pub each: usize,
}

pub const ROWS: [Row; 8] = [
    Row { name: "login", run: RUNS[3], less: None, each: 1 },
    Row { name: "begin (authorization URL)", run: RUNS[0], less: None, each: 1 },
    Row { name: "callback", run: RUNS[1], less: Some(RUNS[0]), each: 1 },
    Row { name: "token request", run: RUNS[2], less: Some(RUNS[1]), each: 1 },
    Row { name: "token response", run: RUNS[3], less: Some(RUNS[2]), each: 1 },
    Row { name: "error response", run: RUNS[4], less: Some(RUNS[2]), each: 1 },
    Row { name: "bearer header on a request", run: RUNS[6], less: None, each: 1 },
    Row { name: "each unknown member", run: RUNS[5], less: Some(RUNS[3]), each: UNKNOWN },
];

impl Run {
    /// The surroundings of one run, made before it is measured.
    pub fn world(self) -> World {
        match self {
            Self::Login(until) => World::new(until, input::tokens()),
            Self::Refused => World::new(Until::Answer, input::refusal()),
            Self::Unknown(count) => World::new(Until::Answer, input::tokens_and(&unknown(count))),
            Self::Bearer => World::new(Until::Begin, input::refusal()),
        }
    }

    /// One run.
    pub fn go(self, column: &dyn Column, world: &mut World) {
        match self {
            Self::Bearer => drop(std::hint::black_box(column.bearer())),
            _ => drop(column.login(world)),
        }
    }
}

fn unknown(count: usize) -> String {
    (0..count).map(|index| format!(r#""member_{index}":"value {index}""#)).collect::<Vec<_>>().join(",")
}
