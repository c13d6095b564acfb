//! Names that lead to nothing, remembered until a directory tells of a name that comes or goes.
//!
//! Of any name: a file system that does not tell upper from lower case calls what comes by another name than was asked for.

use crate::file::names::NameHash;

/// How many names are remembered.
const PLACES: usize = 512;
/// The longest name that is remembered, in bytes.
const MAX_NAME: usize = 110;

#[derive(Clone, Copy, Debug)]
struct Absence {
    hash: NameHash,
    name: [u8; MAX_NAME],
    /// 0 where nothing is remembered: no name is empty.
    length: u8,
    hits: u8,
}

/// Each name has one place and shares it with others: who comes last has it.
#[derive(Debug)]
pub(super) struct Absences {
    places: Box<[Absence]>,
    is_empty: bool,
}

impl Absences {
    pub(super) fn new() -> Self {
        let nothing = Absence { hash: NameHash::default(), name: [0; MAX_NAME], length: 0, hits: 0 };
        Self { places: vec![nothing; PLACES].into_boxed_slice(), is_empty: true }
    }

    pub(super) fn heap_bytes() -> usize {
        PLACES * size_of::<Absence>()
    }

    /// Whether a name can be remembered.
    pub(super) fn takes(name: &[u8]) -> bool {
        (1..=MAX_NAME).contains(&name.len())
    }

    fn place(&mut self, hash: NameHash) -> &mut Absence {
        &mut self.places[hash.spread() % PLACES]
    }

    /// Whether this name is known to lead to nothing.
    pub(super) fn contain(&mut self, hash: NameHash, name: &[u8]) -> bool {
        let place = self.place(hash);
        let is_known =
            place.length > 0 && place.hash == hash && place.name.get(..usize::from(place.length)) == Some(name);
        place.hits = place.hits.saturating_add(u8::from(is_known));
        is_known
    }

    /// Remembers a name that [`Self::takes`] allows. True where another was forgotten for it before it was of use.
    pub(super) fn put(&mut self, hash: NameHash, name: &[u8]) -> bool {
        self.is_empty = false;
        let place = self.place(hash);
        let wasted = place.length > 0 && place.hash != hash && place.hits == 0;
        place.name[..name.len()].copy_from_slice(name);
        place.length = u8::try_from(name.len()).unwrap_or(0);
        (place.hash, place.hits) = (hash, 0);
        wasted
    }

    pub(super) fn clear(&mut self) {
        if !std::mem::replace(&mut self.is_empty, true) {
            self.places.iter_mut().for_each(|place| place.length = 0);
        }
    }
}
