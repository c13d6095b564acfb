//! Range requests (RFC 9110 section 14): which parts of a representation a Range field selects.
//!
//! Pure arithmetic over one field and a size. Whether the field counts at all, by its method and by If-Range, is decided
//! elsewhere.

use super::field::{self, FieldName};
use super::grammar;

/// The most range-specs that are read. Past that the field is ignored (RFC 9110 section 14.2): so many small parts are
/// somebody's mistake or somebody's attack (section 17.15).
pub const MAX_RANGES: usize = 16;

/// A part of a representation: the positions of its first and its last byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// The position of the first byte.
    pub first: u64,
    /// The position of the last byte, not less than that of the first.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes it has.
    #[must_use]
    pub fn length(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Whether the two have a byte in common, or none between them.
    fn touches(self, other: Self) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }

    /// The smallest range that has both in it.
    fn with(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// Ranges that do not touch each other, in the order they were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeList {
    ranges: [ByteRange; MAX_RANGES],
    length: usize,
}

impl RangeList {
    /// The ranges.
    #[must_use]
    pub fn as_slice(&self) -> &[ByteRange] {
        self.ranges.get(..self.length).unwrap_or_default()
    }

    /// Adds `range`, and makes one of all that it touches, in the place of the first of them (RFC 9110 section 15.3.7.2).
    ///
    /// One pass is enough. What the merged range reaches beyond `range`, it has from ranges of the list, and those touch no
    /// other of the list.
    fn add(&mut self, range: ByteRange) {
        let mut list = Self::default();
        let mut merged = range;
        let mut place = None;
        for &listed in self.as_slice() {
            if !listed.touches(range) {
                list.push(listed);
                continue;
            }
            merged = merged.with(listed);
            if place.is_none() {
                place = Some(list.length);
                list.push(listed);
            }
        }
        match place.and_then(|place| list.ranges.get_mut(place)) {
            Some(first) => *first = merged,
            None => list.push(merged),
        }
        *self = list;
    }

    /// Appends a range. There is room for one of each range-spec, and no more are read.
    fn push(&mut self, range: ByteRange) {
        if let Some(place) = self.ranges.get_mut(self.length) {
            *place = range;
            self.length += 1;
        }
    }
}

/// What a Range field selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // A box would be heap; it lives on the stack of one function.
pub enum Selection {
    /// The whole representation, with 200 (OK): there is no Range, or it is ignored.
    Whole,
    /// One part, with 206 (Partial Content).
    One(ByteRange),
    /// Several parts, with 206 (Partial Content) as multipart/byteranges.
    Several(RangeList),
    /// None, with 416 (Range Not Satisfiable).
    Unsatisfiable,
}

/// What the Range field among `fields` selects of a representation of `size` bytes.
///
/// A field that is malformed, repeated, of another unit, or of more than [`MAX_RANGES`] range-specs is ignored as a whole
/// (RFC 9110 section 14.2).
pub fn select<'a>(size: u64, fields: impl Iterator<Item = (FieldName, &'a [u8])>) -> Selection {
    let Some(range_set) = field::only_value(fields, FieldName::Range).and_then(byte_range_set) else {
        return Selection::Whole;
    };
    let mut list = RangeList::default();
    let mut specs = 0_usize;
    let mut is_inexpressible = false;
    for element in grammar::list_elements(range_set) {
        specs += 1;
        let Some(spec) = RangeSpec::parse(element).filter(|_| specs <= MAX_RANGES) else { return Selection::Whole };
        match spec.of(size) {
            Part::Bytes(range) => list.add(range),
            Part::Inexpressible => is_inexpressible = true,
            Part::Unsatisfiable => {}
        }
    }
    match list.as_slice() {
        _ if specs == 0 || is_inexpressible => Selection::Whole,
        [] => Selection::Unsatisfiable,
        [range] => Selection::One(*range),
        _ => Selection::Several(list),
    }
}

