//! A signaling session between two callers of every mood, over channels that lose, repeat, delay and forge.
//!
//! The bytes are a sequence of operations on a dialing and an accepting link. Without forgeries, what one says the other hears,
//! once and in order. With them, nothing is kept beyond the caps, and nobody speaks after the end.

use std::{collections::VecDeque, sync::Arc, time::Duration, time::Instant};

use arbitrary::{Arbitrary, Unstructured};
use floe::close::{DisconnectReason, Leave, LeaveAction};
use floe::signaling::link::{
    Body, Config, Envelope, Event, Link, LinkState, Outcome, SequenceId, SessionId, Transition,
};

use crate::{clock, ignore, operations::End};

const SESSION: SessionId = SessionId::from_bytes([7; 16]);
/// As many messages as a link keeps, either way.
const CAP: u16 = 4;
/// More envelopes than this in the air are a storm: the caller sends no more.
const IN_THE_AIR: usize = 64;

#[derive(Arbitrary, Debug)]
enum Operation {
    Say(End),
    Hear(End),
    Deliver { to: End, which: u8, fate: Fate },
    ChannelOpened,
    ChannelClosed(End),
    Reconnect,
    Advance { millis: u16 },
    Wake(End),
    PollEvent(End),
    PollAction(End),
    TakeOver(End),
    Leave { by: End, action: u8 },
    Forge { to: End, forgery: Forgery },
    Text { to: End, text: Vec<u8> },
}

#[derive(Arbitrary, Debug)]
enum Fate {
    Deliver,
    Repeat,
    Drop,
}

/// What a stranger, or a peer that has lost its mind, could send.
#[derive(Arbitrary, Debug)]
struct Forgery {
    other_session: bool,
    ack: u32,
    body: Forged,
}

#[derive(Arbitrary, Debug)]
enum Forged {
    Open(u16),
    Resume(u16),
    Welcome(u16),
    Message(u32),
    Ack,
    Leave(u8),
}

impl Forgery {
    fn envelope(&self) -> Envelope<u32> {
        let session = match self.other_session {
            true => SessionId::from_bytes([8; 16]),
            false => SESSION,
        };
        let body = match self.body {
            Forged::Open(channel) => Body::Open { channel },
            Forged::Resume(channel) => Body::Resume { channel },
            Forged::Welcome(channel) => Body::Welcome { channel },
            Forged::Message(number) => match SequenceId::new(number) {
                Some(id) => Body::Message { id, payload: 0 },
                None => Body::Ack,
            },
            Forged::Ack => Body::Ack,
            Forged::Leave(action) => Body::Leave(leave(action)),
        };
        Envelope {
            session,
            ack: SequenceId::new(self.ack),
            body,
        }
    }
}

fn leave(action: u8) -> Leave {
    let actions = [
        LeaveAction::Disconnect,
        LeaveAction::Resume,
        LeaveAction::Reconnect,
    ];
    Leave {
        reason: DisconnectReason::from_number(u32::from(action) / 3),
        action: actions[usize::from(action % 3)],
    }
}

/// One side: its link, what it has said and heard, and what is under way to it.
struct Side {
    link: Option<Link<u32>>,
    air: VecDeque<Envelope<u32>>,
    said: u32,
    heard: u32,
    state: Option<LinkState>,
    over: bool,
}

impl Side {
    fn new(link: Option<Link<u32>>) -> Self {
        Self {
            state: link.as_ref().map(Link::state),
            link,
            air: VecDeque::new(),
            said: 0,
            heard: 0,
            over: false,
        }
    }
}

struct World {
    now: Instant,
    config: Arc<Config>,
    a: Side,
    b: Side,
    forged: bool,
}

/// Runs the operations; text that is an envelope is printed so that it reads the same.
pub fn run(data: &[u8]) {
    let Ok(operations) = Vec::<Operation>::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let mut config = Config::default();
    (config.max_unacknowledged, config.max_ahead) = (CAP, CAP);
    let (now, config) = (clock::epoch(), Arc::new(config));
    let link = Link::dialing(now, SESSION, config.clone()).expect("the configuration works");
    let mut world = World {
        now,
        config,
        a: Side::new(Some(link)),
        b: Side::new(None),
        forged: false,
    };
    for operation in operations {
        world.apply(operation);
        for end in [End::A, End::B] {
            world.transmit(end);
            world.check(end);
        }
    }
}

