//! Two sides of a session, the channels between them in virtual time, and callers that do what they are asked.

use super::chance::Chance;
use floe::signaling::link::{
    AcceptError, Action, Body, Config, Envelope, Event, Link, LinkState, Outcome, SessionId,
};
use sim::Clock;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) type Message = u32;

/// What the channels do to what goes through them, in percent and milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    /// Channels can be opened.
    pub(crate) reachable: bool,
    pub(crate) delay: u64,
    /// At most so much more, which reorders.
    pub(crate) jitter: u64,
    /// Lost without a word, on a channel that lives on.
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    /// What was under way on a channel that broke still comes, afterwards.
    pub(crate) ghosts: u64,
}

impl Net {
    pub(crate) const GOOD: Self = Self {
        reachable: true,
        delay: 20,
        jitter: 0,
        loss: 0,
        duplication: 0,
        ghosts: 0,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Client,
    Server,
}

#[derive(Clone)]
struct Flight {
    at: Instant,
    to: Who,
    channel: u32,
    envelope: Envelope<Message>,
}

/// What anybody could observe, with its time in milliseconds since the beginning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Happened(Who, Event),
    Asked(Who, Action),
    Left(Who, Envelope<Message>),
    Came(Who, Message),
}

pub(crate) struct Wire {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) net: Net,
    pub(crate) client: Link<Message>,
    pub(crate) server: Option<Link<Message>>,
    pub(crate) log: Vec<(u128, Record)>,
    /// Called on each link after each step; what it gives goes on in its place.
    pub(crate) exchange: fn(Instant, Link<Message>, &Arc<Config>) -> Link<Message>,
    config: Arc<Config>,
    chance: Chance,
    flights: Vec<Flight>,
    opening: Option<Instant>,
    /// Whoever is to learn that the other has closed a channel.
    hangups: Vec<(Instant, Who, u32)>,
    /// Channels are numbered as they open.
    opened: u32,
    client_channel: Option<u32>,
    server_channel: Option<u32>,
}

impl Wire {
    pub(crate) fn new(seed: u64, net: Net) -> Self {
        Self::with_config(seed, net, Config::default())
    }

    pub(crate) fn with_config(seed: u64, net: Net, config: Config) -> Self {
        let (now, config) = (Clock::epoch(), Arc::new(config));
        let mut chance = Chance(seed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&chance.next().to_be_bytes());
        let client = Link::dialing(now, SessionId::from_bytes(id), config.clone()).unwrap();
        Self {
            start: now,
            now,
            net,
            client,
            server: None,
            log: Vec::new(),
            exchange: |_, link, _| link,
            config,
            chance,
            flights: Vec::new(),
            opening: None,
            hangups: Vec::new(),
            opened: 0,
            client_channel: None,
            server_channel: None,
        }
    }

    pub(crate) fn server(&mut self) -> &mut Link<Message> {
        self.server.as_mut().unwrap()
    }

    pub(crate) fn link(&mut self, who: Who) -> Option<&mut Link<Message>> {
        match who {
            Who::Client => Some(&mut self.client),
            Who::Server => self.server.as_mut(),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        let up = |link: &Link<_>| link.state() == LinkState::Up;
        up(&self.client) && self.server.as_ref().is_some_and(up)
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.turn();
        while let Some(next) = self.next_event().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.deliver();
            self.hang_up();
            self.open();
            for who in [Who::Client, Who::Server] {
                let now = self.now;
                if let Some(link) = self.link(who) {
                    link.handle_timeout(now);
                    assert!(link.poll_timeout().is_none_or(|due| due > now), "{who:?}");
                }
            }
            self.turn();
        }
        self.now = until;
    }

    /// The channel in use breaks; with it goes what is under way, but for ghosts.
    pub(crate) fn cut(&mut self) {
        let channel = self.client_channel.take();
        self.scatter(channel);
        if channel.is_some() {
            self.client.handle_channel_closed(self.now);
        }
        self.hang_up_at_server(channel);
        self.turn();
    }

