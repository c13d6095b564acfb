//! A place in a listing, from which it can be gone on with.

use super::{Kind, MAX_ENTRY_NAME};
use std::fmt;

/// A place in the order of entries: directories first, then by the bytes of the name. The default comes before every entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// A byte for the kind, and the name; zeros behind them.
    key: [u8; 1 + MAX_ENTRY_NAME],
    length: u16,
}

impl Default for Position {
    fn default() -> Self {
        Self { key: [0; 1 + MAX_ENTRY_NAME], length: 0 }
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} \"{}\"", self.kind(), self.name().escape_ascii())
    }
}

impl Position {
    /// The place of an entry; nothing where its name is longer than a name can be.
    #[must_use]
    pub fn of(kind: Kind, name: &[u8]) -> Option<Self> {
        let mut position = Self::default();
        let (first, rest) = position.key.split_first_mut()?;
        *first = kind as u8;
        rest.get_mut(..name.len())?.copy_from_slice(name);
        position.length = u16::try_from(1 + name.len()).ok()?;
        Some(position)
    }

    /// The place with this key.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Self {
        let mut position = Self::default();
        if let Some(place) = position.key.get_mut(..key.len()) {
            place.copy_from_slice(key);
            position.length = u16::try_from(key.len()).unwrap_or_default();
        }
        position
    }

    /// What orders entries: the kind and the name in one.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// What the entry is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.key().first().is_some_and(|&kind| kind == Kind::File as u8) { Kind::File } else { Kind::Directory }
    }

    /// The name of the entry; empty before the first.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.key().get(1..).unwrap_or_default()
    }
}
