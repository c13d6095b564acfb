//! The chunked transfer coding, as a strict client reads it: RFC 9112 section 7.1 without extensions and trailers, which the
//! server never sends.

/// The longest chunk-size that is read, in digits.
const MOST_DIGITS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Size,
    /// So many bytes of a chunk.
    Data(usize),
    /// The CRLF behind a chunk.
    DataEnd,
    /// The CRLF behind the last chunk.
    LastEnd,
    Nothing,
}

/// A chunked content as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    pub(super) content: Vec<u8>,
    /// How many chunks have been begun, the last one aside.
    pub(super) begun: usize,
    expects: Expects,
    /// How far the stream has been read.
    at: usize,
}

impl Chunks {
    /// A content that begins there in the stream.
    pub(super) fn new(start: usize) -> Self {
        Self { content: Vec::new(), begun: 0, expects: Expects::Size, at: start }
    }

    /// Takes in what has come. Returns where the content ends, once it has.
    pub(super) fn advance(&mut self, stream: &[u8]) -> Option<usize> {
        while self.expects != Expects::Nothing {
            let rest = &stream[self.at..];
            match self.expects {
                Expects::Size => {
                    let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                    assert!(digits <= MOST_DIGITS, "a chunk-size does not end");
                    let line = [&rest[..digits], b"\r\n"].concat();
                    self.pass(rest, &line)?;
                    let text = std::str::from_utf8(&rest[..digits]).expect("digits are ASCII");
                    let size = usize::from_str_radix(text, 16).expect("a chunk has a size");
                    self.begun += usize::from(size > 0);
                    self.expects = if size > 0 { Expects::Data(size) } else { Expects::LastEnd };
                }
                Expects::Data(0) => self.expects = Expects::DataEnd,
                Expects::Data(_) if rest.is_empty() => return None,
                Expects::Data(left) => {
                    let count = left.min(rest.len());
                    self.content.extend_from_slice(&rest[..count]);
                    self.at += count;
                    self.expects = Expects::Data(left - count);
                }
                Expects::DataEnd => {
                    self.pass(rest, b"\r\n")?;
                    self.expects = Expects::Size;
                }
                Expects::LastEnd => {
                    self.pass(rest, b"\r\n")?;
                    self.expects = Expects::Nothing;
                }
                Expects::Nothing => {}
            }
        }
        Some(self.at)
    }

    /// Passes what must come next. Nothing while it has not come in full.
    fn pass(&mut self, rest: &[u8], wanted: &[u8]) -> Option<()> {
        let there = &rest[..rest.len().min(wanted.len())];
        let (there_text, wanted_text) = (there.escape_ascii(), wanted.escape_ascii());
        assert!(wanted.starts_with(there), "\"{there_text}\" instead of \"{wanted_text}\" after {} chunks", self.begun);
        if there.len() < wanted.len() {
            return None;
        }
        self.at += wanted.len();
        Some(())
    }

    /// Whether every chunk that has been begun is there in full, and the last one is not.
    pub(super) fn ends_between_chunks(&self, stream: &[u8]) -> bool {
        self.expects == Expects::Size && self.at == stream.len()
    }
}
