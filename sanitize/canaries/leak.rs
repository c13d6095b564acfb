//! Loses what it took from the heap. LeakSanitizer must tell of it at the end.

#[inline(never)]
fn lose() {
    std::mem::forget(std::hint::black_box(vec![7_u8; 1000]));
}

#[inline(never)]
fn overwrite_the_stack() {
    std::hint::black_box([0_u8; 4096]);
}

fn main() {
    lose();
    overwrite_the_stack();
}