impl World {
    fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Deliver { to, which, fate } => self.deliver(to, which, fate),
            Operation::Advance { millis } => self.now += Duration::from_millis(millis.into()),
            Operation::Forge { to, forgery } => self.forge(to, forgery.envelope()),
            Operation::Text { to, text } => self.read(to, &text),
            Operation::Hear(end) => self.hear(end),
            Operation::TakeOver(end) => self.take_over(end),
            Operation::ChannelOpened => self.command(End::A, Link::handle_channel_opened),
            Operation::Reconnect => self.command(End::A, Link::reconnect),
            Operation::ChannelClosed(end) => self.command(end, Link::handle_channel_closed),
            Operation::Say(end) => self.say(end),
            Operation::Wake(end) => self.command(end, |link, now| {
                link.handle_timeout(now);
                assert!(link.poll_timeout().is_none_or(|due| due > now));
            }),
            Operation::PollEvent(end) => ignore(self.poll_event(end)),
            Operation::PollAction(end) => self.command(end, |link, _| ignore(link.poll_action())),
            Operation::Leave { by, action } => {
                self.command(by, |link, now| link.leave(now, leave(action)));
            }
        }
    }

    fn command(&mut self, end: End, command: impl FnOnce(&mut Link<u32>, Instant)) {
        let now = self.now;
        if let Some(link) = &mut self.side(end).link {
            command(link, now);
        }
    }

    fn say(&mut self, end: End) {
        let now = self.now;
        let side = self.side(end);
        let Some(link) = &mut side.link else { return };
        if let Ok(id) = link.send(now, side.said) {
            side.said += 1;
            assert_eq!(id.get(), side.said, "ids go up by one");
        }
    }

    fn hear(&mut self, end: End) {
        let forged = self.forged;
        let side = self.side(end);
        if let Some(message) = side.link.as_mut().and_then(Link::poll_message) {
            assert!(forged || message == side.heard, "once and in order");
            side.heard += 1;
        }
    }

    fn poll_event(&mut self, end: End) -> Option<Event> {
        let side = self.side(end);
        let event = side.link.as_mut()?.poll_event()?;
        if let Event::StateChange(Transition { from, to, .. }) = event {
            assert!(side.state.replace(to).is_none_or(|state| state == from));
        }
        Some(event)
    }

    fn take_over(&mut self, end: End) {
        let (now, config) = (self.now, self.config.clone());
        let side = self.side(end);
        if let Some(link) = &mut side.link {
            // The caller polls what happened before it hands over; that is not saved.
            while link.poll_event().is_some() {}
            side.state = Some(link.state());
            *link = Link::restore(now, link.save(now), config).expect("what was saved is sound");
        }
    }

    fn transmit(&mut self, from: End) {
        let to = match from {
            End::A => End::B,
            End::B => End::A,
        };
        while self.side(to).air.len() < IN_THE_AIR {
            let Some(envelope) = self.side(from).link.as_mut().and_then(Link::poll_transmit) else {
                return;
            };
            self.side(to).air.push_back(envelope);
        }
    }

    fn deliver(&mut self, to: End, which: u8, fate: Fate) {
        let air = &mut self.side(to).air;
        let which = usize::from(which).checked_rem(air.len());
        let Some(envelope) = which.and_then(|which| air.remove(which)) else {
            return;
        };
        match fate {
            Fate::Drop => return ignore(envelope),
            Fate::Repeat => self.arrive(to, envelope.clone()),
            Fate::Deliver => {}
        }
        self.arrive(to, envelope);
    }

    fn forge(&mut self, to: End, envelope: Envelope<u32>) {
        self.forged = true;
        self.arrive(to, envelope);
    }

    fn read(&mut self, to: End, text: &[u8]) {
        if let Ok(envelope) = Envelope::<u32>::from_json(text) {
            let printed = envelope.to_json().expect("numbers can be printed");
            let again = Envelope::from_json(printed.as_bytes()).expect("what was printed is read");
            assert_eq!(envelope, again);
            self.forge(to, envelope);
        }
    }

    fn arrive(&mut self, to: End, envelope: Envelope<u32>) {
        let (now, config) = (self.now, self.config.clone());
        let side = self.side(to);
        let Some(link) = &mut side.link else {
            side.link = Link::accept(now, envelope, config).ok();
            return;
        };
        let closed = link.state() == LinkState::Closed;
        let outcome = link.handle_envelope(now, envelope);
        assert!(!closed || outcome != Outcome::Handled, "it is over");
    }

    /// What holds at every moment.
    fn check(&mut self, end: End) {
        let side = self.side(end);
        let Some(link) = &mut side.link else { return };
        assert!(link.unacknowledged() <= CAP.into());
        if side.over {
            assert_eq!(link.state(), LinkState::Closed);
            assert_eq!((link.poll_timeout(), link.poll_message()), (None, None));
            assert_eq!((link.poll_event(), link.poll_action()), (None, None));
            assert_eq!(link.poll_transmit(), None);
        } else if link.state() == LinkState::Closed {
            while link.poll_action().is_some() || link.poll_transmit().is_some() {}
            side.over = true;
            while self.poll_event(end).is_some() {}
        }
    }
}
