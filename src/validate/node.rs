//! The compiled schema: what each node accepts, and the errors it reports, rendered beforehand.
//!
//! Owns: the shape of the tree. Does not own: building it (`compile`), walking it (`walk`).
//! Rule: plain data, no Python reference; one variant for each kind of core schema that is decided here.

use super::recognise::Recognise;
use super::report::Fault;
use regex::Regex;
use std::collections::HashSet;

#[derive(Debug)]
pub(super) enum Node {
    /// Pydantic is to judge whatever reaches this.
    Opaque,
    Any,
    /// Valid if recognised; otherwise Pydantic is to judge.
    Recognised(Recognise),
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
    },
    /// Python code runs on what the inner node accepts; what the inner node refuses is refused.
    After(Box<Node>),
    /// Valid if any choice is; otherwise the errors of all, each under its label.
    Union(Vec<(String, Node)>),
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
    pub min_length: Option<(usize, Fault)>,
    pub max_length: Option<(usize, Fault)>,
    pub pattern: Option<(Regex, Fault)>,
    pub wrong_type: Fault,
}

/// Values that a literal or a plain enum names.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub strings: HashSet<String>,
    pub integers: HashSet<i64>,
    pub has_true: bool,
    pub has_false: bool,
    pub has_none: bool,
}

#[derive(Debug)]
pub(super) struct Literal {
    pub expected: Expected,
    pub other: Fault,
}

#[derive(Debug)]
pub(super) struct Enum {
    pub kind: EnumKind,
    pub expected: Expected,
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
    pub wrong_type: Fault,
    pub missing: Fault,
}

#[derive(Debug)]
pub(super) struct Field {
    /// Keys under which it is looked for, in this order.
    pub keys: Vec<String>,
    /// Where its errors are, unless under the key that was found.
    pub name: String,
    pub is_located_by_key: bool,
    pub node: Node,
    pub if_missing: IfMissing,
}

#[derive(Debug)]
pub(super) enum Extra {
    Ignore,
    Forbid(Fault),
    Check(Node),
}

#[derive(Debug)]
pub(super) struct Tagged {
    pub key: String,
    pub choices: Vec<(String, Node)>,
    pub wrong_type: Fault,
    pub no_tag: Fault,
    pub other_tag: Fault,
}
