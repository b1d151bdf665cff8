//! Tables of what is found, refused, allowed; and the router against the regular expressions that Starlette makes.

use super::*;
use proptest::prelude::*;

fn router(routes: &[(&'static str, &'static str)]) -> Router<&'static str> {
    let mut router = Router::new();
    for (method, pattern) in routes {
        router.insert(method, pattern, *pattern).expect("the routes of a test are allowed");
    }
    router
}

/// The pattern found and its parameters as `name=value`; else `405 Allow`, or `404`.
fn ask(router: &Router<&'static str>, method: &str, path: &str) -> String {
    match router.find(method.as_bytes(), path) {
        Found::Route(pattern, params) => {
            let params = params.iter().map(|(name, value)| format!(" {name}={value}"));
            std::iter::once(pattern.to_string()).chain(params).collect()
        }
        Found::MethodNotAllowed(allow) => format!("405 {}", allow.escape_ascii()),
        Found::NotFound => "404".to_owned(),
    }
}

#[test]
fn route_found_with_its_params_when_pattern_matches() {
    let table = [
        ("/", "/", "/"),
        ("/a", "/a/", "404"),
        ("/a/", "/a", "404"),
        ("/items/{id}", "/items/7", "/items/{id} id=7"),
        ("/items/{id}", "/items/", "404"),
        ("/items/{id}", "/items/7/", "404"),
        ("/items/{id:int}", "/items/7", "/items/{id:int} id=7"),
        ("/items/{id:int}", "/items/x", "404"),
        ("/f/{x:float}", "/f/1.5", "/f/{x:float} x=1.5"),
        ("/f/{x:float}", "/f/1.", "404"),
        ("/u/{u:uuid}", "/u/0-0", "404"),
        (
            "/u/{u:uuid}",
            "/u/12345678-1234-1234-1234-123456789abc",
            "/u/{u:uuid} u=12345678-1234-1234-1234-123456789abc",
        ),
        ("/files/{p:path}", "/files/a/b", "/files/{p:path} p=a/b"),
        ("/files/{p:path}", "/files/", "/files/{p:path} p="),
        ("/files/{p:path}", "/files", "404"),
        ("/files/{*p}", "/files/a/b", "/files/{*p} p=a/b"),
        ("/files/{p:path}/meta", "/files/a/b/meta", "/files/{p:path}/meta p=a/b"),
        ("/files/{p:path}/meta", "/files/meta", "404"),
        ("/{p:path}", "/", "/{p:path} p="),
        ("/img-{n}.png", "/img-7.png", "/img-{n}.png n=7"),
        ("/img-{n}.png", "/img-.png", "404"),
        ("/{a}/{b}/{c}/{d}", "/1/2/3/4", "/{a}/{b}/{c}/{d} a=1 b=2 c=3 d=4"),
        ("/{not a name}", "/{not a name}", "/{not a name}"),
        ("/ä/{x}", "/ä/ö", "/ä/{x} x=ö"),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(ask(&router(&[("GET", pattern)]), "GET", path), expected, "{pattern} {path}");
    }
}

