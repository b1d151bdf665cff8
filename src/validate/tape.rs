//! What the walk accepted, as a list of typed values that the build turns into objects.
//!
//! Owns: the order and the meaning of its entries. Does not own: which value a node accepts (`walk`), what is made of it
//! (`build`).
//! Rule: entries follow the schema, not the body: fields in the order of the model, strings already stripped, numbers
//! already converted, choices already made. Text that stands in the body is named by its place there; a tape holds no
//! reference, so it may change threads.

use crate::json::parse::Value;

/// A valid body, ready to be built: see [`Compiled::build`](super::Compiled::build).
#[derive(Debug, Default)]
pub struct Tape {
    pub(super) entries: Vec<Entry>,
    /// Text that the body does not hold as it is: unescaped, converted, or of other digits.
    pub(super) own: String,
    /// Pydantic is to judge what is on it: the body as `json.loads` reads it.
    pub(super) is_for_pydantic: bool,
}

impl Tape {
    /// True if Pydantic has the last word: what is built is not known to be valid.
    pub fn is_for_pydantic(&self) -> bool {
        self.is_for_pydantic
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Entry {
    Null,
    Bool(bool),
    Int(i64),
    /// Digits of an integer beyond 64 bits, in `own`.
    Big(Span),
    Float(f64),
    /// In the body.
    Text(Span),
    /// In `own`.
    Own(Span),
    /// Followed by so many items.
    Array(u32),
    /// Followed by so many pairs of key and value.
    Object(u32),
    /// Followed by the fields of the schema, each in its place.
    Fields,
    /// In the place of a value: the default, or nothing.
    Missing,
    /// The choice of a union (its value follows), or the value of a literal or an enum.
    Pick(u32),
    /// In the place of a pick: the value as it was sent follows, Pydantic is to choose.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub length: u32,
}

/// A tape that is being written.
pub(super) struct Recorder<'a> {
    body: &'a [u8],
    tape: Tape,
    /// Parts of the walk whose values are written as they were sent, within each other.
    muted: u32,
    /// More text than a span can name.
    is_overfull: bool,
}

/// A place on a tape to go back to.
#[derive(Clone, Copy)]
pub(super) struct TapeMark(usize);

impl<'a> Recorder<'a> {
    /// `body` has at most `u32::MAX` bytes.
    pub fn new(body: &'a [u8]) -> Self {
        let entries = Vec::with_capacity(FIRST_ENTRIES);
        Recorder { body, tape: Tape { entries, ..Tape::default() }, muted: 0, is_overfull: false }
    }

    /// The tape, unless it holds more text than it can name.
    pub fn into_tape(self) -> Option<Tape> {
        (!self.is_overfull).then_some(self.tape)
    }

    /// Nothing is written until [`unmute`](Self::unmute) is called as often.
    pub fn mute(&mut self) {
        self.muted += 1;
    }

    pub fn unmute(&mut self) {
        self.muted -= 1;
    }

    #[inline]
    pub fn put(&mut self, entry: Entry) {
        if self.muted == 0 {
            self.tape.entries.push(entry);
        }
    }

    /// Text, by its place in the body if it stands there.
    #[inline]
    pub fn text(&mut self, text: &str) {
        if self.muted == 0 {
            let entry = match (text.as_ptr() as usize).checked_sub(self.body.as_ptr() as usize) {
                Some(start) if start + text.len() <= self.body.len() => {
                    Entry::Text(Span { start: start as u32, length: text.len() as u32 })
                }
                _ => Entry::Own(self.own(text)),
            };
            self.tape.entries.push(entry);
        }
    }

    /// An integer beyond 64 bits.
    pub fn big(&mut self, digits: &str) {
        if self.muted == 0 {
            let span = self.own(digits);
            self.tape.entries.push(Entry::Big(span));
        }
    }

    /// A value as it was sent.
    pub fn raw(&mut self, value: &Value<'_>) {
        match value {
            Value::Null => self.put(Entry::Null),
            Value::Bool(bool) => self.put(Entry::Bool(*bool)),
            Value::Int(number) => self.put(Entry::Int(*number)),
            Value::BigInt(digits) => self.big(digits),
            Value::Float(number) => self.put(Entry::Float(*number)),
            Value::Str(text) => self.text(text),
            Value::Array(items) => {
                self.put(Entry::Array(items.len() as u32));
                for item in items.iter() {
                    self.raw(&item);
                }
            }
            Value::Object(entries) => {
                self.put(Entry::Object(entries.len() as u32));
                for (key, item) in entries.iter() {
                    self.text(key);
                    self.raw(&item);
                }
            }
        }
    }

    pub fn mark(&self) -> TapeMark {
        TapeMark(self.tape.entries.len())
    }

    pub fn forget_since(&mut self, mark: TapeMark) {
        self.tape.entries.truncate(mark.0);
    }

    /// Takes out what was written between two marks.
    pub fn forget_between(&mut self, from: TapeMark, to: TapeMark) {
        self.tape.entries.drain(from.0..to.0);
    }

    /// Writes over the entry at a mark.
    pub fn amend(&mut self, mark: TapeMark, entry: Entry) {
        if let Some(place) = self.tape.entries.get_mut(mark.0) {
            *place = entry;
        }
    }

    /// Starts over, with values for Pydantic to judge.
    pub fn leave_to_pydantic<'v>(&mut self, values: impl IntoIterator<Item = Option<Value<'v>>>) {
        self.muted = 0;
        self.tape.entries.clear();
        self.tape.is_for_pydantic = true;
        for value in values {
            match value {
                Some(value) => self.raw(&value),
                None => self.put(Entry::Missing),
            }
        }
    }

    fn own(&mut self, text: &str) -> Span {
        let start = self.tape.own.len();
        if start + text.len() > u32::MAX as usize {
            self.is_overfull = true;
            return Span { start: 0, length: 0 };
        }
        self.tape.own.push_str(text);
        Span { start: start as u32, length: text.len() as u32 }
    }
}

/// Entries for which there is room at once: a model of ten fields with a list or two.
const FIRST_ENTRIES: usize = 24;
