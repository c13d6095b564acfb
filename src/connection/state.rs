//! The states of a connection and the table of their legal changes.

/// What a connection is doing. It is in exactly one of these at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// No connection: the slot waits for one.
    #[default]
    Free,
    /// Between requests, or a request line is not complete yet.
    ReadingRequestLine,
    /// The request line is complete, the header section is not.
    ReadingHeaders,
    /// The head is complete; its content is taken in and thrown away.
    ReadingContent,
    /// The request is complete, or refused; its answer is being decided.
    Processing,
    /// The response is on its way to the peer.
    SendingResponse,
    /// Nothing more will be sent; what still arrives is drained for a bounded time.
    Closing,
}

impl State {
    /// Every state, in the order of the statistics.
    pub const ALL: [Self; 7] = [
        Self::Free,
        Self::ReadingRequestLine,
        Self::ReadingHeaders,
        Self::ReadingContent,
        Self::Processing,
        Self::SendingResponse,
        Self::Closing,
    ];

    /// The name wherever a person reads it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "FREE",
            Self::ReadingRequestLine => "READING_REQUEST_LINE",
            Self::ReadingHeaders => "READING_HEADERS",
            Self::ReadingContent => "READING_CONTENT",
            Self::Processing => "PROCESSING",
            Self::SendingResponse => "SENDING_RESPONSE",
            Self::Closing => "CLOSING",
        }
    }

    /// Whether the change from `self` to `to` is legal.
    ///
    /// A refused request goes from any reading state to PROCESSING: an error answer takes the same way as any other. Every
    /// state but FREE may go to CLOSING.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use State::{Closing, Free, Processing, ReadingContent, ReadingHeaders, ReadingRequestLine, SendingResponse};
        matches!(
            (self, to),
            (Free, ReadingRequestLine)
                | (ReadingRequestLine, ReadingHeaders | Processing | Closing)
                | (ReadingHeaders, ReadingContent | Processing | Closing)
                | (ReadingContent, Processing | Closing)
                | (Processing, SendingResponse | Closing)
                | (SendingResponse, ReadingRequestLine | Closing)
                | (Closing, Free)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::State::{self, *};

    #[test]
    fn every_pair_is_legal_or_illegal_as_the_design_says() {
        // Rows: from; columns: to; both in the order of State::ALL.
        const TABLE: [&str; 7] = [
            // F RL RH RC P  S  C
            ".x.....", // FREE
            "..x.x.x", // READING_REQUEST_LINE
            "...xx.x", // READING_HEADERS
            "....x.x", // READING_CONTENT
            ".....xx", // PROCESSING
            ".x....x", // SENDING_RESPONSE
            "x......", // CLOSING
        ];
        for from in State::ALL {
            for to in State::ALL {
                let expected = TABLE[from as usize].as_bytes()[to as usize] == b'x';
                assert_eq!(from.may_become(to), expected, "{} to {}", from.name(), to.name());
            }
        }
    }

    #[test]
    fn every_state_can_be_reached_and_left() {
        for state in State::ALL {
            assert!(State::ALL.iter().any(|from| from.may_become(state)));
            assert!(State::ALL.iter().any(|to| state.may_become(*to)));
            assert!(state == Free || state == Closing || state.may_become(Closing));
        }
    }
}
