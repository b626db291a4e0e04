//! The two vocabularies, exhaustively, and what a client reads.

use super::{ms, secs};
use floe::{
    close::{CloseReason, Config, DisconnectReason, Leave, LeaveAction, LeaveRequest, Profile},
    signaling::link::{Body, Envelope, SessionId},
};

/// Number, name in the log, public number and name for LiveKit's current servers; what the client is advised at the end
/// (`-`: nothing is sent).
const TABLE: &str = "
0 NONE 0 UNKNOWN_REASON DISCONNECT
1 CLIENT_REQUEST_LEAVE 1 CLIENT_INITIATED -
2 ROOM_MANAGER_STOP 3 SERVER_SHUTDOWN DISCONNECT
3 VERIFY_FAILED 7 JOIN_FAILURE DISCONNECT
4 JOIN_FAILED 7 JOIN_FAILURE DISCONNECT
5 JOIN_TIMEOUT 7 JOIN_FAILURE DISCONNECT
6 MESSAGE_BUS_FAILED 7 JOIN_FAILURE DISCONNECT
7 PEER_CONNECTION_DISCONNECTED 14 CONNECTION_TIMEOUT DISCONNECT
8 DUPLICATE_IDENTITY 2 DUPLICATE_IDENTITY DISCONNECT
9 MIGRATION_COMPLETE 8 MIGRATION -
10 STALE 2 DUPLICATE_IDENTITY DISCONNECT
11 SERVICE_REQUEST_REMOVE_PARTICIPANT 4 PARTICIPANT_REMOVED DISCONNECT
12 SERVICE_REQUEST_DELETE_ROOM 5 ROOM_DELETED DISCONNECT
13 SIMULATE_MIGRATION 8 MIGRATION DISCONNECT
14 SIMULATE_NODE_FAILURE 3 SERVER_SHUTDOWN DISCONNECT
15 SIMULATE_SERVER_LEAVE 3 SERVER_SHUTDOWN DISCONNECT
16 SIMULATE_LEAVE_REQUEST 1 CLIENT_INITIATED DISCONNECT
17 NEGOTIATE_FAILED 6 STATE_MISMATCH RECONNECT
18 MIGRATION_REQUESTED 8 MIGRATION DISCONNECT
19 PUBLICATION_ERROR 6 STATE_MISMATCH RECONNECT
20 SUBSCRIPTION_ERROR 6 STATE_MISMATCH RECONNECT
21 DATA_CHANNEL_ERROR 6 STATE_MISMATCH RECONNECT
22 MIGRATE_CODEC_MISMATCH 6 STATE_MISMATCH RECONNECT
23 SIGNAL_SOURCE_CLOSE 9 SIGNAL_CLOSE -
24 ROOM_CLOSED 10 ROOM_CLOSED DISCONNECT
25 USER_UNAVAILABLE 11 USER_UNAVAILABLE -
26 USER_REJECTED 12 USER_REJECTED -
27 MOVE_FAILED 6 STATE_MISMATCH DISCONNECT
28 AGENT_ERROR 16 AGENT_ERROR -
";

// req: R11 R14
#[test]
fn every_close_reason_has_exactly_one_public_reason() {
    let rows: Vec<Vec<&str>> = TABLE
        .trim()
        .lines()
        .map(|row| row.split(' ').collect())
        .collect();
    assert_eq!((rows.len(), CloseReason::ALL.len()), (29, 29));
    for (row, reason) in rows.iter().zip(CloseReason::ALL) {
        assert_eq!(row[0], (reason as u8).to_string());
        assert_eq!(row[1], reason.to_string());
        let public = reason.disconnect_reason(Profile::LiveKitHead);
        assert_eq!(
            (row[2], row[3]),
            (&*public.number().to_string(), &*public.to_string())
        );
        let action = match row[4] {
            "-" => None,
            "DISCONNECT" => Some(LeaveAction::Disconnect),
            _ => Some(LeaveAction::Reconnect),
        };
        assert_eq!(reason.leave_action(), action, "{reason}");
        let leave = Leave::at_end(reason, Profile::LiveKitHead);
        assert_eq!(
            leave,
            action.map(|action| Leave {
                reason: public,
                action
            })
        );
        // The profiles differ in the media path that was lost, and in nothing else.
        let article = reason.disconnect_reason(Profile::Article);
        match reason {
            CloseReason::PeerConnectionDisconnected => {
                assert_eq!(article, DisconnectReason::StateMismatch)
            }
            _ => assert_eq!(article, public),
        }
    }
    assert_eq!(CloseReason::default(), CloseReason::None);
    assert_eq!(Config::default().profile, Profile::LiveKitHead);
}

