//! Names, types, codings, ranges, conditions and answers, row by row.

use super::*;
use crate::http1::{Conn, Event, HttpDate, Limits, RequestHead};
use bytes::BytesMut;

fn head_of(method: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut text = format!("{method} /f HTTP/1.1\r\nhost: x\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    match Conn::new(Limits::default()).next_event(&mut BytesMut::from(text.as_str())) {
        Ok(Event::Head(head)) => head,
        other => panic!("{other:?}"),
    }
}

const FILE: Representation = Representation {
    length: 1000,
    modified: 784_111_777,
    modified_nanos: 5,
    content_type: "text/plain; charset=utf-8",
    coding: None,
};
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn names_that_are_not_plain_lead_nowhere() {
    let table: [(&str, Result<&str, NameFault>); 18] = [
        ("", Ok("")),
        ("/", Ok("")),
        ("/a", Ok("a")),
        ("a/b.txt", Ok("a/b.txt")),
        ("/a/", Ok("a")),
        ("a b%", Ok("a b%")),
        ("a..b", Ok("a..b")),
        ("a\\..\\b", Ok("a\\..\\b")),
        ("..", Err(NameFault::NotPlain)),
        ("/../a", Err(NameFault::NotPlain)),
        ("a/../../b", Err(NameFault::NotPlain)),
        ("a/./b", Err(NameFault::NotPlain)),
        ("a//b", Err(NameFault::NotPlain)),
        ("//etc/passwd", Err(NameFault::NotPlain)),
        ("a\0b", Err(NameFault::NotPlain)),
        ("a\u{fffd}", Err(NameFault::NotPlain)),
        (".git/config", Err(NameFault::Hidden)),
        ("a/.b", Err(NameFault::Hidden)),
    ];
    for (tail, expected) in table {
        assert_eq!(relative_path(tail, false), expected, "{tail:?}");
    }
    assert_eq!(relative_path(".well-known/x", true), Ok(".well-known/x"));
    assert_eq!(relative_path("../x", true), Err(NameFault::NotPlain));
}

