//! Proactive negotiation (RFC 9110 section 12): which content codings a peer takes, and whether it would rather have JSON.
//!
//! Pure functions over the Accept and Accept-Encoding field lines. They say what is wanted, never what there is.
//! An element that is malformed is left out, and that element only: these fields are wishes, and the answer without one is
//! right as well.

mod coding;
mod media_range;

pub use coding::{Coding, Codings, acceptable_codings};
pub use media_range::prefers_json;

/// What stands behind `"q="`; nothing where the parameter is another.
fn weight_value(parameter: &[u8]) -> Option<&[u8]> {
    parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` (RFC 9110 section 12.4.2), in thousandths.
fn qvalue(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 && fraction.iter().all(u8::is_ascii_digit) => {
            (whole, fraction)
        }
        _ => return None,
    };
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(3);
    match (whole, digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))) {
        (b'0', thousandths) => Some(thousandths),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qvalues_are_read_by_their_grammar_and_no_other() {
        let mut taken = std::collections::BTreeMap::new();
        for thousandths in 0..=1000_u16 {
            let full = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            for length in (1..=full.len()).filter(|&length| full[length..].chars().all(|c| matches!(c, '0' | '.'))) {
                taken.insert(full[..length].to_owned(), thousandths);
            }
        }
        const ALPHABET: [u8; 7] = *b"0159.x ";
        for number in 0..ALPHABET.len().pow(6) {
            let text: String =
                (0..6).map(|place| char::from(ALPHABET[number / ALPHABET.len().pow(place) % ALPHABET.len()])).collect();
            for length in 0..=text.len() {
                assert_eq!(qvalue(&text.as_bytes()[..length]), taken.get(&text[..length]).copied(), "{text}");
            }
        }
        assert!(taken.iter().all(|(text, thousandths)| qvalue(text.as_bytes()) == Some(*thousandths)));
    }
}
