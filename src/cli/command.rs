//! The command line as clap has it: the options of the table under their headings, those that only the command line has, and the
//! flags of `python -m http.server`. It describes; what was given is taken apart in [`super::arguments`].

use super::environment::variable;
use crate::config::{Kind, OPTIONS, OptionSpec};
use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::Shell;

/// The switch that is the command line's own: who uses the server from Python opens what they like.
pub(super) const OPEN: OptionSpec = OptionSpec {
    name: "open",
    kind: Kind::Switch,
    default: "off",
    help: "Whether a browser is shown the address once the server is ready: $BROWSER, or what the desktop has",
};

/// Options of `http.server` that there is nothing like here, and what to say of each.
pub(super) const NOT_HERE: &[(&str, &str)] = &[
    ("cgi", "there is no CGI here, only files are served; leave --cgi out, or use a server that runs programs"),
    ("tls-cert", NO_TLS),
    ("tls-key", NO_TLS),
    ("tls-password-file", NO_TLS),
];
const NO_TLS: &str = "there is no TLS here; let a proxy that has it stand before this server";

const SERVING: &str = "What is served";
const SHOWN: &str = "At the terminal";
/// The heading of an option is that of the last one here which the table does not have after it.
const HEADINGS: &[(&str, &str)] = &[
    ("port", "Where it listens"),
    ("max_connections", "Memory, times and limits"),
    ("listing", "Answers"),
    ("status_path", "Statistics and logs"),
];

const AFTER_HELP: &str = "\
Ctrl+C or SIGTERM stops and prints the statistics; SIGUSR1 prints them and goes on. SIGUSR2 drains: connections end with their \
next response, and health answers 503. SIGHUP opens the file of the access log anew, or stops where there is none.";
const AFTER_LONG_HELP: &str = "\
Every option can be given as an environment variable too: its name in capitals after POOLED_HTTPD_. The command line wins. \
Several field lines for POOLED_HTTPD_HEADER stand one on each line.

Colours are for terminals; NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb have their say.";

/// The options that the environment can set too: all of the table, and the command line's own.
pub(super) fn options() -> impl Iterator<Item = &'static OptionSpec> {
    OPTIONS.iter().chain([&OPEN])
}

/// The name of an option on the command line, without its hyphens at the front.
pub(super) fn flag(name: &str) -> String {
    name.replace('_', "-")
}

/// The whole of it.
pub(super) fn command() -> Command {
    let listed = OPTIONS.iter().scan(SERVING, |heading, spec| {
        *heading = HEADINGS.iter().find(|(first, _)| *first == spec.name).map_or(*heading, |(_, begins)| begins);
        Some(option(spec).help_heading(*heading))
    });
    Command::new("httpserver")
        .version(env!("CARGO_PKG_VERSION"))
        .long_version(long_version())
        .about("Serves the files of a directory over HTTP/1.1, strictly, without allocating while it serves")
        .override_usage("httpserver [OPTIONS] [PORT] [DOCROOT]")
        .max_term_width(100)
        .args(operands())
        .args(listed)
        .args(of_the_terminal())
        .args(NOT_HERE.iter().map(|(name, _)| Arg::new(*name).long(*name).hide(true).num_args(0..=1)))
        .after_help(AFTER_HELP)
        .after_long_help(format!("{AFTER_HELP}\n\n{AFTER_LONG_HELP}"))
}

fn option(spec: &OptionSpec) -> Arg {
    let value = match spec.kind {
        Kind::Integer(..) | Kind::OptionalInteger(..) => "N",
        Kind::Seconds(..) => "SECONDS",
        Kind::Switch => "on|off",
        Kind::Text => "ADDRESS",
        Kind::Level => "LEVEL",
        Kind::Choice(_) => "FORMAT",
        Kind::FieldLines => "NAME: VALUE",
        Kind::Origins => "ORIGINS",
        Kind::UrlPath => "PATH",
        Kind::FieldValue => "VALUE",
        Kind::FileName => "FILE",
    };
    let is_host = spec.name == "host";
    let (help, default) = (spec.help, format!("[default: {}]", spec.default_of_program()));
    let argument = Arg::new(spec.name)
        .long(flag(spec.name))
        .value_name(value)
        .long_help(format!("{help}\n{default} [env: {}]", variable(spec.name)))
        .help(format!("{help} {default}"));
    let argument = if is_host { argument.short('b').visible_alias("bind") } else { argument };
    match spec.kind {
        // Without a value they are on; what looks like a value has been joined to the name by then.
        Kind::Switch | Kind::Origins => {
            argument.num_args(0..=1).require_equals(true).default_missing_value("on").allow_hyphen_values(true)
        }
        Kind::FieldLines => argument.action(ArgAction::Append).allow_hyphen_values(true),
        Kind::FileName => argument.value_hint(ValueHint::FilePath).allow_hyphen_values(true),
        _ => argument.allow_hyphen_values(true),
    }
}

