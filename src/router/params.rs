//! Path parameters, as ranges of the path.

use super::Pattern;

/// Parameters that one pattern may have. More than any route that we have seen; they are kept without an allocation.
pub const MAX_PARAMS: usize = 16;

/// Path parameters: names from the pattern, values from the path.
#[derive(Clone, Debug)]
pub struct Params<'r, 'p> {
    pattern: &'r Pattern,
    path: &'p str,
    spans: Spans,
}

impl<'r, 'p> Params<'r, 'p> {
    pub(super) fn new(pattern: &'r Pattern, path: &'p str, spans: Spans) -> Self {
        Params { pattern, path, spans }
    }

    /// Names and values, in the pattern's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'r str, &'p str)> + '_ {
        let path = self.path;
        self.pattern
            .params()
            .zip(self.spans.iter())
            .map(move |((name, _), (start, end))| (name, path.get(start..end).unwrap_or_default()))
    }

    /// Where the values lie in the path, as byte ranges, in the pattern's order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.spans.iter()
    }

    /// The value of that name.
    pub fn value(&self, name: &str) -> Option<&'p str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len
    }

    /// The pattern has none.
    pub fn is_empty(&self) -> bool {
        self.spans.len == 0
    }
}

/// Byte ranges of a path, filled while it is matched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spans {
    ranges: [(u32, u32); MAX_PARAMS],
    len: usize,
}

impl Spans {
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a range. Patterns have no more than `MAX_PARAMS`.
    pub(super) fn push(&mut self, start: usize, end: usize) {
        debug_assert!(self.len < MAX_PARAMS && end <= u32::MAX as usize);
        if let Some(range) = self.ranges.get_mut(self.len) {
            *range = (start as u32, end as u32);
            self.len += 1;
        }
    }

    /// Takes the ranges that a tree found. It finds no last one where a `path` parameter is empty: that lies at the end.
    pub(super) fn fill(
        &mut self,
        found: impl Iterator<Item = (usize, usize)>,
        count: usize,
        path_len: usize,
    ) {
        self.clear();
        found.for_each(|(start, end)| self.push(start, end));
        if self.len < count {
            self.push(path_len, path_len);
        }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.ranges[..self.len].iter().map(|&(start, end)| (start as usize, end as usize))
    }
}
