//! Forms, whole and split at every byte; limits; what is refused.

use super::*;
use bytes::BytesMut;

type Part = (PartHead, Vec<u8>);

/// Parses pieces to the end; all that was found, and how it ended.
fn parse(boundary: &[u8], pieces: &[&[u8]], limits: Limits) -> (Vec<Part>, Result<(), Violation>) {
    let mut parser = Parser::new(boundary, limits);
    let mut input = BytesMut::new();
    let mut parts: Vec<Part> = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match parser.next_event(&mut input) {
                Ok(Event::NeedMore | Event::End) => break,
                Ok(Event::Part(head)) => parts.push((head, Vec::new())),
                Ok(Event::Data(data)) => {
                    assert!(!data.is_empty());
                    parts.last_mut().expect("content follows a head").1.extend_from_slice(&data);
                }
                Ok(Event::PartEnd) => {}
                Err(violation) => return (parts, Err(violation)),
            }
        }
    }
    (parts, parser.finish())
}

fn whole(body: &[u8]) -> (Vec<Part>, Result<(), Violation>) {
    parse(b"b", &[body], Limits::default())
}

const FORM: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b x\r\n--bb\r\n\r\r\n-\r\n--b\r\n\
    content-disposition:form-data;name=f; filename=\"C:\\dir\\n.txt\"\r\nContent-Type:   text/plain\r\n\r\n\r\n--b \t\r\n\
    content-disposition: form-data; name=\"e\"\r\n\r\n\r\n--b--\r\nepilogue";

#[test]
fn forms_are_the_same_at_every_split() {
    // After a boundary a space is padding, so this one ends there.
    let form = FORM.to_vec();
    let expected = whole(&form);
    for first in 0..=form.len() {
        let (head, tail) = form.split_at(first);
        let got = parse(b"b", &[head, tail], Limits::default());
        assert_eq!(got.1, expected.1, "split at {first}");
        if expected.1.is_ok() {
            assert_eq!(got.0, expected.0, "split at {first}");
        }
    }
    let bytes: Vec<&[u8]> = form.chunks(1).collect();
    assert_eq!(parse(b"b", &bytes, Limits::default()).1, expected.1);
}

#[test]
fn parts_have_names_files_and_content() {
    let form = b"\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--bb\r\n\r\r\n-\r\n--b\r\n\
        content-disposition:form-data;name=f; filename=\"C:\\dir\\n.txt\"\r\nContent-Type:   text/plain\r\n\r\n\r\n--b \t\r\n\
        content-disposition: form-data; name=\"e\"\r\n\r\nx\r\n--b--\r\nepilogue";
    for size in 1..=form.len() {
        let pieces: Vec<&[u8]> = form.chunks(size).collect();
        let (parts, ended) = parse(b"b", &pieces, Limits::default());
        assert_eq!(ended, Ok(()), "pieces of {size}");
        type Seen<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);
        let seen: Vec<Seen<'_>> = parts
            .iter()
            .map(|(head, content)| (&head.name[..], head.filename.as_deref(), &content[..]))
            .collect();
        let expected: [Seen<'_>; 3] =
            [(b"a", None, b"1\r\n--bb\r\n\r\r\n-"), (b"f", Some(b"n.txt"), b""), (b"e", None, b"x")];
        assert_eq!(seen, expected, "pieces of {size}");
        assert_eq!(parts[1].0.fields[1], (b"content-type".to_vec(), b"text/plain".to_vec()));
    }
}

#[test]
fn broken_forms_are_refused_by_name() {
    use Violation::*;
    let table: [(&[u8], Violation); 14] = [
        (b"", Truncated),
        (b"x", BadFirstLine),
        (b"--c\r\n", BadFirstLine),
        (b"--bx", BadFirstLine),
        (b"--b\rx", BadFirstLine),
        (b"--b-x", BadFirstLine),
        (b"--b\r\n\r\n", MissingName),
        (b"--b\r\ncontent-disposition: form-data\r\n\r\n", MissingName),
        (b"--b\r\nno field\r\n", BadPartField),
        (b"--b\r\n: x\r\n", BadPartField),
        (b"--b\r\na b: x\r\n", BadPartField),
        (b"--b\r\na: x\rb\r\n", BadPartField),
        (b"--b\r\ncontent-disposition: x; name=a\r\n\r\n1\r\n--b x\r\n", BadDelimiter),
        (b"--b\r\ncontent-disposition: x; name=a\r\n\r\n1\r\n--b", Truncated),
    ];
    for (form, expected) in table {
        for size in 1..=form.len().max(1) {
            let pieces: Vec<&[u8]> = form.chunks(size).collect();
            let (_, ended) = parse(b"b", &pieces, Limits::default());
            assert_eq!(ended, Err(expected), "{} in pieces of {size}", form.escape_ascii());
        }
    }
}

