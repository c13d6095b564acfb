//! What requests an answer is for.

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

    /// The memory behind it, in bytes.
    pub(super) fn memory(&self) -> usize {
        let Self { method, path, query, .. } = self;
        let parts = [method.as_deref(), Some(&**path), query.as_deref()];
        parts.into_iter().flatten().map(<[u8]>::len).sum()
    }
}
