//! The large pieces of memory of the hot-file cache, outside the heap: in huge pages where the system has them.
//!
//! Thousands of contents, each in a place of its own, take more pages of 4 KiB than a processor remembers the way to. What is never
//! touched takes no memory. The first contents are in small pages all the same: to clear a huge one takes longer than a server that
//! is started for a test may take to answer.

use memmap2::MmapMut;
use std::io;
use std::ops::{Deref, DerefMut};

/// How much at the beginning is left in small pages, in bytes.
#[cfg(target_os = "linux")]
const SMALL_PAGES_BYTES: usize = 512 * 1024;

/// Zeroed bytes.
#[derive(Debug)]
pub(super) struct Memory {
    /// None for no bytes: the system maps at least one.
    pages: Option<MmapMut>,
}

impl Memory {
    /// So many zeroed bytes.
    ///
    /// # Errors
    /// The system has no room for them.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let pages = (bytes > 0).then(|| MmapMut::map_anon(bytes)).transpose()?;
        #[cfg(target_os = "linux")]
        if let Some(pages) = &pages
            && bytes > SMALL_PAGES_BYTES
        {
            // Where there are none, small ones will do.
            let _ = pages.advise_range(memmap2::Advice::HugePage, SMALL_PAGES_BYTES, bytes - SMALL_PAGES_BYTES);
        }
        Ok(Self { pages })
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.pages.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.pages.as_deref_mut().unwrap_or_default()
    }
}
