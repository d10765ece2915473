//! The table in the README: what came of each case at each server. It is what is expected, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::cases::{CASES, Told};
use crate::places::Places;
use crate::running::Kind;

pub(crate) struct Matrix {
    readme: String,
    /// What has been told so far, by row and server.
    told: Mutex<BTreeMap<(&'static str, &'static str), Told>>,
    update: bool,
}

impl Matrix {
    /// The matrix that the README has. With `update` it is another run that decides.
    pub(crate) fn read(update: bool) -> Self {
        let readme = std::fs::read_to_string(path()).expect("the README");
        assert!(parts(&readme).is_some(), "the README has no place for the matrix");
        Self { readme, told: Mutex::default(), update }
    }

    /// Notes what came of a case. Each transport must come to the same, and the README has it.
    pub(crate) fn note(&self, kind: Kind, row: &'static str, told: Told) -> Result<(), String> {
        let mut all = self.told.lock().expect("nobody panics with it");
        let first = all.entry((row, kind.name())).or_insert(told);
        if *first != told {
            return Err(format!("through another transport it was {first:?}, here {told:?}"));
        }
        let line = self.readme.lines().find_map(|line| line.strip_prefix(&format!("| {row} | ")));
        let cell = line.and_then(|line| line.split(" | ").nth(kind as usize)).unwrap_or_default();
        let cell = cell.trim_end_matches(" |");
        if self.update || cell == told.to_string() {
            Ok(())
        } else {
            Err(format!("the README's matrix has \"{cell}\", and it was \"{told}\""))
        }
    }

    /// Compares itself with the README, once everything has passed; or writes it.
    pub(crate) fn settle(&self, places: &Places) -> Result<(), String> {
        let table = self.table(places);
        println!("{table}");
        let (before, found, after) = parts(&self.readme).ok_or("the README has no place for the matrix")?;
        if found.trim() == table.trim() {
            Ok(())
        } else if self.update {
            std::fs::write(path(), format!("{before}{BEGIN}\n{table}{END}{after}")).map_err(|error| error.to_string())
        } else {
            Err("the README's matrix is another: PROOFKEY_UPDATE_INTEROP=1 writes this one".to_owned())
        }
    }

    fn table(&self, places: &Places) -> String {
        let told = self.told.lock().expect("nobody panics with it");
        let mut table = String::from("| |");
        for kind in Kind::ALL {
            let said = &places.plain(kind).0.said;
            write!(table, " `{}` {} |", said.name, said.version).expect("a string takes anything");
        }
        table.push_str("\n|---|---|---|---|\n");
        for (row, _) in CASES {
            write!(table, "| {row} |").expect("a string takes anything");
            for kind in Kind::ALL {
                write!(table, " {} |", told[&(*row, kind.name())]).expect("a string takes anything");
            }
            table.push('\n');
        }
        table
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// What stands before the matrix, it, and what stands behind.
fn parts(readme: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    Some((before, table, after))
}

const BEGIN: &str = "<!-- interop: written by `PROOFKEY_UPDATE_INTEROP=1 cargo test --test interop --all-features` -->";
const END: &str = "<!-- interop: end -->";
