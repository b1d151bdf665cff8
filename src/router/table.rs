//! The routes of one method: a matchit tree, kept to the order of insertion.
//!
//! matchit finds the most specific route in the time that the path takes to read. Starlette takes the first one
//! inserted. Both are had: each member knows its rivals, the earlier members that may take the same path; they are
//! asked first. What the tree cannot hold is found by asking all members in order, as Starlette does.

use super::params::Spans;
use super::{Pattern, Route};

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Holds indexes into `members`.
    tree: matchit::Router<u32>,
    /// In the order of insertion.
    members: Vec<Member>,
    /// The tree may miss a path of some member: its misses prove nothing.
    has_unplaced: bool,
}

#[derive(Clone, Debug)]
struct Member {
    /// Index into the router's routes.
    route: u32,
    /// Routes of earlier members that may match the same path, in order.
    rivals: Vec<u32>,
    /// What the tree finds for this member is a match only if its convertors accept the parameters.
    is_choosy: bool,
}

impl Table {
    /// Adds a route behind all others.
    pub(super) fn insert<T>(&mut self, route: u32, routes: &[Route<T>]) {
        let pattern = &routes[route as usize].pattern;
        let earlier = self.members.iter().map(|member| member.route);
        let rivals = earlier.filter(|&earlier| routes[earlier as usize].pattern.may_meet(pattern)).collect();
        let member = self.members.len() as u32;
        self.members.push(Member { route, rivals, is_choosy: pattern.is_choosy() });
        if !self.place(pattern, member) {
            self.has_unplaced = true;
        }
    }

    /// The first route in order that matches the path.
    pub(super) fn find<T>(&self, routes: &[Route<T>], path: &str, spans: &mut Spans) -> Option<u32> {
        match self.tree.at(path) {
            Ok(hit) => {
                let member = &self.members[*hit.value as usize];
                let first =
                    member.rivals.iter().find(|&&rival| routes[rival as usize].pattern.find(path, spans));
                if let Some(first) = first {
                    return Some(*first);
                }
                let pattern = &routes[member.route as usize].pattern;
                let ranges = hit.params.iter().map(|(_, value)| range_in(path, value));
                spans.fill(ranges, pattern.params().len(), path.len());
                if !member.is_choosy || pattern.accepts(path, spans) {
                    return Some(member.route);
                }
            }
            Err(_) if !self.has_unplaced => return None,
            Err(_) => {}
        }
        // Not placed, or refused by a convertor, which the tree does not know.
        self.members().find(|&route| routes[route as usize].pattern.find(path, spans))
    }

    /// Routes in order.
    pub(super) fn members(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.iter().map(|member| member.route)
    }

    /// False when the tree may miss a path of the pattern.
    fn place(&mut self, pattern: &Pattern, member: u32) -> bool {
        match pattern.tree_paths() {
            None => false,
            Some((path, None)) => self.put(path, member),
            Some((path, Some(without_rest))) => {
                // A pattern in the way of `{*r}` may be one of a single segment: finding it proves nothing.
                let placed = self.tree.insert(path, member).is_ok();
                self.put(without_rest, member) && placed
            }
        }
    }

    /// Puts a path without `{*r}` into the tree. True too if an earlier member is found wherever this one would be: no
    /// literal text is `{p}`, so that the path as text is only found by a member that takes anything in that place.
    fn put(&mut self, path: String, member: u32) -> bool {
        self.tree.insert(path.clone(), member).is_ok() || self.tree.at(&path).is_ok()
    }
}

/// Where `part`, a slice of `path`, lies in it.
fn range_in(path: &str, part: &str) -> (usize, usize) {
    let start = part.as_ptr() as usize - path.as_ptr() as usize;
    (start, start + part.len())
}
