//! Every input that fuzzing has kept, through the same checks without libFuzzer: `fuzz/corpus` and `fuzz/regressions`.

use super::CHECKS;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The most inputs of a corpus, and the most bytes of all together: they are a part of every clone.
const MOST_INPUTS: usize = 200;
const MOST_BYTES: u64 = 1 << 20;

fn fuzz(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path)
}

/// The files of a directory, in their order; none where there is no directory.
fn inputs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a directory can be read").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_that_was_kept_breaks_no_rule() {
    for (target, check) in CHECKS {
        for kept in ["corpus", "regressions"] {
            for path in inputs(&fuzz(kept).join(target)) {
                let bytes = fs::read(&path).expect("a file can be read");
                let outcome = catch_unwind(AssertUnwindSafe(|| check(&bytes)));
                assert!(outcome.is_ok(), "{} breaks a rule of {target}", path.display());
            }
        }
    }
}

#[test]
fn every_check_has_its_target_and_a_small_corpus() {
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).expect("it is there");
    assert_eq!(manifest.matches("[[bin]]").count(), CHECKS.len(), "a target for each check, and no other");
    let mut bytes = 0;
    for (target, _) in CHECKS {
        assert!(manifest.contains(&format!("name = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"")), "{target}");
        assert!(fuzz("fuzz_targets").join(format!("{target}.rs")).is_file(), "{target}");
        let corpus = inputs(&fuzz("corpus").join(target));
        assert!((1..=MOST_INPUTS).contains(&corpus.len()), "{target} has {} inputs", corpus.len());
        bytes += corpus.iter().map(|path| fs::metadata(path).expect("a file has a size").len()).sum::<u64>();
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes of inputs");
}

/// A schedule for each kind of registered answer: alone, pipelined, for HEAD, with time between, half-closed, stopped.
#[test]
fn every_kind_of_registered_answer_keeps_to_the_rules() {
    let get = b"GET /r HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = b"HEAD /r HTTP/1.1\r\nHost: a\r\n\r\n";
    let ends: [&[u8]; 5] = [b"", b"\xf4", b"\xf5", b"\xfe", b"\xf3\x05\xf2\x01"];
    for kind in 0x80..=0xff {
        for end in ends {
            for options in [0x80, 0x81] {
                let times = b"\xf0\xf2\x01\xf2\x13\xf2\x14".repeat(3);
                let schedule = [&[options, 0xf8, kind], &get[..], head, get, &times, get, b"\xf0", end, get].concat();
                super::connection::connection(&schedule);
            }
        }
    }
}

/// The fuzzers find what breaks a rule only if the checks do.
#[test]
fn checks_take_any_bytes() {
    for (_, check) in CHECKS {
        for byte in 0..=255_u8 {
            check(&[byte; 3]);
        }
    }
}