#[test]
fn limits_are_exact_at_every_split() {
    let limits = Limits { max_parts: 2, max_part_head_bytes: 50, max_field_bytes: 5, max_file_bytes: 3 };
    let part =
        |head: &str, content: &str| format!("--b\r\ncontent-disposition: x; {head}\r\n\r\n{content}\r\n");
    let table = [
        (part("name=a", "12345"), Ok(())),
        (part("name=a", "123456"), Err(Violation::FieldTooLarge)),
        (part("name=a;filename=f", "123"), Ok(())),
        (part("name=a;filename=f", "1234"), Err(Violation::FileTooLarge)),
        (part(&format!("name={}", "a".repeat(17)), ""), Ok(())),
        (part(&format!("name={}", "a".repeat(18)), ""), Err(Violation::PartHeadTooLarge)),
        (part("name=a", "").repeat(2), Ok(())),
        (part("name=a", "").repeat(3), Err(Violation::TooManyParts)),
        (format!("--b\r\n{}", "x".repeat(51)), Err(Violation::PartHeadTooLarge)),
    ];
    for (form, expected) in table {
        let form = form + "--b--";
        for size in 1..=form.len() {
            let pieces: Vec<&[u8]> = form.as_bytes().chunks(size).collect();
            assert_eq!(parse(b"b", &pieces, limits).1, expected, "{form:?} in pieces of {size}");
        }
    }
}

#[test]
fn fields_of_one_head_are_at_most_eight() {
    let form = |count: usize| {
        let fields = "x: y\r\n".repeat(count - 1);
        format!("--b\r\ncontent-disposition: x; name=a\r\n{fields}\r\n--b--\r\n--b--")
    };
    assert_eq!(whole(form(8).as_bytes()).1, Ok(()));
    assert_eq!(whole(form(9).as_bytes()).1, Err(Violation::PartHeadTooLarge));
}

#[test]
fn options_are_split_and_unquoted() {
    let table: [(&str, &[(&str, &str)]); 12] = [
        ("form-data", &[]),
        ("form-data; name=a", &[("name", "a")]),
        ("form-data;NAME = \"a b\" ; filename=\"x;y\"", &[("name", "a b"), ("filename", "x;y")]),
        ("x; name=\"a\\\"b\\\\c\"", &[("name", "a\"b\\c")]),
        ("x; name=\"a\\\";\"; b=c", &[("name", "a\";"), ("b", "c")]),
        ("x; filename*=utf-8''y; filename=z", &[("filename", "z")]),
        ("x; filename=\"C:\\a\\b.txt\"", &[("filename", "b.txt")]),
        ("x; filename=\"\\\\\\\\host\\b.txt\"", &[("filename", "b.txt")]),
        ("x; name=", &[("name", "")]),
        ("x; name=\"", &[("name", "\"")]),
        ("x;;a=b", &[("", ""), ("a", "b")]),
        ("", &[]),
    ];
    for (text, expected) in table {
        let options = parse_options(text.as_bytes());
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
            .collect();
        let options: Vec<_> = options.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(options, expected, "{text}");
    }
}

#[test]
fn boundary_is_taken_from_the_content_type() {
    let table: [(&str, Result<&[u8], Violation>); 6] = [
        ("multipart/form-data; boundary=abc", Ok(b"abc")),
        ("multipart/form-data; Boundary=\"a;c\"; charset=utf-8", Ok(b"a;c")),
        ("multipart/form-data; boundary=", Ok(b"")),
        ("multipart/form-data", Err(Violation::MissingBoundary)),
        ("multipart/form-data; charset=x", Err(Violation::MissingBoundary)),
        ("", Err(Violation::MissingBoundary)),
    ];
    for (text, expected) in table {
        assert_eq!(boundary_of(text.as_bytes()), expected.map(<[u8]>::to_vec), "{text}");
    }
    let long = format!("multipart/form-data; boundary={}", "a".repeat(257));
    assert_eq!(boundary_of(long.as_bytes()), Err(Violation::BoundaryTooLong));
}
