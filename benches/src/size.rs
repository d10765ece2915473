//! What a library brings along: the crates below a minimal login program, how long they take to build from nothing, and
//! how large the stripped program is. The programs are in `minimal/`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use nix::sys::resource::UsageWho;

use crate::times::processor;

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

/// What a clean build of the protocol core takes of the processor, and one of its dependencies alone: the least of three
/// each. The clock's time would be the other programs' as much as theirs.
pub fn core() -> io::Result<(Duration, Duration)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (root, core) =
        (fs::read_to_string(here.join("../Cargo.toml"))?, fs::read_to_string(here.join("../core/Cargo.toml"))?);
    let whole = format!("[dependencies]\nproofkey-core = {{ path = {:?} }}\n", here.join("../core"));
    let dependencies = [section(&root, "[workspace.dependencies]"), section(&core, "[dependencies]")].concat();
    let (mut with, mut without) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        with = with.min(empty(&whole)?);
        without = without.min(empty(&dependencies)?);
    }
    Ok((with, without))
}

/// Builds a crate with nothing in it but these dependencies, from nothing, in the versions that are measured here.
fn empty(dependencies: &str) -> io::Result<Duration> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = here.join("target/empty");
    fs::create_dir_all(package.join("src"))?;
    let head = "[package]\nname = \"empty\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(package.join("Cargo.toml"), [head, dependencies].concat())?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::copy(here.join("Cargo.lock"), package.join("Cargo.lock"))?;
    let before = processor(UsageWho::RUSAGE_CHILDREN)?;
    clean(&here.join("target/clean"), cargo("build").arg("--release").current_dir(package))?;
    Ok(processor(UsageWho::RUSAGE_CHILDREN)? - before)
}

/// A section of a manifest, up to the next.
fn section<'a>(manifest: &'a str, head: &str) -> &'a str {
    let from = manifest.find(head).unwrap_or(manifest.len());
    let section = &manifest[from..];
    section.find("\n[").map_or(section, |end| &section[..=end])
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
