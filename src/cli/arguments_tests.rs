//! What the command line and the environment come to, and how a wrong one is told.

use super::*;
use crate::config::{Config, Cors};
use std::time::Duration;

fn asked(arguments: &str, variables: &[(&str, &str)]) -> Result<Request, String> {
    let words = std::iter::once("httpserver").chain(arguments.split_whitespace()).map(OsString::from);
    let variables = variables.iter().map(|(name, text)| (format!("POOLED_HTTPD_{name}").into(), text.into()));
    match parse(words, variables).map_err(|error| error.to_string())? {
        Asked::Serve(request) => Ok(*request),
        Asked::Complete(shell) => Err(format!("completions for {shell}")),
    }
}

fn with(arguments: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    asked(arguments, variables).map(|request| request.options.config().expect("it was checked"))
}

fn parsed(arguments: &str) -> Result<Config, String> {
    with(arguments, &[])
}

#[test]
fn the_port_may_stand_before_the_directory() {
    let config = parsed("8081 ./www --pool-size 512 --timeout 0.5").expect("it is right");
    assert_eq!((config.port, config.docroot.as_str(), config.host.as_str()), (8081, "./www", "0.0.0.0"));
    assert_eq!(config.limits.pool_size, 512);
    assert_eq!(config.limits.send_timeout, Duration::from_millis(500));
    assert_eq!(parsed("--port 1 ./www").expect("it is right").port, 1);
}

#[test]
fn what_is_left_out_is_port_8080_and_the_current_directory() {
    for (arguments, port, docroot, host) in [
        ("", 8080, ".", "0.0.0.0"),
        ("8000", 8000, ".", "0.0.0.0"),
        ("www", 8080, "www", "0.0.0.0"),
        ("./8000", 8080, "./8000", "0.0.0.0"),
        ("-d 8000", 8080, "8000", "0.0.0.0"),
        ("-d www -b ::1 8000", 8000, "www", "::1"),
        ("8000 --directory=www --bind 127.0.0.1", 8000, "www", "127.0.0.1"),
        ("--listing 8000", 8000, ".", "0.0.0.0"),
        ("--listing 0 www", 0, "www", "0.0.0.0"),
        ("--open 1", 1, ".", "0.0.0.0"),
        ("--listing on 8000 www", 8000, "www", "0.0.0.0"),
        ("-- 8000 --listing", 8000, "--listing", "0.0.0.0"),
        ("-- --listing on", 0, "", ""),
    ] {
        match parsed(arguments) {
            Ok(config) => {
                assert_eq!((config.port, config.docroot.as_str()), (port, docroot), "{arguments}");
                assert_eq!(config.host, host, "{arguments}");
            }
            Err(error) => assert!(docroot.is_empty() && error.contains("port: \"--listing\""), "{arguments}: {error}"),
        }
    }
}

#[test]
fn a_switch_needs_no_value_and_takes_one_either_way() {
    for (arguments, listing, keep_alive) in [
        ("--listing .", true, true),
        ("--listing on .", true, true),
        ("--listing=off .", false, true),
        ("--keep-alive off --listing 80 .", true, false),
        (". --listing", true, true),
        ("--listing 0 .", true, true),
        ("--listing=0 .", false, true),
        ("-p HTTP/1.1 .", false, true),
        ("-p HTTP/1.0 .", false, false),
        ("--protocol=HTTP/1.0 --keep-alive=off .", false, false),
    ] {
        let config = parsed(arguments).expect("it is right");
        assert_eq!((config.site.listing, config.limits.keep_alive), (listing, keep_alive), "{arguments}");
        assert_eq!(config.docroot, ".");
    }
    assert_eq!(parsed("--cors .").expect("it is right").site.cors, Cors::Any);
    assert_eq!(parsed("--cors * .").expect("it is right").site.cors, Cors::Any);
    assert!(parsed("--cors http://a .").expect("it is right").site.cors.varies());
    for (arguments, open) in [("", false), ("--open", true), ("--open off", false), ("--open=on www", true)] {
        assert_eq!(asked(arguments, &[]).expect("it is right").open, open, "{arguments}");
    }
}