    /// The client has another channel, and uses it from now on; the old one lives on for what is under way.
    pub(crate) fn swap(&mut self) {
        self.opening = None;
        self.opened += 1;
        self.client_channel = Some(self.opened);
        self.client.handle_channel_opened(self.now);
        self.turn();
    }

    /// What came to one side, in order.
    pub(crate) fn came(&self, to: Who) -> Vec<Message> {
        let came = |record: &(u128, Record)| match record.1 {
            Record::Came(who, message) if who == to => Some(message),
            _ => None,
        };
        self.log.iter().filter_map(came).collect()
    }

    /// The ids that left one side as messages, in order.
    pub(crate) fn left(&self, from: Who) -> Vec<u32> {
        let left = |(_, record): &(u128, Record)| match record {
            Record::Left(
                who,
                Envelope {
                    body: Body::Message { id, .. },
                    ..
                },
            ) if *who == from => Some(id.get()),
            _ => None,
        };
        self.log.iter().filter_map(left).collect()
    }

    /// When one side was asked for something, in milliseconds.
    pub(crate) fn asked(&self, of: Who) -> Vec<(u128, Action)> {
        let asked = |(at, record): &(u128, Record)| match record {
            Record::Asked(who, action) if *who == of => Some((*at, *action)),
            _ => None,
        };
        self.log.iter().filter_map(asked).collect()
    }

    pub(crate) fn events(&self, of: Who) -> Vec<Event> {
        let happened = |(_, record): &(u128, Record)| match record {
            Record::Happened(who, event) if *who == of => Some(*event),
            _ => None,
        };
        self.log.iter().filter_map(happened).collect()
    }

    fn next_event(&self) -> Option<Instant> {
        let flights = self.flights.iter().map(|flight| flight.at).min();
        let server = self.server.as_ref().and_then(Link::poll_timeout);
        let hangups = self.hangups.iter().map(|(at, ..)| *at).min();
        let client = self.client.poll_timeout();
        let all = [flights, hangups, self.opening, client, server];
        all.into_iter().flatten().min()
    }

    fn deliver(&mut self) {
        let (due, later) = std::mem::take(&mut self.flights)
            .into_iter()
            .partition(|flight| flight.at <= self.now);
        self.flights = later;
        let mut due: Vec<Flight> = due;
        due.sort_by_key(|flight| flight.at);
        for flight in due {
            match flight.to {
                Who::Client => _ = self.client.handle_envelope(self.now, flight.envelope),
                Who::Server => self.arrive(flight.channel, flight.envelope),
            }
            self.turn();
        }
    }