fn operands() -> [Arg; 3] {
    let docroot = "The directory whose files are served";
    let default = "[default: the current one]";
    [
        Arg::new("first").value_name("PORT").value_hint(ValueHint::DirPath).help(
            "The TCP port, as --port; a whole number alone is the port, and a directory of such a name is ./8000",
        ),
        Arg::new("second")
            .value_name("DOCROOT")
            .value_hint(ValueHint::DirPath)
            .long_help(format!("{docroot}\n{default} [env: {}]", variable("docroot")))
            .help(format!("{docroot} {default}")),
        Arg::new("directory")
            .short('d')
            .long("directory")
            .visible_alias("docroot")
            .value_name("DOCROOT")
            .value_hint(ValueHint::DirPath)
            .allow_hyphen_values(true)
            .help("The same as DOCROOT, as http.server has it")
            .help_heading(SERVING),
    ]
}

fn of_the_terminal() -> [Arg; 5] {
    [
        Arg::new("quiet").short('q').long("quiet").action(ArgAction::Count).help(
            "Tells less: -q only start and stop (info), -qq warnings, -qqq errors, -qqqq nothing; the statistics \
             come all the same",
        ),
        Arg::new("verbose")
            .short('v')
            .long("verbose")
            .action(ArgAction::Count)
            .help("Tells more than POOLED_HTTPD_LOG_LEVEL says, a level for each -v; the default is the most there is"),
        option(&OPEN),
        Arg::new("completions")
            .long("completions")
            .value_name("SHELL")
            .value_parser(clap::value_parser!(Shell))
            .exclusive(true)
            .help("Prints what completes this command line in a shell, and ends"),
        Arg::new("protocol")
            .short('p')
            .long("protocol")
            .value_name("VERSION")
            .help("As http.server has it: HTTP/1.1, or HTTP/1.0, which is --keep-alive=off [default: HTTP/1.1]"),
    ]
    .map(|argument| {
        let heading = if argument.get_id() == "protocol" { HEADINGS[0].1 } else { SHOWN };
        argument.help_heading(heading)
    })
}

/// What a report of a fault should hold.
fn long_version() -> String {
    let face = if cfg!(feature = "python") { "the Python extension" } else { "the program" };
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let system = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".into());
    format!(
        "{}\nbuild: {face}, {build}, {}-{}\nkernel: Linux {}\nlicense: {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        system.trim(),
        env!("CARGO_PKG_LICENSE"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_in_it() {
        command().debug_assert();
    }

    #[test]
    fn help_names_every_option_its_variable_and_its_heading() {
        let (short, long) = (command().render_help().to_string(), command().render_long_help().to_string());
        for spec in options() {
            assert!(short.contains(&format!("--{}", flag(spec.name))), "{}", spec.name);
            let flat = long.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(&format!("[env: {}]", variable(spec.name))), "{}", spec.name);
        }
        for heading in HEADINGS.iter().map(|(_, heading)| *heading).chain([SERVING, SHOWN]) {
            assert!(short.contains(&format!("\n{heading}:\n")), "{heading}");
        }
        for (name, _) in NOT_HERE {
            assert!(!long.contains(&format!("--{name}")), "{name}");
        }
    }

    #[test]
    fn every_heading_begins_at_an_option_of_the_table() {
        assert_eq!(HEADINGS[0].0, OPTIONS[0].name);
        for (first, _) in HEADINGS {
            assert!(OPTIONS.iter().any(|spec| spec.name == *first), "{first}");
        }
    }
}
