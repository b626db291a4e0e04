//! The two short-term credentials of a generation: username fragment and password (RFC 8445 §5.3, RFC 8839 §5.4).
//!
//! What was signalled is taken as it comes, within the grammar: [`Parameters`]. Of our own, [`LocalParameters`], a caller may
//! choose the fragment and no more.

use std::fmt;

use zeroize::Zeroizing;

use crate::config::UsernameFragments;
use crate::error::InvalidParameters;
use crate::random::{Label, Random};
use crate::text::Text;

/// What we send: 16 characters, 96 bits.
const USERNAME_FRAGMENT_LENGTH: usize = 16;
/// What we send: 24 characters, 144 bits, above the 128 that RFC 8445 §5.3 asks for.
const PASSWORD_LENGTH: usize = 24;
/// Room for our own credentials, those with a routable fragment too.
const OURS: usize = 54;
/// The 64 `ice-char`s by their six bits: what username fragments and passwords that are sent are made of (RFC 8839 §5.4).
pub const ICE_CHARS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A username fragment and its password. They are wiped when dropped, and the password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `fragment:password`. Neither has a colon.
    credentials: Zeroizing<Text<OURS>>,
}

impl Parameters {
    /// Takes the peer's credentials, as they were signalled. For an agent's own see [`LocalParameters`].
    ///
    /// Accepted are 4–256 characters for the fragment and 22–256 for the password (RFC 8839 §5.4), of the `ice-char`
    /// alphabet and of `-`, `=`, `#`, `_`, which deployed peers send.
    ///
    /// # Errors
    ///
    /// The [`InvalidParameters`] that says which of the two is too long or too short, or has another character.
    pub fn new(username_fragment: &str, password: &str) -> Result<Self, InvalidParameters> {
        if !(4..=256).contains(&username_fragment.len()) {
            return Err(InvalidParameters::UsernameFragmentLength);
        }
        if !(22..=256).contains(&password.len()) {
            return Err(InvalidParameters::PasswordLength);
        }
        if !username_fragment.bytes().all(is_accepted) {
            return Err(InvalidParameters::UsernameFragmentCharacter);
        }
        if !password.bytes().all(is_accepted) {
            return Err(InvalidParameters::PasswordCharacter);
        }
        Ok(Self::of(username_fragment, password))
    }

    fn of(username_fragment: &str, password: &str) -> Self {
        let credentials = Text::of(&[username_fragment, ":", password]);
        Self {
            credentials: Zeroizing::new(credentials),
        }
    }

    /// The username fragment. It travels in the clear.
    #[inline]
    pub fn username_fragment(&self) -> &str {
        text(self.halves().0)
    }

    /// The password, for the one who signals it.
    pub fn password(&self) -> &str {
        text(self.halves().1)
    }

    /// The username fragment, for the wire.
    #[inline]
    pub(crate) fn fragment_bytes(&self) -> &[u8] {
        self.halves().0
    }

    #[inline]
    fn halves(&self) -> (&[u8], &[u8]) {
        let credentials = self.credentials.as_bytes();
        let halves = colon_of(credentials).and_then(|colon| {
            let (fragment, rest) = credentials.split_at_checked(colon)?;
            Some((fragment, rest.get(1..)?))
        });
        halves.expect("there is a colon between the two")
    }

    /// Whether this is the username fragment.
    #[inline]
    pub(crate) fn has_fragment(&self, fragment: &[u8]) -> bool {
        let rest = self.credentials.as_bytes().strip_prefix(fragment);
        rest.is_some_and(|rest| rest.first() == Some(&b':'))
    }

    /// Whether they have no memory of their own.
    #[inline]
    pub(crate) fn are_in_place(&self) -> bool {
        self.credentials.is_here()
    }

    /// The sender's fragment in a USERNAME (RFC 8445 §7.2.2), if it is we who are named before it.
    #[inline]
    pub(crate) fn sender_in<'a>(&self, username: &'a [u8]) -> Option<&'a [u8]> {
        username
            .strip_prefix(self.fragment_bytes())?
            .strip_prefix(b":")
    }
}

/// Where the colon is in credentials, of which neither half has another.
#[inline]
fn colon_of(credentials: &[u8]) -> Option<usize> {
    // Before a password of ours, whose length is known. Others are searched for.
    let ours = credentials.len().checked_sub(PASSWORD_LENGTH + 1);
    ours.filter(|at| credentials.get(*at) == Some(&b':'))
        .or_else(|| credentials.iter().position(|byte| *byte == b':'))
}

