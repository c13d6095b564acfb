//! The file of the access log, written by the log's thread: lines are gathered, and what cannot be written is lost and counted.
//!
//! A line is never in it by half with another behind: where the system took only the front of one, its rest is what is written
//! next.

use rustix::fs::OFlags;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much is gathered before it is written, in bytes.
const WRITE_BYTES: usize = 16 * 1024;

/// The file that the access log goes to.
#[derive(Debug)]
pub struct AccessFile {
    path: PathBuf,
    file: File,
    /// Set by whoever has moved the file away.
    reopen: Arc<AtomicBool>,
    gathered: Gathered,
    /// Whether lines were lost and nothing has been written since.
    is_failing: bool,
    /// How many lines were lost since that was told.
    lost_untold: u64,
    warnings: Vec<String>,
}

impl AccessFile {
    /// Opens the file, or makes it, to write at its end. `reopen` is how it is asked to open it anew by its name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(path: &str, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        // The process may change its directory before the file is opened anew.
        let path = std::path::absolute(path)?;
        let (file, gathered) = open(&path)?;
        Ok(Self { path, file, reopen, gathered, is_failing: false, lost_untold: 0, warnings: Vec::new() })
    }

    /// Takes one line.
    pub(super) fn line(&mut self, text: fmt::Arguments<'_>) {
        if self.gathered.put(text) >= WRITE_BYTES {
            self.flush();
        }
    }

    /// Opens the file anew where that was asked for; what was taken until now goes to the old one.
    pub(super) fn reopen_if_asked(&mut self) {
        if !self.reopen.swap(false, Ordering::Acquire) {
            return;
        }
        self.flush();
        match open(&self.path) {
            Ok((file, gathered)) => {
                self.lost_untold += self.gathered.lines_left();
                (self.file, self.gathered) = (file, gathered);
            }
            Err(error) => self.warnings.push(format!(
                "access log: {:?} cannot be opened anew: {error}; the lines go where they went",
                self.path
            )),
        }
    }

    /// Writes what was gathered. The lines that the system does not take are lost; the next ones are tried again.
    pub(super) fn flush(&mut self) {
        match self.gathered.write_to(&mut self.file) {
            Ok(0) => {}
            Ok(_) => {
                self.is_failing = false;
                self.tell_lost("; now it is written again");
            }
            Err((lost, error)) if !self.is_failing && lost > 0 => {
                self.is_failing = true;
                self.lost_untold += lost;
                self.tell_lost(&format!(": {error}"));
            }
            Err((lost, _)) => self.lost_untold += lost,
        }
    }

    /// Writes what is left and accounts for what was lost; nothing more comes.
    pub(super) fn finish(&mut self) {
        self.flush();
        self.lost_untold += self.gathered.lines_left();
        self.tell_lost("");
    }

    fn tell_lost(&mut self, why: &str) {
        if self.lost_untold > 0 {
            self.warnings.push(format!("access log: {} lines lost{why}", self.lost_untold));
            self.lost_untold = 0;
        }
    }

    /// What the operator should hear, since the last call.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

/// Lines that wait to be written, each with its end.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    /// Whether the file has the front of the first one, so that what is here of it belongs behind that and nowhere else.
    is_torn: bool,
}

impl Gathered {
    /// Puts a line behind the others and returns the bytes of all.
    pub(crate) fn put(&mut self, line: fmt::Arguments<'_>) -> usize {
        let written = writeln!(self.bytes, "{line}");
        // Writing to a Vec cannot fail.
        debug_assert!(written.is_ok());
        self.bytes.len()
    }

