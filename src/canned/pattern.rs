//! What requests an answer is for.

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
    pub(super) query: Option<Box<[u8]>>,
}

impl Pattern {
    pub(super) fn matches(&self, method: &[u8], path: &[u8], query: Option<&[u8]>) -> bool {
        let is_path = if self.is_prefix { path.starts_with(&self.path) } else { *path == *self.path };
        is_path
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.query.as_deref().is_none_or(|wanted| query == Some(wanted))
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
        let parts = [method.as_deref(), Some(&**path), query.as_deref()];
        parts.into_iter().flatten().map(<[u8]>::len).sum()
    }
}
