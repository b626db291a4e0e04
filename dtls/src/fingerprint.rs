//! Certificate fingerprints: their text, which of several decides, and the gate that only a match opens
//! (RFC 8122 §5, RFC 8827 §6.5).
//!
//! SHA-256, SHA-384 and SHA-512. Older hashes are refused: whoever offers nothing better is not let in.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// A hash that a certificate may be named by, from weakest to strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// The longest digest, in bytes.
const DIGEST_MAX: usize = 64;

/// Hash names of the registry that are too weak to name anybody by.
const BROKEN_HASHES: [&str; 3] = ["md2", "md5", "sha-1"];

impl HashAlgorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Bytes of a digest.
    const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for HashAlgorithm {
    type Err = FingerprintError;

    /// Names are case-insensitive.
    fn from_str(name: &str) -> Result<Self, FingerprintError> {
        if let Some(hash) = Self::ALL
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
        {
            return Ok(hash);
        }
        let broken = BROKEN_HASHES
            .iter()
            .any(|weak| weak.eq_ignore_ascii_case(name));
        Err(if broken {
            FingerprintError::HashTooWeak
        } else {
            FingerprintError::UnknownHash
        })
    }
}

/// Why a fingerprint, or a set of them, is refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum FingerprintError {
    /// MD2, MD5 or SHA-1.
    #[error("the hash is too weak to name a certificate by")]
    HashTooWeak,
    /// A hash that is not supported.
    #[error("the hash is not known")]
    UnknownHash,
    /// Not pairs of hexadecimal digits with colons between them.
    #[error("the digest is not hexadecimal bytes with colons between them")]
    NotHexadecimal,
    /// Not as many bytes as the hash has.
    #[error("the digest has not as many bytes as its hash")]
    WrongLength,
    /// Nothing to check a certificate against: no fingerprint at all, or none of a supported hash.
    #[error("there is no fingerprint of a supported hash")]
    NoneUsable,
}

/// The digest of a certificate's DER, as an `a=fingerprint` line gives it.
///
/// ```
/// use floe_dtls::{CertificateFingerprint, FingerprintError};
///
/// let line = "SHA-256 12:df:3e:5d:49:6b:19:e5:7c:ab:4a:ad:b9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab:4a:ad";
/// let fingerprint: CertificateFingerprint = line.parse()?;
/// assert!(fingerprint.to_string().starts_with("sha-256 12:DF:3E"));
/// assert_eq!("sha-1 00".parse::<CertificateFingerprint>(), Err(FingerprintError::HashTooWeak));
/// # Ok::<(), FingerprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateFingerprint {
    algorithm: HashAlgorithm,
    /// Zero after the algorithm's length.
    digest: [u8; DIGEST_MAX],
}

