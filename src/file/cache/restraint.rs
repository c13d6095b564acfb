//! How the cache spares itself insertions that are of no use.

/// How many insertions are left out for each that is made, at most, while what is inserted goes before it is used.
const MAX_SKIPPED: u32 = 16;

/// Leaves insertions out, more and more of them while what is inserted goes before it is used.
#[derive(Debug, Default)]
pub(super) struct Restraint {
    /// How many insertions are still to be left out, and how many the last one cost.
    pub(super) left: u32,
    cost: u32,
}

impl Restraint {
    /// Whether this insertion is to be left out.
    pub(super) fn holds_back(&mut self) -> bool {
        let holds_back = self.left > 0;
        self.left -= u32::from(holds_back);
        holds_back
    }

    /// Something was inserted, and what went for it was of no use.
    pub(super) fn inserted(&mut self, wasted: bool) {
        self.cost = if wasted { (self.cost + 1).min(MAX_SKIPPED) } else { self.cost / 2 };
        self.left = self.cost;
    }
}
