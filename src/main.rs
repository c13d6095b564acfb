//! The program `httpserver`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(pooled_httpd::cli::run(std::env::args_os()))
}
