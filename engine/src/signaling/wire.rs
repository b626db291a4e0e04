//! What `floe_dtls` has no serialized form for, in the words of SDP.

/// `a=setup` (RFC 4145 §4).
pub(super) mod setup {
    use floe_dtls::Setup;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    const WORDS: [(&str, Setup); 3] = [
        ("active", Setup::Active),
        ("passive", Setup::Passive),
        ("actpass", Setup::ActPass),
    ];

    pub(in crate::signaling) fn serialize<S: Serializer>(
        setup: &Option<Setup>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let word = |setup| {
            WORDS
                .iter()
                .find(|(_, named)| *named == setup)
                .map(|(word, _)| *word)
        };
        setup.and_then(word).serialize(serializer)
    }

    pub(in crate::signaling) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Setup>, D::Error> {
        let Some(word) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        match WORDS.iter().find(|(named, _)| *named == word) {
            Some((_, setup)) => Ok(Some(*setup)),
            None => Err(D::Error::custom("a=setup is active, passive or actpass")),
        }
    }
}

/// `a=fingerprint` (RFC 8122 §5), each as its line's value.
pub(super) mod fingerprints {
    use floe_dtls::{CertificateFingerprint, FingerprintSet};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(in crate::signaling) fn serialize<S: Serializer>(
        fingerprints: &Option<FingerprintSet>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let lines = |set: &FingerprintSet| set.iter().map(ToString::to_string).collect::<Vec<_>>();
        fingerprints.as_ref().map(lines).serialize(serializer)
    }

    pub(in crate::signaling) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<FingerprintSet>, D::Error> {
        let Some(lines) = Option::<Vec<String>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let fingerprints: Result<Vec<CertificateFingerprint>, _> =
            lines.iter().map(|line| line.parse()).collect();
        let fingerprints = fingerprints.map_err(D::Error::custom)?;
        FingerprintSet::new(fingerprints)
            .map(Some)
            .map_err(D::Error::custom)
    }
}
