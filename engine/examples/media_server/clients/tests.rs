//! Server and client in virtual time, without sockets: what takes too long to wait for.

use clap::Parser;
use floe_ice::Parameters;
use serde_json::Value;

use super::*;
use crate::options::Options;
use crate::sdp::Answer;
use crate::server::{Command, Created, EntityTag, IfMatch, Patched, Reply, SessionKey};
use crate::sessions::Sessions;

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000);
const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 20_000);

/// A server with one client, and a network that loses nothing and takes no time.
struct Pair {
    now: Instant,
    sessions: Sessions,
    client: ClientMachine,
    session: SessionKey,
}

impl Pair {
    /// Offer and answer are exchanged; no datagram is sent yet.
    fn new() -> Self {
        let now = now();
        let options = Options::parse_from(["media_server"]);
        let settings = crate::settings(&options, vec![Candidate::host(SERVER)]).unwrap();
        let mut sessions = Sessions::new(now, settings);
        let (mut client, offer) = ClientMachine::new(now, vec![Candidate::host(CLIENT)]).unwrap();
        let offer = Box::new(Description::parse(&offer).unwrap());
        let answer = Answer::to(&offer).unwrap();
        let created: Created = ask(&mut sessions, now, |reply| Command::Create {
            offer,
            answer,
            reply,
        })
        .unwrap();
        client
            .answered(now, Description::parse(&created.answer).unwrap())
            .unwrap();
        Self {
            now,
            sessions,
            client,
            session: created.key,
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            while carry(&mut self.sessions, &mut self.client, self.now)
                || carry(&mut self.client, &mut self.sessions, self.now)
            {}
            let timers = [self.sessions.poll_timeout(), self.client.poll_timeout()];
            let next = timers.into_iter().flatten().min().unwrap_or(end);
            // A timer that is due moves the clock by the least that sockets would.
            self.now = next.max(self.now + Duration::from_micros(100)).min(end);
            self.sessions.handle_timeout(self.now);
            self.client.handle_timeout(self.now);
        }
    }

    fn patch(&mut self, precondition: IfMatch, fragment: String) -> Result<Patched, Rejection> {
        let key = self.session;
        ask(&mut self.sessions, self.now, |reply| Command::Patch {
            key,
            precondition,
            fragment,
            reply,
        })
    }

    /// A restart that both sides take part in.
    fn restart(&mut self) {
        let fragment = self.client.restart(self.now).unwrap();
        let Ok(Patched::Restarted { fragment, .. }) = self.patch(IfMatch::Any, fragment) else {
            panic!("the restart is refused");
        };
        self.client.restarted(self.now, &fragment).unwrap();
    }

    /// A restart that the client knows nothing of, so that it finds no path.
    fn restart_in_vain(&mut self, ufrag: &str) -> EntityTag {
        let unknown = Parameters::new(ufrag, &format!("{ufrag}/password/that/nobody/has")).unwrap();
        let fragment = self.fragment(&unknown);
        match self.patch(IfMatch::Any, fragment) {
            Ok(Patched::Restarted { entity_tag, .. }) => entity_tag,
            other => panic!("{other:?}"),
        }
    }

    fn fragment(&self, parameters: &Parameters) -> String {
        let client = &self.client;
        let options = &["trickle", "ice2"];
        sdp::fragment(
            &client.name,
            Mode::Full,
            options,
            parameters,
            &client.candidates,
        )
    }

    /// What the client would trickle now.
    fn trickle(&self) -> String {
        let transport = self
            .client
            .endpoint
            .transport(self.client.transport)
            .unwrap();
        self.fragment(transport.ice().local_parameters())
    }

    /// The one session, as the page shows it.
    fn shown(&mut self) -> Value {
        let (reply, mut overview) = oneshot::channel();
        self.sessions
            .handle_command(self.now, Command::Overview { reply });
        let mut overview = serde_json::to_value(overview.try_recv().unwrap()).unwrap();
        overview["sessions"][0].take()
    }

