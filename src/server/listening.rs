//! Where the options say to listen: a socket that was handed over, a Unix socket, or an address or name with its port.

use super::StartError;
use crate::config::{Config, OptionError, UNIX_PREFIX};
use crate::net::{self, Address, Listener};

/// Looks at what was handed over. To be called first: what is opened before could get the number of a descriptor that is not open.
pub(super) fn examine(config: &Config) -> Result<(), StartError> {
    let handed_over = config.listen_fd.map(net::examine).transpose().map_err(unfit)?;
    let is_unix = match handed_over {
        Some(address) => matches!(address, Address::Unix(_)),
        None => config.host.starts_with(UNIX_PREFIX),
    };
    if config.deferred && is_unix {
        let message = "only connections to a TCP socket can be deferred; this one is a Unix socket".into();
        return Err(StartError::Option(OptionError { option: "deferred".into(), message }));
    }
    Ok(())
}

/// Opens the listening socket; none where it is to be taken over.
pub(super) fn bind(config: &Config) -> Result<Option<(Listener, Address)>, StartError> {
    if config.listen_fd.is_some() {
        return Ok(None);
    }
    net::listen(&config.host, config.port).map(Some).map_err(|error| {
        let is_unix = config.host.starts_with(UNIX_PREFIX);
        let place = if is_unix { config.host.clone() } else { format!("{} port {}", config.host, config.port) };
        StartError::Bind(place, error)
    })
}

/// Takes over the listening socket that was handed over.
pub(super) fn take_over(config: &Config) -> Result<(Listener, Address), StartError> {
    net::take_over(config.listen_fd.unwrap_or(-1)).map_err(unfit)
}

/// The error for a descriptor that is of no use. It is the value of an option that is wrong, not the system that refuses.
fn unfit(message: String) -> StartError {
    StartError::Option(OptionError { option: "listen_fd".into(), message })
}
