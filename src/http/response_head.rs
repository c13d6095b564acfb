//! Writing the head of a response (RFC 9112 section 4, RFC 9110 section 6.3) into memory that is already there.

use super::date::DATE_LENGTH;
use super::status::Status;

/// The most that the head of any response takes besides a `Location` and what the operator added: the longest status line and
/// every other field.
pub const MAX_FIXED_HEAD: usize = 768;

/// A writer into a fixed piece of memory. What does not fit is left out and told by [`Self::finish`].
#[derive(Debug)]
pub struct HeadWriter<'a> {
    memory: &'a mut [u8],
    length: usize,
    complete: bool,
}

impl<'a> HeadWriter<'a> {
    /// Begins a head in `memory` with the status line and the Date.
    pub fn new(memory: &'a mut [u8], status: Status, date: &[u8; DATE_LENGTH]) -> Self {
        let mut head = Self::bare(memory);
        head.put(status.line().as_bytes());
        head.field("Date", date);
        head
    }

    /// A writer that has written nothing.
    pub fn bare(memory: &'a mut [u8]) -> Self {
        Self { memory, length: 0, complete: true }
    }

    /// Appends bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        match self.memory.get_mut(self.length..self.length + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.complete = false,
        }
    }

    /// Appends a field line.
    pub fn field(&mut self, name: &str, value: &[u8]) {
        self.put(name.as_bytes());
        self.put(b": ");
        self.put(value);
        self.put(b"\r\n");
    }

    /// Appends a field line whose value is a decimal number.
    pub fn number_field(&mut self, name: &str, value: u64) {
        self.put(name.as_bytes());
        self.put(b": ");
        self.number(value);
        self.put(b"\r\n");
    }

    /// Appends a decimal number.
    pub fn number(&mut self, value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = value;
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.put(&digits[start..]);
    }

    /// Appends a hexadecimal number.
    pub fn hex(&mut self, value: u64) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
        for index in (0..digits).rev() {
            self.put(&[DIGITS[usize::try_from(value >> (4 * index) & 15).unwrap_or_default()]]);
        }
    }

    /// How much has been written.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// How much has been written, or nothing where the memory was too small.
    #[must_use]
    pub fn written(&self) -> Option<usize> {
        self.complete.then_some(self.length)
    }

    /// Ends the head with its empty line. Returns its length, or nothing where the memory was too small.
    #[must_use]
    pub fn finish(mut self) -> Option<usize> {
        self.put(b"\r\n");
        self.written()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_written_as_it_goes_out() {
        let mut memory = [0; 200];
        let mut head = HeadWriter::new(&mut memory, Status::Ok, b"Sun, 06 Nov 1994 08:49:37 GMT");
        head.number_field("Content-Length", 1247);
        head.put(b"ETag: \"");
        for value in [0, 0xf, 0x10, u64::MAX] {
            head.hex(value);
            head.put(b"-");
        }
        head.put(b"\"\r\n");
        let length = head.finish().expect("it fits");
        assert_eq!(
            std::str::from_utf8(&memory[..length]).expect("it is ASCII"),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 1247\r\n\
             ETag: \"0-f-10-ffffffffffffffff-\"\r\n\r\n"
        );
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let mut memory = [0; 60];
        let mut head = HeadWriter::new(&mut memory, Status::Ok, b"Sun, 06 Nov 1994 08:49:37 GMT");
        head.number_field("Content-Length", u64::MAX);
        assert_eq!(head.finish(), None);
    }
}
