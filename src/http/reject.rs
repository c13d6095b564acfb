//! Why a request is refused: one flat list, each entry with its status, its RFC section and whether the connection ends.
//!
//! These are the peer's faults. The operator's are `StartError`s, ours are violated invariants.

use super::status::Status;

macro_rules! rejects {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $status:ident, $close:ident, $section:literal, $text:literal;)*) => {
        /// Why a request is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reject {
            $(#[doc = $text] $variant,)*
        }

        impl Reject {
            /// Every reason, in the order of the statistics.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in the statistics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status that answers it.
            #[must_use]
            pub const fn status(self) -> Status {
                match self { $(Self::$variant => Status::$status,)* }
            }

            /// Whether what follows on the connection can no longer be trusted, so that it is closed.
            #[must_use]
            pub const fn closes(self) -> bool {
                match self { $(Self::$variant => rejects!(@$close),)* }
            }

            /// The section that the request breaks.
            #[must_use]
            pub const fn section(self) -> &'static str {
                match self { $(Self::$variant => $section,)* }
            }

            /// What was wrong, in a sentence without its full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The content of the answer: what was wrong and where it says so.
            #[must_use]
            pub const fn content(self) -> &'static str {
                match self { $(Self::$variant => concat!($text, " (", $section, ")\n"),)* }
            }
        }
    };
    (@close) => { true };
    (@keep) => { false };
}

rejects! {
    ControlByte => "control_byte", BadRequest, close, "RFC 9110 section 5.5", "a control byte stands in the request head";
    BareCr => "bare_cr", BadRequest, close, "RFC 9112 section 2.2", "a CR stands without its LF";
    BareLf => "bare_lf", BadRequest, close, "RFC 9112 section 2.2", "a line ends in LF without CR";
    TooManyEmptyLines => "too_many_empty_lines", BadRequest, close, "RFC 9112 section 2.2", "more than two empty lines stand before the request line";
    RequestLine => "request_line", BadRequest, close, "RFC 9112 section 3", "the request line is not method SP request-target SP HTTP-version";
    Method => "method", BadRequest, close, "RFC 9110 section 9.1", "the method is not a token";
    Version => "version", BadRequest, close, "RFC 9112 section 2.3", "the HTTP-version is not \"HTTP/\" DIGIT \".\" DIGIT";
    VersionNotSupported => "version_not_supported", HttpVersionNotSupported, close, "RFC 9110 section 15.6.6", "the major version is not 1";
    RequestTarget => "request_target", BadRequest, close, "RFC 9112 section 3.2", "the request-target is not of the form that its method takes";
    RequestLineTooLong => "request_line_too_long", UriTooLong, close, "RFC 9112 section 3", "the request line is longer than the limit";
    HeaderSectionTooLarge => "header_section_too_large", RequestHeaderFieldsTooLarge, close, "RFC 6585 section 5", "the header section is larger than the receive buffer";
    TooManyFieldLines => "too_many_field_lines", RequestHeaderFieldsTooLarge, close, "RFC 6585 section 5", "there are more field lines than the limit";
    ObsFold => "obs_fold", BadRequest, close, "RFC 9112 section 5.2", "a field line begins with white space (obsolete line folding)";
    FieldName => "field_name", BadRequest, close, "RFC 9112 section 5.1", "the field name is not a token followed at once by a colon";
    HostMissing => "host_missing", BadRequest, close, "RFC 9112 section 3.2", "an HTTP/1.1 request has no Host field";
    HostRepeated => "host_repeated", BadRequest, close, "RFC 9112 section 3.2", "there is more than one Host field line";
    HostInvalid => "host_invalid", BadRequest, close, "RFC 9110 section 7.2", "the Host is not uri-host [ \":\" port ]";
    ContentLengthInvalid => "content_length_invalid", BadRequest, close, "RFC 9110 section 8.6", "the Content-Length is not 1*DIGIT";
    ContentLengthRepeated => "content_length_repeated", BadRequest, close, "RFC 9112 section 6.3", "there is more than one Content-Length field line";
    ContentTooLarge => "content_too_large", ContentTooLarge, close, "RFC 9110 section 15.5.14", "the content is larger than the limit";
    LengthAmbiguous => "length_ambiguous", BadRequest, close, "RFC 9112 section 6.1", "there are both Transfer-Encoding and Content-Length";
    TransferEncodingInHttp10 => "transfer_encoding_in_http10", BadRequest, close, "RFC 9112 section 6.1", "an HTTP/1.0 request has Transfer-Encoding";
    TransferEncodingInvalid => "transfer_encoding_invalid", BadRequest, close, "RFC 9112 section 6.1", "the Transfer-Encoding is not a list of codings with chunked once, at the end";
    TransferCodingUnknown => "transfer_coding_unknown", NotImplemented, close, "RFC 9112 section 6.1", "a transfer coding other than chunked is not implemented";
    ChunkSize => "chunk_size", BadRequest, close, "RFC 9112 section 7.1", "a chunk size is not 1*HEXDIG CRLF";
    ChunkExtension => "chunk_extension", BadRequest, close, "RFC 9112 section 7.1.1", "a chunk extension is malformed or too long";
    ChunkEnd => "chunk_end", BadRequest, close, "RFC 9112 section 7.1", "the data of a chunk is not followed by CRLF";
    Trailer => "trailer", BadRequest, close, "RFC 9112 section 7.1.2", "the trailer section is malformed or too large";
    HeaderTimeout => "header_timeout", RequestTimeout, close, "RFC 9110 section 15.5.9", "the request head was not complete in time";
    ContentTimeout => "content_timeout", RequestTimeout, close, "RFC 9110 section 15.5.9", "the content was not complete in time";
    Expectation => "expectation", ExpectationFailed, keep, "RFC 9110 section 10.1.1", "the only expectation that can be met is 100-continue";
    PercentEncoding => "percent_encoding", BadRequest, keep, "RFC 3986 section 2.1", "a \"%\" is not followed by two HEXDIG";
    EncodedNul => "encoded_nul", BadRequest, keep, "RFC 3986 section 7.3", "the path has an encoded NUL";
    EncodedSlash => "encoded_slash", BadRequest, keep, "RFC 3986 section 7.3", "the path has an encoded slash or a backslash";
    ClimbsAboveRoot => "climbs_above_root", BadRequest, keep, "RFC 3986 section 5.2.4", "the dot-segments of the path climb above the root";
    Fragment => "fragment", BadRequest, keep, "RFC 9112 section 3.2", "the request-target has a fragment";
    MethodNotAllowed => "method_not_allowed", MethodNotAllowed, keep, "RFC 9110 section 15.5.6", "the method is not allowed here";
    MethodUnknown => "method_unknown", NotImplemented, keep, "RFC 9110 section 9.1", "the method is not known";
    PoolExhausted => "pool_exhausted", InsufficientStorage, close, "RFC 4918 section 11.5", "the request needs more memory than its pool has";
    NoSlot => "no_slot", ServiceUnavailable, close, "RFC 9110 section 15.6.4", "every connection slot is in use";
    NoDescriptor => "no_descriptor", ServiceUnavailable, keep, "RFC 9110 section 15.6.4", "the server is out of descriptors";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_names_of_their_own_and_an_error_status() {
        let mut names: Vec<_> = Reject::ALL.iter().map(|reject| reject.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reject::COUNT);
        for (index, reject) in Reject::ALL.iter().enumerate() {
            assert_eq!(*reject as usize, index, "the statistics index by the discriminant");
            assert!(reject.status().code() >= 400);
            assert!(reject.content().contains(reject.section()));
        }
    }
}