impl CertificateFingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8], algorithm: HashAlgorithm) -> Self {
        let mut digest = [0; DIGEST_MAX];
        let mut fill = |hash: &[u8]| {
            for (to, from) in digest.iter_mut().zip(hash) {
                *to = *from;
            }
        };
        match algorithm {
            HashAlgorithm::Sha256 => fill(&Sha256::digest(certificate)),
            HashAlgorithm::Sha384 => fill(&Sha384::digest(certificate)),
            HashAlgorithm::Sha512 => fill(&Sha512::digest(certificate)),
        }
        Self { algorithm, digest }
    }

    /// From the two fields of an `a=fingerprint` line. Hash names and digits are case-insensitive.
    ///
    /// # Errors
    ///
    /// A hash that is weak or unknown, digits that are not colon-separated bytes, or not as many as the hash has.
    pub fn parse(hash_name: &str, hex: &str) -> Result<Self, FingerprintError> {
        let algorithm: HashAlgorithm = hash_name.parse()?;
        let mut digest = [0; DIGEST_MAX];
        let mut len = 0;
        for pair in hex.split(':') {
            let byte = hex_byte(pair).ok_or(FingerprintError::NotHexadecimal)?;
            *digest.get_mut(len).ok_or(FingerprintError::WrongLength)? = byte;
            len += 1;
        }
        if len != algorithm.output_len() {
            return Err(FingerprintError::WrongLength);
        }
        Ok(Self { algorithm, digest })
    }

    /// From a digest that is at hand as bytes.
    ///
    /// # Errors
    ///
    /// Not as many bytes as the hash has.
    pub fn from_digest(algorithm: HashAlgorithm, digest: &[u8]) -> Result<Self, FingerprintError> {
        if digest.len() != algorithm.output_len() {
            return Err(FingerprintError::WrongLength);
        }
        let mut padded = [0; DIGEST_MAX];
        for (to, from) in padded.iter_mut().zip(digest) {
            *to = *from;
        }
        Ok(Self {
            algorithm,
            digest: padded,
        })
    }

    /// Which hash it is made with.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest: 32, 48 or 64 bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        self.digest
            .get(..self.algorithm.output_len())
            .unwrap_or_default()
    }

    /// Whether this is the fingerprint of `certificate`, in constant time.
    fn matches(&self, certificate: &[u8]) -> bool {
        let other = Self::of(certificate, self.algorithm);
        self.digest.ct_eq(&other.digest).into()
    }
}

fn hex_byte(pair: &str) -> Option<u8> {
    let hexadecimal = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
    hexadecimal
        .then(|| u8::from_str_radix(pair, 16).ok())
        .flatten()
}

impl FromStr for CertificateFingerprint {
    type Err = FingerprintError;

    /// The value of an `a=fingerprint` line: hash name, space, digest.
    fn from_str(value: &str) -> Result<Self, FingerprintError> {
        let (hash_name, hex) = value
            .split_once(' ')
            .ok_or(FingerprintError::NotHexadecimal)?;
        Self::parse(hash_name, hex)
    }
}

impl fmt::Display for CertificateFingerprint {
    /// The value of an `a=fingerprint` line, with upper-case digits as RFC 8122 §5 has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.algorithm)?;
        for (index, byte) in self.digest().iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateFingerprint({self})")
    }
}

/// The fingerprints that signaling gives for one peer. Never empty; order and repetition mean nothing.
///
/// Of the hashes offered only the strongest decides, and any fingerprint of that hash may match (RFC 8122 §5): a peer
/// with several certificates sends several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FingerprintSet(Vec<CertificateFingerprint>);

impl FingerprintSet {
    /// # Errors
    ///
    /// [`FingerprintError::NoneUsable`] if there is none.
    pub fn new(
        fingerprints: impl IntoIterator<Item = CertificateFingerprint>,
    ) -> Result<Self, FingerprintError> {
        let mut fingerprints: Vec<_> = fingerprints.into_iter().collect();
        if fingerprints.is_empty() {
            return Err(FingerprintError::NoneUsable);
        }
        fingerprints.sort_unstable();
        fingerprints.dedup();
        Ok(Self(fingerprints))
    }

    /// From the `a=fingerprint` lines of a description, each as hash name and digest. Lines with a weak or unknown hash
    /// are passed over: a peer may send them beside a good one.
    ///
    /// # Errors
    ///
    /// A line of a supported hash that does not parse, or no line of a supported hash.
    pub fn parse<'a>(
        lines: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, FingerprintError> {
        let usable: Result<Vec<_>, _> = lines
            .into_iter()
            .map(|(hash_name, hex)| CertificateFingerprint::parse(hash_name, hex))
            .filter(|line| {
                !matches!(
                    line,
                    Err(FingerprintError::HashTooWeak | FingerprintError::UnknownHash)
                )
            })
            .collect();
        Self::new(usable?)
    }

    /// All of them, the deciding ones last.
    pub fn iter(&self) -> impl Iterator<Item = &CertificateFingerprint> {
        self.0.iter()
    }

