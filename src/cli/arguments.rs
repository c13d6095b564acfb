//! What the command line and the environment ask for, taken apart and checked: the options of a server, and what is done beside it.
//!
//! It opens, binds and prints nothing. Whatever is wrong is an error that names the option, or the variable that it came from.

use super::command::{self, NOT_HERE, OPEN, command, flag};
use super::environment::{Environment, variable};
use crate::config::{Kind, OPTIONS, OptionError, OptionSpec, Options, UNIX_PREFIX, Value};
use crate::trace::Level;
use clap::ArgMatches;
use clap::error::ErrorKind;
use clap_complete::Shell;
use std::ffi::OsString;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Asked {
    /// Serve.
    Serve(Box<Request>),
    /// Print what completes the command line in this shell.
    Complete(Shell),
}

/// A server, and what is done beside it.
#[derive(Debug)]
pub(super) struct Request {
    /// The server's options, which agree with each other.
    pub(super) options: Options,
    /// Whether a browser is shown the address.
    pub(super) open: bool,
    /// What the operator should know before anything else.
    pub(super) warnings: Vec<String>,
}

/// What is asked for by the arguments (the program's name first) and the variables.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Asked, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(join_values(arguments))?;
    if let Some(shell) = matches.get_one::<Shell>("completions") {
        return Ok(Asked::Complete(*shell));
    }
    let request = Environment::read(variables).and_then(|environment| request(&matches, environment));
    request
        .map(|request| Asked::Serve(Box::new(request)))
        .map_err(|message| command.error(ErrorKind::ValueValidation, message))
}

/// Joins `--name value` to `--name=value` where the value may be left out and what follows is one, not an operand.
fn join_values(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut only_operands = false;
    for argument in arguments {
        let kind = joined
            .last()
            .and_then(|last| last.to_str())
            .and_then(|last| last.strip_prefix("--"))
            .and_then(|name| command::options().find(|spec| flag(spec.name) == name).map(|spec| spec.kind));
        let is_optional = !only_operands && matches!(kind, Some(Kind::Switch | Kind::Origins));
        // A number is the port, though 0 and 1 are values too.
        let takes = |kind: Kind, text: &str| !is_number(text) && kind.takes(text);
        let is_value = is_optional && kind.zip(argument.to_str()).is_some_and(|(kind, text)| takes(kind, text));
        only_operands |= argument == "--";
        match joined.last_mut().filter(|_| is_value) {
            Some(last) => {
                last.push("=");
                last.push(argument);
            }
            None => joined.push(argument),
        }
    }
    joined
}

fn request(matches: &ArgMatches, mut environment: Environment) -> Result<Request, String> {
    if let Some((_, told)) = NOT_HERE.iter().find(|(name, _)| matches.contains_id(name)) {
        return Err((*told).into());
    }
    let (port, docroot) = operands(matches)?;
    forget_other_places(matches, port.is_some(), &mut environment);
    let docroot = docroot.or_else(|| environment.text("docroot")).unwrap_or(".");
    let mut options = Options::new(docroot, "0.0.0.0");
    for spec in OPTIONS {
        let port = if spec.name == "port" { port } else { None };
        match given(matches, spec, port) {
            Some(value) => {
                options.set(spec.name, value).map_err(|error| format!("{error}{}", misplaced(matches, port)))?
            }
            None => set_from(&environment, spec, &mut options)?,
        }
    }
    set_protocol(matches, &mut options)?;
    set_level(matches, &mut options)?;
    options.config().map_err(|error| contradiction(&error, &environment))?;
    let open = open(matches, &environment, &options)?;
    Ok(Request { options, open, warnings: environment.warnings })
}

