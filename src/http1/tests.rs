//! Tables of heads and bodies, raw bytes visible.