#[test]
fn first_route_wins_when_several_match() {
    let table: [(&[&'static str], &str, &str); 6] = [
        (&["/users/me", "/users/{id}"], "/users/me", "/users/me"),
        (&["/users/{id}", "/users/me"], "/users/me", "/users/{id} id=me"),
        (&["/users/{id:int}", "/users/me"], "/users/me", "/users/me"),
        (&["/{a}/x", "/y/{b}"], "/y/x", "/{a}/x a=y"),
        (&["/{p:path}", "/a"], "/a", "/{p:path} p=a"),
        (&["/{id:int}", "/{name}"], "/x", "/{name} name=x"),
    ];
    for (patterns, path, expected) in table {
        let routes: Vec<_> = patterns.iter().map(|pattern| ("GET", *pattern)).collect();
        assert_eq!(ask(&router(&routes), "GET", path), expected, "{patterns:?} {path}");
    }
}

#[test]
fn method_refused_with_allow_when_path_has_other_methods() {
    let router = router(&[("POST", "/a"), ("GET", "/{x}"), ("HEAD", "/own"), ("DELETE", "/a")]);
    assert_eq!(ask(&router, "PUT", "/a"), "405 POST, GET, HEAD, DELETE");
    assert_eq!(ask(&router, "PUT", "/own"), "405 GET, HEAD");
    assert_eq!(ask(&router, "get", "/a"), "405 POST, GET, HEAD, DELETE");
    assert_eq!(ask(&router, "PUT", "/a/b"), "404");
}

#[test]
fn head_uses_get_unless_it_has_a_route() {
    let router = router(&[("GET", "/{x}"), ("HEAD", "/own")]);
    assert_eq!(ask(&router, "HEAD", "/a"), "/{x} x=a");
    assert_eq!(ask(&router, "HEAD", "/own"), "/own");
}

#[test]
fn head_refused_when_kept_apart() {
    let mut router = Router::with_head_apart();
    router.insert("GET", "/", "/").expect("allowed");
    assert_eq!(ask(&router, "HEAD", "/"), "405 GET");
}

#[test]
fn any_method_finds_route_in_its_order() {
    let mut router = Router::new();
    router.insert("GET", "/a", "get").expect("allowed");
    router.insert_any("/{p:path}", "any").expect("allowed");
    router.insert("GET", "/b", "late").expect("allowed");
    assert_eq!(ask(&router, "GET", "/a"), "get");
    assert_eq!(ask(&router, "PUT", "/a"), "any p=a");
    assert_eq!(ask(&router, "GET", "/b"), "any p=b");
}

#[test]
fn pattern_refused_by_name_when_it_cannot_be_held() {
    use RouteFault::*;
    let table = [
        ("", NoLeadingSlash),
        ("a", NoLeadingSlash),
        ("/{a:date}", UnknownConvertor("date".into())),
        ("/{a}/{a}", RepeatedParam("a".into())),
        ("/{a}.{b}", ManyParamsInSegment("{a}.{b}".into())),
        ("/{a:path}/{b:path}", ManyPathParams),
        ("/a/b/c/d/e/f/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}", TooManyParams),
    ];
    for (pattern, fault) in table {
        assert_eq!(Router::new().insert("GET", pattern, ()).err(), Some(fault), "{pattern}");
    }
    assert_eq!(Router::new().insert("G T", "/", ()).err(), Some(Method));
}

#[test]
fn route_refused_when_an_earlier_one_takes_all_its_paths() {
    let mut router = router(&[("GET", "/a/{x}")]);
    assert_eq!(router.insert("GET", "/a/{y:int}", ""), Err(RouteFault::Shadowed("/a/{x}".into())));
    assert_eq!(router.insert("GET", "/a/{x}", ""), Err(RouteFault::Shadowed("/a/{x}".into())));
    assert_eq!(router.insert("POST", "/a/{x}", ""), Ok(()));
    assert_eq!(router.iter().count(), 2);
}

/// Starlette's `compile_path`.
fn starlette_regex(pattern: &str) -> regex::Regex {
    let param = regex::Regex::new("\\{([a-zA-Z_][a-zA-Z0-9_]*)(:[a-zA-Z_][a-zA-Z0-9_]*)?\\}").expect("fixed");
    let (mut made, mut at) = ("^".to_owned(), 0);
    for found in param.captures_iter(pattern) {
        let whole = found.get(0).expect("group 0");
        made.push_str(&regex::escape(&pattern[at..whole.start()]));
        let part = match found.get(2).map_or(":str", |convertor| convertor.as_str()) {
            ":path" => ".*",
            ":int" => "[0-9]+",
            ":float" => "[0-9]+(?:\\.[0-9]+)?",
            _ => "[^/]+",
        };
        made.push_str(&format!("(?P<{}>{part})", &found[1]));
        at = whole.end();
    }
    made.push_str(&regex::escape(&pattern[at..]));
    made.push('$');
    regex::Regex::new(&made).expect("made of literals and groups")
}

/// `/`-separated segments, parameters numbered so that no name repeats.
fn patterns() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => Just("a".to_owned()), 2 => Just("b".to_owned()), 1 => Just(String::new()), 1 => Just("7".to_owned()),
        4 => Just("{N}".to_owned()), 2 => Just("{N:int}".to_owned()), 1 => Just("{N:float}".to_owned()),
        2 => Just("{N:path}".to_owned()), 1 => Just("a{N}".to_owned()), 1 => Just("{N}b".to_owned()),
        1 => Just("a{N}b".to_owned()), 1 => Just("a{N:path}".to_owned()), 1 => Just("{N:path}b".to_owned()),
    ];
    prop::collection::vec(segment, 1..5).prop_map(|segments| {
        let numbered = segments
            .iter()
            .enumerate()
            .map(|(at, text)| format!("/{}", text.replace('N', &format!("p{at}"))));
        numbered.collect()
    })
}

fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("a"),
        Just("b"),
        Just(""),
        Just("7"),
        Just("7.5"),
        Just("ab"),
        Just("aab"),
        Just("c"),
        Just("ä"),
        Just("{p}")
    ];
    prop::collection::vec(segment, 0..6)
        .prop_map(|segments| segments.iter().map(|text| format!("/{text}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn router_finds_what_starlette_finds(
        patterns in prop::collection::vec(patterns(), 1..8),
        paths in prop::collection::vec(paths(), 1..8),
    ) {
        let mut router = Router::new();
        let mut kept = Vec::new();
        for pattern in &patterns {
            // Refused ones are shadowed, or not held; Starlette would never reach the former.
            if router.insert("GET", pattern, pattern.clone()).is_ok() {
                kept.push((pattern, starlette_regex(pattern)));
            }
        }
        for path in &paths {
            let expected = kept.iter().find_map(|(pattern, regex)| regex.captures(path).map(|found| {
                let names = regex.capture_names().flatten();
                ((*pattern).clone(), names.map(|name| found[name].to_owned()).collect::<Vec<_>>())
            }));
            let found = match router.find(b"GET", path) {
                Found::Route(pattern, params) => {
                    Some((pattern.clone(), params.iter().map(|(_, value)| value.to_owned()).collect()))
                }
                _ => None,
            };
            prop_assert_eq!(found, expected, "{:?} {}", kept, path);
        }
    }
}
