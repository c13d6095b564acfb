//! The chunked transfer coding (RFC 9112 section 7.1), decoded strictly, bounded, and thrown away.
//!
//! ```text
//! chunked-body   = *chunk last-chunk trailer-section CRLF
//! chunk          = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! chunk-size     = 1*HEXDIG
//! last-chunk     = 1*("0") [ chunk-ext ] CRLF
//! chunk-ext      = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//! chunk-ext-val  = token / quoted-string
//! trailer-section = *( field-line CRLF )
//! ```
//!
//! The decoder takes bytes as they come, one state for each place in the grammar; nothing is buffered.

use super::{Reject, grammar};

/// The most bytes that all chunk-size lines of a message may have together beyond their digits and CRLF.
pub const MAX_EXTENSION_BYTES: u32 = 4096;
/// The most digits of a chunk-size; more than any size needs, so that leading zeros cannot go on for ever.
pub const MAX_SIZE_DIGITS: u8 = 16;
/// The most bytes that the trailer section may have.
pub const MAX_TRAILER_BYTES: u32 = 8192;

/// Who is given the content on the way.
pub type ContentReader<'a> = dyn FnMut(&[u8]) + 'a;

/// A place in the grammar: what the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    TokenValue,
    QuotedValue,
    QuotedPair,
    AfterQuoted,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

/// The state of one message's decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkedDecoder {
    place: Place,
    digits: u8,
    size: u64,
    total: u64,
    taken: u64,
    extension_bytes: u32,
    trailer_bytes: u32,
    trailer_lines: u32,
}

