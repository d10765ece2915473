//! The table in the README: what came of each case at each server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use crate::cases::{CASES, Told};
use crate::places::Places;
use crate::running::Kind;

/// What has been told so far, by row and server.
#[derive(Default)]
pub(crate) struct Matrix(Mutex<BTreeMap<(&'static str, &'static str), Told>>);

impl Matrix {
    /// Notes what came of a case. Each transport must come to the same.
    pub(crate) fn note(&self, kind: Kind, row: &'static str, told: Told) -> Result<(), String> {
        let mut cells = self.0.lock().expect("nobody panics with it");
        let first = cells.entry((row, kind.name())).or_insert(told);
        if *first == told { Ok(()) } else { Err(format!("through another transport it was {first:?}, here {told:?}")) }
    }

    /// Compares itself with the README, once everything has run; or writes it.
    pub(crate) fn settle(&self, places: &Places, update: bool) -> Result<(), String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let table = self.table(places);
        println!("{table}");
        let parts = readme.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?)));
        let (before, (found, after)) = parts.ok_or("the README has no place for the matrix")?;
        if found.trim() == table.trim() {
            Ok(())
        } else if update {
            std::fs::write(path, format!("{before}{BEGIN}\n{table}{END}{after}")).map_err(|error| error.to_string())
        } else {
            Err("the README's matrix is another: PROOFKEY_UPDATE_INTEROP=1 writes this one".to_owned())
        }
    }

    fn table(&self, places: &Places) -> String {
        let cells = self.0.lock().expect("nobody panics with it");
        let mut table = String::from("| |");
        for kind in Kind::ALL {
            let said = &places.plain(kind).0.said;
            write!(table, " `{}` {} |", said.name, said.version).expect("a string takes anything");
        }
        table.push_str("\n|---|---|---|---|\n");
        for (row, _) in CASES {
            write!(table, "| {row} |").expect("a string takes anything");
            for kind in Kind::ALL {
                write!(table, " {} |", cells[&(*row, kind.name())]).expect("a string takes anything");
            }
            table.push('\n');
        }
        table
    }
}

const BEGIN: &str = "<!-- interop: written by `PROOFKEY_UPDATE_INTEROP=1 cargo test --test interop --all-features` -->";
const END: &str = "<!-- interop: end -->";
