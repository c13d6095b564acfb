//! Answers that whoever runs the server has registered, faults among them: what they match, what they send, and when.
//!
//! They are made, checked and dropped outside the loop's thread, which only looks them up, counts them and reads them. Nothing is
//! answered so but what was registered.

mod pattern;
mod registration;

pub use registration::{Registration, RegistrationError};

use pattern::Pattern;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most answers that are registered at the same time.
pub const MAX_ANSWERS: usize = 1024;
/// The most memory that they take together, those that are still being sent included, in bytes.
pub const MAX_MEMORY: usize = 64 * 1024 * 1024;

/// How long a wait lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// There is none.
    #[default]
    None,
    /// So many nanoseconds.
    For(u64),
    /// Until the peer has gone, or the server stops.
    ForEver,
}

/// A place in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before its first byte.
    Start,
    /// So many bytes behind its head; of what is sent raw, behind its start.
    Content(usize),
}

impl Place {
    /// The same as so many bytes of the response, whose head is so long.
    fn offset(self, head_length: usize) -> usize {
        match self {
            Self::Start => 0,
            Self::Content(bytes) => head_length.saturating_add(bytes),
        }
    }
}

/// How the response ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// As its head says.
    #[default]
    AsSaid,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

/// When what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Before the first byte.
    pub delay: Wait,
    /// Once, at this place.
    pub stall: Option<(Place, Wait)>,
    /// So many bytes at a time, at least one, with so many nanoseconds between two times.
    pub dribble: Option<(usize, u64)>,
    /// Nothing is sent from here on.
    pub cut: Option<Place>,
    /// What comes then.
    pub ending: Ending,
}

impl Pace {
    /// Whether all of it goes out at once, as with any other response.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        Self { delay: Wait::None, ..*self } == Self::default()
    }

    /// How much of `length` bytes is sent, their head being so long.
    #[must_use]
    pub fn end(&self, head_length: usize, length: usize) -> usize {
        self.cut.map_or(length, |place| place.offset(head_length).min(length))
    }

    /// How far it goes from `sent` bytes on without waiting; `end` at most.
    #[must_use]
    pub fn next_stop(&self, sent: usize, head_length: usize, end: usize) -> usize {
        let stall = self.stall.map(|(place, _)| place.offset(head_length)).filter(|&stall| stall > sent);
        let dribble = self.dribble.map(|(bytes, _)| (sent / bytes.max(1) + 1).saturating_mul(bytes.max(1)));
        end.min(stall.unwrap_or(end)).min(dribble.unwrap_or(end))
    }

    /// Whether it is to stall there.
    #[must_use]
    pub fn is_stalled(&self, sent: usize, head_length: usize) -> bool {
        self.stall.is_some_and(|(place, _)| place.offset(head_length) == sent)
    }

    /// How long to wait once `sent` bytes have gone, more of them being to come.
    #[must_use]
    pub fn wait_at(&self, sent: usize, head_length: usize) -> Wait {
        match (self.stall, self.dribble) {
            (Some((_, wait)), _) if self.is_stalled(sent, head_length) => wait,
            (_, Some((_, between))) if sent > 0 => Wait::For(between),
            _ => Wait::None,
        }
    }
}

/// What the head of a response says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CannedHead {
    /// With its CRLF.
    pub status_line: Box<[u8]>,
    /// Every field line with its CRLF, but for those that the server adds.
    pub fields: Box<[u8]>,
    /// A Date is among them.
    pub has_date: bool,
    /// A Connection is among them.
    pub has_connection: bool,
    /// It says close.
    pub closes: bool,
}

/// An answer that was registered.
#[derive(Debug)]
pub struct Canned {
    pattern: Pattern,
    /// The status code; 0 where it has no head.
    code: u16,
    /// None where the content is all that is sent.
    head: Option<CannedHead>,
    content: Box<[u8]>,
    pace: Pace,
    /// How often it is given.
    limit: u64,
    /// How often it was; only the loop writes. It may be read when the answer is gone.
    served: Arc<AtomicU64>,
}

impl Canned {
    /// The status code; 0 where no head is sent.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Its head, if it has one.
    #[must_use]
    pub fn head(&self) -> Option<&CannedHead> {
        self.head.as_ref()
    }

    /// What follows the head, or is sent without one.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// When what is sent.
    #[must_use]
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// How often it was given.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Where it is counted how often it was given.
    #[must_use]
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.served)
    }

    /// Whether it is given as often as anybody asks.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.limit == u64::MAX
    }

    /// Whether it has been given as often as it was to be.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.served() >= self.limit
    }

    /// Whether it is for the same requests as another one.
    #[must_use]
    pub fn is_for_the_same_as(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }

    /// The memory behind it, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let head = self.head.as_ref().map_or(0, |head| head.status_line.len() + head.fields.len());
        size_of::<Self>() + self.pattern.memory() + head + self.content.len()
    }
}

/// The answers as the loop has them: the first that fits goes first.
#[derive(Debug, Default)]
pub struct CannedAnswers(Box<[Arc<Canned>]>);

