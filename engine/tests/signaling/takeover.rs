//! Another node takes over: what was saved goes on as if nothing had happened.

use crate::party::{Party, as_kind, remote};
use floe::signaling::{
    CandidateInit, Completed, Description, Media, RestoreError, SavedSignaling, SdpType, Side,
    Signaling,
};
use floe_dtls::{FingerprintSet, HashAlgorithm, Identity, Setup};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

/// As JSON and back.
fn moved(party: &mut Party) -> Signaling {
    let json = serde_json::to_string(&party.signaling.save(party.now)).expect("it is plain data");
    let saved: SavedSignaling = serde_json::from_str(&json).expect("it is what was written");
    let config = Arc::clone(party.signaling.config());
    Signaling::restore(party.now, saved, config).expect("it is consistent")
}

fn all_facts() -> Description {
    let identity = Identity::generate().expect("the backend signs");
    let fingerprint = identity.fingerprint(HashAlgorithm::Sha256);
    let mut media = Media::new("0").with_ufrag("r1");
    media.setup = Some(Setup::ActPass);
    media.fingerprints = FingerprintSet::new([fingerprint]).ok();
    media.transport = 3;
    Description::new(SdpType::Offer, "theirs")
        .with_media([media, Media::new("1")])
        .with_offer_id(floe::signaling::OfferId::FIRST.next())
}

#[test]
fn a_description_survives_as_text_with_all_its_facts() {
    let description = all_facts();
    let json = serde_json::to_string(&description).unwrap();
    assert!(json.contains("\"setup\":\"actpass\""), "{json}");
    assert!(json.contains("\"fingerprints\":[\"sha-256 "), "{json}");
    let back: Description = serde_json::from_str(&json).unwrap();
    assert_eq!(back, description);
    for (from, to) in [("actpass", "holdconn"), ("sha-256 ", "md5 ")] {
        let broken = json.replace(from, to);
        assert!(serde_json::from_str::<Description>(&broken).is_err());
    }
}

/// A party in the middle of something, with something of everything: held, waiting, running, not told.
fn in_the_middle() -> Party {
    let mut party = Party::new();
    party.exchange("r1");
    party.signaling.restart_ice(party.now);
    party.signaling.negotiation_wanted(party.now);
    party.settle();
    let now = party.now;
    let signaling = &mut party.signaling;
    let candidate = |text, ufrag| CandidateInit::new(text, "0", ufrag);
    let held = [candidate("held", "r2"), candidate("gone", "r0")];
    signaling.ignore(now, &remote(SdpType::Offer, "ignored", "r0"));
    for candidate in held {
        signaling
            .add_candidate(now, candidate)
            .expect("there is room");
    }
    signaling.handle_local_candidate(now, candidate("local", "local2"));
    signaling
        .set_implied_description(now)
        .expect("there is room");
    signaling
        .set_remote_description(now, remote(SdpType::Answer, "theirs", "r2"))
        .expect("there is room");
    signaling
        .add_candidate(now, candidate("late", "r2"))
        .expect("there is room");
    party
}

#[test]
fn it_goes_on_where_it_was() {
    let mut stayed = in_the_middle();
    let mut went = in_the_middle();
    let action = went.signaling.poll_action().expect("an offer is made");
    went.signaling = moved(&mut went);
    let again = went.signaling.poll_action();
    assert_eq!(again, Some(action.clone()), "the other node must know");
    let result = went.result_of(&action);
    went.complete(action.operation(), result).unwrap();
    went.asked.push(action);
    for party in [&mut stayed, &mut went] {
        party.settle();
    }
    assert_eq!(went.applied(), stayed.applied());
    assert_eq!(went.slots(), stayed.slots());
    let words = |party: &Party| {
        let tell = |event: &floe::signaling::Event| match event {
            floe::signaling::Event::SignalingStateChange(change) => {
                format!("{} {} {:?}", change.from, change.to, change.step)
            }
            other => format!("{other:?}"),
        };
        party.told.iter().map(tell).collect::<Vec<_>>()
    };
    assert_eq!(words(&went), words(&stayed));
    assert!(
        words(&went)
            .iter()
            .any(|words| words.contains("Superseded"))
    );
    assert_eq!(went.gathered(), ["local"]);
}

