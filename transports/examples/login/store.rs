//! Tokens in a file of this user's alone: written beside, synced, and renamed over, so that there is never half a file.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use proofkey::Tokens;

use crate::failure::Failure;

/// The tokens in the file, or none if there is no file. A link is not followed: it may lead to somebody else's.
pub(crate) fn load(file: &Path) -> Result<Option<Tokens>, Failure> {
    let fail = |why: String| Failure::other(format!("{} cannot be read: {why}", file.display()));
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Better now than after the login.
            return if folder(file).is_dir() { Ok(None) } else { Err(fail("there is no such folder".to_owned())) };
        }
        Err(error) => return Err(fail(error.to_string())),
        Ok(found) if !found.is_file() => return Err(fail("it is not a plain file".to_owned())),
        Ok(_) => {}
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    let mut text = String::new();
    options.open(file).and_then(|mut file| file.read_to_string(&mut text)).map_err(|error| fail(error.to_string()))?;
    serde_json::from_str(&text).map(Some).map_err(|error| fail(error.to_string()))
}

/// Puts the tokens into the file, readable by this user only.
pub(crate) fn save(file: &Path, tokens: &Tokens) -> Result<(), Failure> {
    let fail = |why: String| Failure::other(format!("{} cannot be written: {why}", file.display()));
    let text = serde_json::to_string_pretty(tokens).map_err(|error| fail(error.to_string()))?;
    if fs::symlink_metadata(file).is_ok_and(|found| !found.is_file()) {
        return Err(fail("it is not a plain file".to_owned()));
    }
    let folder = folder(file);
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(|error| fail(error.to_string()))?;
    beside
        .write_all(text.as_bytes())
        .and_then(|()| beside.as_file().sync_all())
        .map_err(|error| fail(error.to_string()))?;
    beside.persist(file).map_err(|error| fail(error.to_string()))?;
    // The rename lasts once the folder is on the disk too; where folders cannot be opened, it lasts by itself.
    let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

pub(crate) fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::other(format!("{} cannot be removed: {error}", file.display())))
        }
        _ => Ok(()),
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
