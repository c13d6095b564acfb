//! The status codes that this server sends, with their reason phrases (RFC 9110 section 15).

macro_rules! statuses {
    ($($variant:ident = $code:literal $reason:literal;)*) => {
        /// A status code of a response.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Status {
            $(#[doc = concat!(stringify!($code), " ", $reason)] $variant,)*
        }

        impl Status {
            /// Every status, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The three digits.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status of these three digits, where this server has it.
            #[must_use]
            pub fn of_code(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|status| status.code() == code)
            }

            /// The code and its reason phrase.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => concat!(stringify!($code), " ", $reason),)* }
            }

            /// The reason phrase as the content of a short answer.
            #[must_use]
            pub const fn content(self) -> &'static str {
                match self { $(Self::$variant => concat!(stringify!($code), " ", $reason, "\n"),)* }
            }

            /// The whole status line, with its CRLF (RFC 9112 section 4).
            #[must_use]
            pub const fn line(self) -> &'static str {
                match self { $(Self::$variant => concat!("HTTP/1.1 ", stringify!($code), " ", $reason, "\r\n"),)* }
            }
        }
    };
}

statuses! {
    Ok = 200 "OK";
    NoContent = 204 "No Content";
    PartialContent = 206 "Partial Content";
    MovedPermanently = 301 "Moved Permanently";
    NotModified = 304 "Not Modified";
    BadRequest = 400 "Bad Request";
    Forbidden = 403 "Forbidden";
    NotFound = 404 "Not Found";
    MethodNotAllowed = 405 "Method Not Allowed";
    RequestTimeout = 408 "Request Timeout";
    PreconditionFailed = 412 "Precondition Failed";
    ContentTooLarge = 413 "Content Too Large";
    UriTooLong = 414 "URI Too Long";
    RangeNotSatisfiable = 416 "Range Not Satisfiable";
    ExpectationFailed = 417 "Expectation Failed";
    RequestHeaderFieldsTooLarge = 431 "Request Header Fields Too Large";
    InternalServerError = 500 "Internal Server Error";
    NotImplemented = 501 "Not Implemented";
    ServiceUnavailable = 503 "Service Unavailable";
    HttpVersionNotSupported = 505 "HTTP Version Not Supported";
    InsufficientStorage = 507 "Insufficient Storage";
}

/// A status code: one of ours, or another that was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// One of those that this server sends by itself.
    Own(Status),
    /// Another one, below [`Self::LIMIT`]; 0 where what was sent has no status line of ours.
    Other(u16),
}

impl Code {
    /// No code is as large.
    pub const LIMIT: usize = 1000;

    /// The code of these three digits.
    #[must_use]
    pub fn of(number: u16) -> Self {
        Status::of_code(number).map_or(Self::Other(number), Self::Own)
    }

    /// The three digits, or 0.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Own(status) => status.code(),
            Self::Other(number) => number,
        }
    }
}

impl From<Status> for Code {
    fn from(status: Status) -> Self {
        Self::Own(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_ascend_and_index_by_their_discriminant() {
        assert!(Status::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        assert!(Status::ALL.iter().enumerate().all(|(index, status)| *status as usize == index));
        assert_eq!(Status::NotFound.line(), "HTTP/1.1 404 Not Found\r\n");
        assert_eq!(Code::of(404), Status::NotFound.into());
        assert_eq!((Code::of(404).number(), Code::of(418), Code::of(418).number()), (404, Code::Other(418), 418));
    }
}
