//! How transports come and go: made, taken in, taken out, closed, removed, restarted.

use super::{Endpoint, LETTER};
use crate::{ApiMisuse, Transport, TransportId, TransportOptions};
use floe_ice::{FiveTuple, LocalParameters, RemoteParameters, Transmit, UsernameFragments};
use std::time::Instant;
use thiserror::Error;

/// A transport that could not be attached, unharmed.
#[derive(Debug, Error)]
#[error("the transport was not attached: {misuse}")]
pub struct AttachError {
    /// Why not.
    #[source]
    pub misuse: ApiMisuse,
    /// The transport.
    pub transport: Box<Transport>,
}

impl Endpoint {
    /// Makes a transport.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::UfragInUse`] if `options` bring a username fragment that is live here, [`ApiMisuse::TooManyTransports`],
    /// or what [`Transport::new`] says.
    pub fn create(
        &mut self,
        now: Instant,
        mut options: TransportOptions,
    ) -> Result<TransportId, ApiMisuse> {
        if options.local_parameters.is_none() {
            let slot = self.slots.next();
            options.local_parameters = self.name_for(slot);
        }
        let transport = self.seeds.transport(&self.config.transport, options)?;
        self.attach(now, transport).map_err(|error| error.misuse)
    }

    /// Takes a transport in, with all it has under way: learned paths, unanswered checks, a handshake half done. Its events continue
    /// under the new id, [`PathLearned`](crate::Event::PathLearned) for the paths it has here among them.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), or [`ApiMisuse::MtuTooLarge`]; the transport comes back with the error.
    pub fn attach(
        &mut self,
        now: Instant,
        transport: impl Into<Box<Transport>>,
    ) -> Result<TransportId, AttachError> {
        let transport = transport.into();
        if let Err(misuse) = self.check(&transport) {
            return Err(AttachError { misuse, transport });
        }
        let id = self.slots.insert(*transport);
        self.settle_in(now, id);
        self.refresh(now, id);
        Ok(id)
    }

    fn check(&self, transport: &Transport) -> Result<(), ApiMisuse> {
        if self.slots.len() >= self.config.max_transports {
            return Err(ApiMisuse::TooManyTransports);
        }
        if transport.mtu() > self.config.transport.mtu() {
            return Err(ApiMisuse::MtuTooLarge);
        }
        let live = |ufrag: &str| self.by_ufrag(ufrag.as_bytes()).is_some();
        // What is closed is called nothing any more.
        match !transport.is_closed() && transport.ice().local_username_fragments().any(live) {
            true => Err(ApiMisuse::UfragInUse),
            false => Ok(()),
        }
    }

    /// Gives a new transport its routes: the tag of its transactions, those of before, and the paths that are still free.
    fn settle_in(&mut self, now: Instant, id: TransportId) {
        let route = self.routes.route_to(id.slot());
        let Some(transport) = self.slots.get_mut(id) else {
            return;
        };
        for former in transport.routes() {
            self.routes.admit_from(now, id, &former);
        }
        transport.set_route(route);
        transport.resume_deadline(now);
        if self.handshakes.is_some() {
            transport.hold_handshake();
        } else {
            transport.start_handshake(now);
        }
        transport.paths.forget_announcements();
        let paths: Vec<FiveTuple> = transport.paths.owned().collect();
        for path in paths {
            self.reclaim(id, path);
        }
    }

