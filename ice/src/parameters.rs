//! The two short-term credentials of a generation: username fragment and password (RFC 8445 §5.3, RFC 8839 §5.4).

use std::fmt;

use zeroize::Zeroizing;

use crate::config::UsernameFragments;
use crate::error::InvalidParameters;
use crate::random::{Label, Random};

/// What we send: 16 characters, 96 bits.
const USERNAME_FRAGMENT_LENGTH: usize = 16;
/// What we send: 24 characters, 144 bits, above the 128 that RFC 8445 §5.3 asks for.
const PASSWORD_LENGTH: usize = 24;
/// The longest fragment we send.
const MAX_OWN_FRAGMENT: usize = 32;
/// The 64 `ice-char`s.
pub(crate) const ICE_CHARS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A username fragment and its password. The password is wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameters {
    username_fragment: Box<str>,
    password: Zeroizing<Box<str>>,
}

impl Parameters {
    /// Takes credentials that were signalled.
    ///
    /// Accepted are 4–256 characters for the fragment and 22–256 for the password (RFC 8839 §5.4), of the `ice-char`
    /// alphabet and of `-`, `=`, `#`, `_`, which deployed peers send.
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
        Ok(Self {
            username_fragment: username_fragment.into(),
            password: Zeroizing::new(password.into()),
        })
    }

    /// A username fragment of the caller's own (one that routes, say) with a generated password from OS entropy: a
    /// password is never the caller's to invent.
    ///
    /// It has 4–32 characters: more is accepted of others and sent by nobody (RFC 8839 §5.4).
    pub fn with_username_fragment(username_fragment: &str) -> Result<Self, InvalidParameters> {
        if username_fragment.len() > MAX_OWN_FRAGMENT {
            return Err(InvalidParameters::UsernameFragmentLength);
        }
        Self::generate(&mut Random::from_entropy(), Some(username_fragment))
    }

    pub(crate) fn random(random: &mut Random, fragments: &UsernameFragments) -> Self {
        let routable = match fragments {
            UsernameFragments::Random => None,
            UsernameFragments::Routable { routable, number } => {
                Some(routable.mint(*number, random.next_u64(Label::Parameters)))
            }
        };
        Self::generate(random, routable.as_deref())
            .expect("generated characters and lengths are valid")
    }

    fn generate(
        random: &mut Random,
        username_fragment: Option<&str>,
    ) -> Result<Self, InvalidParameters> {
        let mut characters = Zeroizing::new([0u8; USERNAME_FRAGMENT_LENGTH + PASSWORD_LENGTH]);
        random.fill(Label::Parameters, characters.as_mut());
        for byte in characters.iter_mut() {
            *byte = ICE_CHARS[usize::from(*byte & 63)];
        }
        let text = std::str::from_utf8(characters.as_ref()).expect("the alphabet is ASCII");
        let (fragment, password) = text.split_at(USERNAME_FRAGMENT_LENGTH);
        Self::new(username_fragment.unwrap_or(fragment), password)
    }

    /// The username fragment. It travels in the clear.
    pub fn username_fragment(&self) -> &str {
        &self.username_fragment
    }

    /// The password, for the one who signals it.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("username_fragment", &self.username_fragment)
            .field("password", &"…")
            .finish()
    }
}

fn is_accepted(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'=' | b'#' | b'_')
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
        let (a, b) = (
            Parameters::random(&mut random, &UsernameFragments::Random),
            Parameters::random(&mut random, &UsernameFragments::Random),
        );
        assert_eq!(a.username_fragment().len(), 16);
        assert!(a.password().len() * 6 >= 128);
        assert_ne!(a.username_fragment(), b.username_fragment());
        assert_ne!(a.password(), b.password());
        let own = Parameters::with_username_fragment("route-7").unwrap();
        assert_eq!(own.username_fragment(), "route-7");
        assert!(Parameters::with_username_fragment(&"u".repeat(32)).is_ok());
        assert_eq!(
            Parameters::with_username_fragment(&"u".repeat(33)),
            Err(InvalidParameters::UsernameFragmentLength)
        );
        assert_ne!(
            own.password(),
            Parameters::with_username_fragment("route-7")
                .unwrap()
                .password()
        );
    }

    // req: I40
    #[test]
    fn the_password_is_not_printed() {
        let parameters = Parameters::new("abcd", "0123456789012345678901").unwrap();
        assert!(!format!("{parameters:?}").contains("0123456789"));
    }
}
