//! Options from the environment: `POOLED_HTTPD_` and the name of the option in capitals.
//!
//! It only reads. A variable is never looked at where the command line gives the same option.

use super::command;
use crate::config::{Kind, OptionSpec, Value};
use std::ffi::OsString;

const PREFIX: &str = "POOLED_HTTPD_";
/// Variables with the same prefix that others read: the test suite.
const OF_OTHERS: &[&str] = &["NO_SKIPS"];
/// How alike two names are, from 0 to 1, where the one is taken for a slip of the other.
const ALIKE: f64 = 0.8;

/// The variable of an option.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase())
}

/// What the environment says, by names of options.
#[derive(Debug, Default)]
pub(super) struct Environment {
    texts: Vec<(&'static str, String)>,
    /// What is to be told: a variable each that no option has.
    pub(super) warnings: Vec<String>,
}

impl Environment {
    /// Reads these variables.
    ///
    /// # Errors
    /// One is not UTF-8.
    pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, String> {
        let mut environment = Self::default();
        let known: Vec<&'static str> = command::options().map(|spec| spec.name).chain(["docroot"]).collect();
        for (name, text) in variables {
            let Some(end) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            match known.iter().find(|option| option.to_ascii_uppercase() == end) {
                Some(option) => {
                    let text = text.into_string().map_err(|text| format!("{PREFIX}{end}: {text:?} is not UTF-8"))?;
                    environment.texts.push((option, text));
                }
                None if OF_OTHERS.contains(&end) => {}
                None => environment.warnings.push(unknown(end, &known)),
            }
        }
        environment.warnings.sort();
        Ok(environment)
    }

    /// The text for an option, where there is one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(option, _)| *option == name).map(|(_, text)| text.as_str())
    }

    /// The same as a value. Field lines stand one on each line, because a line is what no field value can hold.
    pub(super) fn value(&self, spec: &OptionSpec) -> Option<Value> {
        let text = self.text(spec.name)?;
        Some(match spec.kind {
            Kind::FieldLines if text != "none" && !text.is_empty() => {
                Value::List(text.lines().map(str::to_owned).collect())
            }
            kind => kind.read(text),
        })
    }

    /// Forgets what it says of an option.
    pub(super) fn forget(&mut self, name: &str) {
        self.texts.retain(|(option, _)| *option != name);
    }

    /// The variables that say something, for an error that may come of what they say together.
    pub(super) fn variables(&self) -> String {
        self.texts.iter().map(|(option, _)| variable(option)).collect::<Vec<_>>().join(", ")
    }
}

fn unknown(end: &str, known: &[&str]) -> String {
    let lower = end.to_ascii_lowercase();
    let likeness = |option: &&str| strsim::jaro_winkler(&lower, option);
    let nearest = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let hint = match nearest.filter(|option| likeness(option) > ALIKE) {
        Some(option) => format!("; {} is one", variable(option)),
        None => "; httpserver --help lists them".into(),
    };
    format!("{} is the variable of no option and changes nothing{hint}", format!("{PREFIX}{end}").escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn read(pairs: &[(&str, &str)]) -> Environment {
        let pairs = pairs.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
        Environment::read(pairs).expect("it is UTF-8")
    }

    #[test]
    fn variables_are_read_by_the_names_of_options() {
        let environment = read(&[
            ("POOLED_HTTPD_POOL_SIZE", "512"),
            ("POOLED_HTTPD_HEADER", "A: 1, 2\nB: 3"),
            ("POOLED_HTTPD_DOCROOT", "www"),
            ("POOL_SIZE", "1"),
            ("POOLED_HTTPD_NO_SKIPS", "1"),
        ]);
        let value = |name| environment.value(command::options().find(|spec| spec.name == name).expect("it is there"));
        assert_eq!(value("pool_size"), Some(Value::Integer(512)));
        assert_eq!(value("header"), Some(Value::List(vec!["A: 1, 2".into(), "B: 3".into()])));
        assert_eq!(value("open"), None);
        assert_eq!(environment.text("docroot"), Some("www"));
        assert_eq!(environment.warnings, [""; 0]);
    }

    #[test]
    fn a_variable_of_no_option_is_told_with_the_one_that_is_like_it() {
        let changes = "is the variable of no option and changes nothing";
        assert_eq!(
            read(&[("POOLED_HTTPD_POOLSIZE", "1"), ("POOLED_HTTPD_", ""), ("POOLED_HTTPD_port", "1")]).warnings,
            [
                format!("POOLED_HTTPD_ {changes}; httpserver --help lists them"),
                format!("POOLED_HTTPD_POOLSIZE {changes}; POOLED_HTTPD_POOL_SIZE is one"),
                format!("POOLED_HTTPD_port {changes}; POOLED_HTTPD_PORT is one"),
            ]
        );
    }

    #[test]
    fn what_is_not_utf_8_is_an_error_only_where_it_is_ours() {
        let wrong = || OsString::from_vec(vec![0xff]);
        assert!(Environment::read([("HOME".into(), wrong()), (wrong(), "".into())]).is_ok());
        let error = Environment::read([("POOLED_HTTPD_HOST".into(), wrong())]).expect_err("it is not UTF-8");
        assert_eq!(error, "POOLED_HTTPD_HOST: \"\\xFF\" is not UTF-8");
    }
}