#[test]
fn headers_add_up() {
    let config = parsed("--header A:1 --header=B:2 .").expect("it is right");
    assert_eq!(&*config.site.fields, b"A: 1\r\nB: 2\r\n");
}

#[test]
fn q_and_v_count_from_what_the_environment_says() {
    let levels = ["off", "error", "warn", "info", "debug"];
    for (arguments, variable, level) in [
        ("", None, 4),
        ("-q", None, 3),
        ("-qq", None, 2),
        ("-q --quiet -q", None, 1),
        ("-qqqqqqq", None, 0),
        ("-v", None, 4),
        ("-q", Some("warn"), 1),
        ("-v", Some("error"), 2),
        ("-vvvvv", Some("error"), 4),
        ("--log-level info", Some("error"), 3),
        ("-q --log-level info", Some("error"), 3),
        ("-v --log-level debug", Some("error"), 4),
    ] {
        let variables: Vec<_> = variable.iter().map(|level| ("LOG_LEVEL", *level)).collect();
        let config = with(arguments, &variables).expect(arguments);
        assert_eq!(config.log_level.name(), levels[level], "{arguments} {variable:?}");
    }
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let variables = [
        ("PORT", "9000"),
        ("HOST", "127.0.0.1"),
        ("DOCROOT", "site"),
        ("LISTING", "yes"),
        ("HEADER", "A: 1\nB: 2"),
        ("TIMEOUT", "0.5"),
        ("ACCESS_LOG_FILE", "none"),
        ("OPEN", "on"),
    ];
    let config = with("", &variables).expect("it is right");
    assert_eq!((config.port, config.host.as_str(), config.docroot.as_str()), (9000, "127.0.0.1", "site"));
    assert!(config.site.listing);
    assert_eq!(&*config.site.fields, b"A: 1\r\nB: 2\r\n");
    assert_eq!(config.limits.header_timeout, Duration::from_millis(500));
    assert!(asked("", &variables).expect("it is right").open);
    let arguments = "8000 -b :: www --listing=off --header C:3 --timeout 1 --open=off";
    let config = with(arguments, &variables).expect("it is right");
    assert_eq!((config.port, config.host.as_str(), config.docroot.as_str()), (8000, "::", "www"));
    assert!(!config.site.listing);
    assert_eq!(&*config.site.fields, b"C: 3\r\n");
    assert_eq!(config.limits.header_timeout, Duration::from_secs(1));
    assert!(!asked(arguments, &variables).expect("it is right").open);
    // A variable that loses is not even looked at.
    assert_eq!(with("--port 8000", &[("PORT", "x")]).expect("it is right").port, 8000);
    assert!(!with("-p HTTP/1.0", &[("KEEP_ALIVE", "on")]).expect("it is right").limits.keep_alive);
}

#[test]
fn where_the_command_line_says_to_listen_the_environment_does_not_contradict() {
    let variables = [("PORT", "9000"), ("HOST", "127.0.0.1")];
    assert_eq!(with("--host unix:x", &variables).expect("it is right").host, "unix:x");
    assert_eq!(with("--listen-fd 3", &variables).expect("it is right").listen_fd, Some(3));
    for arguments in ["8000", "--port 8000", "--host ::1"] {
        // The operand too is a port.
        let config = with(arguments, &[("LISTEN_FD", "3")]);
        assert_eq!(config.expect(arguments).listen_fd, None, "{arguments}");
    }
    assert_eq!(with("www", &[("LISTEN_FD", "3")]).expect("it is right").listen_fd, Some(3));
}

