//! A JSON text that was read, as one list of values.
//!
//! Owns: the list, walking it. Does not own: making it (`parse`), Python objects (`decode`).
//! Rule: strings stay where the text has them; only those with escapes are copied.

/// A JSON text that was read: its values in one list, its strings by their places.
///
/// One list rather than a tree: a verdict over a tree of `Vec`s took 1.15 times as long.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) text: &'a str,
    pub(super) entries: Vec<Entry>,
    /// Strings that had escapes.
    pub(super) unescaped: String,
}

/// A value as the list has it; what an array or an object holds comes right after it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    Null,
    Bool(bool),
    Int(i64),
    BigInt(Span),
    Float(f64),
    /// In the text.
    Str(Span),
    /// Among the unescaped.
    Unescaped(Span),
    Array(Extent),
    /// Keys and values in turn.
    Object(Extent),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Items, or members.
    pub(super) count: u32,
    /// Entries of all of them, and of what they hold.
    pub(super) entries: u32,
}

/// A JSON value of a [`Document`].
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A wider integer: its sign and digits, as they were written (no leading zero, not `-0`).
    BigInt(&'a str),
    /// A number with a point or an exponent, `NaN`, or an infinity.
    Float(f64),
    /// A string.
    Str(&'a str),
    /// An array.
    Array(Array<'a>),
    /// An object. Each key once, where it first stood, with the value that came last.
    Object(Object<'a>),
}

/// The items of an array.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    document: &'a Document<'a>,
    at: u32,
    count: u32,
}

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) at: u32,
    pub(super) count: u32,
}

/// Where a member of an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Members before it.
    pub index: usize,
    pub(super) at: u32,
}

impl Document<'static> {
    /// An array of strings, as if it had been read.
    pub fn of_strings<'s>(items: impl IntoIterator<Item = &'s str>) -> Self {
        let mut entries = vec![Entry::Null];
        let mut unescaped = String::new();
        for item in items {
            let start = unescaped.len() as u32;
            unescaped.push_str(item);
            entries.push(Entry::Unescaped(Span { start, end: unescaped.len() as u32 }));
        }
        let count = entries.len() as u32 - 1;
        entries[0] = Entry::Array(Extent { count, entries: count });
        Document { text: "", entries, unescaped }
    }
}

impl<'a> Document<'a> {
    /// The value that the text is.
    pub fn root(&'a self) -> Value<'a> {
        self.value(0)
    }

    fn value(&'a self, at: u32) -> Value<'a> {
        match self.entries.get(at as usize) {
            Some(Entry::Null) | None => Value::Null,
            Some(Entry::Bool(bool)) => Value::Bool(*bool),
            Some(Entry::Int(number)) => Value::Int(*number),
            Some(Entry::BigInt(span)) => Value::BigInt(slice(self.text, *span)),
            Some(Entry::Float(number)) => Value::Float(*number),
            Some(Entry::Str(span)) => Value::Str(slice(self.text, *span)),
            Some(Entry::Unescaped(span)) => Value::Str(slice(&self.unescaped, *span)),
            Some(Entry::Array(extent)) => {
                Value::Array(Array { document: self, at: at + 1, count: extent.count })
            }
            Some(Entry::Object(extent)) => {
                Value::Object(Object { document: self, at: at + 1, count: extent.count })
            }
        }
    }

    fn key(&'a self, at: u32) -> &'a str {
        match self.entries.get(at as usize) {
            Some(Entry::Str(span)) => slice(self.text, *span),
            Some(Entry::Unescaped(span)) => slice(&self.unescaped, *span),
            _ => "",
        }
    }

    /// Where the value after this one stands.
    pub(super) fn after(&self, at: u32) -> u32 {
        match self.entries.get(at as usize) {
            Some(Entry::Array(extent) | Entry::Object(extent)) => at + 1 + extent.entries,
            _ => at + 1,
        }
    }
}

pub(super) fn slice(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or_default()
}

impl<'a> Array<'a> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The items in their order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> {
        let (document, mut at) = (self.document, self.at);
        (0..self.count).map(move |_| {
            let value = document.value(at);
            at = document.after(at);
            value
        })
    }
}

impl<'a> Object<'a> {
    /// How many members there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Keys and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let document = self.document;
        self.places().map(move |place| (document.key(place.at), document.value(place.at + 1)))
    }

    /// Where the members stand.
    pub fn places(&self) -> impl Iterator<Item = Place> + 'a {
        let first = self.first();
        let document = self.document;
        (0..self.len()).scan(first.at, move |at, index| {
            let place = Place { index, at: *at };
            *at = document.after(*at + 1);
            Some(place)
        })
    }

    /// Where the first member stands, if there is one.
    pub fn first(&self) -> Place {
        Place { index: 0, at: self.at }
    }

    /// Where the next member stands, if there is one.
    pub fn next(&self, place: Place) -> Place {
        Place { index: place.index + 1, at: self.document.after(place.at + 1) }
    }

    /// The key at a place, if there is a member.
    pub fn key(&self, place: Place) -> Option<&'a str> {
        (place.index < self.len()).then(|| self.document.key(place.at))
    }

    /// The value at a place where a member stands.
    pub fn value(&self, place: Place) -> Value<'a> {
        self.document.value(place.at + 1)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}