#[test]
fn media_types_are_found_by_the_end_of_the_name() {
    assert!(
        media_type::TYPES.is_sorted_by(|(one, _), (other, _)| one < other),
        "the table is searched by halves"
    );
    let table = [
        ("a.html", "text/html; charset=utf-8"),
        ("a/b.HTML", "text/html; charset=utf-8"),
        ("a.tar.gz", "application/gzip"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.webmanifest", "application/manifest+json"),
        ("a", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("a.html/b", "application/octet-stream"),
        ("a.thisisnoknownend", "application/octet-stream"),
        ("a.\u{e9}\u{e9}", "application/octet-stream"),
    ];
    for (name, expected) in table {
        assert_eq!(media_type(name), expected, "{name}");
    }
}

#[test]
fn codings_are_taken_by_the_weights_of_the_client() {
    use Coding::*;
    let table: [(&[&str], &[Coding]); 14] = [
        (&[], &[]),
        (&[""], &[]),
        (&["gzip"], &[Gzip]),
        (&["x-gzip"], &[Gzip]),
        (&["GZIP, deflate, br, zstd"], &[Brotli, Zstd, Gzip]),
        (&["gzip", "br"], &[Brotli, Gzip]),
        (&["gzip;q=1.0, br;q=0.5"], &[Gzip, Brotli]),
        (&["gzip; q=0.001 , br ; q=0"], &[Gzip]),
        (&["*"], &[Brotli, Zstd, Gzip]),
        (&["*;q=0.5, gzip"], &[Gzip, Brotli, Zstd]),
        (&["*, br;q=0"], &[Zstd, Gzip]),
        (&["identity, gzip;q=0.5"], &[]),
        (&["gzip;q=x, br;q=1.5, zstd;q=0.1234"], &[]),
        (&["identity;q=0.5, gzip;q=0.5"], &[Gzip]),
    ];
    for (fields, expected) in table {
        let values: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
        assert_eq!(acceptable(&values), expected, "{fields:?}");
    }
}

#[test]
fn ranges_are_bounded_merged_and_refused() {
    use Asked::*;
    let some = |ranges: &[(u64, u64)]| Ranges(ranges.to_vec());
    let table: [(&str, Asked); 28] = [
        ("bytes=0-0", some(&[(0, 1)])),
        ("bytes=0-999", some(&[(0, 1000)])),
        ("bytes=0-", some(&[(0, 1000)])),
        ("bytes=999-", some(&[(999, 1)])),
        ("bytes=990-2000", some(&[(990, 10)])),
        ("bytes=-1", some(&[(999, 1)])),
        ("bytes=-5000", some(&[(0, 1000)])),
        ("BYTES=1-2", some(&[(1, 2)])),
        ("bytes= 1-2 ", some(&[(1, 2)])),
        ("bytes=0-0,500-509", some(&[(0, 1), (500, 10)])),
        ("bytes=500-509,0-0", some(&[(500, 10), (0, 1)])),
        ("bytes=0-9,5-14", some(&[(0, 15)])),
        ("bytes=0-9,50-59", some(&[(0, 60)])),
        ("bytes=0-0,300-300,100-250", some(&[(0, 1), (100, 201)])),
        ("bytes=0-9,1000-", some(&[(0, 10)])),
        ("bytes=0-99999999999999999999999999", some(&[(0, 1000)])),
        ("bytes=0-400,600-", some(&[(0, 401), (600, 400)])),
        ("bytes=0-500,-600", some(&[(0, 1000)])),
        ("bytes=1000-", Unsatisfiable),
        ("bytes=-0", Unsatisfiable),
        ("bytes=99999999999999999999999999-", Unsatisfiable),
        ("bytes=", Whole),
        ("bytes=a-b", Whole),
        ("bytes=5-2", Whole),
        ("bytes=1", Whole),
        ("bytes=+1-2", Whole),
        ("lines=0-1", Whole),
        ("bytes=0-0,x", Whole),
    ];
    for (field, expected) in table {
        assert_eq!(ranges_of(field.as_bytes(), 1000), expected, "{field}");
    }
    assert_eq!(ranges_of(b"bytes=0-", 0), Unsatisfiable);
    let many = (0..40).map(|i| format!("{}-{}", i * 200, i * 200)).collect::<Vec<_>>().join(",");
    assert_eq!(ranges_of(format!("bytes={many}").as_bytes(), 100_000), Whole, "too many ranges");
}

/// Every byte that was asked for is answered, once, and no byte that was far from all of them.
#[test]
fn merged_ranges_cover_what_was_asked_for() {
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..2000 {
        let asked: Vec<(u64, u64)> =
            (0..=random(6)).map(|_| (random(2000), random(300))).map(|(a, b)| (a, a + b)).collect();
        let field = asked.iter().map(|(a, b)| format!("{a}-{b}")).collect::<Vec<_>>().join(",");
        let Asked::Ranges(ranges) = ranges_of(format!("bytes={field}").as_bytes(), 100_000) else {
            panic!("{field}");
        };
        let mut times = vec![0_u8; 3000];
        for (first, length) in ranges {
            times[first as usize..(first + length) as usize].iter_mut().for_each(|count| *count += 1);
        }
        assert!(times.iter().all(|&count| count <= 1), "{field}: sent twice");
        for (first, last) in asked {
            assert!(
                times[first as usize..=last as usize].iter().all(|&count| count == 1),
                "{field}: missing"
            );
        }
    }
}

#[test]
fn dates_are_read_in_their_three_forms() {
    let table: [(&str, Option<u64>); 12] = [
        (MODIFIED, Some(784_111_777)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
        ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
        ("Sunday, 06-Nov-20 08:49:37 GMT", Some(1_604_652_577)),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Nov 1994 24:49:37 GMT", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Wed, 31 Dec 1969 23:59:59 GMT", None),
        ("784111777", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(parse_date(text.as_bytes()), expected, "{text}");
    }
    for seconds in (0..4_000_000_000_u64).step_by(86_399 * 7) {
        assert_eq!(parse_date(HttpDate::from_unix(seconds).as_bytes()), Some(seconds));
    }
}

#[test]
fn conditions_are_judged_in_their_order() {
    use Verdict::*;
    let etag = FILE.etag();
    let etag = etag.as_str();
    let weak = format!("W/{etag}");
    let list = format!("\"a,b\", {etag}");
    let (go, no_range) = (Proceed { ranges_count: true }, Proceed { ranges_count: false });
    let earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Verdict);
    let table: [Row<'_>; 24] = [
        ("GET", &[], go),
        ("GET", &[("if-none-match", etag)], NotModified),
        ("HEAD", &[("if-none-match", etag)], NotModified),
        ("POST", &[("if-none-match", etag)], Failed),
        ("GET", &[("if-none-match", &weak)], NotModified),
        ("GET", &[("if-none-match", &list)], NotModified),
        ("GET", &[("if-none-match", "\"x\""), ("if-none-match", etag)], NotModified),
        ("GET", &[("if-none-match", "*")], NotModified),
        ("GET", &[("if-none-match", "\"x\"")], go),
        ("GET", &[("if-none-match", "x, \"y")], go),
        ("GET", &[("if-none-match", "\"x\""), ("if-modified-since", MODIFIED)], go),
        ("GET", &[("if-modified-since", MODIFIED)], NotModified),
        ("GET", &[("if-modified-since", earlier)], go),
        ("GET", &[("if-modified-since", "yesterday")], go),
        ("POST", &[("if-modified-since", MODIFIED)], go),
        ("GET", &[("if-match", etag)], go),
        ("GET", &[("if-match", "*")], go),
        ("GET", &[("if-match", &weak)], Failed),
        ("GET", &[("if-match", "\"x\""), ("if-none-match", etag)], Failed),
        ("GET", &[("if-match", etag), ("if-unmodified-since", earlier)], go),
        ("GET", &[("if-unmodified-since", earlier)], Failed),
        ("GET", &[("if-unmodified-since", MODIFIED)], go),
        ("GET", &[("if-range", etag)], go),
        ("GET", &[("if-range", &weak)], no_range),
    ];
    for (method, fields, expected) in table {
        assert_eq!(
            check(&head_of(method, fields), etag.as_bytes(), FILE.modified),
            expected,
            "{method} {fields:?}"
        );
    }
    for (date, counts) in [(MODIFIED, true), (earlier, false), ("Sun, 06 Nov 1994 08:49:38 GMT", false)] {
        let head = head_of("GET", &[("if-range", date)]);
        assert_eq!(check(&head, etag.as_bytes(), FILE.modified), Proceed { ranges_count: counts }, "{date}");
    }
}

fn lines_of(answer: &Answer) -> String {
    String::from_utf8_lossy(answer.fields.lines()).into_owned()
}

#[test]
fn whole_file_is_answered_with_its_validators() {
    let answer = plan(&head_of("GET", &[]), &FILE, &Settings::default(), "b");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.pieces, [Piece::File { offset: 0, length: 1000 }]);
    assert_eq!(answer.fields.content_length(), Some(1000));
    let lines = lines_of(&answer);
    for line in [
        "accept-ranges: bytes\r\n",
        &format!("etag: {}\r\n", FILE.etag()),
        &format!("last-modified: {MODIFIED}\r\n"),
        "content-type: text/plain; charset=utf-8\r\n",
    ] {
        assert!(lines.contains(line), "{line} in {lines}");
    }
    assert!(!lines.contains("vary"));
}

#[test]
fn coded_file_says_so_and_has_a_tag_of_its_own() {
    let coded = Representation { coding: Some(Coding::Gzip), ..FILE };
    assert_ne!(coded.etag(), FILE.etag());
    let settings = Settings { has_codings: true, ..Settings::default() };
    let answer = plan(&head_of("GET", &[]), &coded, &settings, "b");
    let lines = lines_of(&answer);
    assert!(lines.contains("content-encoding: gzip\r\n") && lines.contains("vary: accept-encoding\r\n"));
    let tag = coded.etag();
    let not_modified = plan(&head_of("GET", &[("if-none-match", &tag)]), &coded, &settings, "b");
    assert_eq!(not_modified.status, 304);
    let lines = lines_of(&not_modified);
    assert!(lines.contains("vary: accept-encoding\r\n") && lines.contains(&tag), "{lines}");
    assert!(!lines.contains("content-type") && not_modified.pieces.is_empty());
}

#[test]
fn ranges_are_answered_for_get_alone() {
    let field = [("range", "bytes=10-19")];
    let answer = plan(&head_of("GET", &field), &FILE, &Settings::default(), "b");
    assert_eq!((answer.status, answer.fields.content_length()), (206, Some(10)));
    assert_eq!(answer.pieces, [Piece::File { offset: 10, length: 10 }]);
    assert!(lines_of(&answer).contains("content-range: bytes 10-19/1000\r\n"));
    assert_eq!(plan(&head_of("HEAD", &field), &FILE, &Settings::default(), "b").status, 200);
    let outside = plan(&head_of("GET", &[("range", "bytes=1000-")]), &FILE, &Settings::default(), "b");
    assert_eq!(outside.status, 416);
    assert!(lines_of(&outside).contains("content-range: bytes */1000\r\n"));
    let changed = [("range", "bytes=10-19"), ("if-range", "\"old\"")];
    assert_eq!(plan(&head_of("GET", &changed), &FILE, &Settings::default(), "b").status, 200);
}

#[test]
fn several_ranges_are_parts_whose_length_is_told() {
    let answer = plan(&head_of("GET", &[("range", "bytes=0-1,500-501")]), &FILE, &Settings::default(), "xyz");
    let mut body = Vec::new();
    for piece in &answer.pieces {
        match piece {
            Piece::Bytes(bytes) => body.extend_from_slice(bytes),
            Piece::File { length, .. } => body.extend(std::iter::repeat_n(b'.', *length as usize)),
        }
    }
    let expected = "--xyz\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 0-1/1000\r\n\r\n..\r\n\
                    --xyz\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 500-501/1000\r\n\r\n..\r\n\
                    --xyz--\r\n";
    assert_eq!(String::from_utf8_lossy(&body), expected);
    assert_eq!(answer.fields.content_length(), Some(body.len() as u64));
    assert!(lines_of(&answer).contains("content-type: multipart/byteranges; boundary=xyz\r\n"));
}
