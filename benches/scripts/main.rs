//! Fixed work for callgrind to count: `instructions SCRIPT` carries out one script and prints how many requests it had.
//!
//! Without an argument it prints the names of the scripts. What is counted lies between the entry of [`measured_part`]
//! and its return: `valgrind --tool=callgrind --toggle-collect='*measured_part*'`. `benches/instructions.py` runs it.
//! Every script is carried out once before it counts, and its answers are looked at.

mod exchange;
#[path = "../heads.rs"]
mod heads;
mod requests;
mod script;
mod sockets;

use std::hint::black_box;
use std::process::ExitCode;

/// Callgrind counts from here to the return, on the thread that calls it.
#[inline(never)]
fn measured_part(work: &mut dyn FnMut()) {
    work();
    // So that the call is no jump, which would not come back here.
    black_box(());
}

fn main() -> ExitCode {
    let names: Vec<_> = std::env::args().skip(1).collect();
    let scripts = script::all();
    if names.is_empty() {
        scripts.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    for name in names {
        let Some((_, script)) = scripts.iter().find(|script| script.0 == name) else {
            eprintln!("there is no script {name}");
            return ExitCode::FAILURE;
        };
        println!("{name}: {} requests", script.run());
    }
    ExitCode::SUCCESS
}
