//! What a library brings along: the crates below a minimal login program, how long they take to build from nothing, and
//! how large the stripped program is. The programs are in `minimal/`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

pub const PROGRAMS: [&str; 4] = ["proofkey", "oauth2", "openidconnect", "huskarl"];

pub struct Size {
    pub crates: usize,
    pub build: Duration,
    pub bytes: u64,
}

/// Builds one program in a directory of its own.
pub fn measure(program: &str) -> io::Result<Size> {
    let arguments = ["-p", "minimal", "--features", program];
    let tree = cargo("tree").args(arguments).args(["-e", "normal", "--prefix", "none"]).output()?;
    let tree = String::from_utf8_lossy(&tree.stdout).replace(" (*)", "");
    // The first line is the program itself.
    let crates = tree.lines().skip(1).filter(|line| !line.is_empty()).collect::<BTreeSet<_>>().len();

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clean");
    let build = clean(
        &directory,
        cargo("build").args(arguments).args(["--release", "--bin", program, "--config", "profile.release.strip=true"]),
    )?;
    let bytes = fs::metadata(directory.join("release").join(program))?.len();
    Ok(Size { crates, build, bytes })
}

/// How long the protocol core takes to build from nothing, and how long of that it takes by itself.
pub fn core() -> io::Result<(Duration, Duration)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clean");
    let build = || {
        let mut build = cargo("build");
        build.args(["-p", "proofkey-core", "--release"]);
        build
    };
    let whole = clean(&directory, &mut build())?;
    run(cargo("clean").args(["-p", "proofkey-core", "--release", "--target-dir"]).arg(&directory))?;
    let itself = run(build().arg("--target-dir").arg(&directory))?;
    Ok((whole, itself))
}

fn clean(directory: &Path, build: &mut Command) -> io::Result<Duration> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    run(build.arg("--target-dir").arg(directory))
}

fn run(command: &mut Command) -> io::Result<Duration> {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(start.elapsed()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

fn cargo(verb: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.arg(verb).current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo
}
