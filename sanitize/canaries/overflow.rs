//! Reads one byte behind the end of what it took from the heap. AddressSanitizer must stop it.

fn main() {
    let bytes = std::hint::black_box(vec![7_u8; 16]);
    // SAFETY: there is none, on purpose.
    let behind = unsafe { *bytes.as_ptr().add(std::hint::black_box(16)) };
    println!("{behind}");
}
