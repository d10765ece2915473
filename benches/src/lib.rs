//! Proofkey beside other OAuth clients and beside code written by hand: the same job, on the same inputs.
//!
//! `README.md` says what is measured, and how. The command is `cargo run --release`.

pub mod column;
pub mod input;
pub mod same_job;
pub mod step;
pub mod world;