impl ChunkedDecoder {
    /// Whether the last byte of the message has been taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// How many bytes of content there are, without the coding around them, by the sizes of the chunks that have begun.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.total
    }

    /// How many of them have come.
    #[must_use]
    pub fn content_taken(&self) -> u64 {
        self.taken
    }

    /// Takes what belongs to the message from the front of `bytes` and returns how much that was: all of it unless
    /// [`Self::is_done`].
    ///
    /// # Errors
    /// The first byte that the grammar does not allow, or a size that brings the content above `max_content`.
    pub fn decode(&mut self, bytes: &[u8], max_content: u64, max_field_lines: u32) -> Result<usize, Reject> {
        self.decode_to(bytes, max_content, max_field_lines, None)
    }

    /// The same; `content`, if there is one, is given each piece of content on the way.
    ///
    /// # Errors
    /// As with [`Self::decode`].
    pub fn decode_to(
        &mut self,
        bytes: &[u8],
        max_content: u64,
        max_field_lines: u32,
        mut content: Option<&mut ContentReader<'_>>,
    ) -> Result<usize, Reject> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_done() {
            if self.place == Place::Data {
                let available = (bytes.len() - taken) as u64;
                let step = available.min(self.size);
                self.size -= step;
                self.taken += step;
                let start = taken;
                taken += usize::try_from(step).unwrap_or(usize::MAX);
                if let Some(content) = &mut content {
                    content(bytes.get(start..taken).unwrap_or_default());
                }
                if self.size == 0 {
                    self.place = Place::DataCr;
                }
                continue;
            }
            self.take(bytes[taken], max_content, max_field_lines)?;
            taken += 1;
        }
        Ok(taken)
    }

    fn take(&mut self, byte: u8, max_content: u64, max_field_lines: u32) -> Result<(), Reject> {
        self.place = match self.place {
            Place::Size => return self.take_size(byte, max_content),
            Place::DataCr => expect(byte, b'\r', Place::DataLf, Reject::ChunkEnd)?,
            Place::DataLf => {
                self.digits = 0;
                expect(byte, b'\n', Place::Size, Reject::ChunkEnd)?
            }
            Place::SizeLf => {
                let next = if self.size == 0 { Place::TrailerStart } else { Place::Data };
                expect(byte, b'\n', next, Reject::ChunkSize)?
            }
            Place::TrailerStart | Place::TrailerName | Place::TrailerValue | Place::TrailerLf | Place::LastLf => {
                self.take_trailer(byte, max_field_lines)?
            }
            Place::Data | Place::Done => self.place,
            _ => self.take_extension(byte)?,
        };
        Ok(())
    }

    fn take_size(&mut self, byte: u8, max_content: u64) -> Result<(), Reject> {
        if let Some(digit) = grammar::hex_value(byte) {
            self.digits += 1;
            if self.digits > MAX_SIZE_DIGITS {
                return Err(Reject::ChunkSize);
            }
            // 16 digits fill 64 bits exactly, so nothing is shifted out.
            self.size = if self.digits == 1 { 0 } else { self.size << 4 } | u64::from(digit);
            return Ok(());
        }
        if self.digits == 0 {
            return Err(Reject::ChunkSize);
        }
        // Whatever comes next, the size is complete.
        self.total = self.total.saturating_add(self.size);
        if self.total > max_content {
            return Err(Reject::ContentTooLarge);
        }
        self.place = match byte {
            b'\r' => Place::SizeLf,
            b';' | b' ' | b'\t' => {
                self.count_extension_byte()?;
                if byte == b';' { Place::BeforeName } else { Place::BeforeSemicolon }
            }
            _ => return Err(Reject::ChunkSize),
        };
        Ok(())
    }

    fn count_extension_byte(&mut self) -> Result<(), Reject> {
        self.extension_bytes += 1;
        if self.extension_bytes > MAX_EXTENSION_BYTES { Err(Reject::ChunkExtension) } else { Ok(()) }
    }

    fn take_extension(&mut self, byte: u8) -> Result<Place, Reject> {
        self.count_extension_byte()?;
        let is_tchar = grammar::is(byte, grammar::TCHAR);
        Ok(match (self.place, byte) {
            (Place::BeforeSemicolon, b' ' | b'\t') => Place::BeforeSemicolon,
            (Place::BeforeSemicolon, b';') => Place::BeforeName,
            (Place::BeforeName, b' ' | b'\t') => Place::BeforeName,
            (Place::BeforeName | Place::Name, _) if is_tchar => Place::Name,
            (Place::Name | Place::AfterName, b'=') => Place::BeforeValue,
            (Place::Name | Place::AfterName, b' ' | b'\t') => Place::AfterName,
            (Place::Name | Place::TokenValue | Place::AfterQuoted, b'\r') => Place::SizeLf,
            (Place::Name | Place::AfterName | Place::TokenValue | Place::AfterQuoted, b';') => Place::BeforeName,
            (Place::BeforeValue, b' ' | b'\t') => Place::BeforeValue,
            (Place::BeforeValue, b'"') => Place::QuotedValue,
            (Place::BeforeValue | Place::TokenValue, _) if is_tchar => Place::TokenValue,
            (Place::TokenValue | Place::AfterQuoted, b' ' | b'\t') => Place::BeforeSemicolon,
            (Place::QuotedValue, b'"') => Place::AfterQuoted,
            (Place::QuotedValue, b'\\') => Place::QuotedPair,
            (Place::QuotedValue, _) if grammar::is(byte, grammar::QDTEXT) => Place::QuotedValue,
            (Place::QuotedPair, _) if grammar::is(byte, grammar::FIELD_CONTENT) => Place::QuotedValue,
            _ => return Err(Reject::ChunkExtension),
        })
    }

    fn take_trailer(&mut self, byte: u8, max_field_lines: u32) -> Result<Place, Reject> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_TRAILER_BYTES {
            return Err(Reject::Trailer);
        }
        Ok(match (self.place, byte) {
            (Place::TrailerStart, b'\r') => Place::LastLf,
            (Place::LastLf, b'\n') => Place::Done,
            (Place::TrailerStart, _) if grammar::is(byte, grammar::TCHAR) => {
                self.trailer_lines += 1;
                if self.trailer_lines > max_field_lines {
                    return Err(Reject::Trailer);
                }
                Place::TrailerName
            }
            (Place::TrailerName, b':') => Place::TrailerValue,
            (Place::TrailerName, _) if grammar::is(byte, grammar::TCHAR) => Place::TrailerName,
            (Place::TrailerValue, b'\r') => Place::TrailerLf,
            (Place::TrailerValue, _) if grammar::is(byte, grammar::FIELD_CONTENT) => Place::TrailerValue,
            (Place::TrailerLf, b'\n') => Place::TrailerStart,
            _ => return Err(Reject::Trailer),
        })
    }
}

