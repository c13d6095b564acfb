//! What to do about a server that cannot start: one sentence for whoever typed the command.
//!
//! It looks at the system and changes nothing. The error itself is told by [`StartError`]; where that says all there is, this is silent.

use super::holder::holder;
use crate::config::{Config, UNIX_PREFIX};
use crate::net::ListenError;
use crate::server::StartError;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::io;
use std::path::Path;

/// How alike two names are, from 0 to 1, where the one is taken for a slip of the other.
const ALIKE: f64 = 0.65;

/// What to do about it, where there is something to say.
pub(super) fn advice(error: &StartError, config: &Config) -> Option<String> {
    let (cause, about) = match error {
        StartError::Root(path, cause) => (cause, about_root(Path::new(path), cause)),
        StartError::Bind(_, error) => (&error.cause, about_address(config, error)),
        StartError::AccessLog(_, cause) | StartError::System(cause) => (cause, None),
        _ => return None,
    };
    // They can run out anywhere.
    about_descriptors(cause, config.limits.max_connections).or(about)
}

fn about_root(path: &Path, cause: &io::Error) -> Option<String> {
    if path.as_os_str().is_empty() {
        return Some("the current directory is .".into());
    }
    match Errno::from_io_error(cause)? {
        Errno::NOENT => Some(about_missing(path)),
        Errno::NOTDIR if path.is_file() => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(format!("this is a file; the directory that it is in can be served: httpserver {parent:?}"))
        }
        Errno::ACCESS => {
            Some(format!("this user may not read it, or not pass a directory above it; namei -l {path:?} shows which"))
        }
        _ => None,
    }
}

fn about_missing(path: &Path) -> String {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = parent.read_dir() else {
        let there = path.ancestors().skip(1).find(|above| above.is_dir());
        return match there.filter(|above| !above.as_os_str().is_empty()) {
            Some(above) => format!("of this path only {above:?} is there"),
            None => format!("nothing of this path is there{}", looked_in(path)),
        };
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let likeness = |other: &Path| {
        let other = other.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        strsim::jaro_winkler(&name, &other).max(strsim::normalized_damerau_levenshtein(&name, &other))
    };
    let directories = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|other| other.is_dir());
    let nearest = directories.map(|other| (likeness(&other), other)).max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest.filter(|(likeness, _)| *likeness > ALIKE) {
        Some((_, other)) => format!("there is a directory of a similar name: {other:?}"),
        None => format!(
            "there is none of a similar name either{}; httpserver alone serves the current directory",
            looked_in(path)
        ),
    }
}

/// Where a relative path was looked for.
fn looked_in(path: &Path) -> String {
    let current = std::env::current_dir().ok().filter(|_| path.is_relative());
    current.map_or_else(String::new, |current| format!(" in {current:?}"))
}

fn about_address(config: &Config, error: &ListenError) -> Option<String> {
    let (host, port) = (&config.host, config.port);
    // What the error says already is more than this knows.
    if host.starts_with(UNIX_PREFIX) || !error.hint.is_empty() {
        return None;
    }
    let lookup =
        "a name must be one that this machine can look up; 0.0.0.0 is every address, 127.0.0.1 this machine only";
    let Some(errno) = Errno::from_io_error(&error.cause) else { return Some(lookup.into()) };
    match errno {
        Errno::ADDRINUSE => {
            let held = holder(port).map_or_else(
                || format!("as root, ss -ltnp 'sport = :{port}' shows who listens there"),
                |holder| format!("{holder} listens there"),
            );
            Some(format!("{held}; end that, or take another port: --port 0 takes any free one"))
        }
        Errno::ACCESS | Errno::PERM => Some(about_rights(port)),
        Errno::ADDRNOTAVAIL => Some(
            "no interface of this machine has that address, ip address lists those that there are; 0.0.0.0 is every \
             address, 127.0.0.1 this machine only"
                .into(),
        ),
        Errno::AFNOSUPPORT => Some("this system has no IPv6; --host 0.0.0.0 is every address of IPv4".into()),
        _ => None,
    }
}

fn about_rights(port: u16) -> String {
    let bound = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    let bound = bound.and_then(|text| text.trim().parse::<u16>().ok()).unwrap_or(1024);
    if port >= bound {
        return format!("the system lets this user listen on no port such as {port}; another may do: --port 8080");
    }
    format!(
        "ports below {bound} need root, or the capability CAP_NET_BIND_SERVICE; take one from {bound} on, such as --port {}",
        bound.max(8080)
    )
}

fn about_descriptors(cause: &io::Error, connections: usize) -> Option<String> {
    let errno = Errno::from_io_error(cause)?;
    if errno == Errno::NFILE {
        return Some("the whole system is out of files (fs.file-max)".into());
    }
    let limit = getrlimit(Resource::Nofile).maximum.filter(|_| errno == Errno::MFILE)?;
    Some(format!(
        "this process may have {limit} descriptors; {connections} connections can need {}: raise the limit (ulimit -Hn), \
         or lower --max-connections",
        crate::server::descriptors_needed(connections)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(path: &Path) -> String {
        about_root(path, &Errno::NOENT.into()).expect("there is something to say")
    }

    #[test]
    fn a_missing_root_is_told_with_what_is_like_it() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let root = directory.path();
        std::fs::create_dir(root.join("website")).expect("it can be made");
        std::fs::write(root.join("websitf"), "").expect("it can be written");
        assert_eq!(
            missing(&root.join("Websit")),
            format!("there is a directory of a similar name: {:?}", root.join("website"))
        );
        let none = "there is none of a similar name either; httpserver alone serves the current directory";
        assert_eq!(missing(&root.join("photos")), none);
        assert_eq!(missing(&root.join("a/b/c")), format!("of this path only {root:?} is there"));
        assert_eq!(missing(Path::new("")), "the current directory is .");
        assert!(missing(Path::new("no/such/path")).starts_with("nothing of this path is there in \""));
        let file = about_root(&root.join("websitf"), &Errno::NOTDIR.into()).expect("there is something to say");
        assert_eq!(file, format!("this is a file; the directory that it is in can be served: httpserver {root:?}"));
        assert_eq!(about_root(&root.join("websitf/x"), &Errno::NOTDIR.into()), None);
    }

    #[test]
    fn a_port_that_needs_rights_is_told_by_the_bound_of_this_system() {
        assert!(about_rights(0).starts_with("ports below ") || about_rights(0).starts_with("the system lets"));
        assert!(about_rights(65_535).ends_with("another may do: --port 8080"));
    }

    #[test]
    fn only_a_want_of_descriptors_is_about_descriptors() {
        let told = about_descriptors(&Errno::MFILE.into(), 128).expect("there is something to say");
        assert!(told.contains("128 connections can need 288: raise the limit"), "{told}");
        assert!(about_descriptors(&Errno::NFILE.into(), 1).is_some());
        assert_eq!(about_descriptors(&Errno::NOMEM.into(), 1), None);
        assert_eq!(about_descriptors(&io::Error::other("x"), 1), None);
    }
}