    /// Takes a transport out, with all it has under way, for [`attach`](Self::attach) elsewhere. It stays a machine: datagrams for it
    /// can be given to it meanwhile. What [waits](Self::handle_handshake) of its handshake is lost, as on the network, and will be
    /// repeated. Its id is void from now on; the only events that are still reported under it are
    /// [`PathReleased`](crate::Event::PathReleased), for the paths whose [`PathLearned`](crate::Event::PathLearned) was.
    pub fn detach(&mut self, id: TransportId) -> Option<Transport> {
        if let Some(handshakes) = &mut self.handshakes {
            handshakes.forget(id);
        }
        let (names, transport) = self.slots.names(id)?;
        transport.release_handshake();
        let slot = id.slot();
        for tag in names.tags.into_iter().flatten() {
            self.routes.remove_ufrag(tag, slot);
        }
        for path in transport.paths.owned() {
            self.routes.remove_path(&path, slot);
        }
        for route in transport.routes() {
            self.routes.dismiss_from(id, &route);
        }
        let announced = transport.paths.announced();
        self.released.extend(announced.map(|path| (id, path)));
        self.wheel.clear(&mut self.slots, slot);
        self.senders.remove(&mut self.slots, slot);
        self.tellers.remove(&mut self.slots, slot);
        self.slots.remove(id)
    }

    /// Ends a transport: close_notify to its peer, `closed` events, and 403 for whoever still asks for consent
    /// (RFC 7675 §5.2). It stays readable until [`remove`](Self::remove). False if there is no such transport.
    pub fn close(&mut self, now: Instant, id: TransportId) -> bool {
        self.with(now, id, |transport| transport.close(now))
            .is_some()
    }

    /// Ends a transport and forgets it. What it has left to send still comes out of [`poll_transmit`](Self::poll_transmit);
    /// of its events only [`PathReleased`](crate::Event::PathReleased). False if there is no such transport.
    pub fn remove(&mut self, now: Instant, id: TransportId) -> bool {
        if !self.close(now, id) {
            return false;
        }
        let Some(mut transport) = self.detach(id) else {
            return false;
        };
        let mut buf = vec![0; self.config.transport.mtu()];
        while let Some(Transmit { path, len }) = transport.poll_transmit(&mut buf) {
            if len <= LETTER {
                self.outbox.post(path, &buf[..len]);
            }
        }
        true
    }

    /// Restarts ICE in a transport; see [`Transport::restart`]. One that came from another [shard](crate::steering) is called as
    /// those of this one are from then on.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::UfragInUse`] if `local` is a username fragment that is live here, [`ApiMisuse::UnknownTransport`], or
    /// what the agent says. The session goes on as it was.
    pub fn restart(
        &mut self,
        now: Instant,
        id: TransportId,
        local: Option<LocalParameters>,
        remote: Option<RemoteParameters>,
    ) -> Result<(), ApiMisuse> {
        let ufrag = local
            .as_ref()
            .map(|own| own.as_parameters().username_fragment());
        let holder = ufrag.and_then(|ufrag| self.by_ufrag(ufrag.as_bytes()));
        if holder.is_some_and(|holder| holder != id) {
            return Err(ApiMisuse::UfragInUse);
        }
        let local = local
            .or_else(|| self.name_for_newcomer(id))
            .or_else(|| self.name_for(id.slot()));
        self.with(now, id, |transport| transport.restart(now, local, remote))
            .unwrap_or(Err(ApiMisuse::UnknownTransport))
    }

    /// New credentials that say in which slot their bearer is, unless the configuration has them made otherwise.
    fn name_for(&mut self, slot: u32) -> Option<LocalParameters> {
        let fragments = &self.config.transport.ice.username_fragments;
        if !matches!(fragments, UsernameFragments::Random) {
            return None;
        }
        self.seeds.parameters(&self.minter.mint(slot)).ok()
    }

    /// New credentials for a transport whose agent would still name another shard in them, or none.
    fn name_for_newcomer(&self, id: TransportId) -> Option<LocalParameters> {
        let shard = self.config.sharding.as_ref()?.shard;
        let names_us = |fragments: &UsernameFragments| match fragments {
            UsernameFragments::Routable { number, .. } => *number == u32::from(shard.number()),
            _ => false,
        };
        let theirs = &self.transport(id)?.ice().config().username_fragments;
        let ours = &self.config.transport.ice.username_fragments;
        (!names_us(theirs)).then(|| LocalParameters::generate_as(ours))
    }
}
