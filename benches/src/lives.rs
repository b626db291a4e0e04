//! Sessions of an endpoint that come, move and go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe::{Endpoint, EndpointConfig, TransportId};
use floe_dtls::{self as dtls, Identity};

use crate::call::{self, MTU, open_alone};

/// An endpoint and the sessions it has, the oldest first.
#[derive(Debug)]
pub struct Lives {
    now: Instant,
    endpoint: Endpoint,
    ids: VecDeque<TransportId>,
    made: u32,
}

impl Default for Lives {
    fn default() -> Self {
        Self::new()
    }
}

impl Lives {
    /// Without sessions.
    #[must_use]
    pub fn new() -> Self {
        let identity = Arc::new(Identity::generate().expect("randomness"));
        Self {
            now: call::epoch(),
            endpoint: call::endpoint(1, dtls::Config::new(identity)),
            ids: VecDeque::new(),
            made: 0,
        }
    }

    /// So many new ones.
    pub fn make(&mut self, count: u32) {
        self.ids.reserve(count as usize);
        (0..count).for_each(|_| self.make_one());
    }

    /// A new one, with one candidate a side and the peer's parameters: its first check is due.
    pub fn make_one(&mut self) {
        let id = open_alone(self.now, self.made, &mut self.endpoint);
        self.ids.push_back(id);
        self.made += 1;
    }

    /// The oldest leaves with all it has under way, as for another endpoint, and comes back: its deadline is cleared and set, its names
    /// are forgotten and learned.
    pub fn move_one(&mut self) {
        let id = self.ids.pop_front().expect("there is one");
        let transport = self.endpoint.detach(id).expect("it is there");
        let id = self.endpoint.attach(self.now, transport);
        self.ids.push_back(id.expect("there is room"));
    }

    /// The oldest ends.
    pub fn remove_one(&mut self) {
        let id = self.ids.pop_front().expect("there is one");
        self.endpoint.remove(self.now, id);
        while self.endpoint.poll_event().is_some() {}
    }

    /// Time passes until those that have ended are answered no more, and what there was to say is said.
    pub fn forget(&mut self) {
        self.now += EndpointConfig::MAX_FAREWELL + Duration::from_secs(1);
        self.endpoint.handle_timeout(self.now);
        while self.endpoint.poll_transmit(&mut [0; MTU]).is_some() {}
        while self.endpoint.poll_event().is_some() {}
        self.ids.shrink_to_fit();
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ids.len()
    }
}