/// The range-set of `ranges-specifier = range-unit "=" range-set` where the unit is bytes, which ignores case (RFC 9110
/// section 14.1).
///
/// `range-set = 1#range-spec`: white space may stand before an empty first element's comma, but not before a range-spec.
fn byte_range_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, range_set) = value.split_at_checked(b"bytes=".len())?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let is_spaced = matches!(range_set, [b' ' | b'\t', ..]) && !grammar::trim_ows(range_set).starts_with(b",");
    (!is_spaced).then_some(range_set)
}

/// `range-spec = int-range / suffix-range`; an other-range means nothing in bytes (RFC 9110 section 14.1.1).
///
/// Numbers are 1*DIGIT of any length. One that does not fit is larger than any file, and so is the number it is cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RangeSpec {
    /// `int-range = first-pos "-" [ last-pos ]`
    Int { first: u64, last: u64 },
    /// `suffix-range = "-" suffix-length`
    Suffix { length: u64 },
}

impl RangeSpec {
    fn parse(element: &[u8]) -> Option<Self> {
        let hyphen = memchr::memchr(b'-', element)?;
        let (first, last) = (element.get(..hyphen)?, element.get(hyphen + 1..)?);
        match (first, last) {
            ([], length) => Some(Self::Suffix { length: number(length)? }),
            (first, []) => Some(Self::Int { first: number(first)?, last: u64::MAX }),
            (first, last) => {
                let spec = Self::Int { first: number(first)?, last: number(last)? };
                // An int-range that ends before it begins is invalid (section 14.1.1), also where neither number fits.
                (order(first) <= order(last)).then_some(spec)
            }
        }
    }

    /// What it names of a representation of `size` bytes (section 14.1.2).
    fn of(self, size: u64) -> Part {
        match (self, size.checked_sub(1)) {
            (Self::Suffix { length: 0 }, _) | (Self::Int { .. }, None) => Part::Unsatisfiable,
            (Self::Suffix { .. }, None) => Part::Inexpressible,
            (Self::Int { first, .. }, Some(end)) if first > end => Part::Unsatisfiable,
            (Self::Int { first, last }, Some(end)) => Part::Bytes(ByteRange { first, last: last.min(end) }),
            (Self::Suffix { length }, Some(end)) => {
                Part::Bytes(ByteRange { first: size.saturating_sub(length), last: end })
            }
        }
    }
}

/// What a range-spec names of a representation.
enum Part {
    Bytes(ByteRange),
    /// The last bytes of no bytes: satisfiable (RFC 9110 section 14.1.2), but a Content-Range has no way to say it (section
    /// 14.4), so the whole is sent, which is the same.
    Inexpressible,
    Unsatisfiable,
}

/// The value of 1*DIGIT, or the largest there is.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// What two numbers of digits compare by, whether they fit or not: how many digits count, and then these.
fn order(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let significant = digits.get(zeros..).unwrap_or_default();
    (significant.len(), significant)
}

#[cfg(test)]
mod tests {
    use super::Selection::{One, Several, Unsatisfiable, Whole};
    use super::*;

    fn selection(size: u64, value: &str) -> Selection {
        select(size, [(FieldName::Other, &b"x"[..]), (FieldName::Range, value.as_bytes())].into_iter())
    }

    fn one(first: u64, last: u64) -> Selection {
        One(ByteRange { first, last })
    }

    fn several(ranges: &[(u64, u64)]) -> Selection {
        let mut list = RangeList::default();
        ranges.iter().for_each(|&(first, last)| list.push(ByteRange { first, last }));
        Several(list)
    }

