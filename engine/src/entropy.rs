//! The operating system's entropy.

/// As many bytes of it as asked for. The one place where it enters this crate.
#[expect(
    clippy::disallowed_methods,
    reason = "secrets come from the operating system, here and nowhere else"
)]
pub(crate) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system provides entropy");
}
