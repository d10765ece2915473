//! Instructions, counted natively: a child process runs the code between two marks, and is stepped through it one
//! instruction at a time. Unlike a counter of the processor's this works inside a virtual machine, and unlike an emulator
//! it sees the processor's own SHA and vector instructions. A string instruction counts once, however often it repeats.

use std::io;
use std::process::{Command, Stdio};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use proofkey_benches::column;
use proofkey_benches::step::RUNS;

/// The instructions of each run of this column, in the order of [`RUNS`].
pub fn count(column: usize) -> io::Result<Vec<u64>> {
    let mut child =
        Command::new(std::env::current_exe()?).args(["stepped", &column.to_string()]).stdout(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // A child that came to its end has been waited for.
    let counts = counts(pid).inspect_err(|_| drop(child.kill()))?;
    // The first is empty: what the marks cost.
    let (marks, runs) = counts.split_first().ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(runs.iter().map(|count| count - marks).collect())
}

/// What the child does.
pub fn stepped(column: usize) -> io::Result<()> {
    let column = &*column::all().swap_remove(column);
    for run in RUNS {
        for _ in 0..32 {
            run.go(column, &mut run.world());
        }
    }
    ptrace::traceme()?;
    raise(Signal::SIGSTOP)?;
    raise(Signal::SIGSTOP)?;
    for run in RUNS {
        let mut world = run.world();
        raise(Signal::SIGSTOP)?;
        run.go(column, &mut world);
        raise(Signal::SIGSTOP)?;
    }
    Ok(())
}

/// The steps between each two marks, the first one's and the second's, the third's and the fourth's ..
fn counts(pid: Pid) -> io::Result<Vec<u64>> {
    let mut counts = Vec::new();
    loop {
        match waitpid(pid, None)? {
            WaitStatus::Stopped(_, Signal::SIGSTOP) => counts.push(steps(pid)?),
            WaitStatus::Exited(_, 0) => return Ok(counts),
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        ptrace::cont(pid, None)?;
    }
}

/// The steps until the next mark.
fn steps(pid: Pid) -> io::Result<u64> {
    let (mut steps, mut last) = (0, 0);
    loop {
        ptrace::step(pid, None)?;
        match waitpid(pid, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                let here = ptrace::getregs(pid)?.rip;
                steps += u64::from(here != last);
                last = here;
            }
            WaitStatus::Stopped(_, Signal::SIGSTOP) => return Ok(steps),
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
