//! The text of candidates and credentials, as signalling brings it.

use floe_ice::{Candidate, Parameters};

/// What parses is printed so that it parses to the same.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(candidate) = text.parse::<Candidate>() {
        let printed = candidate.to_string();
        let again: Candidate = printed.parse().expect("what was printed can be parsed");
        assert_eq!(again, candidate);
        assert_eq!(again.to_string(), printed);
    }
    let (fragment, password) = text.split_once(' ').unwrap_or((text, ""));
    if let Ok(parameters) = Parameters::new(fragment, password) {
        assert!((4..=256).contains(&parameters.username_fragment().len()));
        assert!((22..=256).contains(&parameters.password().len()));
    }
}