fn expect(byte: u8, expected: u8, next: Place, reject: Reject) -> Result<Place, Reject> {
    if byte == expected { Ok(next) } else { Err(reject) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes of `message` the decoder takes, cut into parts of `step` bytes.
    fn decode(message: &[u8], step: usize) -> Result<(usize, bool, u64), Reject> {
        let mut decoder = ChunkedDecoder::default();
        let mut taken = 0;
        for part in message.chunks(step) {
            let here = decoder.decode(part, 1000, 3)?;
            taken += here;
            if here < part.len() {
                break;
            }
        }
        Ok((taken, decoder.is_done(), decoder.content_bytes()))
    }

    #[test]
    fn well_formed_messages_are_taken_whole_however_they_are_cut() {
        for (message, content) in [
            (&b"0\r\n\r\n"[..], 0),
            (b"5\r\nhello\r\n0\r\n\r\n", 5),
            (b"A\r\n0123456789\r\n0005\r\nhello\r\n000\r\n\r\n", 15),
            (b"1;a\r\nx\r\n0;b=c;d=\"e \\\" f\"\r\n\r\n", 1),
            (b"1 ; a = b ;c\r\nx\r\n0\r\nT: v\r\nU:\r\n\r\n", 1),
            (b"3E8\r\n", 1000),
        ] {
            for step in 1..=message.len() {
                let complete = message.ends_with(b"\r\n\r\n");
                let mut followed = message.to_vec();
                if complete {
                    followed.extend_from_slice(b"GET ");
                }
                assert_eq!(
                    decode(&followed, step),
                    Ok((message.len(), complete, content)),
                    "{}",
                    message.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn the_first_wrong_byte_is_refused_however_it_is_cut() {
        let long_extension = [&b"1;"[..], &[b'a'; 5000]].concat();
        let long_trailer = [&b"0\r\na:"[..], &[b'a'; 9000]].concat();
        for (message, reject) in [
            (&b"\r\n"[..], Reject::ChunkSize),
            (b"+5\r\n", Reject::ChunkSize),
            (b"0x5\r\n", Reject::ChunkSize),
            (b" 5\r\n", Reject::ChunkSize),
            (b"5 \r\n", Reject::ChunkExtension),
            (b"5\n", Reject::ChunkSize),
            (b"5\r\r", Reject::ChunkSize),
            (b"5\rX", Reject::ChunkSize),
            (b"1_0\r\n", Reject::ChunkSize),
            (b"-1\r\n", Reject::ChunkSize),
            (b"00000000000000001\r\n", Reject::ChunkSize),
            (b"3E9\r\n", Reject::ContentTooLarge),
            (b"FFFFFFFFFFFFFFFF\r\n", Reject::ContentTooLarge),
            (b"10000000000000000\r\n", Reject::ChunkSize),
            (b"5\r\nhelloXX", Reject::ChunkEnd),
            (b"5\r\nhello\n", Reject::ChunkEnd),
            (b"5\r\nhello\rX", Reject::ChunkEnd),
            (b"5;\r\n", Reject::ChunkExtension),
            (b"5;a=\r\n", Reject::ChunkExtension),
            (b"5;a\n", Reject::ChunkExtension),
            (b"5;a=\"b\r\n", Reject::ChunkExtension),
            (b"5;a \r\n", Reject::ChunkExtension),
            (b"5;a=b\x00", Reject::ChunkExtension),
            (b"0\r\n: v\r\n", Reject::Trailer),
            (b"0\r\na b: v\r\n", Reject::Trailer),
            (b"0\r\n a: v\r\n", Reject::Trailer),
            (b"0\r\na: v\n", Reject::Trailer),
            (b"0\r\na: \0", Reject::Trailer),
            (b"0\r\n\rX", Reject::Trailer),
            (b"0\r\na:\r\nb:\r\nc:\r\nd:\r\n", Reject::Trailer),
            (&long_extension, Reject::ChunkExtension),
            (&long_trailer, Reject::Trailer),
        ] {
            for step in [1, 2, 3, 7, message.len()] {
                assert_eq!(decode(message, step), Err(reject), "{}", message.escape_ascii());
            }
        }
    }
}
