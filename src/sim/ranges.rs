//! Range fields, with what each selects: the plain reading of RFC 9110 section 14, on numbers that cannot overflow.

use super::random::Random;

/// More than so many are ignored.
const MOST_SPECS: usize = 16;
/// A number that fits no 64 bits.
const ENORMOUS: u128 = 99_999_999_999_999_999_999_999;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    FromTo(u128, u128),
    From(u128),
    Last(u128),
}

/// The Range of a request.
#[derive(Clone, Debug)]
pub(super) struct RangeField {
    pub(super) lines: Vec<String>,
    /// Nothing where the field is to be ignored.
    specs: Option<Vec<Spec>>,
}

/// What a Range selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    Whole,
    Ranges(Vec<(u64, u64)>),
    Nothing,
}

const MALFORMED: &[&str] = &[
    "",
    "bytes",
    "bytes=",
    "bytes=5",
    "bytes=-",
    "bytes=--5",
    "lines=0-1",
    "bytes=0-1;2-3",
    "bytes= 0-1",
    "bytes=0-1,x",
    "bytes=0 -1",
    "0-1",
    "bytes=0-1,3-2",
    "bytes=+0-1",
    "bytes=0-1/10",
];

impl RangeField {
    /// A Range of some kind, for a file of `size` bytes.
    pub(super) fn new(random: &mut Random, size: u64) -> Self {
        let size = u128::from(size);
        let specs = match random.between(0, 19) {
            0..=4 => vec![spec(random, size)],
            5..=9 => scattered(random, size),
            10..=12 => (0..random.size(2, 6)).map(|_| spec(random, size)).collect(),
            13 => (0..random.size(15, 18)).map(|_| spec(random, size)).collect(),
            14..=15 => (0..random.size(1, 3)).map(|_| beyond(random, size)).collect(),
            16 => return Self { lines: vec![line(random.pick::<&str>(MALFORMED))], specs: None },
            17 => return Self { lines: vec![line("bytes=0-1"), line("bytes=0-1")], specs: None },
            _ => vec![within(random, size)],
        };
        let separator = *random.pick(&[",", ", ", " ,\t", ",,", ", ,"]);
        let texts: Vec<_> = specs.iter().map(|spec| spec.text()).collect();
        let unit = random.pick(&["bytes=", "bytes=", "BYTES=", "bytes=,"]);
        let end = random.pick(&["", "", ","]);
        Self { lines: vec![line(&format!("{unit}{}{end}", texts.join(separator)))], specs: Some(specs) }
    }

    /// What it selects of a file of `size` bytes: the ranges in the order of the request, each with all that it touches.
    pub(super) fn select(&self, size: u64) -> Selected {
        let Some(specs) = self.specs.as_ref().filter(|specs| specs.len() <= MOST_SPECS) else { return Selected::Whole };
        let size = u128::from(size);
        if specs.iter().any(|spec| matches!(spec, Spec::FromTo(first, last) if first > last)) {
            return Selected::Whole;
        }
        let mut ranges = Vec::new();
        for spec in specs {
            match *spec {
                Spec::FromTo(first, last) if first < size => ranges.push((first, last.min(size - 1))),
                Spec::From(first) if first < size => ranges.push((first, size - 1)),
                // The last bytes of no bytes are the whole.
                Spec::Last(count) if count > 0 && size == 0 => return Selected::Whole,
                Spec::Last(count) if count > 0 => ranges.push((size - count.min(size), size - 1)),
                _ => {}
            }
        }
        while let Some((one, other)) = touching(&ranges) {
            ranges[one] = (ranges[one].0.min(ranges[other].0), ranges[one].1.max(ranges[other].1));
            ranges.remove(other);
        }
        let narrow = |position: u128| u64::try_from(position).expect("it lies within the file");
        let ranges: Vec<_> = ranges.into_iter().map(|(first, last)| (narrow(first), narrow(last))).collect();
        if ranges.is_empty() { Selected::Nothing } else { Selected::Ranges(ranges) }
    }
}

/// Two ranges that have a byte in common or none between them, the earlier of the request first.
fn touching(ranges: &[(u128, u128)]) -> Option<(usize, usize)> {
    let pairs = (0..ranges.len()).flat_map(|one| (one + 1..ranges.len()).map(move |other| (one, other)));
    pairs.into_iter().find(|&(one, other)| ranges[one].0 <= ranges[other].1 + 1 && ranges[other].0 <= ranges[one].1 + 1)
}

impl Spec {
    fn text(self) -> String {
        match self {
            Self::FromTo(first, last) => format!("{first}-{last}"),
            Self::From(first) => format!("{first}-"),
            Self::Last(count) => format!("-{count}"),
        }
    }
}

fn line(value: &str) -> String {
    format!("Range: {value}")
}

/// A position in the file, or about its end.
fn position(random: &mut Random, size: u128) -> u128 {
    match random.between(0, 9) {
        0 => 0,
        1 => 1,
        2 => size.saturating_sub(1),
        3 => size,
        4 => size + 1,
        5 => ENORMOUS,
        _ => inside(random, size),
    }
}

/// A position in the file, unless it is empty.
fn inside(random: &mut Random, size: u128) -> u128 {
    let last = u64::try_from(size.saturating_sub(1)).expect("the size is of 64 bits");
    u128::from(random.between(0, last))
}

fn spec(random: &mut Random, size: u128) -> Spec {
    let (one, other) = (position(random, size), position(random, size));
    match random.between(0, 9) {
        0 => Spec::FromTo(one, other),
        1..=5 => Spec::FromTo(one.min(other), one.max(other)),
        6..=7 => Spec::From(one),
        _ => Spec::Last(one),
    }
}

/// A range that is there, unless the file is empty.
fn within(random: &mut Random, size: u128) -> Spec {
    let (one, other) = (inside(random, size), inside(random, size));
    Spec::FromTo(one.min(other), one.max(other))
}

/// A range that is not there.
fn beyond(random: &mut Random, size: u128) -> Spec {
    *random.pick(&[Spec::From(size), Spec::FromTo(size, size + 5), Spec::Last(0), Spec::From(ENORMOUS)])
}

/// Ranges in no order that do not overlap. Some have one byte between them, which keeps them apart, and some none.
fn scattered(random: &mut Random, size: u128) -> Vec<Spec> {
    let count = *random.pick(&[2_usize, 2, 3, 5, 16]);
    let step = size / count as u128;
    if step < 3 {
        return vec![within(random, size)];
    }
    let longest = u64::try_from(step - 2).expect("the size is of 64 bits");
    let kind = random.between(0, 5);
    let mut specs: Vec<_> = (0..count as u128)
        .map(|index| {
            let length = match kind {
                0 => longest,
                1 => random.between(longest, longest + 1),
                _ => random.between(0, longest),
            };
            Spec::FromTo(index * step, index * step + u128::from(length))
        })
        .collect();
    for index in (1..specs.len()).rev() {
        specs.swap(index, random.size(0, index));
    }
    specs
}
