//! The beginning of virtual time.

use std::{sync::OnceLock, time::Instant};

/// The same instant every time, so that a run depends on its bytes alone.
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do, as long as it stays the same"
)]
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}