    fn restarts_told(&mut self) -> Vec<String> {
        let shown = self.shown();
        let entries = shown["timeline"].as_array().unwrap().iter();
        entries
            .filter(|entry| entry["what"] == "ice_restart")
            .map(|entry| entry["to"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn ask<T>(
    sessions: &mut Sessions,
    now: Instant,
    command: impl FnOnce(Reply<Result<T, Rejection>>) -> Command,
) -> Result<T, Rejection> {
    let (reply, mut answer) = oneshot::channel();
    sessions.handle_command(now, command(reply));
    answer.try_recv().unwrap()
}

/// Whether there was a datagram to carry.
fn carry(from: &mut impl Machine, to: &mut impl Machine, now: Instant) -> bool {
    let mut buffer = [0; 1500];
    let Some(transmit) = from.poll_transmit(&mut buffer) else {
        return false;
    };
    let path = FiveTuple::udp(transmit.path.remote, transmit.path.local);
    to.handle_datagram(now, path, &mut buffer[..transmit.len]);
    true
}

/// Connected, then restarted.
fn restarted() -> Pair {
    let mut pair = Pair::new();
    pair.run(Duration::from_secs(10));
    pair.restart();
    pair.run(Duration::from_secs(10));
    pair
}

/// Restarted when there was no connection yet, so that no event confirms it.
fn restarted_early() -> Pair {
    let mut pair = Pair::new();
    pair.restart();
    pair.run(Duration::from_secs(10));
    pair
}

/// Two restarts that find no path, the second while the first still tries; returns the second's entity-tag.
fn restart_twice_in_vain(pair: &mut Pair) -> EntityTag {
    assert_eq!(pair.shown()["connection"], "connected");
    pair.restart_in_vain("first");
    pair.run(Duration::from_secs(1));
    let tag = pair.restart_in_vain("second");
    pair.run(Duration::from_secs(60));
    let told = pair.restarts_told();
    assert!(told.last().unwrap().starts_with("given up"), "{told:?}");
    tag
}

// req: I12
#[test]
fn an_end_of_candidates_that_is_trickled_later_completes_the_generation_it_came_with() {
    let mut pair = restarted();
    assert_eq!(pair.shown()["ice"], "completed");
    let fragment = pair.client.restart(pair.now).unwrap();
    let open = fragment.replace("a=end-of-candidates\r\n", "");
    let Ok(Patched::Restarted { fragment, .. }) = pair.patch(IfMatch::Any, open) else {
        panic!("the restart is refused");
    };
    pair.client.restarted(pair.now, &fragment).unwrap();
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.shown()["ice"], "connected", "there may be more");
    let trickle = pair.trickle();
    assert!(trickle.contains("a=ice-ufrag:") && trickle.contains("a=end-of-candidates\r\n"));
    let patched = pair.patch(IfMatch::Any, trickle);
    assert!(matches!(patched, Ok(Patched::Trickled)), "{patched:?}");
    assert_eq!(pair.shown()["ice"], "completed");
}

#[test]
fn restarts_that_find_no_path_leave_the_session_with_the_credentials_it_had() {
    for mut pair in [restarted(), restarted_early()] {
        restart_twice_in_vain(&mut pair);
        let trickle = pair.trickle();
        let patched = pair.patch(IfMatch::Any, trickle);
        assert!(matches!(patched, Ok(Patched::Trickled)), "{patched:?}");
        assert_eq!(pair.shown()["ice_restarts"], 3, "a trickle is no restart");
    }
}

#[test]
fn a_restart_that_was_given_up_leaves_the_session_alive_and_its_entity_tag_stale() {
    let mut pair = restarted();
    let tag = restart_twice_in_vain(&mut pair);
    let shown = pair.shown();
    assert_eq!(
        (&shown["connection"], &shown["ice"], &shown["end_reason"]),
        (&"connected".into(), &"completed".into(), &Value::Null)
    );
    let trickle = pair.trickle();
    let stale = pair.patch(IfMatch::Tags(vec![tag.to_string()]), trickle);
    assert!(matches!(stale, Err(Rejection::Stale)), "{stale:?}");

    // It still can restart.
    pair.restart();
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.restarts_told().last().unwrap(), "confirmed");
}
