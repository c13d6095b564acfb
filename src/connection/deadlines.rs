//! Deadlines without a heap: one list for each kind, in the order of arming.
//!
//! Every deadline of a kind lies equally far ahead when it is armed and time does not go back, so that arming at the end keeps a
//! list sorted. Arming, disarming and finding the next one cost a few stores, however many connections there are. Only a pause has
//! a length of its own; its place is looked for from both ends of its list, since most are as long as others or end before them.

use super::Time;

/// What a connection waits for, and so how long it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadlineKind {
    /// The first byte of a new connection, or the rest of a request head.
    Header,
    /// The next request of a persistent connection.
    Keepalive,
    /// The rest of a request's content.
    Content,
    /// The peer to take some of what we send.
    Send,
    /// The end of a lingering close.
    Linger,
    /// The end of a wait that was registered.
    Pause,
}

const KINDS: usize = 6;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    due: Time,
    previous: u32,
    next: u32,
    kind: Option<DeadlineKind>,
}

/// The deadlines of all slots.
#[derive(Debug)]
pub struct Deadlines {
    nodes: Box<[Node]>,
    /// First and last of each kind.
    ends: [(u32, u32); KINDS],
    durations: [u64; KINDS],
}

impl Deadlines {
    /// Room for `slots` deadlines; `duration` gives each kind's, in nanoseconds.
    #[must_use]
    pub fn new(slots: usize, duration: impl Fn(DeadlineKind) -> u64) -> Self {
        use DeadlineKind::{Content, Header, Keepalive, Linger, Pause, Send};
        let node = Node { due: Time::default(), previous: NONE, next: NONE, kind: None };
        Self {
            nodes: vec![node; slots].into_boxed_slice(),
            ends: [(NONE, NONE); KINDS],
            durations: [Header, Keepalive, Content, Send, Linger, Pause].map(duration),
        }
    }

    /// The heap memory behind it, in bytes.
    #[must_use]
    pub fn heap_bytes(slots: usize) -> usize {
        slots * size_of::<Node>()
    }

    /// What `slot` waits for, if anything.
    #[must_use]
    pub fn kind(&self, slot: u32) -> Option<DeadlineKind> {
        self.nodes[slot as usize].kind
    }

    /// Arms the deadline of `slot`, in place of the one it had.
    pub fn arm(&mut self, slot: u32, kind: DeadlineKind, now: Time) {
        self.disarm(slot);
        let last = self.ends[kind as usize].1;
        self.insert(slot, kind, now.after(self.durations[kind as usize]), last);
    }

    /// Arms the deadline of `slot`, in place of the one it had, for a time of its own.
    pub fn arm_until(&mut self, slot: u32, kind: DeadlineKind, due: Time) {
        self.disarm(slot);
        let (previous, _) = self.place(kind, due);
        self.insert(slot, kind, due, previous);
    }

    /// The last deadline of a kind that is due by then, and at how many it took a look to find it.
    fn place(&self, kind: DeadlineKind, due: Time) -> (u32, usize) {
        let (mut after, mut before) = self.ends[kind as usize];
        let mut looks = 0;
        while before != NONE {
            looks += 1;
            let Node { due: last, previous, .. } = self.nodes[before as usize];
            let Node { due: first, previous: found, next, .. } = self.nodes[after as usize];
            if last <= due {
                return (before, looks);
            }
            if first > due {
                return (found, looks);
            }
            // Each is behind `first` still and in front of `last`, so they do not pass each other.
            (before, after) = (previous, next);
        }
        (NONE, looks)
    }

    /// Puts a deadline behind `previous`, or first.
    fn insert(&mut self, slot: u32, kind: DeadlineKind, due: Time, previous: u32) {
        let ends = &mut self.ends[kind as usize];
        let next = if previous == NONE { ends.0 } else { self.nodes[previous as usize].next };
        if previous == NONE {
            ends.0 = slot;
        } else {
            self.nodes[previous as usize].next = slot;
        }
        if next == NONE {
            ends.1 = slot;
        } else {
            self.nodes[next as usize].previous = slot;
        }
        self.nodes[slot as usize] = Node { due, previous, next, kind: Some(kind) };
    }