#[test]
fn what_was_not_told_keeps_its_age() {
    let mut party = Party::new();
    let now = party.now;
    let operation = party
        .signaling
        .set_remote_description(now, remote(SdpType::Offer, "theirs", "r1"))
        .unwrap();
    let _ = party.signaling.poll_action();
    party
        .signaling
        .complete(now, operation, Ok(Completed::Done))
        .unwrap();
    party.wait(Duration::from_secs(3));
    party.signaling = moved(&mut party);
    party.listen();
    let at: Vec<_> = party.transitions().map(|change| change.at).collect();
    assert_eq!(at, [now]);
}

#[test]
fn what_contradicts_itself_is_not_taken_up() {
    let mut party = Party::new();
    party.sld_implied().unwrap();
    let saved = serde_json::to_string(&party.signaling.save(party.now)).unwrap();
    for state in [
        "stable",
        "have-remote-offer",
        "have-remote-pranswer",
        "closed",
    ] {
        let broken = saved.replace("have-local-offer", state);
        assert_ne!(broken, saved);
        let broken: SavedSignaling = serde_json::from_str(&broken).unwrap();
        let config = Arc::clone(party.signaling.config());
        let restored = Signaling::restore(party.now, broken, config);
        assert_eq!(restored.err(), Some(RestoreError::Inconsistent), "{state}");
    }
}

#[test]
fn a_closed_one_stays_closed() {
    let mut party = in_the_middle();
    party.signaling.close(party.now);
    party.signaling = moved(&mut party);
    party.told.clear();
    party.settle();
    assert!(party.told.is_empty());
    assert_eq!(party.signaling.poll_action(), None);
}

proptest! {
    /// Moved to another node after any command, it does and says the same as one that stayed.
    #[test]
    fn wherever_it_is_moved(moves in prop::collection::vec(0..12_u8, 1..40), when in 0..40_usize) {
        let mut stayed = Party::new();
        let mut went = Party::new();
        stayed.now = went.now; // the later of the two
        for (index, one) in moves.into_iter().enumerate() {
            for party in [&mut stayed, &mut went] {
                command(party, one);
            }
            if index == when {
                // An action that was given out comes again: here none is.
                went.signaling = moved(&mut went);
            }
        }
        stayed.settle();
        went.settle();
        prop_assert_eq!(stayed.slots(), went.slots());
        prop_assert_eq!(&stayed.asked, &went.asked);
        let untimed = |party: &Party| party.told.iter().map(|event| {
            format!("{event:?}").split(" at: ").next().map(str::to_owned)
        }).collect::<Vec<_>>();
        prop_assert_eq!(untimed(&stayed), untimed(&went));
        prop_assert_eq!(stayed.signaling.candidate_drops(), went.signaling.candidate_drops());
    }
}

fn command(party: &mut Party, number: u8) {
    let now = party.now;
    let signaling = &mut party.signaling;
    let pending = signaling.description(Side::Local).cloned();
    match number {
        0 => {
            let _ = signaling.set_implied_description(now);
        }
        1 => {
            let _ = signaling.set_remote_description(now, remote(SdpType::Offer, "o", "r2"));
        }
        2 => {
            let _ = signaling.set_remote_description(now, remote(SdpType::Answer, "a", "r1"));
        }
        3 => {
            let _ = signaling.set_local_description(now, Description::rollback());
        }
        4 => {
            let _ = signaling.set_remote_description(now, Description::rollback());
        }
        5 => {
            let _ = signaling.add_candidate(now, CandidateInit::new("c", "0", "r1"));
        }
        6 => {
            let _ = signaling.add_candidate(now, CandidateInit::new("d", "0", "r2"));
        }
        7 => signaling.restart_ice(now),
        8 => signaling.negotiation_wanted(now),
        9 => signaling.handle_local_candidate(now, CandidateInit::new("l", "0", "local2")),
        10 => {
            if let Some(pending) = pending {
                let answer = as_kind(&pending, SdpType::Pranswer);
                let _ = signaling.set_local_description(now, answer);
            }
        }
        _ => {
            party.act();
        }
    }
}
