//! Names beneath the root as numbers, so that a change can be told from the hash of its directory and the name in it.

/// The hash of a name, or of the beginning of one: seeded FNV-1a, because it can be continued from a directory to what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameHash(u64);

impl NameHash {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed ^ 0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn with(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |hash, byte| hash.with_byte(*byte))
    }

    fn with_byte(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// A number all of whose lower bits depend on all of the name.
    pub(super) fn spread(self) -> usize {
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }
}

/// The names that a change of one file concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) own: NameHash,
    /// Without its last extension: the file that this one may be a sidecar of.
    pub(super) base: NameHash,
}

impl Names {
    pub(super) fn of(directory: NameHash, name: &[u8]) -> Self {
        let mut names = Self { own: directory, base: directory };
        for byte in name {
            if *byte == b'.' {
                names.base = names.own;
            }
            names.own = names.own.with_byte(*byte);
        }
        names
    }

    pub(super) fn concern(self, name: NameHash) -> bool {
        self.own == name || self.base == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_concerns_the_file_it_may_be_a_sidecar_of() {
        let root = NameHash::seeded(7);
        let sidecar = Names::of(root.with(b"a/"), b"f.tar.gz");
        assert!(sidecar.concern(root.with(b"a/f.tar.gz")) && sidecar.concern(root.with(b"a/f.tar")));
        assert!(!sidecar.concern(root.with(b"a/f")) && !sidecar.concern(root.with(b"f.tar")));
        assert!(!Names::of(root, b"f").concern(root.with(b"f.gz")));
    }
}
