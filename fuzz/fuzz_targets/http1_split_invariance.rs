//! Invariant: any split of the input gives the same requests, the same bodies and the same verdict (`split_invariance`).
//! The first two bytes choose limits and how many cuts follow; a cut is two bytes; the rest is the input.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use turboapi::http1::{Conn, Event, Limits, RequestHead, Violation};

#[derive(Debug, Default, PartialEq)]
struct Seen {
    requests: Vec<(RequestHead, Vec<u8>, bool)>,
    violation: Option<Violation>,
    left: usize,
}

fuzz_target!(|bytes: &[u8]| {
    let [limits, cuts, rest @ ..] = bytes else { return };
    let limits = match limits % 3 {
        0 => Limits::default(),
        1 => Limits { max_head_bytes: 128, max_fields: 4, max_target_bytes: 16, max_body_bytes: 32 },
        _ => Limits { max_head_bytes: 64, max_fields: 40, max_target_bytes: 40, max_body_bytes: 0 },
    };
    let (cuts, input) = rest.split_at(usize::from(cuts % 8) * 2 % (rest.len() + 1));
    let whole = read(limits, [input]);

    let mut places: Vec<_> = cuts.chunks(2).map(place).map(|at| at % (input.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places.into_iter().chain([input.len()]) {
        pieces.push(&input[from..place]);
        from = place;
    }
    assert_eq!(whole, read(limits, pieces));
    assert_eq!(whole, read(limits, input.chunks(1)));
});

fn place(cut: &[u8]) -> usize {
    cut.iter().fold(0, |place, byte| place << 8 | usize::from(*byte))
}

fn read<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut conn = Conn::new(limits);
    let mut input = BytesMut::new();
    let mut seen = Seen::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match conn.next_event(&mut input) {
                Ok(Event::NeedMore) => break,
                Ok(Event::Head(head)) => {
                    let ended = conn.is_drained();
                    seen.requests.push((head, Vec::new(), ended));
                }
                Ok(Event::Body(piece)) => {
                    let (_, body, ended) = seen.requests.last_mut().expect("a body follows a head");
                    assert!(!piece.is_empty() && !*ended);
                    body.extend_from_slice(&piece);
                    assert!(limits.max_body_bytes == 0 || body.len() as u64 <= limits.max_body_bytes);
                }
                Ok(Event::BodyEnd) => seen.requests.last_mut().expect("an end follows a head").2 = true,
                Err(violation) => {
                    seen.violation = Some(violation);
                    return seen;
                }
            }
        }
    }
    seen.left = input.len();
    seen
}
