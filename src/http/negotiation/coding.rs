//! The content codings that files can lie in, and which of them an Accept-Encoding field asks for (RFC 9110 section 12.5.3).

use super::{qvalue, weight_value};
use crate::http::field::{self, FieldName};
use crate::http::grammar;
use std::cmp::Reverse;

/// A content coding that a file can lie beside in (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstandard,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Every coding, the most wanted of equals first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstandard, Self::Gzip];

    /// Its name in Content-Encoding.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What the name of a file in this coding ends in.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstandard => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

/// Up to three codings, the most wanted first.
///
/// Two bits for each, the first in the lowest ones: 0 for none, else the coding's number and 1. So equal choices are equal
/// bytes, and the choice can be part of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Codings(u8);

impl Codings {
    /// No coding: the representation as it is.
    pub const NONE: Self = Self(0);

    /// The codings, the most wanted first.
    pub fn iter(self) -> impl Iterator<Item = Coding> {
        (0..Coding::ALL.len()).map_while(move |place| {
            let number = usize::from(self.0 >> (2 * place) & 3);
            Coding::ALL.get(number.checked_sub(1)?).copied()
        })
    }

    /// The choice as a byte that is equal where the choice is.
    #[must_use]
    pub fn key(self) -> u8 {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }
}

impl FromIterator<Coding> for Codings {
    /// The first three of `codings`.
    fn from_iter<Iter: IntoIterator<Item = Coding>>(codings: Iter) -> Self {
        let places = codings.into_iter().take(Coding::ALL.len()).enumerate();
        Self(places.fold(0, |packed, (place, coding)| packed | (coding as u8 + 1) << (2 * place)))
    }
}

/// The weights that an Accept-Encoding field gives, in thousandths; nothing for what it does not name.
#[derive(Clone, Copy, Debug, Default)]
struct CodingWeights {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    any: Option<u16>,
}

impl CodingWeights {
    /// The place of `codings = content-coding / "identity" / "*"`. Names ignore case (RFC 9110 section 8.4.1), and x-gzip is
    /// gzip (section 8.4.1.3).
    fn place(&mut self, name: &[u8]) -> Option<&mut Option<u16>> {
        let Self { codings: [brotli, zstandard, gzip], identity, any } = self;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name {
            _ if is("br") => Some(brotli),
            _ if is("zstd") => Some(zstandard),
            _ if is("gzip") || is("x-gzip") => Some(gzip),
            _ if is("identity") => Some(identity),
            _ if is("*") => Some(any),
            _ => None,
        }
    }
}

/// The codings that the peer would rather have than none, by the Accept-Encoding lines as one list (RFC 9110 sections 12.5.3
/// and 12.4.2).
///
/// `Accept-Encoding = #( codings [ weight ] )`. Of equal weights br comes before zstd and zstd before gzip. `*` stands for
/// every coding that is not named. Identity needs no name to be acceptable, and any coding goes before it, unless identity
/// is named with the larger weight. What is named twice counts as it is named first, so that nothing appended to the field
/// takes back an exclusion.
///
/// No field and an empty one both yield none: a peer that says nothing may not know any coding. A peer that excludes identity
/// and takes no coding that there is gets identity all the same, which section 12.4.1 allows and 406 would not better.
pub fn acceptable_codings<'a>(fields: impl Iterator<Item = (FieldName, &'a [u8])>) -> Codings {
    let mut weights = CodingWeights::default();
    for element in field::values(fields, FieldName::AcceptEncoding).flat_map(grammar::list_elements) {
        let Some((name, weight)) = weighted_coding(element) else { continue };
        if let Some(place) = weights.place(name) {
            place.get_or_insert(weight);
        }
    }
    let least = weights.identity.unwrap_or(0).max(1);
    let weight_of =
        |coding: Coding| weights.codings.get(coding as usize).copied().flatten().or(weights.any).unwrap_or(0);
    let mut codings = Coding::ALL;
    codings.sort_unstable_by_key(|&coding| (Reverse(weight_of(coding)), coding as usize));
    codings.into_iter().filter(|&coding| weight_of(coding) >= least).collect()
}

