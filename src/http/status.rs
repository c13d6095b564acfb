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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_ascend_and_index_by_their_discriminant() {
        assert!(Status::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        assert!(Status::ALL.iter().enumerate().all(|(index, status)| *status as usize == index));
        assert_eq!(Status::NotFound.line(), "HTTP/1.1 404 Not Found\r\n");
    }
}
