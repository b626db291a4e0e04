//! BoringSSL in virtual time, and DTLS 1.3: the few calls that its safe bindings do not have.
//!
//! The clock is the thread's: a story runs on one thread, and so does everything BoringSSL does in it.

use std::cell::Cell;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use boring::ssl::{SslContextBuilder, SslRef};
use boring_sys as ffi;
use foreign_types::ForeignTypeRef;

/// When a story begins: a time of 0 would say to BoringSSL that no timer is set.
const EPOCH: Duration = Duration::from_secs(1_000_000);

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(EPOCH) };
}

/// Sets the time of this thread's connections.
pub fn set(now: Instant) {
    NOW.set(EPOCH + (now - sim::Clock::epoch()));
}

unsafe extern "C" fn tell(_: *const ffi::SSL, out: *mut ffi::timeval) {
    let now = NOW.get();
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    // SAFETY: BoringSSL passes a timeval of its own to be filled in.
    unsafe {
        (*out).tv_sec = i64::try_from(seconds).expect("virtual time is short");
        (*out).tv_usec = micros.into();
    }
}

/// The context's connections ask this module for the time.
pub fn install(context: &mut SslContextBuilder) {
    // SAFETY: the pointer is that of a living context; the callback fits the prototype and keeps nothing.
    unsafe { ffi::SSL_CTX_set_current_time_cb(context.as_ptr(), Some(tell)) };
}

/// The versions offered and accepted, as they stand on the wire. The bindings' own type has no DTLS 1.3.
pub fn set_versions(context: &mut SslContextBuilder, min: u16, max: u16) {
    // SAFETY: the pointer is that of a living context; both calls only store a number.
    let set = unsafe {
        ffi::SSL_CTX_set_max_proto_version(context.as_ptr(), max)
            & ffi::SSL_CTX_set_min_proto_version(context.as_ptr(), min)
    };
    assert_eq!(set, 1, "BoringSSL knows {min:#06x} to {max:#06x}");
}

/// Until `time_is_up` is due, if a timer runs.
#[must_use]
pub fn time_left(ssl: &SslRef) -> Option<Duration> {
    let mut left = ffi::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    // SAFETY: the pointer is that of a living connection, and `left` is filled in before the call returns.
    let runs = unsafe { ffi::DTLSv1_get_timeout(ssl.as_ptr(), &raw mut left) } == 1;
    let micros = left.tv_sec * 1_000_000 + left.tv_usec;
    runs.then(|| Duration::from_micros(micros.try_into().expect("no negative time")))
}

/// Retransmits and acknowledges what is due.
pub fn time_is_up(ssl: &SslRef) {
    // SAFETY: the pointer is that of a living connection that nobody else uses meanwhile.
    unsafe { ffi::DTLSv1_handle_timeout(ssl.as_ptr()) };
}

/// The group that was agreed, as it stands on the wire.
#[must_use]
pub fn group(ssl: &SslRef) -> u16 {
    // SAFETY: the pointer is that of a living connection.
    unsafe { ffi::SSL_get_group_id(ssl.as_ptr()) }
}

/// Queues a KeyUpdate that asks for one in return (RFC 9147 §8); the next write carries it.
pub fn update_keys(ssl: &SslRef) {
    const UPDATE_REQUESTED: c_int = 1;
    // SAFETY: the pointer is that of a living connection that nobody else uses meanwhile.
    let queued = unsafe { ffi::SSL_key_update(ssl.as_ptr(), UPDATE_REQUESTED) };
    assert_eq!(queued, 1, "a KeyUpdate can be sent");
}
