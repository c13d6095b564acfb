//! The Content-Type of a file, by its name (RFC 9110 section 8.3).

/// The media type of the file called `name`, with `charset=utf-8` where it is text.
///
/// What has no known extension is `application/octet-stream`.
#[must_use]
pub fn of_file_name(name: &[u8]) -> (&'static str, &'static str) {
    const UNKNOWN: &str = "application/octet-stream";
    let last = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let extension = memchr::memrchr(b'.', last).and_then(|dot| std::str::from_utf8(&last[dot + 1..]).ok());
    let media_type = extension.and_then(|text| mime_guess::from_ext(text).first_raw()).unwrap_or(UNKNOWN);
    let is_text = media_type.starts_with("text/") || media_type == "application/javascript";
    (media_type, if is_text { "; charset=utf-8" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_extension() {
        for (name, media_type) in [
            (&b"index.html"[..], "text/html; charset=utf-8"),
            (b"a/b.CSS", "text/css; charset=utf-8"),
            (b"a.js", "text/javascript; charset=utf-8"),
            (b"a.txt", "text/plain; charset=utf-8"),
            (b"a.png", "image/png"),
            (b"a.svg", "image/svg+xml"),
            (b"a.woff2", "font/woff2"),
            (b"a.wasm", "application/wasm"),
            (b"a.ico", "image/x-icon"),
            (b"a.html/b", "application/octet-stream"),
            (b"Makefile", "application/octet-stream"),
            (b"a.\xff", "application/octet-stream"),
            (b"", "application/octet-stream"),
        ] {
            let (essence, charset) = of_file_name(name);
            assert_eq!(format!("{essence}{charset}"), media_type, "{}", name.escape_ascii());
        }
    }
}
