//! The compiled schema: what each node accepts, and the errors it reports, rendered beforehand.
//!
//! Owns: the shape of the tree. Does not own: building it (`compile`), walking it (`walk`), making objects (`build`).
//! Rule: plain data; one variant for each kind of core schema that is decided here. Python objects are named by their
//! place in the table of [`Compiled`](super::Compiled), so that a walk touches none.

use super::recognise::Kind;
use super::report::Fault;
use regex::Regex;
use std::collections::HashMap;

#[derive(Debug)]
pub(super) enum Node {
    /// Pydantic is to judge whatever reaches this.
    Opaque,
    Any,
    /// Valid if recognised; otherwise Pydantic is to judge.
    Recognised(Kind, Maker),
    Null(Fault),
    Bool(Bool),
    Int(Box<Int>),
    Float(Box<Float>),
    Str(Box<Str>),
    Literal(Literal),
    Enum(Enum),
    List(List),
    Set(Set),
    Tuple(Box<Tuple>),
    Dict(Box<Dict>),
    Fields(Box<Fields>),
    Nullable(Box<Node>),
    Default {
        inner: Box<Node>,
        if_missing: IfMissing,
        default: Default,
    },
    /// Python code runs on what the inner node accepts; what the inner node refuses is refused.
    After(Box<Node>),
    /// Judged here, made by Pydantic.
    Made(Box<Node>, Maker),
    Union(Box<Union>),
    Tagged(Box<Tagged>),
    /// An index into the definitions.
    Ref(usize),
}

/// What a missing value amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfMissing {
    /// The error `missing`.
    Report,
    /// Its default, which nothing judges.
    Accept,
    /// Its default, which Pydantic judges, or makes from other fields.
    Ask,
}

/// The place of a Python object in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object(pub u32);

/// The place of a validator of Pydantic's, for a part of the schema, in its own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maker(pub u32);

/// How a default comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Default {
    /// There is none.
    Absent,
    /// The object itself.
    Same(Object),
    /// A deep copy.
    Copy(Object),
    /// What a call without arguments gives.
    Call(Object),
    List,
    Dict,
    Set,
}

#[derive(Debug)]
pub(super) struct Bool {
    pub is_strict: bool,
    pub wrong_type: Fault,
    pub unparsable: Fault,
}

#[derive(Debug)]
pub(super) struct Int {
    pub is_strict: bool,
    pub multiple_of: Option<(i64, Fault)>,
    pub le: Option<(i64, Fault)>,
    pub lt: Option<(i64, Fault)>,
    pub ge: Option<(i64, Fault)>,
    pub gt: Option<(i64, Fault)>,
    pub faults: IntFaults,
}

#[derive(Debug)]
pub(super) struct IntFaults {
    pub wrong_type: Fault,
    pub unparsable: Fault,
    pub too_large: Fault,
    pub fractional: Fault,
    pub not_finite: Fault,
}

#[derive(Debug)]
pub(super) struct Float {
    pub is_strict: bool,
    pub allows_inf_nan: bool,
    pub multiple_of: Option<(f64, Fault)>,
    pub le: Option<(f64, Fault)>,
    pub lt: Option<(f64, Fault)>,
    pub ge: Option<(f64, Fault)>,
    pub gt: Option<(f64, Fault)>,
    pub wrong_type: Fault,
    pub unparsable: Fault,
    pub not_finite: Fault,
}

#[derive(Debug)]
pub(super) struct Str {
    pub coerces_numbers: bool,
    pub strips: bool,
    pub case: Option<Case>,
    pub min_length: Option<(usize, Fault)>,
    pub max_length: Option<(usize, Fault)>,
    pub pattern: Option<(Regex, Fault)>,
    pub wrong_type: Fault,
}

/// What a string is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    Upper,
}

/// Values that a literal or a plain enum names, each with its place among them.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub strings: Strings,
    pub integers: HashMap<i64, u32>,
    pub true_: Option<u32>,
    pub false_: Option<u32>,
    pub none: Option<u32>,
    /// The first of the objects that they stand for.
    pub first: u32,
}

