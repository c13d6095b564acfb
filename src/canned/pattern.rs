//! What requests an answer is for.

use crate::http::grammar;
use std::cmp::Reverse;

/// The method, path and query of a request, as far as they matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// None where any method will do.
    pub(super) method: Option<Box<[u8]>>,
    /// The decoded path without its first slash.
    pub(super) path: Box<[u8]>,
    /// Whether more may follow it.
    pub(super) is_prefix: bool,
    /// None where any query will do.
    pub(super) query: Option<Query>,
}

impl Pattern {
    pub(super) fn matches(&self, method: &[u8], path: &[u8], query: Option<&[u8]>) -> bool {
        let is_path = if self.is_prefix { path.starts_with(&self.path) } else { *path == *self.path };
        is_path
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.query.as_ref().is_none_or(|wanted| query.is_some_and(|query| wanted.is(query)))
    }

    /// Less where it is the more particular one: a whole path before the beginning of one, a long beginning before a short one,
    /// and a method or a query before none.
    pub(super) fn generality(&self) -> (bool, Reverse<usize>, u8) {
        let beginning = if self.is_prefix { self.path.len() } else { 0 };
        let open = u8::from(self.method.is_none()) + u8::from(self.query.is_none());
        (self.is_prefix, Reverse(beginning), open)
    }

    /// The memory behind it, in bytes.
    pub(super) fn memory(&self) -> usize {
        let Self { method, path, query, .. } = self;
        let method = method.as_ref().map_or(0, |method| method.len());
        method + path.len() + query.as_ref().map_or(0, |query| size_of_val(&*query.0))
    }
}

/// These divide a query. An encoded one does not, so it is another.
const DELIMITERS: &[u8] = b"&=;+";
/// What an encoded delimiter has beyond its code.
const ENCODED: u16 = 256;

/// A query as what its bytes stand for, however each was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query(Box<[u16]>);

impl Query {
    /// The query as somebody writes it who may leave to the client what is to be encoded.
    pub(super) fn new(query: &[u8]) -> Self {
        Self(units(query).collect())
    }

    /// Whether it is that of a request. A space may have come as a plus sign, as forms send it.
    fn is(&self, query: &[u8]) -> bool {
        let mut received = units(query);
        let is_same = |wanted: &u16| {
            let received = received.next();
            received == Some(*wanted) || (*wanted == u16::from(b' ') && received == Some(u16::from(b'+')))
        };
        self.0.iter().all(is_same) && received.next().is_none()
    }
}

/// What each byte of a query stands for. A percent sign that encodes nothing is one.
fn units(mut query: &[u8]) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        if let [b'%', high, low, rest @ ..] = query
            && let (Some(high), Some(low)) = (grammar::hex_value(*high), grammar::hex_value(*low))
        {
            query = rest;
            let byte = high << 4 | low;
            return Some(u16::from(byte) + if DELIMITERS.contains(&byte) { ENCODED } else { 0 });
        }
        let (&byte, rest) = query.split_first()?;
        query = rest;
        Some(u16::from(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_what_its_bytes_stand_for() {
        for (registered, same, others) in [
            ("", &[""][..], &["a", "=", "%00"][..]),
            ("a=b&c", &["a=b&c", "%61=b&%63"], &["a=b&C", "a%3Db&c", "a=b%26c", "a=b", "a=b&c&", "a=b&%c"]),
            ("q=é b", &["q=%C3%A9%20b", "q=%c3%a9+b", "%71=%C3%a9%20%62"], &["q=%E9%20b", "q=%C3%A9%2Bb", "q=é"]),
            ("q=%C3%A9%20b", &["q=%C3%A9%20b", "q=%c3%a9+b"], &["q=%C3%A9b"]),
            ("a+b", &["a+b"], &["a%2Bb", "a%20b", "a b"]),
            ("a%2bb", &["a%2Bb", "a%2bb"], &["a+b", "a%20b"]),
            ("t=12:30/x", &["t=12:30/x", "t=12%3A30%2fx"], &["t=12.30/x"]),
            ("100%", &["100%25", "100%"], &["100", "100%2"]),
            ("%zz%4", &["%zz%4", "%25zz%254"], &["%zz%44"]),
        ] {
            let query = Query::new(registered.as_bytes());
            for other in same {
                assert!(query.is(other.as_bytes()), "{registered} {other}");
            }
            for other in others {
                assert!(!query.is(other.as_bytes()), "{registered} {other}");
            }
        }
        assert_eq!(Query::new("é".as_bytes()), Query::new(b"%c3%A9"));
    }
}
