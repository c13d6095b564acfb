//! Hands each input to `pooled_httpd::fuzzing`, where the check is.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pooled_httpd::fuzzing::chunked(bytes));