/// Strings with their places: a few are compared one by one, which is sooner than hashing.
#[derive(Debug, Default)]
pub(super) struct Strings {
    few: Vec<(String, u32)>,
    all: HashMap<String, u32>,
}

impl Strings {
    pub fn insert(&mut self, text: String, place: u32) {
        self.few.retain(|(other, _)| *other != text);
        self.few.push((text.clone(), place));
        self.all.insert(text, place);
    }

    pub fn get(&self, text: &str) -> Option<u32> {
        match self.few.len() {
            0..=8 => self.few.iter().find(|(other, _)| other == text).map(|(_, place)| *place),
            _ => self.all.get(text).copied(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Literal {
    pub expected: Expected,
    pub maker: Maker,
    pub other: Fault,
}

#[derive(Debug)]
pub(super) struct Enum {
    pub kind: EnumKind,
    pub expected: Expected,
    pub maker: Maker,
    pub other: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EnumKind {
    Str,
    Int,
    Plain,
}

#[derive(Debug)]
pub(super) struct Lengths {
    pub min: Option<(usize, Fault)>,
    pub max: Option<(usize, Fault)>,
}

#[derive(Debug)]
pub(super) struct List {
    /// `None` where any item will do.
    pub items: Option<Box<Node>>,
    pub lengths: Lengths,
    pub fails_fast: bool,
    pub wrong_type: Fault,
}

#[derive(Debug)]
pub(super) struct Set {
    /// Of a kind whose valid values are hashable, or `Any`.
    pub items: Box<Node>,
    pub is_frozen: bool,
    pub fails_fast: bool,
    pub wrong_type: Fault,
    pub unhashable: Fault,
}

#[derive(Debug)]
pub(super) struct Tuple {
    /// Items before the one that repeats, or all.
    pub head: Vec<Node>,
    pub repeated: Option<Node>,
    pub lengths: Lengths,
    /// Reported where nothing repeats and there are more items than `head` has.
    pub too_long: Option<Fault>,
    pub fails_fast: bool,
    pub wrong_type: Fault,
    pub missing: Fault,
}

#[derive(Debug)]
pub(super) struct Dict {
    pub keys: Node,
    pub values: Node,
    pub lengths: Lengths,
    pub fails_fast: bool,
    pub wrong_type: Fault,
}

/// The fields of a model or a typed dict.
#[derive(Debug)]
pub(super) struct Fields {
    pub fields: Vec<Field>,
    pub extra: Extra,
    pub product: Product,
    pub wrong_type: Fault,
    pub missing: Fault,
}

/// What is made of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    Model {
        class: Object,
        /// The method that sets private attributes up.
        private_init: Option<Object>,
        /// The place of its [`Slots`](super::Slots).
        slots: u32,
    },
    Dict,
    Dataclass {
        class: Object,
        /// The place of the descriptor of `__dict__`.
        dict: u32,
    },
    /// Something that Pydantic makes.
    Other,
}

#[derive(Debug)]
pub(super) struct Field {
    /// Keys under which it is looked for, in this order.
    pub keys: Vec<String>,
    /// Where its errors are, unless under the key that was found.
    pub name: String,
    /// The name as Python has it, interned.
    pub name_object: Object,
    pub is_located_by_key: bool,
    pub node: Node,
    pub if_missing: IfMissing,
}

#[derive(Debug)]
pub(super) enum Extra {
    Ignore,
    Forbid(Fault),
    Keep,
    /// Kept, if valid.
    Check(Node),
}

/// Valid if any choice is; otherwise the errors of all, each under its label.
#[derive(Debug)]
pub(super) struct Union {
    pub choices: Vec<(String, Node)>,
    /// The first valid choice wins, not the best.
    pub is_ordered: bool,
    pub maker: Maker,
}

#[derive(Debug)]
pub(super) struct Tagged {
    pub key: String,
    pub choices: Vec<(String, Node)>,
    pub wrong_type: Fault,
    pub no_tag: Fault,
    pub other_tag: Fault,
}
