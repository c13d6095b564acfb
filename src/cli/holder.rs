//! Who listens on a port that is taken, as far as the system tells this user.

use procfs::net::{TcpState, tcp, tcp6};
use procfs::process::{FDTarget, Process, all_processes};

/// A process that listens there, by number and name; none where the system does not say.
pub(super) fn holder(port: u16) -> Option<String> {
    // A system without one version of IP has no such table.
    let sockets = tcp().unwrap_or_default().into_iter().chain(tcp6().unwrap_or_default());
    let is_there = |state: &TcpState, own: u16| *state == TcpState::Listen && own == port;
    let listening: Vec<u64> = sockets
        .filter(|socket| is_there(&socket.state, socket.local_address.port()))
        .map(|socket| socket.inode)
        .collect();
    if listening.is_empty() {
        return None;
    }
    let holds = |process: &Process| {
        process.fd().is_ok_and(|descriptors| {
            let mut targets = descriptors.filter_map(|descriptor| Some(descriptor.ok()?.target));
            targets.any(|target| matches!(target, FDTarget::Socket(inode) if listening.contains(&inode)))
        })
    };
    let process = all_processes().ok()?.filter_map(Result::ok).find(holds)?;
    // A process names itself as it likes.
    let name = process.stat().map(|stat| stat.comm.escape_debug().to_string()).unwrap_or_default();
    Some(format!("process {} ({name})", process.pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn this_process_is_found_by_its_port() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(address).expect("loopback can be bound");
            let port = listener.local_addr().expect("it is bound").port();
            let found = holder(port).expect("it listens");
            assert!(found.starts_with(&format!("process {} (", std::process::id())), "{found}");
            drop(listener);
            assert_eq!(holder(port), None);
        }
    }
}
