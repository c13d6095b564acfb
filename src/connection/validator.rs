//! The strong entity-tag of a file (RFC 9110 section 8.8.3).

use super::FileFacts;
use super::core::Core;
use crate::http::response_head::HeadWriter;

/// How coarse the clock of a file system may be, in nanoseconds: two ticks of the slowest timer.
const TICK: u64 = 20_000_000;
/// Four hexadecimal numbers, what stands between them, and the quotes.
const MAX_LENGTH: usize = 4 * 16 + 3 + 2;

/// A strong entity-tag, quotes included.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntityTag {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl EntityTag {
    /// The tag of a file: its size, its inode and its last change of any kind.
    ///
    /// A file that changed a moment ago may change once more within the same tick of its file system's clock and then could not be
    /// told from what it was. As long as it is that young its tags hold once only: nothing that is asked with them later matches,
    /// and the file is sent again.
    pub(super) fn of(facts: &FileFacts, core: &mut Core) -> Self {
        let (inode, changed) = facts.identity;
        let once = Self::holds_once(facts, core).then(|| core.take_unique());
        let mut tag = Self { bytes: [0; MAX_LENGTH], length: 0 };
        let mut text = HeadWriter::bare(&mut tag.bytes);
        text.put(b"\"");
        text.hex(facts.size);
        for part in [Some(inode), Some(changed), once].into_iter().flatten() {
            text.put(b"-");
            text.hex(part);
        }
        text.put(b"\"");
        tag.length = text.length();
        tag
    }

    /// Whether the file is so young that its tags hold once only.
    pub(super) fn holds_once(facts: &FileFacts, core: &Core) -> bool {
        facts.identity.1.saturating_add(TICK) > core.now.wall_nanoseconds
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