    /// A server with a table of one.
    fn arrive(&mut self, channel: u32, envelope: Envelope<Message>) {
        let (now, session) = (self.now, envelope.session);
        let greets = matches!(envelope.body, Body::Open { .. } | Body::Resume { .. });
        let outcome = match &mut self.server {
            Some(server) => server.handle_envelope(now, envelope),
            None => match Link::accept(now, envelope, self.config.clone()) {
                Ok(link) => {
                    self.server = Some(link);
                    Outcome::Handled
                }
                Err(AcceptError::Refused(refusal)) => Outcome::Refused(refusal),
                Err(AcceptError::Dropped(reason)) => Outcome::Dropped(reason),
                Err(AcceptError::Config(error)) => panic!("{error}"),
            },
        };
        match outcome {
            Outcome::Handled if greets => {
                self.server_channel = Some(channel);
                if self.client_channel != Some(channel) {
                    self.hang_up_at_server(Some(channel));
                }
            }
            Outcome::Refused(refusal) => {
                assert_eq!(refusal.session, session);
                self.fly(Who::Client, channel, refusal);
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        if self.opening.take_if(|at| *at <= self.now).is_none() {
            return;
        }
        if self.net.reachable {
            self.swap();
        } else {
            self.client.handle_channel_closed(self.now);
        }
    }

    /// Both callers do what they are asked, until there is nothing left to do.
    fn turn(&mut self) {
        while [Who::Client, Who::Server].map(|who| self.step(who)) != [false; 2] {}
    }

    fn step(&mut self, who: Who) -> bool {
        let before = self.log.len();
        while let Some(event) = self.link(who).and_then(Link::poll_event) {
            self.note(Record::Happened(who, event));
        }
        while let Some(message) = self.link(who).and_then(Link::poll_message) {
            self.note(Record::Came(who, message));
        }
        while let Some(envelope) = self.link(who).and_then(Link::poll_transmit) {
            self.note(Record::Left(who, envelope.clone()));
            let (channel, to) = match who {
                Who::Client => (self.client_channel, Who::Server),
                Who::Server => (self.server_channel, Who::Client),
            };
            if let Some(channel) = channel {
                self.send(to, channel, envelope);
            }
        }
        while let Some(action) = self.link(who).and_then(Link::poll_action) {
            self.note(Record::Asked(who, action));
            self.act(who, action);
        }
        let (now, config, exchange) = (self.now, self.config.clone(), self.exchange);
        if let Some(link) = self.link(who) {
            *link = exchange(now, link.clone(), &config);
        }
        self.log.len() > before
    }

    fn act(&mut self, who: Who, action: Action) {
        match (who, action) {
            (Who::Client, Action::OpenChannel { .. }) => {
                self.opening = Some(self.now + Duration::from_millis(self.net.delay));
            }
            (Who::Client, Action::CloseChannel) => {
                self.opening = None;
                let channel = self.client_channel.take();
                self.close(Who::Server, channel);
            }
            (Who::Server, Action::CloseChannel) => {
                let channel = self.server_channel.take();
                self.close(Who::Client, channel);
            }
            _ => {}
        }
    }

    /// After what is under way.
    fn close(&mut self, at: Who, channel: Option<u32>) {
        let when = self.now + Duration::from_millis(self.net.delay + self.net.jitter);
        self.hangups
            .extend(channel.map(|channel| (when, at, channel)));
    }

    fn hang_up(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.hangups.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, who, channel) in due {
            match who {
                Who::Client if self.client_channel == Some(channel) => {
                    self.client_channel = None;
                    self.client.handle_channel_closed(now);
                }
                Who::Client => {}
                Who::Server => self.hang_up_at_server(Some(channel)),
            }
            self.turn();
        }
    }

    fn hang_up_at_server(&mut self, channel: Option<u32>) {
        if channel.is_some() && self.server_channel == channel {
            self.server_channel = None;
            let now = self.now;
            if let Some(server) = &mut self.server {
                server.handle_channel_closed(now);
            }
        }
    }

    fn scatter(&mut self, channel: Option<u32>) {
        let (ghosts, chance) = (self.net.ghosts, &mut self.chance);
        self.flights
            .retain(|flight| Some(flight.channel) != channel || chance.percent(ghosts));
    }

    fn send(&mut self, to: Who, channel: u32, envelope: Envelope<Message>) {
        if self.chance.percent(self.net.duplication) {
            self.fly(to, channel, envelope.clone());
        }
        if !self.chance.percent(self.net.loss) {
            self.fly(to, channel, envelope);
        }
    }

    /// As text, as a WebSocket carries it.
    fn fly(&mut self, to: Who, channel: u32, envelope: Envelope<Message>) {
        let text = envelope.to_json().unwrap();
        let jitter = self.chance.below(self.net.jitter + 1);
        self.flights.push(Flight {
            at: self.now + Duration::from_millis(self.net.delay + jitter),
            to,
            channel,
            envelope: Envelope::from_json(text.as_bytes()).unwrap(),
        });
    }

    fn note(&mut self, record: Record) {
        let at = self.now.duration_since(self.start).as_millis();
        self.log.push((at, record));
    }
}
