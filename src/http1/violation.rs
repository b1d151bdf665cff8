//! Every way a peer can break HTTP, each a named value with its status.
//!
//! Owns: [`Violation`], its status and its fixed reason. Rule: one variant a clause; a reason never contains input.
//! Spec: RFC 9112 and RFC 9110, as named at each variant; docs/wire.md maps them to tests.

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident $status:literal $reason:literal;)*) => {
        /// The peer broke HTTP or a limit. Answer [`Violation::status`], then close.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Violation { $($(#[$doc])* $name,)* }

        impl Violation {
            /// All of them, for tables and tests.
            pub const ALL: &'static [Violation] = &[$(Violation::$name,)*];

            /// Status to answer before the connection is closed.
            pub fn status(self) -> u16 {
                match self { $(Violation::$name => $status,)* }
            }

            /// One fixed sentence for the log and the response body. Never contains input.
            pub fn reason(self) -> &'static str {
                match self { $(Violation::$name => $reason,)* }
            }
        }
    };
}

violations! {
    /// RFC 9112 section 3: the request line is not `method SP target SP version`.
    RequestLine 400 "malformed request line";
    /// RFC 9112 section 3.2: the target has a byte that no URI has, or a form that its method does not allow.
    Target 400 "malformed request target";
    /// RFC 9110 section 4.1: the target is longer than `Limits::max_target_bytes`.
    TargetTooLong 414 "request target too long";
    /// RFC 9110 section 2.5: the major version is not 1.
    VersionUnsupported 505 "HTTP version not supported";
    /// RFC 9110 section 9.3.6: this server opens no tunnels.
    ConnectUnsupported 501 "CONNECT is not supported";
    /// RFC 9112 section 2.2: LF without CR.
    BareLf 400 "line feed without carriage return";
    /// RFC 9112 section 2.2: CR without LF.
    BareCr 400 "carriage return without line feed";
    /// RFC 9112 section 5.2: a field continued on a second line.
    ObsFold 400 "folded field line";
    /// RFC 9112 section 5.1: a field name that is no token, or white space before the colon.
    FieldName 400 "malformed field name";
    /// RFC 9110 section 5.5: a control byte in a field value.
    FieldValue 400 "malformed field value";
    /// RFC 6585 section 5: more bytes of head than `Limits::max_head_bytes`.
    HeadTooLarge 431 "request head too large";
    /// RFC 6585 section 5: more fields than `Limits::max_fields`.
    TooManyFields 431 "too many header fields";
    /// RFC 9112 section 3.2: HTTP/1.1 without Host.
    HostMissing 400 "missing Host";
    /// RFC 9112 section 3.2: more than one Host.
    HostRepeated 400 "repeated Host";
    /// RFC 9110 section 7.2: Host is not `uri-host [":" port]`.
    HostInvalid 400 "malformed Host";
    /// RFC 9112 section 6.3, rule 5: a Content-Length that is no number, or too large a one.
    ContentLengthInvalid 400 "malformed Content-Length";
    /// RFC 9112 section 6.3, rule 5: more than one Content-Length.
    ContentLengthRepeated 400 "repeated Content-Length";
    /// RFC 9112 section 6.1: Content-Length together with Transfer-Encoding.
    LengthAndCoding 400 "Content-Length with Transfer-Encoding";
    /// RFC 9112 section 6.1: a transfer coding other than chunked.
    CodingUnknown 501 "transfer coding not supported";
    /// RFC 9112 section 6.1: Transfer-Encoding is empty, or chunked is repeated.
    CodingInvalid 400 "malformed Transfer-Encoding";
    /// RFC 9112 section 6.1: Transfer-Encoding from an HTTP/1.0 client.
    CodingOnHttp10 400 "Transfer-Encoding in HTTP/1.0";
    /// RFC 9110 section 10.1.1: an expectation other than 100-continue.
    ExpectationUnknown 417 "expectation not supported";
    /// RFC 9110 section 15.5.14: more body than `Limits::max_body_bytes`.
    BodyTooLarge 413 "request body too large";
    /// RFC 9112 section 7.1: a chunk size that is no hexadecimal number, or too large a one.
    ChunkSize 400 "malformed chunk size";
    /// RFC 9112 section 7.1.1: a chunk extension that is malformed or too long.
    ChunkExtension 400 "malformed chunk extension";
    /// RFC 9112 section 7.1: chunk data not followed by CRLF.
    ChunkEnd 400 "chunk data without its end";
    /// RFC 9112 section 7.1.2: a malformed trailer section.
    Trailer 400 "malformed trailer section";
    /// RFC 9110 section 15.5.9: the head did not arrive in time.
    HeadTimeout 408 "request head timed out";
    /// RFC 9110 section 15.5.9: the body made no progress in time.
    BodyTimeout 408 "request body timed out";
}
