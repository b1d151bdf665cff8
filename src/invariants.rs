//! The invariants of the design, as checks that the library makes of itself.
//!
//! Owns: what becomes of a broken one, and the small states that checks keep ([`Stamp`], [`Times`], [`Owner`], [`Alive`],
//! [`Seal`]). Does not own: where they are checked, which is where they could be broken.
//! Rule: with the feature `invariants` a broken one ends the process, by its name; without it each check is an empty
//! function, and each state has no size.
//! Spec: DESIGN section 9.
#![forbid(unsafe_code)]

#[cfg(feature = "invariants")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::OnceLock;

/// The checks are made.
pub const ARE_CHECKED: bool = cfg!(feature = "invariants");

/// An invariant that is checked where it could be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// A response goes to the request that caused it.
    OwnReply,
    /// What a request made is let go of.
    RefsReturn,
    /// What a request sets in its context is seen by no other.
    ContextIsFresh,
    /// One request is found, bound and called by one table of routes.
    SwapIsWhole,
    /// A cached response is there fully rendered, or not at all.
    PublishWhole,
    /// An iterator is closed once, and pulled no more.
    StreamClosedOnce,
    /// No thread waits attached.
    AttachedIffRunning,
}

impl Invariant {
    /// As the design and the tests call it.
    pub fn name(self) -> &'static str {
        match self {
            Invariant::OwnReply => "own_reply",
            Invariant::RefsReturn => "refs_return",
            Invariant::ContextIsFresh => "context_is_fresh",
            Invariant::SwapIsWhole => "swap_is_whole",
            Invariant::PublishWhole => "publish_whole",
            Invariant::StreamClosedOnce => "stream_closed_once",
            Invariant::AttachedIffRunning => "attached_iff_running",
        }
    }
}

/// Ends the process unless `holds()`, which is asked only where invariants are checked.
#[inline]
pub fn hold(which: Invariant, holds: impl FnOnce() -> bool) {
    if ARE_CHECKED && !holds() {
        broken(which);
    }
}

/// A panic would be caught by the connection, or the pool, that it happens in.
#[cold]
fn broken(which: Invariant) -> ! {
    if cfg!(test) {
        panic!("broken invariant: {}", which.name());
    }
    // One at a time: a second `abort` would cut short what a fuzzer writes down at the first.
    static IS_BROKEN: AtomicBool = AtomicBool::new(false);
    while IS_BROKEN.swap(true, Ordering::AcqRel) {
        std::thread::park();
    }
    eprintln!("broken invariant: {}\n{}", which.name(), std::backtrace::Backtrace::force_capture());
    std::process::abort();
}

/// Tells one thing from another. Without checks all are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(#[cfg(feature = "invariants")] u64);

impl Default for Stamp {
    #[inline]
    fn default() -> Self {
        #[cfg(feature = "invariants")]
        {
            static NEXT: AtomicU64 = AtomicU64::new(1);
            Stamp(NEXT.fetch_add(1, Ordering::Relaxed))
        }
        #[cfg(not(feature = "invariants"))]
        Stamp()
    }
}

