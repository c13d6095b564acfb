//! The access log in a server's life: its file is opened before anything is served, and anew when that is asked for.

use super::{Life, Server, StartError, lock};
use crate::config::Config;
use crate::trace::AccessFile;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file of the access log under the name that the option had.
#[derive(Debug)]
pub(super) struct NamedFile {
    name: String,
    file: AccessFile,
}

/// Opens the file that the options name; none where they name none or the access log is off. One that is open already is kept
/// as long as it is the same.
pub(super) fn open_file(
    config: &Config,
    opened: Option<NamedFile>,
    reopen: &Arc<AtomicBool>,
) -> Result<Option<NamedFile>, StartError> {
    let Some(name) = config.access_log_file.as_ref().filter(|_| config.access_log.is_some()) else { return Ok(None) };
    if opened.as_ref().is_some_and(|opened| opened.name == *name) {
        return Ok(opened);
    }
    let file = AccessFile::open(name, Arc::clone(reopen));
    let file = file.map_err(|error| StartError::AccessLog(name.clone(), error))?;
    Ok(Some(NamedFile { name: name.clone(), file }))
}

impl NamedFile {
    pub(super) fn into_file(self) -> AccessFile {
        self.file
    }
}

impl Server {
    /// Asks for the file of the access log to be opened anew by its name, as whoever has moved it away wants, and returns at once.
    /// What is logged from now on may still go to the old file for a moment. Nothing happens where there is no such file.
    pub fn reopen_access_log(&self) {
        self.reopen_access_log.store(true, Ordering::Release);
        if let Life::Running(running) = &*lock(&self.life) {
            running.log_thread.thread().unpark();
        }
    }
}