// req: R11
#[test]
fn public_reasons_have_the_protocols_numbers_and_names_and_others_are_unknown() {
    let names = "UNKNOWN_REASON CLIENT_INITIATED DUPLICATE_IDENTITY SERVER_SHUTDOWN PARTICIPANT_REMOVED ROOM_DELETED \
                 STATE_MISMATCH JOIN_FAILURE MIGRATION SIGNAL_CLOSE ROOM_CLOSED USER_UNAVAILABLE USER_REJECTED \
                 SIP_TRUNK_FAILURE CONNECTION_TIMEOUT MEDIA_FAILURE AGENT_ERROR";
    let mut intentional = Vec::new();
    for (number, name) in (0..).zip(names.split_whitespace()) {
        let reason = DisconnectReason::from_number(number);
        assert_eq!((reason.number(), reason.as_str()), (number, name));
        let text = serde_json::to_string(&reason).unwrap();
        assert_eq!(text, format!("{name:?}"));
        assert_eq!(
            serde_json::from_str::<DisconnectReason>(&text).unwrap(),
            reason
        );
        if reason.is_intentional() {
            intentional.push(number);
        }
    }
    assert_eq!(DisconnectReason::ALL.len(), 17);
    assert_eq!(intentional, [1, 2, 3, 4, 5, 8, 10]);
    for number in [17, 255, 256, u32::MAX] {
        assert_eq!(
            DisconnectReason::from_number(number),
            DisconnectReason::UnknownReason
        );
    }
    let unknown: DisconnectReason = serde_json::from_str("\"ON_A_WHIM\"").unwrap();
    assert_eq!(unknown, DisconnectReason::UnknownReason);
    assert_eq!(
        serde_json::to_string(&CloseReason::JoinTimeout).unwrap(),
        "\"JOIN_TIMEOUT\""
    );
}

#[test]
fn some_ends_count_as_given_up_and_a_lost_signal_only_early() {
    use CloseReason as R;
    let always = [
        R::ClientRequestLeave,
        R::DuplicateIdentity,
        R::RoomClosed,
        R::MigrationRequested,
        R::MigrationComplete,
    ];
    for reason in R::ALL {
        for (lasted, early) in [
            (ms(0), true),
            (ms(2999), true),
            (ms(3000), false),
            (secs(60), false),
        ] {
            let expected = always.contains(&reason) || (reason == R::SignalSourceClose && early);
            assert_eq!(
                reason.is_cancelled(lasted),
                expected,
                "{reason} after {lasted:?}"
            );
        }
    }
}

// req: R12
#[test]
fn what_a_client_is_told_names_public_reasons_only() {
    for profile in [Profile::Article, Profile::LiveKitHead] {
        for reason in CloseReason::ALL {
            let Some(leave) = Leave::at_end(reason, profile) else {
                continue;
            };
            let mut said = vec![serde_json::to_string(&leave).unwrap()];
            for version in [12, 13] {
                let request = leave.for_protocol(version);
                said.push(serde_json::to_string(&request).unwrap());
            }
            let session = SessionId::from_bytes([1; 16]);
            let envelope = Envelope::<u8> {
                session,
                ack: None,
                body: Body::Leave(leave),
            };
            said.push(envelope.to_json().unwrap());
            for said in said {
                assert!(said.contains(reason.disconnect_reason(profile).as_str()));
                let public = DisconnectReason::ALL
                    .iter()
                    .any(|r| r.as_str() == reason.as_str());
                assert!(public || !said.contains(reason.as_str()), "{said}");
            }
        }
    }
}

// req: R22
#[test]
fn old_clients_read_whether_they_can_reconnect_and_newer_ones_what_to_do() {
    let leave = |action| Leave {
        reason: DisconnectReason::StateMismatch,
        action,
    };
    let actions = [
        LeaveAction::Disconnect,
        LeaveAction::Resume,
        LeaveAction::Reconnect,
    ];
    assert_eq!(actions.map(LeaveAction::number), [0, 1, 2]);
    for version in [0, 1, 12, 13, 16, u32::MAX] {
        for action in actions {
            let request = leave(action).for_protocol(version);
            let expected = match (version > 12, action) {
                (true, _) => Some((false, Some(action))),
                (false, LeaveAction::Resume) => None,
                (false, LeaveAction::Reconnect) => Some((true, None)),
                (false, LeaveAction::Disconnect) => Some((false, None)),
            };
            assert_eq!(request.map(|r| (r.can_reconnect, r.action)), expected);
            let Some(request) = request else { continue };
            assert_eq!(request.reason, DisconnectReason::StateMismatch);
            assert_eq!(
                Leave::from(request),
                leave(action),
                "the client reads what was meant"
            );
        }
    }
    let refusal = Leave::UNKNOWN_SESSION;
    assert_eq!(refusal, leave(LeaveAction::Reconnect));
    let (reason, action) = (
        DisconnectReason::StateMismatch,
        Some(LeaveAction::Reconnect),
    );
    assert_eq!(
        refusal.for_protocol(13),
        Some(LeaveRequest {
            reason,
            can_reconnect: false,
            action
        })
    );
    assert_eq!(
        refusal.for_protocol(12),
        Some(LeaveRequest {
            reason,
            can_reconnect: true,
            action: None
        })
    );
}