/// Counts how often something was done that is to be done once.
#[derive(Debug, Default)]
pub struct Times(#[cfg(feature = "invariants")] AtomicU64);

impl Times {
    /// It is done, for the first time.
    #[inline]
    pub fn note(&self, which: Invariant) {
        let _ = which;
        #[cfg(feature = "invariants")]
        hold(which, || self.0.fetch_add(1, Ordering::AcqRel) == 0);
    }

    /// It was not done yet.
    #[inline]
    pub fn expect_none(&self, which: Invariant) {
        let _ = which;
        #[cfg(feature = "invariants")]
        hold(which, || self.0.load(Ordering::Acquire) == 0);
    }

    /// It has been done, once.
    #[inline]
    pub fn expect_one(&self, which: Invariant) {
        let _ = which;
        #[cfg(feature = "invariants")]
        hold(which, || self.0.load(Ordering::Acquire) == 1);
    }
}

/// Whose something is: the first one to claim it.
#[derive(Debug, Default)]
pub struct Owner(#[cfg(feature = "invariants")] OnceLock<String>);

impl Owner {
    /// Claims it for who is named so; everybody else who does is wrong.
    #[inline]
    pub fn claim(&self, name: impl FnOnce() -> String) {
        #[cfg(feature = "invariants")]
        {
            let name = name();
            hold(Invariant::OwnReply, || *self.0.get_or_init(|| name.clone()) == name);
        }
        #[cfg(not(feature = "invariants"))]
        let _ = name;
    }
}

/// What is counted while it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A reference of Python's that any thread may let go of.
    Reference,
    /// A request that is answered later.
    Exchange,
    /// A synchronous iterator.
    Stream,
}

static ALIVE: [AtomicI64; 3] = [const { AtomicI64::new(0) }; 3];

/// How many of a kind there are (`refs_return`). 0 where invariants are not checked.
pub fn alive(kind: Kind) -> i64 {
    ALIVE[kind as usize].load(Ordering::Acquire)
}

/// Counted from its making to its drop.
#[derive(Debug)]
pub struct Alive(#[cfg(feature = "invariants")] Kind);

impl Alive {
    /// One more.
    #[inline]
    pub fn new(kind: Kind) -> Self {
        #[cfg(feature = "invariants")]
        {
            ALIVE[kind as usize].fetch_add(1, Ordering::AcqRel);
            Alive(kind)
        }
        #[cfg(not(feature = "invariants"))]
        {
            let _ = kind;
            Alive()
        }
    }
}

#[cfg(feature = "invariants")]
impl Drop for Alive {
    fn drop(&mut self) {
        let before = ALIVE[self.0 as usize].fetch_sub(1, Ordering::AcqRel);
        hold(Invariant::RefsReturn, || before > 0);
    }
}

/// What some bytes were when they were sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal(#[cfg(feature = "invariants")] u64);

impl Seal {
    /// Of these, in this order.
    #[inline]
    pub fn of(pieces: &[&[u8]]) -> Self {
        #[cfg(feature = "invariants")]
        {
            use std::hash::{DefaultHasher, Hasher};
            let mut hasher = DefaultHasher::new();
            for piece in pieces {
                hasher.write_usize(piece.len());
                hasher.write(piece);
            }
            Seal(hasher.finish())
        }
        #[cfg(not(feature = "invariants"))]
        {
            let _ = pieces;
            Seal()
        }
    }
}

static IS_ATTACHED: OnceLock<fn() -> bool> = OnceLock::new();

/// Says how to find out whether the calling thread is attached to an interpreter.
pub fn set_attachment_probe(is_attached: fn() -> bool) {
    if ARE_CHECKED {
        let _ = IS_ATTACHED.set(is_attached);
    }
}

/// The calling thread is about to wait (`attached_iff_running`).
#[inline]
pub fn about_to_wait() {
    hold(Invariant::AttachedIffRunning, || IS_ATTACHED.get().is_none_or(|is_attached| !is_attached()));
}

#[cfg(all(test, feature = "invariants"))]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "own_reply")]
    fn a_claim_of_another_is_a_broken_own_reply() {
        let owner = Owner::default();
        owner.claim(|| "GET /1".to_owned());
        owner.claim(|| "GET /1".to_owned());
        owner.claim(|| "GET /2".to_owned());
    }

    #[test]
    #[should_panic(expected = "stream_closed_once")]
    fn a_second_close_is_a_broken_stream_closed_once() {
        let times = Times::default();
        times.expect_none(Invariant::StreamClosedOnce);
        times.note(Invariant::StreamClosedOnce);
        times.expect_one(Invariant::StreamClosedOnce);
        times.note(Invariant::StreamClosedOnce);
    }

    #[test]
    fn stamps_differ_seals_are_of_the_bytes_and_what_is_alive_is_counted() {
        assert_ne!(Stamp::default(), Stamp::default());
        assert_eq!(Seal::of(&[b"a", b"b"]), Seal::of(&[b"a", b"b"]));
        assert_ne!(Seal::of(&[b"a", b"b"]), Seal::of(&[b"ab"]));
        let kept = Alive::new(Kind::Stream);
        assert!(alive(Kind::Stream) > 0);
        drop(kept);
    }

    #[test]
    fn nothing_is_wrong_where_nobody_knows_an_interpreter() {
        about_to_wait();
    }
}

#[cfg(all(test, not(feature = "invariants")))]
mod tests {
    use super::*;

    #[test]
    fn checks_cost_nothing_when_they_are_off() {
        hold(Invariant::OwnReply, || unreachable!("not asked"));
        assert_eq!(std::mem::size_of::<(Stamp, Times, Owner, Alive, Seal)>(), 0);
    }
}
