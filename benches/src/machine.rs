//! What the operating system knows about this process.

use rustix::time::{ClockId, clock_gettime};

/// CPU time of this thread, nanoseconds.
#[must_use]
pub fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Resident memory of this process, bytes.
#[must_use]
pub fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1);
    let pages: f64 = pages
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(f64::NAN);
    pages * rustix::param::page_size() as f64
}