    /// Those that decide: all of the strongest hash.
    fn deciding(&self) -> impl Iterator<Item = &CertificateFingerprint> {
        let strongest = self.0.last().map(CertificateFingerprint::algorithm);
        self.0
            .iter()
            .filter(move |fingerprint| Some(fingerprint.algorithm()) == strongest)
    }

    /// The gate: a token exactly if `certificate` has a deciding fingerprint.
    pub(crate) fn verify(&self, certificate: &[u8]) -> Option<FingerprintVerified> {
        self.deciding()
            .any(|fingerprint| fingerprint.matches(certificate))
            .then_some(FingerprintVerified(()))
    }
}

/// Who the peer must be: a required choice of every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteIdentity {
    /// The owner of a certificate with one of these fingerprints.
    Fingerprints(FingerprintSet),
    /// Fingerprints come with the answer; until then there is no data, there are no keys, there is no `Connected`.
    Later,
    /// Anybody at all. Only where something above DTLS authenticates the peer; else an attacker on the path reads
    /// everything.
    AcceptAny,
}

/// The peer's certificate is one that was signalled, or the caller chose to accept any.
#[derive(Debug)]
pub(crate) struct FingerprintVerified(());

impl FingerprintVerified {
    /// Only for [`RemoteIdentity::AcceptAny`].
    pub(crate) fn accept_any() -> Self {
        Self(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CERTIFICATE: &[u8] = b"any bytes will do";

    fn of(algorithm: HashAlgorithm) -> CertificateFingerprint {
        CertificateFingerprint::of(CERTIFICATE, algorithm)
    }

    fn other(algorithm: HashAlgorithm) -> CertificateFingerprint {
        CertificateFingerprint::of(b"another certificate", algorithm)
    }

    fn accepts(fingerprints: &[CertificateFingerprint]) -> bool {
        let set = FingerprintSet::new(fingerprints.iter().copied()).unwrap();
        set.verify(CERTIFICATE).is_some()
    }

    // req: T6
    #[test]
    fn the_text_is_that_of_the_sdp_attribute() {
        // SHA-256 of the empty string, FIPS 180-4.
        let empty = CertificateFingerprint::of(b"", HashAlgorithm::Sha256);
        assert_eq!(
            empty.to_string(),
            "sha-256 E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55"
        );
        for algorithm in HashAlgorithm::ALL {
            let text = of(algorithm).to_string();
            assert_eq!(text.parse(), Ok(of(algorithm)));
            assert_eq!(text.to_lowercase().parse(), Ok(of(algorithm)));
            assert_eq!(text.to_uppercase().parse(), Ok(of(algorithm)));
        }
    }

    // req: T6
    #[test]
    fn weak_and_malformed_fingerprints_are_refused() {
        let hex = of(HashAlgorithm::Sha256)
            .to_string()
            .split_off("sha-256 ".len());
        for (hash_name, hex, error) in [
            ("sha-1", &hex[..59], FingerprintError::HashTooWeak),
            ("SHA-1", &hex[..59], FingerprintError::HashTooWeak),
            ("md5", &hex[..47], FingerprintError::HashTooWeak),
            ("MD2", &hex[..47], FingerprintError::HashTooWeak),
            ("sha-3", &hex, FingerprintError::UnknownHash),
            ("sha256", &hex, FingerprintError::UnknownHash),
            ("sha-256", "", FingerprintError::NotHexadecimal),
            ("sha-256", &hex[..94], FingerprintError::NotHexadecimal),
            ("sha-256", &hex[..92], FingerprintError::WrongLength),
            ("sha-512", &hex, FingerprintError::WrongLength),
            (
                "sha-256",
                &hex.replace(':', ""),
                FingerprintError::NotHexadecimal,
            ),
            (
                "sha-256",
                &hex.replace(':', " "),
                FingerprintError::NotHexadecimal,
            ),
            (
                "sha-256",
                &format!("{hex}:"),
                FingerprintError::NotHexadecimal,
            ),
            (
                "sha-256",
                &format!("+1:{}", &hex[3..]),
                FingerprintError::NotHexadecimal,
            ),
            (
                "sha-256",
                &format!("é:{}", &hex[3..]),
                FingerprintError::NotHexadecimal,
            ),
            (
                "sha-256",
                &format!("{hex}:00"),
                FingerprintError::WrongLength,
            ),
        ] {
            assert_eq!(
                CertificateFingerprint::parse(hash_name, hex),
                Err(error),
                "{hash_name} {hex}"
            );
        }
        let too_long = "00:".repeat(64) + "00";
        assert_eq!(
            CertificateFingerprint::parse("sha-512", &too_long),
            Err(FingerprintError::WrongLength)
        );
    }

    // req: T6
    #[test]
    fn any_fingerprint_of_the_strongest_hash_may_match_and_no_other() {
        use HashAlgorithm::{Sha256, Sha384, Sha512};
        assert!(accepts(&[of(Sha256)]));
        assert!(!accepts(&[other(Sha256)]));
        assert!(accepts(&[other(Sha256), of(Sha256)]));
        assert!(accepts(&[of(Sha512), other(Sha512), other(Sha256)]));
        // The right weaker fingerprint does not make up for the wrong stronger one, in whatever order.
        assert!(!accepts(&[of(Sha256), other(Sha384)]));
        assert!(!accepts(&[other(Sha512), of(Sha384), of(Sha256)]));
        assert!(accepts(&[other(Sha256), of(Sha384)]));
    }

    // req: T6
    #[test]
    fn lines_of_weak_or_unknown_hashes_are_passed_over() {
        let text = of(HashAlgorithm::Sha256).to_string();
        let (hash_name, hex) = text.split_once(' ').unwrap();
        let set = FingerprintSet::parse([("sha-1", "00"), (hash_name, hex), ("shake", "?")]);
        assert_eq!(set, FingerprintSet::new([of(HashAlgorithm::Sha256)]));
        assert_eq!(
            FingerprintSet::parse([("sha-1", hex), ("md5", hex)]),
            Err(FingerprintError::NoneUsable)
        );
        assert_eq!(FingerprintSet::parse([]), Err(FingerprintError::NoneUsable));
        // A broken line of a supported hash is no reason to trust the others.
        assert_eq!(
            FingerprintSet::parse([(hash_name, hex), ("sha-512", hex)]),
            Err(FingerprintError::WrongLength)
        );
    }

    // req: T65
    #[test]
    fn sets_are_equal_whatever_their_order() {
        let [a, b] = [of(HashAlgorithm::Sha256), other(HashAlgorithm::Sha512)];
        assert_eq!(FingerprintSet::new([a, b]), FingerprintSet::new([b, a, a]));
        assert_ne!(FingerprintSet::new([a, b]), FingerprintSet::new([a]));
    }

    #[test]
    fn a_digest_has_the_length_of_its_hash() {
        let digest = of(HashAlgorithm::Sha384);
        assert_eq!(
            CertificateFingerprint::from_digest(HashAlgorithm::Sha384, digest.digest()),
            Ok(digest)
        );
        assert_eq!(
            CertificateFingerprint::from_digest(HashAlgorithm::Sha256, digest.digest()),
            Err(FingerprintError::WrongLength)
        );
    }

    proptest! {
        #[test]
        fn one_changed_bit_is_no_match(byte in 0usize..17, bit in 0u8..8, hash in 0usize..3) {
            let algorithm = HashAlgorithm::ALL[hash];
            let mut changed = CERTIFICATE.to_vec();
            changed[byte] ^= 1 << bit;
            let set = FingerprintSet::new([of(algorithm)]).unwrap();
            prop_assert!(set.verify(&changed).is_none());
            prop_assert!(set.verify(CERTIFICATE).is_some());
        }

        #[test]
        fn any_text_is_a_fingerprint_or_an_error(text: String) {
            let _ = text.parse::<CertificateFingerprint>();
            let _ = CertificateFingerprint::parse("sha-256", &text);
        }
    }
}
