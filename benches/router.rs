//! Finding routes. Each asserts the answer, then times it.

use criterion::{criterion_group, criterion_main, Criterion};
use std::hint::black_box;
use turboapi::router::{Found, Router};

/// An API of the usual kind: 8 resources, 6 routes each, and a file tree.
fn api() -> Router<u32> {
    let mut router = Router::new();
    let mut next = 0;
    let mut add = |method, pattern: &str| {
        router.insert(method, pattern, next).expect("no route of this API takes another's paths");
        next += 1;
    };
    add("GET", "/");
    for resource in ["users", "items", "orders", "invoices", "teams", "roles", "events", "reports"] {
        add("GET", &format!("/api/v1/{resource}"));
        add("POST", &format!("/api/v1/{resource}"));
        add("GET", &format!("/api/v1/{resource}/mine"));
        add("GET", &format!("/api/v1/{resource}/{{id}}"));
        add("DELETE", &format!("/api/v1/{resource}/{{id:int}}"));
        add("GET", &format!("/api/v1/{resource}/{{id}}/parts/{{part}}"));
    }
    add("GET", "/files/{path:path}");
    router
}

/// Number of the route and sum of the sizes of its parameters.
fn ask(router: &Router<u32>, method: &[u8], path: &str) -> Option<(u32, usize)> {
    match router.find(method, path) {
        Found::Route(number, params) => Some((*number, params.iter().map(|(_, value)| value.len()).sum())),
        _ => None,
    }
}

fn finds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    let router = api();
    type Row = (&'static str, &'static [u8], &'static str, Option<(u32, usize)>);
    let table: [Row; 8] = [
        ("root", b"GET", "/", Some((0, 0))),
        ("literal", b"GET", "/api/v1/reports", Some((43, 0))),
        ("one parameter, with a rival", b"GET", "/api/v1/orders/42", Some((16, 2))),
        ("int parameter", b"DELETE", "/api/v1/orders/42", Some((17, 2))),
        ("two parameters", b"GET", "/api/v1/orders/42/parts/7", Some((18, 3))),
        ("path parameter", b"GET", "/files/a/b/c.txt", Some((49, 9))),
        ("none", b"GET", "/api/v2/orders", None),
        ("other method", b"PATCH", "/api/v1/orders/42", None),
    ];
    for (name, method, path, expected) in table {
        assert_eq!(ask(&router, method, path), expected, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| ask(&router, method, black_box(path))));
    }
    group.finish();
}

criterion_group!(benches, finds);
criterion_main!(benches);