    #[test]
    fn one_range_by_rule() {
        for (rule, section, size, value, expected) in [
            ("int-range", "14.1.2", 10, "bytes=2-4", one(2, 4)),
            ("of one byte", "14.1.2", 10, "bytes=0-0", one(0, 0)),
            ("of the last byte", "14.1.2", 10, "bytes=9-9", one(9, 9)),
            ("open int-range", "14.1.2", 10, "bytes=7-", one(7, 9)),
            ("the whole as a range", "14.1.2", 10, "bytes=0-", one(0, 9)),
            ("last-pos is cut", "14.1.2", 10, "bytes=7-10", one(7, 9)),
            ("last-pos is cut", "14.1.2", 10, "bytes=7-18446744073709551615", one(7, 9)),
            ("last-pos of any length", "14.1.2", 10, "bytes=7-99999999999999999999999", one(7, 9)),
            ("zeros before a number", "14.1.1", 10, "bytes=0000000000000000000000007-008", one(7, 8)),
            ("suffix-range", "14.1.2", 10, "bytes=-3", one(7, 9)),
            ("suffix of all", "14.1.2", 10, "bytes=-10", one(0, 9)),
            ("suffix of more than all", "14.1.2", 10, "bytes=-11", one(0, 9)),
            ("suffix of any length", "14.1.2", 10, "bytes=-99999999999999999999999", one(0, 9)),
            ("suffix of nothing", "14.1.2", 10, "bytes=-0", Unsatisfiable),
            ("first-pos at the end", "14.1.2", 10, "bytes=10-", Unsatisfiable),
            ("first-pos beyond the end", "14.1.2", 10, "bytes=11-12", Unsatisfiable),
            ("first-pos of any length", "14.1.2", 10, "bytes=99999999999999999999999-", Unsatisfiable),
            ("the largest size", "14.1.2", u64::MAX, "bytes=18446744073709551614-", one(u64::MAX - 1, u64::MAX - 1)),
            ("beyond the largest size", "14.1.2", u64::MAX, "bytes=18446744073709551615-", Unsatisfiable),
            ("beyond the largest size", "14.1.2", u64::MAX, "bytes=18446744073709551616-", Unsatisfiable),
            ("the unit ignores case", "14.1", 10, "ByTeS=2-4", one(2, 4)),
            ("last before first", "14.1.1", 10, "bytes=4-2", Whole),
            ("last before first", "14.1.1", 10, "bytes=10-9", Whole),
            ("last before first, too large", "14.1.1", 10, "bytes=99999999999999999999-99999999999999999998", Whole),
            ("last before first, too large", "14.1.1", 10, "bytes=99999999999999999999-1", Whole),
            (
                "last at first, too large",
                "14.1.1",
                10,
                "bytes=99999999999999999999-099999999999999999999",
                Unsatisfiable,
            ),
            ("int-range of no bytes", "14.1.2", 0, "bytes=0-", Unsatisfiable),
            ("int-range of no bytes", "14.1.2", 0, "bytes=0-0", Unsatisfiable),
            ("suffix of no bytes", "14.4", 0, "bytes=-1", Whole),
            ("suffix of nothing of no bytes", "14.1.2", 0, "bytes=-0", Unsatisfiable),
            ("one is inexpressible", "14.4", 0, "bytes=0-,-1,-0", Whole),
            ("an invalid one of no bytes", "14.1.1", 0, "bytes=0-,1-0", Whole),
        ] {
            assert_eq!(selection(size, value), expected, "{rule} ({section}): {value} of {size}");
        }
    }

