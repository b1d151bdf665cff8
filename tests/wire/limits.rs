//! Limits: the last size that is let in, the first that is not, and when that is known.

use crate::support::{feed, read_with};
use turboapi::http1::{Limits, Violation};

const LIMITS: Limits =
    Limits { max_head_bytes: 200, max_fields: 5, max_target_bytes: 50, max_body_bytes: 10 };

fn answer(bytes: &str) -> Option<Violation> {
    read_with(LIMITS, bytes.as_bytes()).violation
}

#[test]
fn head_refused_with_431_when_one_byte_too_large() {
    let head = |size: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
        frame.replace("X: ", &format!("X: {}", "x".repeat(size - frame.len())))
    };
    assert_eq!(head(200).len(), 200);
    assert_eq!(answer(&head(200)), None);
    assert_eq!(answer(&head(201)), Some(Violation::HeadTooLarge));
    assert_eq!(answer(&head(201)[..200]), None, "not known before byte 201");
    assert_eq!(Violation::HeadTooLarge.status(), 431);
}

#[test]
fn pipelined_bytes_do_not_count_into_the_head() {
    let two = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(100)
    );
    assert_eq!(read_with(LIMITS, two.repeat(20).as_bytes()).requests.len(), 40);
}

#[test]
fn fields_refused_with_431_when_one_too_many() {
    let head = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(answer(&head(5)), None);
    assert_eq!(answer(&head(6)), Some(Violation::TooManyFields));
    assert_eq!(Violation::TooManyFields.status(), 431);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99));
    assert_eq!(read_with(Limits::default(), many.as_bytes()).requests[0].head.fields().len(), 100);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert_eq!(read_with(Limits::default(), many.as_bytes()).violation, Some(Violation::TooManyFields));
}

#[test]
fn target_refused_with_414_before_its_line_has_ended() {
    let line = |size: usize| format!("GET /{}", "x".repeat(size - 1));
    assert_eq!(answer(&format!("{} HTTP/1.1\r\nHost: a\r\n\r\n", line(50))), None);
    assert_eq!(answer(&line(51)), Some(Violation::TargetTooLong));
    assert_eq!(Violation::TargetTooLong.status(), 414);
}

#[test]
fn body_refused_with_413_at_the_head_when_its_length_is_too_large() {
    let head = |length: u64| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    assert_eq!(answer(&head(10)), None);
    let seen = read_with(LIMITS, head(11).as_bytes());
    assert_eq!((seen.violation, seen.requests.len()), (Some(Violation::BodyTooLarge), 0));
    assert_eq!(Violation::BodyTooLarge.status(), 413);
    let unlimited = Limits { max_body_bytes: 0, ..LIMITS };
    assert_eq!(read_with(unlimited, head(u64::MAX).as_bytes()).violation, None);
}

#[test]
fn first_violation_in_byte_order_is_named_when_there_are_several() {
    // The target is too long and holds a NUL behind that; then the other way round.
    assert_eq!(answer(&format!("GET /{}\0", "x".repeat(60))), Some(Violation::TargetTooLong));
    assert_eq!(answer(&format!("GET /\0{}", "x".repeat(60))), Some(Violation::BadTarget));
    // What the fields mean is judged when the head is whole and well-formed.
    assert_eq!(
        answer("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX: \0\r\n\r\n"),
        Some(Violation::BadFieldValue)
    );
}

#[test]
fn head_of_the_full_size_is_read_when_it_trickles_in() {
    let value = "x".repeat(16 * 1024 - 32);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n");
    assert_eq!(head.len(), 16 * 1024);
    let seen = feed(Limits::default(), head.as_bytes().chunks(1));
    assert_eq!(seen.requests.len(), 1);
}

#[test]
fn limits_may_be_set_as_high_as_they_go() {
    let limits = Limits {
        max_head_bytes: usize::MAX,
        max_fields: usize::MAX,
        max_target_bytes: usize::MAX,
        max_body_bytes: u64::MAX,
    };
    let head = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\n{}Content-Length: 1\r\n\r\nx",
        "x".repeat(100_000),
        "X: y\r\n".repeat(1000)
    );
    let seen = read_with(limits, head.as_bytes());
    assert_eq!((seen.violation, seen.requests[0].head.fields().len()), (None, 1002));
}
