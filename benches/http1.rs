//! Reading request heads and bodies, writing response heads. Each asserts the answer, then times it.

use bytes::{Bytes, BytesMut};
use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use std::hint::black_box;
use turboapi::http1::{
    encode_chunk, encode_full, encode_head, BodyLength, Conn, Event, FieldBlock, HttpDate, Limits,
    ReplyContext, Version,
};

/// What wrk sends.
const SMALL: &[u8] = b"GET /items/7?q=x HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

/// What Chrome sends on a click.
const BROWSER: &[u8] = b"GET /items/7?q=x HTTP/1.1\r\n\
Host: www.example.com\r\n\
Connection: keep-alive\r\n\
Cache-Control: max-age=0\r\n\
sec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-US,en;q=0.9\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

const BATCH: usize = 16;

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    for (name, bytes, fields) in [("small", SMALL, 1), ("browser", BROWSER, 16)] {
        let batch = bytes.repeat(BATCH);
        assert_eq!(read_heads(&mut BytesMut::from(&batch[..])), BATCH * fields);
        // As a connection sees them: read into one buffer that is used again once its heads are gone.
        let mut input = BytesMut::with_capacity(64 * 1024);
        let mut read = |bytes: &[u8]| {
            input.extend_from_slice(bytes);
            read_heads(&mut input)
        };
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("{name}, 16 pipelined"), |bencher| {
            bencher.iter(|| read(black_box(&batch)))
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{name}, alone"), |bencher| bencher.iter(|| read(black_box(bytes))));
        assert_eq!(read_trickled(bytes), 1);
        group.bench_function(format!("{name}, byte by byte"), |bencher| {
            bencher.iter(|| read_trickled(black_box(bytes)))
        });
    }
    group.finish();
}

/// Fields of all heads in the input.
fn read_heads(input: &mut BytesMut) -> usize {
    let mut conn = Conn::new(Limits::default());
    let mut fields = 0;
    while let Ok(Event::Head(head)) = conn.next_event(input) {
        fields += head.fields().len();
    }
    fields
}

/// Heads in bytes that come one by one.
fn read_trickled(bytes: &[u8]) -> usize {
    let mut conn = Conn::new(Limits::default());
    let mut input = BytesMut::with_capacity(bytes.len());
    let mut heads = 0;
    for byte in bytes {
        input.extend_from_slice(&[*byte]);
        heads += usize::from(matches!(conn.next_event(&mut input), Ok(Event::Head(_))));
    }
    heads
}

fn bodies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("body");
    let mut chunked =
        BytesMut::from(&b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"[..]);
    (0..64).for_each(|_| encode_chunk(&mut chunked, &[b'x'; 1024]));
    turboapi::http1::encode_last_chunk(&mut chunked);
    assert_eq!(read_body(&mut chunked.clone()), 64 * 1024);
    group.throughput(Throughput::Bytes(64 * 1024));
    let mut input = BytesMut::with_capacity(chunked.len());
    group.bench_function("64 chunks of 1 KiB", |bencher| {
        bencher.iter(|| {
            input.extend_from_slice(black_box(&chunked));
            read_body(&mut input)
        });
    });
    group.finish();
}

fn read_body(input: &mut BytesMut) -> usize {
    let mut conn = Conn::new(Limits::default());
    let mut size = 0;
    loop {
        match conn.next_event(input) {
            Ok(Event::Head(_)) => {}
            Ok(Event::Body(piece)) => size += piece.len(),
            _ => return size,
        }
    }
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("response");
    let context = ReplyContext { version: Version::Http11, head_only: false, keep_alive: true };
    let date = HttpDate::from_unix(784_111_777);
    let mut out = BytesMut::with_capacity(64 * 1024);

    encode_full(&mut out, &context, 200, b"application/json", b"{\"message\":\"Hello World\"}", &date);
    assert_eq!(
        out,
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\
           date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n{\"message\":\"Hello World\"}"[..]
    );
    group.bench_function("encode_full", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_full(
                &mut out,
                &context,
                200,
                b"application/json",
                black_box(b"{\"message\":\"Hello World\"}"),
                &date,
            )
        });
    });

    let fields = || {
        let mut fields = FieldBlock::new();
        fields.push(b"Content-Type", b"application/json").expect("allowed");
        fields.push(b"X-Request-Id", b"0123456789abcdef").expect("allowed");
        fields.push(b"Cache-Control", b"no-store").expect("allowed");
        fields
    };
    out.clear();
    let block = fields();
    encode_head(&mut out, &context, 200, &block, BodyLength::Known(25), &date);
    assert!(out.ends_with(b"content-length: 25\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"));
    group.bench_function("encode_head, 3 fields", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_head(&mut out, &context, 200, black_box(&block), BodyLength::Known(25), &date)
        });
    });
    group.bench_function("push 3 fields", |bencher| bencher.iter(fields));

    let body = Bytes::from(vec![b'x'; 1024]);
    out.clear();
    encode_chunk(&mut out, &body);
    assert_eq!(out.len(), 1024 + 5 + 2);
    group.bench_function("encode_chunk of 1 KiB", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_chunk(&mut out, black_box(&body));
        });
    });
    assert_eq!(&HttpDate::from_unix(784_111_777), &date);
    group.bench_function("date", |bencher| bencher.iter(|| HttpDate::from_unix(black_box(784_111_777))));
    group.finish();
}

criterion_group!(benches, heads, bodies, responses);
criterion_main!(benches);