    #[test]
    fn a_malformed_range_is_ignored() {
        for (rule, section, value) in [
            ("nothing", "14.2", ""),
            ("no range-set", "14.1.1", "bytes"),
            ("no range-spec", "14.1.1", "bytes="),
            ("no range-spec", "14.1.1", "bytes= , ,"),
            ("no hyphen", "14.1.1", "bytes=5"),
            ("hyphen alone", "14.1.1", "bytes=-"),
            ("two hyphens", "14.1.1", "bytes=--5"),
            ("two hyphens", "14.1.1", "bytes=1-2-3"),
            ("another unit", "14.1", "lines=0-1"),
            ("another unit", "14.1", "byte=0-1"),
            ("another unit", "14.1", "bytess=0-1"),
            ("no unit", "14.1", "=0-1"),
            ("no unit", "14.1", "0-1"),
            ("no =", "14.1.1", "bytes:0-1"),
            ("no =", "14.1.1", "bytes 0-1"),
            ("space before =", "14.1.1", "bytes =0-1"),
            ("space after =", "14.1.1", "bytes= 0-1"),
            ("tab after =", "14.1.1", "bytes=\t0-1"),
            ("space in a range-spec", "14.1.1", "bytes=0 -1"),
            ("space in a range-spec", "14.1.1", "bytes=0- 1"),
            ("space in a range-spec", "14.1.1", "bytes=- 1"),
            ("a sign", "14.1.1", "bytes=+0-1"),
            ("hexadecimal", "14.1.1", "bytes=0x0-1"),
            ("not ASCII", "14.1.1", "bytes=\u{ff10}-1"),
            ("other-range", "14.1.1", "bytes=a-z"),
            ("a Content-Range", "14.4", "bytes=0-1/10"),
            ("another separator", "5.6.1", "bytes=0-1;2-3"),
            ("one of several", "14.2", "bytes=0-1,x"),
            ("one of several", "14.2", "bytes=0-1,3-2"),
            ("one of several, none satisfiable", "14.2", "bytes=10-,-"),
            ("two units", "14.1.1", "bytes=0-1,bytes=3-4"),
        ] {
            assert_eq!(selection(10, value), Whole, "{rule} ({section}): {value}");
        }
        let range = (FieldName::Range, &b"bytes=0-1"[..]);
        assert_eq!(select(10, [range].into_iter()), one(0, 1));
        assert_eq!(select(10, [range, range].into_iter()), Whole, "repeated (14.2)");
        assert_eq!(select(10, [(FieldName::IfRange, range.1)].into_iter()), Whole, "no Range");
    }

    #[test]
    fn several_ranges_by_rule() {
        for (rule, section, value, expected) in [
            ("in the order of the request", "15.3.7.2", "bytes=50-59,0-9,-1", several(&[(50, 59), (0, 9), (99, 99)])),
            ("OWS around commas", "5.6.1", "bytes=0-1 ,\t3-4", several(&[(0, 1), (3, 4)])),
            ("empty elements", "5.6.1", "bytes=,0-1,, ,3-4,", several(&[(0, 1), (3, 4)])),
            ("an empty element first", "5.6.1", "bytes= ,0-1", one(0, 1)),
            ("the unsatisfiable are left out", "14.2", "bytes=100-,0-1,-0,3-4", several(&[(0, 1), (3, 4)])),
            ("one is satisfiable", "14.2", "bytes=100-,3-4,-0", one(3, 4)),
            ("none is satisfiable", "14.2", "bytes=100-,-0,200-300", Unsatisfiable),
            ("overlapping", "15.3.7.2", "bytes=0-5,3-9", one(0, 9)),
            ("adjacent", "15.3.7.2", "bytes=5-9,0-4", one(0, 9)),
            ("a byte between", "15.3.7.2", "bytes=6-9,0-4", several(&[(6, 9), (0, 4)])),
            ("the same twice", "15.3.7.2", "bytes=3-4,3-4", one(3, 4)),
            ("one in another", "15.3.7.2", "bytes=3-4,0-", one(0, 99)),
            ("in the place of the first", "15.3.7.2", "bytes=50-59,0-9,60-69", several(&[(50, 69), (0, 9)])),
            ("one joins two", "15.3.7.2", "bytes=0-9,50-59,20-29,10-19", several(&[(0, 29), (50, 59)])),
            ("one joins all", "15.3.7.2", "bytes=0-0,9-9,5-5,50-51,3-3,0-9", several(&[(0, 9), (50, 51)])),
        ] {
            assert_eq!(selection(100, value), expected, "{rule} ({section}): {value}");
        }
    }

    #[test]
    fn more_range_specs_than_the_limit_are_ignored() {
        let specs: Vec<_> = (0..17).map(|index| format!("{0}-{0}", 90 - 2 * index)).collect();
        let places: Vec<_> = (0..16).map(|index| (90 - 2 * index, 90 - 2 * index)).collect();
        assert_eq!(selection(100, &format!("bytes={}", specs[..16].join(","))), several(&places));
        assert_eq!(selection(100, &format!("bytes={}", specs.join(","))), Whole);
        assert_eq!(selection(100, &format!("bytes={}", ["0-1"; 16].join(","))), one(0, 1));
        assert_eq!(selection(100, &format!("bytes={}", ["0-1"; 17].join(","))), Whole, "those that merge count");
        assert_eq!(selection(100, &format!("bytes={}", ["200-"; 17].join(","))), Whole, "the unsatisfiable count");
        assert_eq!(selection(100, &format!("bytes={},0-1,", [","; 40].join(","))), one(0, 1), "the empty do not");
    }