fn text(half: &[u8]) -> &str {
    std::str::from_utf8(half).expect("the credentials are text, and so are both halves of them")
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("username_fragment", &self.username_fragment())
            .field("password", &"…")
            .finish()
    }
}

/// An agent's own credentials, for who wants to choose the username fragment (one that routes, say) or to signal them before
/// there is an agent. The password is generated, always: it is never the caller's to invent.
///
/// ```
/// use std::sync::Arc;
/// use floe_ice::{Agent, Config, Initiation, LocalParameters, Mode};
///
/// let own = LocalParameters::with_username_fragment("room7/seat3")?;
/// let agent = Agent::new(Arc::new(Config::default()), Mode::Lite, Initiation::Responding, Some(own));
/// assert_eq!(agent.local_parameters().username_fragment(), "room7/seat3");
/// # Ok::<(), floe_ice::InvalidParameters>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalParameters(Parameters);

impl LocalParameters {
    /// A fragment of 16 characters and a password of 24, from OS entropy.
    ///
    /// # Panics
    ///
    /// When the operating system has no entropy to give.
    pub fn generate() -> Self {
        Self::random(&mut Random::from_entropy(), &UsernameFragments::Random)
    }

    /// A fragment of this kind and a password of 24 characters, from OS entropy.
    ///
    /// # Panics
    ///
    /// When the operating system has no entropy to give.
    pub fn generate_as(fragments: &UsernameFragments) -> Self {
        Self::random(&mut Random::from_entropy(), fragments)
    }

    /// A fragment of the caller's own: 4–32 `ice-char`s, which are letters, digits, `+` and `/`. Of others more is accepted,
    /// and should be sent by nobody (RFC 8839 §5.4). The password is from OS entropy.
    ///
    /// # Errors
    ///
    /// [`InvalidParameters::UsernameFragmentLength`], [`InvalidParameters::UsernameFragmentCharacter`].
    ///
    /// # Panics
    ///
    /// When the operating system has no entropy to give.
    pub fn with_username_fragment(username_fragment: &str) -> Result<Self, InvalidParameters> {
        check_own(username_fragment)?;
        Ok(Self::with_password(
            &mut Random::from_entropy(),
            username_fragment,
        ))
    }

    /// The same, with the same password whenever the seed is the same: for tests, simulation and replay only.
    ///
    /// # Errors
    ///
    /// As [`with_username_fragment`](Self::with_username_fragment).
    #[cfg(feature = "deterministic")]
    pub fn with_seed(seed: [u8; 32], username_fragment: &str) -> Result<Self, InvalidParameters> {
        check_own(username_fragment)?;
        Ok(Self::with_password(
            &mut Random::from_seed(seed),
            username_fragment,
        ))
    }

    /// What an agent makes for itself.
    pub(crate) fn random(random: &mut Random, fragments: &UsernameFragments) -> Self {
        let username_fragment = match fragments {
            UsernameFragments::Random => {
                ice_chars::<USERNAME_FRAGMENT_LENGTH, _>(random, str::to_owned)
            }
            UsernameFragments::Routable { routable, number } => {
                routable.mint(*number, random.next_u64(Label::Parameters))
            }
        };
        Self::with_password(random, &username_fragment)
    }

    fn with_password(random: &mut Random, username_fragment: &str) -> Self {
        ice_chars::<PASSWORD_LENGTH, _>(random, |password| {
            Self(Parameters::of(username_fragment, password))
        })
    }

    /// What is to be signalled.
    pub fn as_parameters(&self) -> &Parameters {
        &self.0
    }

    pub(crate) fn into_parameters(self) -> Parameters {
        self.0
    }
}

/// `N` random characters, six bits each, wiped after `take` has had them.
fn ice_chars<const N: usize, T>(random: &mut Random, take: impl FnOnce(&str) -> T) -> T {
    let mut characters = Zeroizing::new([0u8; N]);
    random.fill(Label::Parameters, characters.as_mut());
    for byte in characters.iter_mut() {
        *byte = ICE_CHARS[usize::from(*byte & 63)];
    }
    take(std::str::from_utf8(characters.as_ref()).expect("the alphabet is ASCII"))
}

/// Whether a fragment is one of ours (RFC 8839 §5.4).
fn check_own(username_fragment: &str) -> Result<(), InvalidParameters> {
    if !(4..=32).contains(&username_fragment.len()) {
        return Err(InvalidParameters::UsernameFragmentLength);
    }
    match username_fragment.bytes().all(is_ice_char) {
        true => Ok(()),
        false => Err(InvalidParameters::UsernameFragmentCharacter),
    }
}

fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn is_accepted(byte: u8) -> bool {
    is_ice_char(byte) || matches!(byte, b'-' | b'=' | b'#' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I40
    #[test]
    fn lengths_and_characters_are_checked() {
        let ok = "a".repeat(22);
        assert!(Parameters::new("abcd", &ok).is_ok());
        assert!(Parameters::new("a-=#_+/9", &ok).is_ok());
        assert!(Parameters::new(&"u".repeat(256), &"p".repeat(256)).is_ok());
        assert_eq!(
            Parameters::new("abc", &ok),
            Err(InvalidParameters::UsernameFragmentLength)
        );
        assert_eq!(
            Parameters::new(&"u".repeat(257), &ok),
            Err(InvalidParameters::UsernameFragmentLength)
        );
        assert_eq!(
            Parameters::new("abcd", &"p".repeat(21)),
            Err(InvalidParameters::PasswordLength)
        );
        assert_eq!(
            Parameters::new("abcd", &"p".repeat(257)),
            Err(InvalidParameters::PasswordLength)
        );
        assert_eq!(
            Parameters::new("ab:d", &ok),
            Err(InvalidParameters::UsernameFragmentCharacter)
        );
        assert_eq!(
            Parameters::new("abcd", &"p p".repeat(9)),
            Err(InvalidParameters::PasswordCharacter)
        );
    }

    // req: I40
    #[test]
    fn generated_parameters_are_long_enough_and_differ() {
        let mut random = Random::from_seed([7; 32]);
        let mut of_seed = || LocalParameters::random(&mut random, &UsernameFragments::Random).0;
        let of_entropy = || LocalParameters::generate().0;
        for (a, b) in [(of_seed(), of_seed()), (of_entropy(), of_entropy())] {
            assert_eq!(a.username_fragment().len(), 16);
            assert!(a.password().len() * 6 >= 128);
            assert_ne!(a.username_fragment(), b.username_fragment());
            assert_ne!(a.password(), b.password());
        }
        // Every character of the alphabet, and no other.
        let mut seen: Vec<u8> = (0..100)
            .flat_map(|_| of_seed().password().as_bytes().to_vec())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        let mut alphabet = *ICE_CHARS;
        alphabet.sort_unstable();
        assert_eq!(seen, alphabet);
    }

    // req: I40
    #[test]
    fn a_chosen_fragment_gets_a_password_that_nobody_chose() {
        let choose = || LocalParameters::with_username_fragment("route/7").unwrap();
        let (a, b) = (choose(), choose());
        assert_eq!(a.as_parameters().username_fragment(), "route/7");
        assert_eq!(b.as_parameters().username_fragment(), "route/7");
        assert_eq!(a.as_parameters().password().len(), 24);
        assert_ne!(a.as_parameters().password(), b.as_parameters().password());
    }

    // req: I40
    #[test]
    fn a_chosen_fragment_keeps_to_the_grammar() {
        let refused = |fragment: &str| LocalParameters::with_username_fragment(fragment).err();
        for ok in ["abcd", "+/09", &"u".repeat(32)] {
            assert_eq!(refused(ok), None, "{ok}");
        }
        for length in [3, 33] {
            assert_eq!(
                refused(&"u".repeat(length)),
                Some(InvalidParameters::UsernameFragmentLength)
            );
        }
        for character in ["abc-", "abc=", "abc#", "abc_", "abc:", "ab c", "abcé"] {
            assert_eq!(
                refused(character),
                Some(InvalidParameters::UsernameFragmentCharacter)
            );
        }
    }

    #[test]
    fn only_the_whole_fragment_is_found_in_a_username() {
        // The length of a password of ours, and others.
        for length in [22, 23, 24, 25, 26, 200] {
            let parameters = Parameters::new("abcd", &"p".repeat(length)).unwrap();
            let halves = (parameters.username_fragment(), parameters.password().len());
            assert_eq!(halves, ("abcd", length));
            let behind = |username: &'static str| parameters.sender_in(username.as_bytes());
            assert_eq!(behind("abcd:theirs"), Some(&b"theirs"[..]));
            assert_eq!(behind("abcd:"), Some(&b""[..]));
            for username in ["abc:theirs", "abcde:theirs", ":theirs", "abcd", ""] {
                assert_eq!(behind(username), None, "{username}");
            }
        }
    }

    // req: I40
    #[test]
    fn the_password_is_not_printed() {
        let parameters = Parameters::new("abcd", "0123456789012345678901").unwrap();
        assert!(!format!("{parameters:?}").contains("0123456789"));
    }
}