impl CannedAnswers {
    /// These, in the order of their registration. Somebody else keeps every one for as long as the loop may know it, so that the
    /// loop never drops the last.
    ///
    /// Those that are given so often and no more go before those that are given for ever, which would leave them no turn; then
    /// the more particular one goes first, then the one that was registered first.
    #[must_use]
    pub fn new(answers: &[Arc<Canned>]) -> Self {
        let mut answers: Box<[_]> = answers.into();
        // It keeps the order of those that are equal.
        answers.sort_by_key(|canned| (canned.is_unlimited(), canned.pattern.generality()));
        Self(answers)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first one that is for this request and not used up; it is used once more by this. The path is decoded and has no slash
    /// at its beginning.
    pub fn take(&self, method: &[u8], path: &[u8], query: Option<&[u8]>) -> Option<Arc<Canned>> {
        let is_left = |canned: &&Arc<Canned>| !canned.is_spent();
        let found = self.0.iter().filter(is_left).find(|canned| canned.pattern.matches(method, path, query))?;
        // One writer, so a load and a store are enough.
        found.served.store(found.served() + 1, Ordering::Relaxed);
        Some(Arc::clone(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_stops_where_it_must_and_waits_there() {
        const HEAD: usize = 100;
        let pace = Pace {
            stall: Some((Place::Content(5), Wait::ForEver)),
            dribble: Some((40, 7)),
            cut: Some(Place::Content(50)),
            ..Pace::default()
        };
        assert!(!pace.is_plain());
        let end = pace.end(HEAD, 1000);
        assert_eq!(end, 150);
        let mut stops = vec![];
        let mut sent = 0;
        while sent < end {
            sent = pace.next_stop(sent, HEAD, end);
            stops.push((sent, pace.wait_at(sent, HEAD)));
        }
        let short = Wait::For(7);
        assert_eq!(stops, [(40, short), (80, short), (105, Wait::ForEver), (120, short), (150, short)]);
    }

    #[test]
    fn a_pace_that_only_begins_late_is_plain() {
        let pace = Pace { delay: Wait::For(1), ..Pace::default() };
        assert!(pace.is_plain());
        assert_eq!((pace.end(9, 20), pace.next_stop(0, 9, 20), pace.wait_at(0, 9)), (20, 20, Wait::None));
        let at_once = Pace { cut: Some(Place::Start), ending: Ending::Close, ..Pace::default() };
        assert_eq!((at_once.is_plain(), at_once.end(9, 20)), (false, 0));
    }

    fn canned(path: &str, change: impl FnOnce(&mut Registration)) -> Arc<Canned> {
        let mut registration = Registration::new(path);
        change(&mut registration);
        Arc::new(registration.check(16_384).expect("it is in order"))
    }

    /// Which of these, by the order of their registration, is taken for a request.
    fn taken(answers: &[Arc<Canned>], method: &str, path: &str, query: Option<&str>) -> Option<usize> {
        let taken = CannedAnswers::new(answers).take(method.as_bytes(), path.as_bytes(), query.map(str::as_bytes))?;
        answers.iter().position(|other| Arc::ptr_eq(other, &taken))
    }

    #[test]
    fn what_fits_and_is_left_is_taken() {
        let answers = [
            canned("/a", |registration| registration.times = Some(2)),
            canned("/%61b/*", |registration| registration.status = 500),
            canned("/a", |registration| registration.status = 503),
        ];
        assert_eq!(taken(&answers, "GET", "a", None), Some(0));
        assert_eq!(taken(&answers, "POST", "a", Some("x")), Some(0));
        assert_eq!(taken(&answers, "GET", "a", None), Some(2));
        assert_eq!(taken(&answers, "GET", "ab/", None), Some(1));
        assert_eq!(taken(&answers, "GET", "ab/c/d", None), Some(1));
        assert_eq!(taken(&answers, "GET", "ab", None), None);
        assert_eq!(taken(&answers, "GET", "A", None), None);
        assert_eq!(answers[0].served(), 2);
    }

    #[test]
    fn dots_before_a_star_are_the_beginning_of_a_name() {
        let hidden = [canned("/.*", |_| ()), canned("/a/..*", |_| ()), canned("/b/%2e*", |_| ())];
        for (path, expected) in [(".x", Some(0)), ("a/..x", Some(1)), ("b/.x", Some(2)), ("x", None), ("", None)] {
            assert_eq!(taken(&hidden, "GET", path, None), expected, "{path}");
        }
        assert_eq!(taken(&hidden, "GET", "b/x", None), None);
    }

    #[test]
    fn what_is_given_so_often_goes_first_then_the_more_particular_then_the_one_registered_first() {
        let method = |registration: &mut Registration| registration.method = Some("GET".into());
        let times = |times| move |registration: &mut Registration| registration.times = Some(times);
        let both = |registration: &mut Registration| {
            method(registration);
            times(1)(registration);
        };
        let answers = [
            canned("/*", |_| ()),
            canned("/a/*", |_| ()),
            canned("/a/*", method),
            canned("/a/b", |_| ()),
            canned("/a/b", method),
            canned("/a/b?c", |_| ()),
            canned("/a/b?c", method),
            canned("/*", times(1)),
            canned("/a/b", times(2)),
            canned("/a/b", times(1)),
            canned("/a/b", both),
        ];
        let order: Vec<_> = (0..7).filter_map(|_| taken(&answers, "GET", "a/b", Some("c"))).collect();
        assert_eq!(order, [10, 8, 8, 9, 7, 6, 6]);
        assert_eq!(taken(&answers, "PUT", "a/b", Some("c")), Some(5));
        // The method and the query are as good as each other.
        assert_eq!(taken(&answers[..6], "GET", "a/b", Some("c")), Some(4));
        assert_eq!(taken(&answers, "GET", "a/b", None), Some(4));
        assert_eq!(taken(&answers, "PUT", "a/b", None), Some(3));
        assert_eq!(taken(&answers, "GET", "a/", None), Some(2));
        assert_eq!(taken(&answers, "PUT", "a/", None), Some(1));
        assert_eq!(taken(&answers, "GET", "a", None), Some(0));
    }
}
