//! The listening socket that a service manager passes to the program: sd_listen_fds(3), without its library.
//!
//! The variables are left in the environment: taking them away is unsound where another thread reads it, and this program starts
//! no other that could take them for its own. The descriptor is not passed on either.

use crate::config::{OptionError, Options, Value};
use std::ffi::OsString;

/// The descriptor of the first socket that is passed.
const FIRST: i128 = 3;
const PROCESS: &str = "LISTEN_PID";
const COUNT: &str = "LISTEN_FDS";

/// Sets `listen_fd` where a socket was passed to this process and nothing else says where to listen. Returns what is to be told.
///
/// # Errors
/// A variable does not hold a number, or more than one socket was passed.
pub(super) fn take(options: &mut Options) -> Result<Option<String>, OptionError> {
    let Some(count) = passed(std::env::var_os(PROCESS), std::env::var_os(COUNT), std::process::id())? else {
        return Ok(None);
    };
    if let Some(name) = ["listen_fd", "host", "port"].into_iter().find(|name| options.is_set(name)) {
        return Ok(Some(format!("What was passed in {COUNT} is not used: the option {name} was given")));
    }
    if count > 1 {
        return Err(fault(COUNT, format!("{count} sockets were passed; one is expected")));
    }
    options.set("listen_fd", Value::Integer(FIRST))?;
    Ok(None)
}

/// How many sockets were passed to the process of this number; none where it is another's that they were passed to.
fn passed(process: Option<OsString>, count: Option<OsString>, own: u32) -> Result<Option<u32>, OptionError> {
    let Some(process) = process else { return Ok(None) };
    if number(PROCESS, &process)? != own {
        return Ok(None);
    }
    count.map(|count| number(COUNT, &count)).transpose()
}

/// A number above 0, as both variables have it.
fn number(name: &str, text: &OsString) -> Result<u32, OptionError> {
    let digits = text.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| fault(name, format!("{text:?} is not allowed; it takes a whole number above 0")))
}

fn fault(name: &str, message: String) -> OptionError {
    OptionError { option: name.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_passed_to_this_process_are_counted_and_those_of_another_ignored() {
        let told = |process: Option<&str>, count: Option<&str>| {
            passed(process.map(OsString::from), count.map(OsString::from), 42).map_err(|error| error.to_string())
        };
        assert_eq!(told(Some("42"), Some("1")), Ok(Some(1)));
        assert_eq!(told(Some("42"), Some("3")), Ok(Some(3)));
        for (process, count) in
            [(None, None), (None, Some("1")), (Some("41"), Some("1")), (Some("41"), Some("x")), (Some("42"), None)]
        {
            assert_eq!(told(process, count), Ok(None), "{process:?} {count:?}");
        }
        for wrong in ["", "0", "-1", "+1", " 1", "1 ", "x", "4294967296"] {
            let end = format!("{wrong:?} is not allowed; it takes a whole number above 0");
            assert_eq!(told(Some(wrong), Some("1")), Err(format!("LISTEN_PID: {end}")));
            assert_eq!(told(Some("42"), Some(wrong)), Err(format!("LISTEN_FDS: {end}")));
        }
    }
}
