//! Invariant: the router finds the route, with the parameters, that trying all patterns in order finds first.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use turboapi::router::{Convertor, Found, Pattern, RouteFault, Router};

#[derive(Arbitrary, Debug)]
struct Case {
    routes: Vec<(u8, Vec<Part>)>,
    raw: Option<String>,
    asked: Vec<(u8, Vec<u8>)>,
}

#[derive(Arbitrary, Debug)]
enum Part {
    Text(u8),
    Param(u8),
    Around(u8, u8, u8),
}

const TEXTS: [&str; 12] = ["a", "b", "", "7", "ab", "aab", "7.5", "{p}", "{", "ä", "a{p}b", "-"];
const CONVERTORS: [&str; 7] = ["", "", ":str", ":int", ":float", ":path", ":uuid"];
const METHODS: [&str; 4] = ["GET", "POST", "HEAD", "*any"];

fuzz_target!(|case: Case| {
    let mut router = Router::new();
    let mut kept: Vec<(&str, Pattern, usize)> = Vec::new();
    let patterns = case.routes.iter().map(|(method, parts)| (*method, pattern_text(parts)));
    for (method, text) in patterns.chain(case.raw.map(|raw| (0, raw))) {
        let method = METHODS[usize::from(method) % METHODS.len()];
        let number = kept.len();
        let inserted = match method {
            "*any" => router.insert_any(&text, number),
            _ => router.insert(method, &text, number),
        };
        match inserted {
            Ok(()) => kept.push((method, Pattern::parse(&text).expect("inserted"), number)),
            Err(RouteFault::Shadowed(by)) => assert!(kept.iter().any(|(_, pattern, _)| pattern.text() == by)),
            Err(fault) => assert_eq!(Pattern::parse(&text).err(), Some(fault)),
        }
    }
    for (method, parts) in case.asked.iter().take(16) {
        let parts = &parts[..parts.len().min(12)]; // The naive search backtracks.
        let method = ["GET", "POST", "HEAD", "PUT"][usize::from(*method) % 4];
        let path: String =
            parts.iter().map(|part| format!("/{}", TEXTS[usize::from(*part) % TEXTS.len()])).collect();
        let found = match router.find(method.as_bytes(), &path) {
            Found::Route(number, params) => {
                Some((*number, params.iter().map(|(_, value)| value.to_owned()).collect()))
            }
            Found::MethodNotAllowed(allow) => {
                assert!(!allow.is_empty());
                assert!(kept.iter().any(|(_, pattern, _)| naive(pattern, &path).is_some()));
                None
            }
            Found::NotFound => {
                assert!(
                    kept.iter().all(|(_, pattern, _)| naive(pattern, &path).is_none()),
                    "404 of {path:?}: {kept:?}"
                );
                None
            }
        };
        let mut expected = first(&kept, method, &path);
        if expected.is_none() && method == "HEAD" {
            expected = first(&kept, "GET", &path);
        }
        assert_eq!(found, expected, "{method} {path:?} among {kept:?}");
    }
});

fn pattern_text(parts: &[Part]) -> String {
    let param =
        |at: usize, kind: &u8| format!("{{p{at}{}}}", CONVERTORS[usize::from(*kind) % CONVERTORS.len()]);
    let text = |kind: &u8| TEXTS[usize::from(*kind) % TEXTS.len()];
    let segments = parts.iter().enumerate().map(|(at, part)| match part {
        Part::Text(kind) => format!("/{}", text(kind)),
        Part::Param(kind) => format!("/{}", param(at, kind)),
        Part::Around(before, kind, after) => format!("/{}{}{}", text(before), param(at, kind), text(after)),
    });
    segments.collect()
}

fn first(kept: &[(&str, Pattern, usize)], method: &str, path: &str) -> Option<(usize, Vec<String>)> {
    let mut own = kept.iter().filter(|(own, _, _)| *own == method || *own == "*any");
    own.find_map(|(_, pattern, number)| naive(pattern, path).map(|params| (*number, params)))
}

/// Tries the pattern's text against the path by backtracking, as a regular expression would.
fn naive(pattern: &Pattern, path: &str) -> Option<Vec<String>> {
    let mut params = Vec::new();
    let mut names = pattern.params();
    // The text between the parameters, and the parameters, in order.
    let mut parts = Vec::new();
    let mut rest = pattern.text();
    while let Some((name, convertor)) = names.next() {
        let at = place(rest, name);
        let close = at + rest[at..].find('}')?;
        parts.push((&rest[..at], Some(convertor)));
        rest = &rest[close + 1..];
    }
    parts.push((rest, None));
    matches(&parts, path, &mut params).then_some(params)
}

/// Where the parameter of that name begins.
fn place(text: &str, name: &str) -> usize {
    let forms = [format!("{{{name}}}"), format!("{{{name}:"), format!("{{*{name}}}")];
    forms.iter().filter_map(|form| text.find(form.as_str())).min().expect("the pattern has its parameters")
}

fn matches(parts: &[(&str, Option<Convertor>)], path: &str, params: &mut Vec<String>) -> bool {
    let Some(((text, convertor), after)) = parts.split_first() else { return path.is_empty() };
    let Some(path) = path.strip_prefix(text) else { return false };
    let Some(convertor) = convertor else { return path.is_empty() };
    // Greedy: the longest value first.
    let ends = path.char_indices().map(|(at, _)| at).chain([path.len()]).collect::<Vec<_>>();
    for end in ends.into_iter().rev() {
        if !accepts(*convertor, &path[..end]) {
            continue;
        }
        params.push(path[..end].to_owned());
        if matches(after, &path[end..], params) {
            return true;
        }
        params.pop();
    }
    false
}

fn accepts(convertor: Convertor, value: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match convertor {
        Convertor::Path => true,
        Convertor::Str => !value.is_empty() && !value.contains('/'),
        Convertor::Int => is_digits(value),
        Convertor::Float => {
            is_digits(value)
                || value.split_once('.').is_some_and(|(whole, part)| is_digits(whole) && is_digits(part))
        }
        Convertor::Uuid => {
            let hex: String = value.chars().filter(|digit| *digit != '-').collect();
            let hyphens = value.match_indices('-').map(|(at, _)| value[..at].replace('-', "").len());
            hex.len() == 32
                && hex.bytes().all(|digit| digit.is_ascii_hexdigit())
                && hyphens.clone().all(|before| [8, 12, 16, 20].contains(&before))
                && hyphens.clone().count() == hyphens.collect::<std::collections::BTreeSet<_>>().len()
        }
    }
}