#[test]
fn a_wrong_command_line_is_told() {
    for (arguments, message) in [
        ("a b c", "unexpected argument 'c' found"),
        ("x ./www", "port: \"x\" is not allowed; it takes a whole number from 0 to 65535; a value of --listing"),
        ("./www 80", "port: \"./www\" is not allowed; it takes a whole number from 0 to 65535; the port stands before"),
        ("65536", "port: 65536 is not allowed; it takes a whole number from 0 to 65535\n"),
        ("--port 1 2 ./www", "port: it is given twice"),
        ("--port 1 2", "port: it is given twice"),
        ("-d a b", "docroot: it is given twice, by --directory and as the last word"),
        ("80 a -d b", "docroot: it is given twice"),
        ("--bind ::1 --host ::1", "the argument '--host <ADDRESS>' cannot be used multiple times"),
        (
            "-p HTTP/2",
            "protocol: \"HTTP/2\" is not allowed; it takes HTTP/1.1, or HTTP/1.0, which is --keep-alive=off; a port is --port",
        ),
        ("-p HTTP/1.0 --keep-alive", "protocol: HTTP/1.0 is --keep-alive=off here, and --keep-alive is on"),
        ("--cgi", "there is no CGI here, only files are served; leave --cgi out"),
        ("--tls-cert a --tls-key b", "there is no TLS here; let a proxy that has it stand before this server"),
        ("-q -v", "-q tells less and -v tells more: they contradict each other"),
        ("-qqq --log-level info", "log_level: --log-level info and -qqq, which is error, contradict each other"),
        ("-v --log-level error", "log_level: --log-level error and -v, which is debug, contradict each other"),
        ("--open=maybe", "open: \"maybe\" is not allowed; it takes on or off"),
        ("--open --host unix:x", "open: no browser opens a Unix socket; leave it out"),
        ("--completions csh", "invalid value 'csh' for '--completions <SHELL>'"),
        ("--completions bash www", "the argument '--completions <SHELL>' cannot be used with one or more of the other"),
        ("--pool-size -5 ./www", "pool_size: -5 is not allowed; it takes a whole number from 256 to 16777216"),
        ("--pool-siz 5 ./www", "a similar argument exists: '--pool-size'"),
        ("--keep-alive=maybe .", "keep_alive: \"maybe\" is not allowed; it takes on or off"),
        ("--header Date:x .", "header: [\"Date:x\"] is not allowed; the server writes Date itself"),
        ("--cors=a .", "cors: \"a\" is not allowed; it takes off, * for any origin, or a list of origins"),
        ("--status-path x .", "status_path: \"x\" is not allowed; it takes none or a path such as /status"),
        ("--status-path /x --buffer-size 9000 .", "status_path: the statistics need a buffer_size of 16384"),
        ("--host unix:x 80 .", "port: a Unix socket has none; leave it out"),
        ("--listen-fd 3 80 .", "listen_fd: what is handed over has its address already"),
        ("--access-log apache .", "access_log: \"apache\" is not allowed; it takes off, common, combined, json"),
        (
            "--buffer-size 2048 --max-request-line 4000 .",
            "max_request_line: 4000 is not allowed; with buffer_size 2048",
        ),
    ] {
        let error = parsed(arguments).map(|_| ()).expect_err(arguments);
        assert!(error.contains(message), "{arguments}: {error}");
    }
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    for (arguments, variables, message) in [
        (
            "",
            vec![("PORT", "x")],
            "error: POOLED_HTTPD_PORT: \"x\" is not allowed; it takes a whole number from 0 to 65535\n",
        ),
        ("", vec![("HOST", "")], "error: POOLED_HTTPD_HOST: \"\" is not allowed; it takes a text that is not empty\n"),
        (
            "",
            vec![("HEADER", "A: 1\nB")],
            "error: POOLED_HTTPD_HEADER: [\"A: 1\", \"B\"] is not allowed; it takes field lines",
        ),
        ("", vec![("OPEN", "maybe")], "error: POOLED_HTTPD_OPEN: \"maybe\" is not allowed; it takes on or off\n"),
        ("--host unix:x", vec![("OPEN", "on")], "error: POOLED_HTTPD_OPEN: no browser opens a Unix socket"),
        (
            "--max-request-line 4000",
            vec![("BUFFER_SIZE", "2048")],
            "error: max_request_line: 4000 is not allowed; with buffer_size 2048 it takes a whole number from 64 to 1024; \
             the environment sets POOLED_HTTPD_BUFFER_SIZE\n",
        ),
    ] {
        let error = with(arguments, &variables).map(|_| ()).expect_err(message);
        assert!(error.starts_with(message), "{error}");
    }
    let warnings = asked("", &[("POOLSIZE", "5"), ("NO_SKIPS", "1")]).expect("it is right").warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}
