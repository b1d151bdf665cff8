//! Every way a peer can break HTTP, each a named value with its status.
//!
//! Owns: [`Violation`], its status, its fixed reason. Does not own: finding them (`scan`, `parse`, `decode`, `runtime`).
//! Rule: one variant a rule, naming its clause; a reason never holds input.
//! Spec: RFC 9112 and RFC 9110, as named at each variant; docs/wire.md maps them to tests.

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident $status:literal $reason:literal;)*) => {
        /// The peer broke HTTP or a limit. Answer [`Violation::status`], then close.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    // ---- Lines (RFC 9112 section 2.2) ----
    /// LF without CR before it. RFC 9112 2.2 lets a recipient accept it; we do not: it is how proxies disagree.
    BareLf 400 "line feed without carriage return";
    /// CR that is not followed by LF. RFC 9112 2.2: invalid, or to be replaced.
    BareCr 400 "carriage return without line feed";
    /// More empty lines before a request line than [`super::limits::MAX_EMPTY_LINES`]. RFC 9112 2.2.
    TooManyEmptyLines 400 "too many empty lines before the request line";

    // ---- Request line (RFC 9112 section 3) ----
    /// The first byte is that of a TLS record: a client speaks TLS to a plain port.
    TlsOnPlainPort 400 "TLS was sent to a plain HTTP port";
    /// The method is empty or holds a byte that no token may hold. RFC 9110 9.1, 5.6.2.
    BadMethod 400 "malformed method";
    /// The method is longer than any that is known. RFC 9112 3: 501.
    MethodTooLong 501 "method too long";
    /// CONNECT: there is no tunnel here. RFC 9110 9.1: 501 for a method that is not implemented.
    ConnectNotImplemented 501 "CONNECT is not implemented";
    /// The target is empty, of no known form, or holds a control, a space, `#`, or a byte above 0x7E. RFC 9112 3.2.
    BadTarget 400 "malformed request target";
    /// The target is longer than `Limits::max_target_bytes`. RFC 9110 15.5.15.
    TargetTooLong 414 "request target too long";
    /// `*` as the target of another method than OPTIONS. RFC 9112 3.2.4.
    AsteriskWithoutOptions 400 "the target * is for OPTIONS only";
    /// The request line ends after the target, as in HTTP/0.9. RFC 9112 3.
    MissingVersion 400 "request line without a version";
    /// The version is not `HTTP/` digit `.` digit and the end of the line. RFC 9112 2.3.
    BadVersion 400 "malformed HTTP version";
    /// The preface of HTTP/2 (RFC 9113 3.4): only HTTP/1.x is spoken here.
    Http2Preface 505 "HTTP/2 is not spoken on this port";
    /// The major version is not 1. RFC 9110 15.6.6.
    UnsupportedVersion 505 "HTTP version not supported";

    // ---- Fields (RFC 9112 section 5, RFC 9110 section 5) ----
    /// The head is larger than `Limits::max_head_bytes`. RFC 6585 5.
    HeadTooLarge 431 "request head too large";
    /// The head has more fields than `Limits::max_fields`. RFC 6585 5.
    TooManyFields 431 "too many fields";
    /// A field line begins with a colon. RFC 9112 5.
    EmptyFieldName 400 "empty field name";
    /// A field name holds a byte that no token may hold, or its line has no colon. RFC 9110 5.1.
    BadFieldName 400 "malformed field name";
    /// Whitespace between field name and colon. RFC 9112 5.1: 400.
    SpaceBeforeColon 400 "whitespace between field name and colon";
    /// A field value holds a control character. RFC 9110 5.5.
    BadFieldValue 400 "control character in a field value";
    /// A line that begins with whitespace: obs-fold, or whitespace before the first field. RFC 9112 5.2, 2.2.
    ObsFold 400 "field line begins with whitespace";
    /// The head has no meaning that the rules above allow. A backstop: no input is known to reach it.
    BadHead 400 "malformed request head";

    // ---- Host (RFC 9112 section 3.2, RFC 9110 section 7.2) ----
    /// An HTTP/1.1 request without Host. RFC 9112 3.2: 400.
    MissingHost 400 "Host is missing";
    /// More than one Host field. RFC 9112 3.2: 400.
    RepeatedHost 400 "Host is repeated";
    /// Host, or the authority of the target, is not `uri-host [":" port]`, or is empty. RFC 9112 3.2, RFC 9110 4.2.1.
    BadHost 400 "malformed Host";

    // ---- Framing (RFC 9112 section 6) ----
    /// Content-Length is not one decimal number that fits 64 bits. RFC 9112 6.3 item 5.
    BadContentLength 400 "malformed Content-Length";
    /// More than one Content-Length field. RFC 9112 6.3 item 5 allows equal ones; we do not.
    RepeatedContentLength 400 "Content-Length is repeated";
    /// Content-Length with Transfer-Encoding. RFC 9112 6.1, 6.3 item 3: ought to be an error.
    LengthWithCoding 400 "Content-Length with Transfer-Encoding";
    /// Transfer-Encoding on HTTP/1.0. RFC 9112 6.1: faulty framing.
    CodingOnHttp10 400 "Transfer-Encoding on HTTP/1.0";
    /// Transfer-Encoding is empty, or not a list of tokens. RFC 9112 6.1.
    BadTransferEncoding 400 "malformed Transfer-Encoding";
    /// Chunked is not the last coding, or is applied twice. RFC 9112 6.1, 6.3 item 4.2: 400.
    ChunkedNotFinal 400 "chunked must be the last transfer coding, once";
    /// A transfer coding other than chunked. RFC 9112 6.1: 501.
    UnknownTransferCoding 501 "transfer coding not implemented";
    /// An expectation other than `100-continue`. RFC 9110 10.1.1: 417.
    UnknownExpectation 417 "expectation not supported";

    // ---- Bodies (RFC 9112 section 7) ----
    /// The body is larger than `Limits::max_body_bytes`. RFC 9110 15.5.14.
    BodyTooLarge 413 "request body too large";
    /// A chunk size is empty or holds a byte that is no hex digit. RFC 9112 7.1.
    BadChunkSize 400 "malformed chunk size";
    /// A chunk size has more digits than 64 bits hold. RFC 9112 7.1: anticipate large numbers, prevent overflow.
    ChunkSizeOverflow 400 "chunk size too large";
    /// A chunk extension does not follow its grammar. RFC 9112 7.1.1.
    BadChunkExtension 400 "malformed chunk extension";
    /// All chunk extensions of one body are larger than [`super::limits::MAX_CHUNK_EXTENSION_BYTES`]. RFC 9112 7.1.1.
    ChunkExtensionsTooLarge 400 "chunk extensions too large";
    /// Chunk data is not followed by CRLF. RFC 9112 7.1.
    BadChunkEnd 400 "chunk data does not end with CRLF";
    /// The trailer section is larger than a head may be. RFC 6585 5.
    TrailersTooLarge 431 "trailer section too large";

    // ---- Time (RFC 9110 section 15.5.9), measured by the runtime ----
    /// The head did not arrive in time. RFC 9110 15.5.9: 408.
    HeadTimeout 408 "request head timed out";
    /// The body made no progress in time. RFC 9110 15.5.9: 408.
    BodyTimeout 408 "request body timed out";
}