    /// A range-spec as written, and the bits of the bytes that it names; nothing where it is invalid.
    fn modelled(size: u64, first: Option<u64>, last: Option<u64>) -> (String, Option<u128>) {
        let text = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
        let is_named = |byte: u64| match (first, last) {
            (Some(first), Some(last)) => first <= byte && byte <= last,
            (Some(first), None) => first <= byte,
            (None, length) => byte + length.unwrap_or(0) >= size,
        };
        let bits = (0..size).filter(|&byte| is_named(byte)).fold(0, |bits, byte| bits | 1 << byte);
        let is_valid = first.is_none_or(|first| last.is_none_or(|last| first <= last));
        (format!("{}-{}", text(first), text(last)), is_valid.then_some(bits))
    }

    /// Holds the selection against the bits that each range-spec names.
    fn check(size: u64, specs: &[&(String, Option<u128>)]) {
        let value = format!("bytes={}", specs.iter().map(|spec| spec.0.as_str()).collect::<Vec<_>>().join(","));
        let found = selection(size, &value);
        let Some(bits) = specs.iter().map(|spec| spec.1).collect::<Option<Vec<_>>>() else {
            return assert_eq!(found, Whole, "{value} of {size}");
        };
        let ranges = match found {
            Whole => panic!("{value} of {size} is valid"),
            Unsatisfiable => vec![],
            One(range) => vec![range],
            Several(list) => list.as_slice().to_vec(),
        };
        let bits_of = |range: &ByteRange| (range.first..=range.last).fold(0_u128, |bits, byte| bits | 1 << byte);
        let all = bits.iter().fold(0, |all, bits| all | bits);
        assert_eq!(ranges.iter().fold(0, |all, range| all | bits_of(range)), all, "{value} of {size}: the bytes");
        assert_eq!(
            ranges.iter().map(|range| range.length()).sum::<u64>(),
            u64::from(all.count_ones()),
            "{value}: disjoint"
        );
        // As many ranges as there are runs of bits: no two of them touch.
        assert_eq!(ranges.len(), (all & !(all << 1)).count_ones() as usize, "{value} of {size}: merged");
        let asked = |range| bits.iter().position(|bits| bits & bits_of(range) != 0).expect("it was asked for");
        assert!(ranges.iter().map(asked).is_sorted(), "{value} of {size}: in order");
        assert_eq!(matches!(found, Several(_)), ranges.len() > 1, "{value} of {size}");
    }

    #[test]
    fn up_to_three_ranges_of_small_sizes_agree_with_a_bitmap() {
        for size in 1..=5 {
            let numbers = || (0..=size + 1).map(Some);
            let mut specs: Vec<_> = numbers().map(|length| modelled(size, None, length)).collect();
            for first in numbers() {
                specs.extend(numbers().chain([None]).map(|last| modelled(size, first, last)));
            }
            for one in &specs {
                check(size, &[one]);
                for two in &specs {
                    check(size, &[one, two]);
                    specs.iter().for_each(|three| check(size, &[one, two, three]));
                }
            }
        }
    }

    #[test]
    fn as_many_ranges_as_the_limit_agree_with_a_bitmap() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |limit: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % limit
        };
        for _ in 0..20_000 {
            let size = 1 + below(127);
            let count = 1 + below(16);
            let specs: Vec<_> = (0..count)
                .map(|_| {
                    let first = below(size + 2);
                    modelled(size, Some(first), Some(first + below(6)))
                })
                .collect();
            check(size, &specs.iter().collect::<Vec<_>>());
        }
    }
}
