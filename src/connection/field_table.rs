//! The field lines of a request, kept in its pool in blocks, so that a table that grows strands nothing.

use super::pool::{Pool, PoolExhausted, PoolSlice};
use crate::http::field::{FieldLine, FieldName, FieldNames};

/// How many field lines one block holds; most requests need one block.
const BLOCK_LINES: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    lines: [FieldLine; BLOCK_LINES],
    next: Option<PoolSlice<Block>>,
}

/// The field lines of a request, in the order they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldTable {
    first: Option<PoolSlice<Block>>,
    last: Option<PoolSlice<Block>>,
    length: usize,
    /// Which names there are.
    names: FieldNames,
}

/// The fields that make a request conditional (RFC 9110 section 13.1), If-Range aside.
const CONDITIONS: FieldNames = FieldNames::of(&[
    FieldName::IfMatch,
    FieldName::IfNoneMatch,
    FieldName::IfModifiedSince,
    FieldName::IfUnmodifiedSince,
]);

impl FieldTable {
    /// How many field lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// The names that there are.
    #[must_use]
    pub fn names(&self) -> FieldNames {
        self.names
    }

    /// Whether there is a line of this name.
    #[must_use]
    pub fn has(&self, name: FieldName) -> bool {
        self.names.has(name)
    }

    /// Whether the request is conditional.
    #[must_use]
    pub fn has_condition(&self) -> bool {
        self.names.has_any(CONDITIONS)
    }

    /// Appends a field line.
    ///
    /// # Errors
    /// The pool has no room for another block.
    pub fn push(&mut self, pool: &mut Pool, line: FieldLine) -> Result<(), PoolExhausted> {
        if self.length.is_multiple_of(BLOCK_LINES) {
            let block = pool.make::<Block>(1)?;
            match self.last {
                Some(last) => pool.get_mut(last)[0].next = Some(block),
                None => self.first = Some(block),
            }
            self.last = Some(block);
        }
        if let Some(last) = self.last {
            pool.get_mut(last)[0].lines[self.length % BLOCK_LINES] = line;
            self.length += 1;
            self.names.insert(line.name);
        }
        Ok(())
    }

    /// The field lines, in the order they came.
    pub fn iter<'a>(&self, pool: &'a Pool) -> impl Iterator<Item = &'a FieldLine> + Clone {
        Lines { pool, lines: [].iter(), next: self.first, left: self.length }
    }
}

#[derive(Clone)]
struct Lines<'a> {
    pool: &'a Pool,
    /// What is left of the present block, places without a line included.
    lines: std::slice::Iter<'a, FieldLine>,
    next: Option<PoolSlice<Block>>,
    left: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a FieldLine;

    fn next(&mut self) -> Option<&'a FieldLine> {
        self.left = self.left.checked_sub(1)?;
        if let Some(line) = self.lines.next() {
            return Some(line);
        }
        let block = self.pool.get(self.next?).first()?;
        self.next = block.next;
        self.lines = block.lines.iter();
        self.lines.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Span;

    #[test]
    fn lines_come_back_in_order_and_a_full_pool_is_told() {
        let mut pool = Pool::new(1024);
        let mut table = FieldTable::default();
        let mut pushed = 0;
        while table.push(&mut pool, FieldLine { value: Span::new(pushed, pushed + 1), ..FieldLine::default() }).is_ok()
        {
            pushed += 1;
        }
        assert!(pushed >= 3 * BLOCK_LINES);
        assert_eq!(table.len(), pushed);
        assert_eq!(table.iter(&pool).count(), pushed);
        assert!(table.iter(&pool).enumerate().all(|(index, line)| line.value == Span::new(index, index + 1)));
    }
}