    /// Writes all of it and returns the bytes. Where that fails, all but the rest of a torn line is given up.
    ///
    /// # Errors
    /// The system took only some: how many lines are lost, and why.
    pub(crate) fn write_to(&mut self, out: &mut impl Write) -> Result<usize, (u64, io::Error)> {
        let mut written = 0;
        let error = loop {
            if written == self.bytes.len() {
                self.bytes.clear();
                self.is_torn = false;
                return Ok(written);
            }
            match out.write(&self.bytes[written..]) {
                Ok(0) => break ErrorKind::WriteZero.into(),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        self.is_torn = match written {
            0 => self.is_torn,
            _ => self.bytes[written - 1] != b'\n',
        };
        self.bytes.drain(..written);
        let line_end = memchr::memchr(b'\n', &self.bytes).map_or(self.bytes.len(), |position| position + 1);
        let kept = if self.is_torn { line_end } else { 0 };
        let lost = memchr::memchr_iter(b'\n', &self.bytes[kept..]).count();
        self.bytes.truncate(kept);
        Err((lost as u64, error))
    }

    /// How many lines are lost with it. The end alone of a line whose bytes have all been written is none.
    pub(crate) fn lines_left(&self) -> u64 {
        let lines = memchr::memchr_iter(b'\n', &self.bytes).count() as u64;
        lines - u64::from(self.is_torn && self.bytes.first() == Some(&b'\n'))
    }
}

/// Opens a file to write at its end. Beside it what must come first: the end of a last line that has none.
fn open(path: &Path) -> io::Result<(File, Gathered)> {
    // A pipe that nobody reads is an error then, not a wait without end.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().append(true).create(true).custom_flags(flags).open(path)?;
    // From here on it may wait: that is done on the log's thread.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    let is_torn = file.metadata()?.is_file() && last_byte(path).is_ok_and(|byte| byte != b'\n');
    let bytes = if is_torn { vec![b'\n'] } else { Vec::new() };
    Ok((file, Gathered { bytes, is_torn }))
}

/// The last byte of a regular file, where it may be read.
fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::fs::{read_to_string, rename};
    use tempfile::TempDir;

    /// Takes so many bytes of each write, or fails where it is none.
    struct Stubborn {
        takes: VecDeque<Option<usize>>,
        taken: Vec<u8>,
    }

    impl Write for Stubborn {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = match self.takes.pop_front() {
                Some(Some(count)) => count.min(bytes.len()),
                Some(None) => return Err(ErrorKind::StorageFull.into()),
                None => bytes.len(),
            };
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_is_finished_first_wherever_it_was_torn() {
        let batch = b"one\ntwo\nthree\n";
        for place in 0..=batch.len() {
            let mut out = Stubborn { takes: [Some(place), None, None].into(), taken: Vec::new() };
            if place == 0 {
                out.takes.pop_front();
            }
            let mut gathered = Gathered { bytes: batch.to_vec(), is_torn: false };
            let mut lost = 0;
            for line in ["", "four\n", "five\n", "six\n"] {
                gathered.bytes.extend_from_slice(line.as_bytes());
                lost += gathered.write_to(&mut out).map_or_else(|(lost, _)| lost, |_| 0);
            }
            let text = String::from_utf8(out.taken).expect("it is ASCII");
            let lines: Vec<_> = text.lines().collect();
            assert!(text.ends_with('\n'), "{place}: {text:?}");
            assert!(
                lines.iter().all(|line| ["one", "two", "three", "four", "five", "six"].contains(line)),
                "{place}: {text:?}"
            );
            assert_eq!(lines.last(), Some(&"six"), "{place}: what comes later is written");
            assert_eq!(lines.len() as u64 + lost, 6, "{place}: {text:?}");
        }
    }

    #[test]
    fn a_torn_line_that_is_left_is_lost_unless_only_its_end_is() {
        for (taken, lines) in [(1, 1), (2, 1), (3, 0), (4, 0)] {
            let mut out = Stubborn { takes: [Some(taken), None].into(), taken: Vec::new() };
            let mut gathered = Gathered { bytes: b"one\n".to_vec(), is_torn: false };
            assert_eq!(gathered.write_to(&mut out).map_err(|(lost, _)| lost), if taken < 4 { Err(0) } else { Ok(4) });
            assert_eq!(gathered.lines_left(), lines, "{taken}");
        }
    }

    fn file(directory: &TempDir) -> (AccessFile, PathBuf, Arc<AtomicBool>) {
        let path = directory.path().join("access.log");
        let reopen = Arc::new(AtomicBool::new(false));
        let name = path.to_str().expect("it is UTF-8");
        (AccessFile::open(name, Arc::clone(&reopen)).expect("it can be made"), path, reopen)
    }

    fn directory() -> TempDir {
        tempfile::tempdir().expect("there is room")
    }

    #[test]
    fn lines_are_gathered_and_appended() {
        let directory = directory();
        for round in 1..=2 {
            let (mut file, path, _) = file(&directory);
            let before = read_to_string(&path).expect("it was made");
            file.line(format_args!("round {round}"));
            assert_eq!(read_to_string(&path).expect("it is there"), before);
            file.flush();
            assert_eq!(read_to_string(&path).expect("it is there"), format!("{before}round {round}\n"));
            let long = "x".repeat(WRITE_BYTES);
            file.line(format_args!("{long}"));
            assert_eq!(read_to_string(&path).expect("it is there"), format!("{before}round {round}\n{long}\n"));
            file.finish();
            assert_eq!(file.take_warnings(), [""; 0]);
        }
    }

    #[test]
    fn a_last_line_without_an_end_gets_one() {
        let directory = directory();
        std::fs::write(directory.path().join("access.log"), "torn by a full disk").expect("there is room");
        let (mut file, path, _) = file(&directory);
        file.line(format_args!("next"));
        file.finish();
        assert_eq!(read_to_string(path).expect("it is there"), "torn by a full disk\nnext\n");
    }

    #[test]
    fn a_file_that_was_moved_away_keeps_what_came_before_the_reopen() {
        let directory = directory();
        let (mut file, path, reopen) = file(&directory);
        let moved = directory.path().join("access.log.1");
        file.line(format_args!("one"));
        rename(&path, &moved).expect("it is there");
        file.reopen_if_asked();
        file.line(format_args!("two"));
        file.flush();
        assert!(!path.exists(), "nobody has asked");
        file.line(format_args!("three"));
        reopen.store(true, Ordering::Release);
        file.reopen_if_asked();
        file.line(format_args!("four"));
        file.finish();
        assert_eq!(read_to_string(&moved).expect("it is there"), "one\ntwo\nthree\n");
        assert_eq!(read_to_string(&path).expect("it was made"), "four\n");
        assert_eq!(file.take_warnings(), [""; 0]);
    }

    #[test]
    fn where_it_cannot_be_opened_anew_the_old_one_is_kept() {
        let directory = directory();
        let (mut file, path, reopen) = file(&directory);
        let moved = directory.path().join("access.log.1");
        rename(&path, &moved).expect("it is there");
        std::fs::create_dir(&path).expect("there is room");
        reopen.store(true, Ordering::Release);
        file.reopen_if_asked();
        file.line(format_args!("one"));
        file.finish();
        let expected = format!(
            "access log: {path:?} cannot be opened anew: Is a directory (os error 21); the lines go where they went"
        );
        assert_eq!(file.take_warnings(), [expected]);
        assert_eq!(read_to_string(&moved).expect("it is there"), "one\n");
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_told_once_and_in_the_end() {
        let reopen = Arc::new(AtomicBool::new(false));
        let mut file = AccessFile::open("/dev/full", Arc::clone(&reopen)).expect("Linux has it");
        for round in 0..3 {
            file.line(format_args!("one"));
            file.line(format_args!("two"));
            file.flush();
            let expected: &[_] = &["access log: 2 lines lost: No space left on device (os error 28)"];
            assert_eq!(file.take_warnings(), if round == 0 { expected } else { &[] });
        }
        // The disk has room again.
        file.path = "/dev/null".into();
        reopen.store(true, Ordering::Release);
        file.reopen_if_asked();
        file.line(format_args!("seven"));
        file.flush();
        assert_eq!(file.take_warnings(), ["access log: 4 lines lost; now it is written again"]);
        file.path = "/dev/full".into();
        reopen.store(true, Ordering::Release);
        file.reopen_if_asked();
        for expected in ["access log: 1 lines lost: No space left on device (os error 28)", "access log: 1 lines lost"]
        {
            file.line(format_args!("eight"));
            file.finish();
            assert_eq!(file.take_warnings(), [expected]);
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_refused_at_once() {
        let directory = directory();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .expect("it is new");
        let refused = AccessFile::open(path.to_str().expect("it is UTF-8"), Arc::default()).expect_err("nobody reads");
        assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::NXIO.raw_os_error()));
    }
}
