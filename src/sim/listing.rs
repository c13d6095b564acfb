//! The driver's part in listing directories.

use super::answer::Content;
use super::directories::Next;
use super::heapless;
use super::world::{Need, World};
use crate::connection::Listed;
use crate::http::listing::Position;

/// A listing that a connection is writing.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    token: u64,
    /// The last entry that was told.
    last: Position,
}

/// What ends a listing in the send buffer, chunked or not.
const ENDS: &[&[u8]] = &[b"0\r\n\r\n", b"</html>\n", b"\r\n]"];

/// Whether these bytes, the last in the send buffer, are the end of a listing.
pub(super) fn is_end(bytes: &[u8]) -> bool {
    ENDS.iter().any(|end| bytes.ends_with(end))
}

impl World {
    /// Tells the next entry of a directory. Returns whether it did: now and then that takes longer.
    pub(super) fn list(&mut self, slot: u32, token: u64, id: usize, name: &[u8], position: Position) -> bool {
        let directory = self.files.directories.get(id);
        assert_eq!(name, directory.name.as_bytes(), "the name of a directory that is listed");
        let client = &self.clients[self.sockets[slot as usize].client.expect("who is there lists")];
        let exchange = client.begun.checked_sub(1).and_then(|index| client.script.get(index));
        if let Some(answer) = exchange.and_then(|exchange| exchange.answer()) {
            let is_right = matches!(answer.content, Content::Listing { directory, .. } if directory == id);
            assert!(is_right, "{name:?} is listed for {:?}", answer.content);
        }
        let socket = &mut self.sockets[slot as usize];
        let listing = socket.listing.get_or_insert_with(|| {
            assert!(!self.listings.contains(&token), "two listings have the same token");
            self.listings.push(token);
            UnderWay { token, last: Position::default() }
        });
        assert_eq!((token, position), (listing.token, listing.last), "the listing goes on where it was");
        if self.random.chance(self.plan.faults.listing_waits) {
            self.tally.listing_waits += 1;
            heapless!(self.table.listing_waits(slot));
            return false;
        }
        let listed = match directory.after(&position) {
            Next::Entry(entry) => {
                listing.last = entry.position;
                let (size, modified_seconds) = (entry.size, entry.modified_seconds);
                Listed::Entry { position: &entry.position, size, modified_seconds }
            }
            Next::End => {
                socket.need = Need::End;
                Listed::End
            }
            Next::Failure => {
                socket.need = Need::Nothing;
                Listed::Failed
            }
        };
        heapless!(self.table.listed(slot, listed));
        true
    }
}