/// The port and the document root among the operands, with the document root that `-d` gives.
fn operands(matches: &ArgMatches) -> Result<(Option<&str>, Option<&str>), String> {
    let one = |name| matches.get_one::<String>(name).map(String::as_str);
    let (port, operand) = match (one("first"), one("second")) {
        (Some(only), None) if is_number(only) => (Some(only), None),
        (only, None) => (None, only),
        (port, docroot) => (port, docroot),
    };
    if port.is_some() && matches.contains_id("port") {
        return Err("port: it is given twice, by --port and before the directory".into());
    }
    match (operand, one("directory")) {
        (Some(_), Some(_)) => Err("docroot: it is given twice, by --directory and as the last word".into()),
        (operand, directory) => Ok((port, operand.or(directory))),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What may have been meant where a word that was taken for the port is no number.
fn misplaced(matches: &ArgMatches, port: Option<&str>) -> &'static str {
    let is_number_after = || matches.get_one::<String>("second").is_some_and(|second| is_number(second));
    match port {
        Some(port) if !is_number(port) && is_number_after() => "; the port stands before the directory",
        // A value that an option would have taken behind an equals sign.
        Some(port) if !is_number(port) => "; a value of --listing, --cors and the like goes behind an equals sign",
        _ => "",
    }
}

/// The value that the command line gives to an option. `port` is the operand, where it is that option's.
fn given(matches: &ArgMatches, spec: &OptionSpec, port: Option<&str>) -> Option<Value> {
    let all = || matches.get_many::<String>(spec.name).unwrap_or_default();
    let text = all().next_back().map(String::as_str).or(port)?;
    Some(match spec.kind {
        Kind::FieldLines if text != "none" => Value::List(all().cloned().collect()),
        kind => kind.read(text),
    })
}

fn set_from(environment: &Environment, spec: &OptionSpec, options: &mut Options) -> Result<(), String> {
    let Some(value) = environment.value(spec) else { return Ok(()) };
    options.set(spec.name, value).map_err(|error| format!("{}: {}", variable(spec.name), error.message))
}

/// Where to listen is one thing with three options: what the command line says of it is not contradicted by the environment.
fn forget_other_places(matches: &ArgMatches, has_port: bool, environment: &mut Environment) {
    let is_given = |name| matches.contains_id(name);
    let is_unix = matches.get_one::<String>("host").is_some_and(|host| host.starts_with(UNIX_PREFIX));
    if is_given("listen_fd") {
        environment.forget("host");
    }
    if is_given("listen_fd") || is_unix {
        environment.forget("port");
    }
    if has_port || is_given("host") || is_given("port") {
        environment.forget("listen_fd");
    }
}

/// `http.server` answers in the version that it is told. This server has one; that of 1.0 which matters is that connections end.
fn set_protocol(matches: &ArgMatches, options: &mut Options) -> Result<(), String> {
    let stays =
        matches.get_one::<String>("keep_alive").is_some_and(|text| Kind::Switch.read(text) == Value::Switch(true));
    match matches.get_one::<String>("protocol").map(String::as_str) {
        None | Some("HTTP/1.1") => Ok(()),
        Some("HTTP/1.0") if stays => {
            Err("protocol: HTTP/1.0 is --keep-alive=off here, and --keep-alive is on; leave one of them out".into())
        }
        Some("HTTP/1.0") => options.set("keep_alive", Value::Switch(false)).map_err(|error| error.to_string()),
        Some(other) => Err(format!(
            "protocol: {other:?} is not allowed; it takes HTTP/1.1, or HTTP/1.0, which is --keep-alive=off; a port is --port"
        )),
    }
}

/// `-q` and `-v` count from the level of the environment, or from the default; the ends of the scale hold.
fn set_level(matches: &ArgMatches, options: &mut Options) -> Result<(), String> {
    let (quieter, louder) = (usize::from(matches.get_count("quiet")), usize::from(matches.get_count("verbose")));
    if quieter > 0 && louder > 0 {
        return Err("-q tells less and -v tells more: they contradict each other; leave one of them out".into());
    }
    if quieter + louder == 0 {
        return Ok(());
    }
    let named = |level: Level| Value::Text(level.name().into());
    let shift = |from: usize| Level::ALL[(from + louder).saturating_sub(quieter).min(Level::ALL.len() - 1)];
    let set = options.config().map_err(|error| error.to_string())?.log_level;
    if matches.contains_id("log_level") {
        let (asked, letters) = (shift(Level::Debug as usize), if quieter > 0 { "q" } else { "v" });
        if asked == set {
            return Ok(());
        }
        let letters = letters.repeat(quieter + louder);
        let (set, asked) = (set.name(), asked.name());
        return Err(format!(
            "log_level: --log-level {set} and -{letters}, which is {asked}, contradict each other; leave one of them out"
        ));
    }
    options.set("log_level", named(shift(set as usize))).map_err(|error| error.to_string())
}

/// Whether a browser is to be shown the address.
fn open(matches: &ArgMatches, environment: &Environment, options: &Options) -> Result<bool, String> {
    let flag = given(matches, &OPEN, None);
    let name = if flag.is_some() { OPEN.name.to_owned() } else { variable(OPEN.name) };
    let is_unix = options.config().is_ok_and(|config| config.host.starts_with(UNIX_PREFIX));
    match flag.or_else(|| environment.value(&OPEN)) {
        None | Some(Value::Switch(false)) => Ok(false),
        Some(Value::Switch(true)) if is_unix => Err(format!("{name}: no browser opens a Unix socket; leave it out")),
        Some(Value::Switch(true)) => Ok(true),
        Some(other) => Err(format!("{name}: {other} is not allowed; it takes on or off")),
    }
}

/// Two options that contradict each other, told by where each came from.
fn contradiction(error: &OptionError, environment: &Environment) -> String {
    let variables = environment.variables();
    if variables.is_empty() { error.to_string() } else { format!("{error}; the environment sets {variables}") }
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