/// `codings [ weight ]`, `weight = OWS ";" OWS "q=" qvalue`, where "q" ignores case; without a weight it is 1.
fn weighted_coding(element: &[u8]) -> Option<(&[u8], u16)> {
    let (name, weight) = match memchr::memchr(b';', element) {
        None => (element, 1000),
        Some(semicolon) => {
            let parameter = grammar::trim_ows(element.get(semicolon + 1..)?);
            (grammar::trim_ows(element.get(..semicolon)?), weight_value(parameter).and_then(qvalue)?)
        }
    };
    grammar::is_token(name).then_some((name, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codings(lines: &[&str]) -> String {
        let fields = lines.iter().map(|line| (FieldName::AcceptEncoding, line.as_bytes()));
        let names: Vec<_> = acceptable_codings(fields).iter().map(Coding::name).collect();
        names.join(" ")
    }

    #[test]
    fn codings_by_rule() {
        for (rule, section, value, expected) in [
            ("empty", "12.5.3", "", ""),
            ("one", "12.5.3", "gzip", "gzip"),
            ("equals in the server's order", "12.5.3", "gzip, zstd, br", "br zstd gzip"),
            ("a browser", "12.5.3", "gzip, deflate, br, zstd", "br zstd gzip"),
            ("by weight", "12.4.2", "br;q=0.1, gzip;q=0.9, zstd;q=0.5", "gzip zstd br"),
            ("by thousandths", "12.4.2", "br;q=0.998,gzip;q=0.999", "gzip br"),
            ("1 is above any fraction", "12.4.2", "br;q=0.999,gzip", "gzip br"),
            ("0 excludes", "12.4.2", "br;q=0, gzip;q=0.000, zstd;q=0.", ""),
            ("the least weight", "12.4.2", "br;q=0.001", "br"),
            ("forms of 1", "12.4.2", "br;q=1,zstd;q=1.,gzip;q=1.000", "br zstd gzip"),
            ("OWS around the semicolon", "12.4.2", "br \t; \tq=0.5 , gzip", "gzip br"),
            ("q ignores case", "12.4.2", "br;Q=0.5, gzip", "gzip br"),
            ("a comma ends a weight", "5.6.1", "br;q=1,0, zstd;q=0,5", "br"),
            ("names ignore case", "8.4.1", "GZip, BR", "br gzip"),
            ("x-gzip is gzip", "8.4.1.3", "X-GZIP", "gzip"),
            ("unknown ones", "12.5.3", "deflate, compress, sdch, x-br, brotli", ""),
            ("empty elements", "5.6.1", ",, gzip ,", "gzip"),
            ("* is every one", "12.5.3", "*", "br zstd gzip"),
            ("* is those not named", "12.5.3", "br;q=0.1, *;q=0.5, gzip;q=0", "zstd br"),
            ("* excludes those not named", "12.5.3", "gzip;q=0.5, *;q=0", "gzip"),
            ("* excludes all", "12.5.3", "*;q=0", ""),
            ("identity alone", "12.5.3", "identity", ""),
            ("identity excluded", "12.5.3", "identity;q=0", ""),
            ("identity excluded, a coding is not", "12.5.3", "identity;q=0, gzip;q=0.1", "gzip"),
            ("identity is not named", "12.5.3", "gzip;q=0.001", "gzip"),
            ("identity is above", "12.5.3", "gzip;q=0.5, identity", ""),
            ("identity is above one", "12.5.3", "gzip;q=0.5, br;q=0.4, Identity;q=0.5", "gzip"),
            ("identity is equal", "12.5.3", "gzip, identity", "gzip"),
            ("identity is above *", "12.5.3", "identity, *;q=0.5", ""),
            ("named twice, the first counts", "12.5.3", "gzip;q=0, gzip", ""),
            ("named twice, the first counts", "12.5.3", "gzip;q=0.1, br;q=0.5, x-gzip", "br gzip"),
            ("* twice, the first counts", "12.5.3", "*;q=0, *", ""),
            ("identity twice, the first counts", "12.5.3", "identity;q=0.1, identity, br;q=0.5", "br"),
        ] {
            assert_eq!(codings(&[value]), expected, "{rule} ({section}): {value}");
        }
        assert_eq!(codings(&[]), "", "no field (12.5.3)");
        assert_eq!(codings(&["gzip;q=0.5", "", "br;q=0.4"]), "gzip br", "lines are one list (5.3)");
        assert_eq!(codings(&["br;q=0", "*"]), "zstd gzip", "lines are one list (5.3)");
        let other = [(FieldName::Accept, &b"gzip"[..]), (FieldName::Other, b"br")];
        assert_eq!(acceptable_codings(other.into_iter()), Codings::NONE, "another field");
    }

    #[test]
    fn a_malformed_coding_is_left_out_and_no_other() {
        for element in [
            "br;q=2",
            "br;q=1.001",
            "br;q=0.0001",
            "br;q=1.0000",
            "br;q=-1",
            "br;q=+1",
            "br;q=.5",
            "br;q=",
            "br;q",
            "br;",
            "br;;q=1",
            "br;q=1;q=1",
            "br;q=1;a=b",
            "br;a=b",
            "br;a=b;q=1",
            "br; q = 1",
            "br;q =1",
            "br;q= 1",
            "br;q=\"1\"",
            "br;q=01",
            "br;q=1e0",
            "br;q=0.5 0",
            "b r",
            "br/1",
            "\"br\"",
            "br q=1",
            "b\u{e9}",
            "=br",
            "(br)",
            "br;q=\u{ff11}",
            "br\u{b}",
            ";q=1",
        ] {
            assert_eq!(codings(&[&format!("{element}, gzip;q=0.1")]), "gzip", "{element}");
            assert_eq!(codings(&[&format!("gzip;q=0.1 ,{element}")]), "gzip", "{element}");
        }
    }

    #[test]
    fn every_choice_of_codings_packs_and_comes_back() {
        let mut choices = vec![vec![]];
        for _ in 0..3 {
            for choice in choices.clone() {
                for coding in Coding::ALL {
                    let mut longer: Vec<Coding> = choice.clone();
                    longer.push(coding);
                    choices.push(longer);
                }
            }
        }
        let mut packed = std::collections::HashMap::new();
        for choice in choices {
            let codings: Codings = choice.iter().copied().collect();
            assert_eq!(codings.iter().collect::<Vec<_>>(), choice);
            assert_eq!(codings.is_empty(), choice.is_empty());
            assert_eq!(*packed.entry(codings).or_insert(choice.clone()), choice, "a key is of one choice");
        }
        assert_eq!(Codings::default(), Codings::NONE);
        for coding in Coding::ALL {
            assert!(coding.suffix().starts_with('.') && coding.suffix().len() > 2);
        }
    }
}
