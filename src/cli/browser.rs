//! `--open`: shows the address in a browser, by whatever this machine opens addresses with.
//!
//! It never waits on the thread that serves, and gives the browser nothing of the server: no descriptor but those for nothing, no
//! blocked signal, and a session of its own, so that neither Ctrl+C nor the end of this terminal ends it. Few lines in place of a
//! crate: those that open addresses do not know $BROWSER, or bring a parser of URLs, and none undoes blocked signals.

#![allow(unsafe_code)]

use super::fail;
use nix::sys::signal::SigSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What opens an address, in the order in which it is tried: freedesktop's, GNOME's, and that of Windows' subsystem for Linux.
const OPENERS: &str = "xdg-open:gio open:wslview";
/// A browser that has run for so long was there, however it ended.
const RAN: Duration = Duration::from_secs(5);

/// Shows the address, on a thread of its own. Where nothing can, that is told on standard error.
pub(super) fn show(address: String) {
    let browser = std::env::var_os("BROWSER").filter(|browser| !browser.is_empty());
    let told = address.clone();
    let spawned = thread::Builder::new().name("pooled-open".into()).spawn(move || {
        if let Err(tried) = try_each(browser, &address) {
            fail(&format!("--open: there is no browser that shows {address}: {tried}"), None);
        }
    });
    if let Err(error) = spawned {
        fail(&format!("--open: no browser shows {told}: the system gives no thread: {error}"), None);
    }
}

/// Tries one command after the other.
///
/// # Errors
/// None worked: what became of each.
fn try_each(browser: Option<OsString>, address: &str) -> Result<(), String> {
    let commands = match browser.map(OsString::into_string) {
        None => OPENERS.to_owned(),
        Some(Ok(commands)) => commands,
        Some(Err(commands)) => return Err(format!("$BROWSER is not UTF-8: {commands:?}")),
    };
    let mut tried = Vec::new();
    for words in commands.split(':').map(|command| words(command, address)) {
        let Some((program, arguments)) = words.split_first() else { continue };
        match run(program, arguments) {
            Ok(()) => return Ok(()),
            Err(fault) => tried.push(format!("{program} {fault}")),
        }
    }
    Err(if tried.is_empty() { "$BROWSER names none".into() } else { tried.join(", ") })
}

/// The words of a command: the address takes the place of `%s`, or stands at the end.
fn words(command: &str, address: &str) -> Vec<String> {
    let mut words: Vec<String> = command.split_whitespace().map(|word| word.replace("%s", address)).collect();
    if !words.is_empty() && !command.contains("%s") {
        words.push(address.into());
    }
    words
}

fn run(program: &str, arguments: &[String]) -> Result<(), String> {
    let started = Instant::now();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: between fork and exec only two system calls are made, both of which signal-safety(7) allows there; nothing is
    // allocated, and no lock is taken.
    unsafe { command.pre_exec(detach) };
    let mut child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    // Some openers end at once, others with the browser.
    match child.wait() {
        Ok(status) if !status.success() && started.elapsed() < RAN => Err(format!("failed: {status}")),
        _ => Ok(()),
    }
}

/// Run in the child: a session of its own, and no signal blocked, as the server has them for itself. Every descriptor of the server
/// is closed by the exec.
fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(SigSet::empty().thread_set_mask()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_where_the_command_wants_it() {
        assert_eq!(words("firefox", "http://a/"), ["firefox", "http://a/"]);
        assert_eq!(words(" surf  --page=%s -f ", "http://a/"), ["surf", "--page=http://a/", "-f"]);
        assert_eq!(words("gio open", "http://a/"), ["gio", "open", "http://a/"]);
        assert_eq!(words("  ", "http://a/"), [""; 0]);
    }

    #[test]
    fn the_first_command_that_works_is_the_last_that_is_tried() {
        let tried = |commands: &str| try_each(Some(commands.into()), "http://a/");
        assert_eq!(tried("true"), Ok(()));
        assert_eq!(tried("no-such-browser:true:false"), Ok(()));
        assert_eq!(
            tried("no-such-browser:false"),
            Err("no-such-browser cannot be run: No such file or directory (os error 2), false failed: exit status: 1"
                .into())
        );
        assert_eq!(tried(":"), Err("$BROWSER names none".into()));
    }
}
