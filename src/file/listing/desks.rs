//! Two desks: one for directories that a block holds, which wait for nobody, and one that all others share.

use super::{BLOCK_BYTES, Desk, Listing, PATH_BYTES, Phase, Progress, Token};
use crate::file::Root;
use crate::http::listing::Position;

/// A block has not more bytes of names than its own.
const QUICK_RECORD_BYTES: usize = 2 * BLOCK_BYTES;
/// Nor more entries than this.
const QUICK_RECORDS: usize = 1024;

/// The memory of all listings, taken once.
#[derive(Debug)]
pub struct Desks {
    quick: Desk,
    shared: Desk,
    /// The listing of each connection whose directory is known to be larger than a block.
    large: Box<[Option<Token>]>,
}

impl Desks {
    /// Desks for so many connections.
    #[must_use]
    pub fn new(connections: usize) -> Self {
        Self {
            quick: Desk::with_memory(0, QUICK_RECORD_BYTES, QUICK_RECORDS, BLOCK_BYTES),
            shared: Desk::new(connections),
            large: vec![None; connections].into_boxed_slice(),
        }
    }

    /// The heap memory that they take, in bytes.
    #[must_use]
    pub fn heap_bytes(connections: usize) -> usize {
        let quick = QUICK_RECORD_BYTES + QUICK_RECORDS * size_of::<u32>() + BLOCK_BYTES + PATH_BYTES;
        Desk::HEAP_BYTES + quick + connections * size_of::<Option<Token>>()
    }

    /// The next entry after `position`, which moves on, of the listing of this connection. See [`Desk::next`]; a directory that a
    /// block holds is never told to wait.
    pub fn next(
        &mut self,
        root: &mut Root,
        connection: usize,
        listing: &Listing<'_>,
        position: &mut Position,
    ) -> Progress {
        if self.large.get(connection) != Some(&Some(listing.token)) {
            if let Some(progress) = self.quick.next_of_block(root, listing, position) {
                return progress;
            }
            if let Some(place) = self.large.get_mut(connection) {
                *place = Some(listing.token);
            }
        }
        self.shared.next(root, listing, position)
    }
}

impl Desk {
    /// The next entry of a directory that a block holds; nothing where it does not. Whoever had the desk loses it: to begin anew
    /// costs one block, and a call that begins anew gives an entry all the same.
    fn next_of_block(&mut self, root: &mut Root, listing: &Listing<'_>, position: &mut Position) -> Option<Progress> {
        if self.owner != Some(listing.token) {
            (self.owner, self.phase) = (Some(listing.token), Phase::Idle);
        }
        let mut progress = self.next(root, listing, position);
        if progress == Progress::Working && self.phase == Phase::Scanning {
            // The end of a directory is a block of its own.
            progress = self.next(root, listing, position);
            if progress == Progress::Working && self.phase == Phase::Scanning {
                self.release(listing.token);
                return None;
            }
        }
        if progress == Progress::Working {
            progress = self.next(root, listing, position);
        }
        Some(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Walk, expected, fill, root_of};
    use super::*;
    use crate::alloc::thread_heap_use;
    use crate::file::Resolver;

    #[test]
    fn a_small_directory_waits_for_nobody_and_a_large_one_comes_to_its_end() {
        let tree = tempfile::tempdir().expect("a temporary directory");
        for (name, count) in [("large", 3000), ("small", 300), ("other", 200), ("empty", 0)] {
            std::fs::create_dir(tree.path().join(name)).expect("a directory");
            fill(&tree.path().join(name), count);
        }
        let before = thread_heap_use();
        let mut desks = Desks::new(4);
        let taken = usize::try_from(thread_heap_use().since(before).net_bytes).expect("memory was taken");
        assert_eq!(taken, Desks::heap_bytes(4));
        let mut root = root_of(tree.path(), Resolver::Openat2);
        let names = ["large/", "small/", "other/", "empty/"];
        let mut walks: Vec<Walk> = (0..).zip(names).map(|(token, name)| Walk::new(token, tree.path(), name)).collect();
        let mut done = [false; 4];
        for _ in 0..10_000 {
            for (number, walk) in walks.iter_mut().enumerate() {
                if done[number] {
                    continue;
                }
                // The large one has the shared desk all the time.
                let progress = walk.call_desks(&mut desks, &mut root);
                assert!(number == 0 || !matches!(progress, Progress::Busy | Progress::Working), "{}", names[number]);
                done[number] = progress == Progress::Done;
            }
        }
        assert_eq!(done, [true; 4]);
        for (walk, name) in walks.iter().zip(names) {
            assert!(walk.found == expected(&tree.path().join(name)), "{name}");
        }
    }
}