    /// Takes away the deadline of `slot`, if it has one.
    pub fn disarm(&mut self, slot: u32) {
        let Node { previous, next, kind: Some(kind), .. } = self.nodes[slot as usize] else { return };
        let ends = &mut self.ends[kind as usize];
        if previous == NONE {
            ends.0 = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next == NONE {
            ends.1 = previous;
        } else {
            self.nodes[next as usize].previous = previous;
        }
        self.nodes[slot as usize].kind = None;
    }

    /// The slot that has waited longest for something of this kind.
    #[must_use]
    pub fn oldest(&self, kind: DeadlineKind) -> Option<u32> {
        Some(self.ends[kind as usize].0).filter(|&first| first != NONE)
    }

    /// When the next deadline is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.ends.iter().filter(|ends| ends.0 != NONE).map(|ends| self.nodes[ends.0 as usize].due).min()
    }

    /// A slot whose deadline has passed, and its kind; it is disarmed.
    pub fn expire(&mut self, now: Time) -> Option<(u32, DeadlineKind)> {
        let slot = self
            .ends
            .iter()
            .map(|ends| ends.0)
            .find(|&first| first != NONE && self.nodes[first as usize].due <= now)?;
        let kind = self.nodes[slot as usize].kind?;
        self.disarm(slot);
        Some((slot, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::DeadlineKind::{Header, Keepalive, Pause, Send};
    use super::*;

    #[test]
    fn deadlines_come_due_in_order_and_each_once() {
        let mut deadlines = Deadlines::new(4, |kind| if kind == Header { 10 } else { 20 });
        deadlines.arm(0, Header, Time(0));
        deadlines.arm(1, Keepalive, Time(1));
        deadlines.arm(2, Header, Time(2));
        deadlines.arm(3, Header, Time(3));
        assert_eq!(deadlines.next_due(), Some(Time(10)));
        deadlines.disarm(2);
        deadlines.arm(0, Send, Time(4));
        assert_eq!(deadlines.kind(2), None);
        assert_eq!(deadlines.expire(Time(12)), None);
        assert_eq!(deadlines.expire(Time(13)), Some((3, Header)));
        assert_eq!(deadlines.next_due(), Some(Time(21)));
        assert_eq!(deadlines.oldest(Keepalive), Some(1));
        assert_eq!(deadlines.expire(Time(30)), Some((1, Keepalive)));
        assert_eq!(deadlines.expire(Time(30)), Some((0, Send)));
        assert_eq!(deadlines.expire(Time(30)), None);
        assert_eq!(deadlines.next_due(), None);
        assert_eq!(deadlines.oldest(Keepalive), None);
    }

    #[test]
    fn a_short_pause_finds_its_place_among_many_long_ones_and_a_long_one_too() {
        let mut deadlines = Deadlines::new(1000, |_| 5);
        for slot in 0..900 {
            deadlines.arm_until(slot, Pause, Time(if slot < 800 { u64::MAX } else { 1_000_000 }));
        }
        for (due, most) in [(0, 1), (999_999, 1), (1_000_000, 101), (u64::MAX, 1)] {
            let (_, looks) = deadlines.place(Pause, Time(due));
            assert!(looks <= most, "{looks} looks for the place of {due}");
        }
        assert_eq!(deadlines.place(Header, Time(3)), (NONE, 0));
    }

    #[test]
    fn it_agrees_with_a_sorted_list_over_many_steps() {
        let mut deadlines = Deadlines::new(8, |_| 5);
        let mut model: Vec<(u64, u32, DeadlineKind)> = Vec::new();
        let mut seed = 1_u64;
        for step in 0..10_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let slot = u32::try_from(seed >> 33 & 7).expect("three bits");
            model.retain(|entry| entry.1 != slot);
            let kind = if seed >> 42 & 1 == 0 { Header } else { Pause };
            if seed >> 40 & 1 == 1 {
                deadlines.disarm(slot);
            } else if kind == Header {
                deadlines.arm(slot, Header, Time(step));
                model.push((step + 5, slot, Header));
            } else {
                let due = step + (seed >> 44 & 15);
                deadlines.arm_until(slot, Pause, Time(due));
                model.push((due, slot, Pause));
            }
            // Of those that are due at once, heads come first, and each kind in the order of arming.
            model.sort_by_key(|entry| (entry.0, entry.2 == Pause));
            while model.first().is_some_and(|entry| entry.0 <= step) {
                let at = if model.iter().any(|entry| entry.0 <= step && entry.2 == Header) { Header } else { Pause };
                let index = model.iter().position(|entry| entry.2 == at).expect("there is one");
                assert_eq!(deadlines.expire(Time(step)), Some((model.remove(index).1, at)));
            }
            assert_eq!(deadlines.expire(Time(step)), None);
            assert_eq!(deadlines.next_due(), model.first().map(|entry| Time(entry.0)));
        }
    }
}
