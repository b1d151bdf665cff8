//! Every rule that a form may break, with its status.
//!
//! Owns: the list. Rule: 400 where the syntax is broken, 413 where a limit is passed, which the text names.

/// Why a form is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The content type names no boundary.
    MissingBoundary,
    /// The boundary is longer than 256 bytes. RFC 2046 allows 70.
    BoundaryTooLong,
    /// The first line is not the boundary.
    BadFirstLine,
    /// What follows a boundary is neither the end of its line nor the end of the form.
    BadDelimiter,
    /// A line of a part's head is no field.
    BadPartField,
    /// A part has no `Content-Disposition` with a name.
    MissingName,
    /// The body ends before the form does.
    Truncated,
    /// More parts than `max_form_parts`.
    TooManyParts,
    /// A part has a larger head than `max_form_head`, or more than 8 fields.
    PartHeadTooLarge,
    /// A field, which is held in memory, is larger than `max_form_field`.
    FieldTooLarge,
    /// A file is larger than `max_form_file`.
    FileTooLarge,
}

impl Violation {
    /// What it is answered with.
    pub fn status(self) -> u16 {
        match self {
            Violation::TooManyParts
            | Violation::PartHeadTooLarge
            | Violation::FieldTooLarge
            | Violation::FileTooLarge => 413,
            _ => 400,
        }
    }

    /// For people.
    pub fn reason(self) -> &'static str {
        match self {
            Violation::MissingBoundary => "multipart: no boundary in the content type",
            Violation::BoundaryTooLong => "multipart: the boundary is longer than 256 bytes",
            Violation::BadFirstLine => "multipart: the form does not begin with its boundary",
            Violation::BadDelimiter => {
                "multipart: a boundary is followed by something else than the end of its line"
            }
            Violation::BadPartField => "multipart: a line of a part's head is no field",
            Violation::MissingName => "multipart: a part has no name",
            Violation::Truncated => "multipart: the form is not whole",
            Violation::TooManyParts => "multipart: more parts than max_form_parts",
            Violation::PartHeadTooLarge => "multipart: the head of a part is larger than max_form_head",
            Violation::FieldTooLarge => "multipart: a field is larger than max_form_field",
            Violation::FileTooLarge => "multipart: a file is larger than max_form_file",
        }
    }
}
