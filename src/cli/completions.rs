//! What completes the command line in a shell: clap's generator, with the values that our own options take.

use super::command::{NOT_HERE, command};
use crate::config::{Kind, OPTIONS};
use crate::trace::Level;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command};
use clap_complete::Shell;

/// The script for this shell.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut described(), "httpserver", &mut script);
    script
}

/// The command line with its values named. Nothing is parsed by it: the server's own errors say more than clap's.
fn described() -> Command {
    let unhidden = command().mut_args(|argument| {
        let kind = OPTIONS.iter().find(|spec| argument.get_id() == spec.name).map(|spec| spec.kind);
        let values = match kind {
            Some(Kind::Level) => Level::ALL.map(Level::name).to_vec(),
            Some(Kind::Choice(words)) => words.to_vec(),
            Some(Kind::Switch) => vec!["on", "off"],
            _ if argument.get_id() == "open" => vec!["on", "off"],
            _ if argument.get_id() == "protocol" => vec!["HTTP/1.1", "HTTP/1.0"],
            _ => return argument,
        };
        argument.value_parser(PossibleValuesParser::new(values))
    });
    // What only gets an error is not offered.
    let shown = unhidden.get_arguments().filter(|argument| !is_refused(argument)).cloned().collect::<Vec<_>>();
    Command::new("httpserver").version(env!("CARGO_PKG_VERSION")).args(shown)
}

fn is_refused(argument: &Arg) -> bool {
    NOT_HERE.iter().any(|(name, _)| argument.get_id() == *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::{flag, options};
    use clap::ValueEnum;

    #[test]
    fn every_shell_is_told_every_option_and_none_that_is_refused() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).expect("it is text");
            for spec in options() {
                assert!(script.contains(&flag(spec.name)), "{shell}: {}", spec.name);
            }
            for word in ["combined", "directory", "bind"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
            assert!(!script.contains("cgi") && !script.contains("tls-"), "{shell}");
        }
    }
}
