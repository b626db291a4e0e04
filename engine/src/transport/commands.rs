//! What a caller can ask of a transport and read from it, beside the five verbs.

use super::{RemoteDtls, Restart, Transport, associations::Exchange};
use crate::{ApiMisuse, Received, SealError, TransportStats};
use floe_dtls::{self as dtls, Connection, Continuation, FingerprintSet, Setup, Side, SrtpKeys};
use floe_ice::{
    self as ice, Agent, Candidate, CandidateId, FiveTuple, LocalParameters, PairId, Parameters,
    RemoteParameters, Removal, Transmit,
};
use std::{net::SocketAddr, time::Instant};

/// Signalling, this side.
impl Transport {
    /// The username fragment and password to signal: those of the newest generation.
    #[must_use]
    pub fn local_parameters(&self) -> &Parameters {
        self.ice.local_parameters()
    }

    /// Adds an address at which this side can be reached.
    ///
    /// # Errors
    ///
    /// What the agent refuses; see [`Agent::add_local_candidate`].
    pub fn add_local_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<CandidateId, ApiMisuse> {
        let added = self.ice.add_local_candidate(now, candidate)?;
        self.settle(now);
        Ok(added)
    }

    /// Takes back the local candidates at `address`; see [`Agent::remove_local_candidate`].
    pub fn remove_local_candidate(&mut self, now: Instant, address: SocketAddr) -> Removal {
        let removal = self.ice.remove_local_candidate(now, address);
        self.settle(now);
        removal
    }

    /// No more local candidates are to come in this generation.
    pub fn local_candidates_complete(&mut self, now: Instant) {
        self.ice.local_candidates_complete(now);
        self.settle(now);
    }

    /// No more local candidates are to come in the generation of this username fragment of this side: for who still gathers
    /// for one generation when a restart begins the next; see [`Agent::local_candidates_complete_of`].
    pub fn local_candidates_complete_of(&mut self, now: Instant, username_fragment: &str) {
        self.ice
            .local_candidates_complete_of(now, username_fragment);
        self.settle(now);
    }

    /// The `a=setup` to answer an offer with: the established side if the association may go on, else `preferred` where the
    /// offer leaves the choice (RFC 8842 §5.3). An offer of this side always says `actpass`.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Setup`] if the offer swaps the sides without an ICE restart.
    pub fn answer_setup(&self, offered: Setup, preferred: Side) -> Result<Setup, ApiMisuse> {
        Ok(self
            .dtls
            .answer_setup(offered, preferred, self.dtls.exchange)?)
    }
}

/// Signalling, the other side.
impl Transport {
    /// The peer's username fragment, password and mode.
    ///
    /// # Errors
    ///
    /// What the agent refuses: other credentials than before need a [`restart`](Self::restart).
    pub fn set_remote_parameters(
        &mut self,
        now: Instant,
        remote: RemoteParameters,
    ) -> Result<(), ApiMisuse> {
        self.ice.set_remote_parameters(now, remote)?;
        self.settle(now);
        Ok(())
    }

    /// An address at which the peer may be reached. May come before its parameters.
    ///
    /// # Errors
    ///
    /// What the agent refuses; see [`Agent::add_remote_candidate`].
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), ApiMisuse> {
        self.ice.add_remote_candidate(now, candidate)?;
        self.settle(now);
        Ok(())
    }

    /// The peer has taken back its candidates at `address`; see [`Agent::remove_remote_candidate`].
    pub fn remove_remote_candidate(&mut self, now: Instant, address: SocketAddr) -> Removal {
        let removal = self.ice.remove_remote_candidate(now, address);
        self.settle(now);
        removal
    }

    /// The peer has no more candidates in the newest generation, where the signalling does not say in which; see
    /// [`Agent::remote_candidates_complete`].
    pub fn remote_candidates_complete(&mut self, now: Instant) {
        self.ice.remote_candidates_complete(now);
        self.settle(now);
    }

    /// The peer has no more candidates under this username fragment of its own. May come before its parameters; see
    /// [`Agent::remote_candidates_complete_of`].
    pub fn remote_candidates_complete_of(&mut self, now: Instant, username_fragment: &str) {
        self.ice
            .remote_candidates_complete_of(now, username_fragment);
        self.settle(now);
    }

    /// All that an offer or answer says about DTLS. Completes what the first association still lacks; later decides whether
    /// the association goes on or, if fingerprints, sides or tls-id have changed, a new one begins. The old one carries
    /// data until the new one is connected; then [`Event::AssociationChange`](crate::Event::AssociationChange). If the new one
    /// fails, the transport's DTLS is `failed` as soon as the ICE restart is confirmed; if the restart is rolled back, by
    /// [`rollback_restart`](Self::rollback_restart) or because it found no path, the old one goes on as if nothing had been said.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Setup`] if the sides do not fit, or if a new association was not asked for together with an ICE
    /// [`restart`](Self::restart) (RFC 9429 §5.11). The association goes on. [`ApiMisuse::Ice`] after [`close`](Self::close).
    pub fn set_remote_dtls(
        &mut self,
        now: Instant,
        remote: RemoteDtls,
    ) -> Result<Continuation, ApiMisuse> {
        if self.is_closed() {
            return Err(ice::ApiMisuse::Closed.into());
        }
        let continuation = self.dtls.set_remote(now, remote, self.dtls.exchange)?;
        self.dtls.exchange = Exchange::Plain;
        self.settle(now);
        Ok(continuation)
    }

    /// The peer's fingerprints, if the transport was made without.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Dtls`] if they are known already.
    pub fn set_remote_fingerprints(
        &mut self,
        now: Instant,
        fingerprints: FingerprintSet,
    ) -> Result<(), ApiMisuse> {
        self.dtls.set_remote_fingerprints(now, fingerprints)?;
        self.settle(now);
        Ok(())
    }

    /// The peer's `a=setup`, if this side said `actpass`.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Dtls`] if the sides are decided already, or do not fit.
    pub fn set_remote_setup(&mut self, now: Instant, setup: Setup) -> Result<(), ApiMisuse> {
        self.dtls.set_remote_setup(now, setup)?;
        self.settle(now);
        Ok(())
    }
}

/// Life.
impl Transport {
    /// Restarts ICE: a new generation looks for a path while the old one goes on (RFC 8445 §9). `local`: `None` to have
    /// the credentials generated. `remote`: the peer's new ones, if the peer began or they are known.
    ///
    /// Inside an [`Endpoint`](crate::Endpoint), take [`Endpoint::restart`](crate::Endpoint::restart) if you bring
    /// credentials of your own: only the endpoint knows which username fragments are in use.
    ///
    /// # Errors
    ///
    /// What the agent refuses. The session goes on as it was.
    pub fn restart(
        &mut self,
        now: Instant,
        local: Option<LocalParameters>,
        remote: Option<RemoteParameters>,
    ) -> Result<(), ApiMisuse> {
        self.ice.restart(now, local, remote)?;
        let rare = self.dtls.rare.facts();
        let before = rare.restart.take();
        let before = before.map_or(self.dtls.exchange, |replaced| replaced.exchange);
        self.dtls.exchange = Exchange::IceRestart;
        rare.restart = Some(Restart {
            username_fragment: self.ice.local_parameters().username_fragment().to_owned(),
            exchange: before,
        });
        self.dtls.begin_restart();
        self.settle(now);
        Ok(())
    }

    /// Gives up an unconfirmed restart: the peer refused it, and the old generation goes on alone. So does the DTLS association:
    /// one begun with the restart and not connected is dropped.
    ///
    /// # Errors
    ///
    /// What the agent refuses: there is no restart to roll back.
    pub fn rollback_restart(&mut self, now: Instant) -> Result<(), ApiMisuse> {
        self.ice.rollback_restart(now)?;
        self.settle(now);
        Ok(())
    }

    /// Nominates a pair: the caller's own choice, against the policy of the configuration.
    ///
    /// # Errors
    ///
    /// What the agent refuses; see [`Agent::nominate`].
    pub fn nominate(&mut self, now: Instant, pair: PairId) -> Result<(), ApiMisuse> {
        self.ice.nominate(now, pair)?;
        self.settle(now);
        Ok(())
    }

    /// Forbids a pair: it is neither nominated nor used, until it is [released](Self::release_pair).
    ///
    /// # Errors
    ///
    /// What the agent refuses; see [`Agent::veto`].
    pub fn veto_pair(&mut self, now: Instant, pair: PairId) -> Result<(), ApiMisuse> {
        self.ice.veto(now, pair)?;
        self.settle(now);
        Ok(())
    }

    /// Takes back what was said of a pair: the policy decides again.
    ///
    /// # Errors
    ///
    /// What the agent refuses; see [`Agent::release`].
    pub fn release_pair(&mut self, now: Instant, pair: PairId) -> Result<(), ApiMisuse> {
        self.ice.release(now, pair)?;
        self.settle(now);
        Ok(())
    }

    /// The application knows that the peer receives at the other end of `path`: a lite transport may send there as it may
    /// where an own check was answered (I56). For [`Validation::Afterwards`](ice::Validation::Afterwards), and for lite peers
    /// that answer no checks; see [`Agent::set_path_validated`]. Nothing happens where nobody was heard, unless both are lite.
    /// Inside an [`Endpoint`](crate::Endpoint), take
    /// [`Endpoint::set_path_validated`](crate::Endpoint::set_path_validated): what comes from there has to find its way too.
    pub fn set_path_validated(&mut self, now: Instant, path: FiveTuple) {
        self.ice.set_path_validated(path);
        self.settle(now);
    }

    /// The operating system reports that a datagram sent on `path` cannot be delivered; see
    /// [`Agent::handle_unreachable`]. What is not a check says nothing: consent decides.
    pub fn handle_unreachable(&mut self, now: Instant, path: FiveTuple, quoted: &[u8]) -> Received {
        let received = self.ice.handle_unreachable(now, path, quoted);
        self.settle(now);
        received.into()
    }

    /// Other timers from now on.
    pub fn set_timing(&mut self, now: Instant, timing: ice::Timing) {
        self.ice.set_timing(now, timing);
        self.settle(now);
    }

    /// Ends the transport: close_notify to the peer, and silence. The two machines become `closed`.
    pub fn close(&mut self, now: Instant) {
        self.close_by_path_in_use();
        self.dtls.close(now);
        self.ice.close(now);
    }
}

/// Traffic.
impl Transport {
    /// Seals `plaintext` as one DTLS record into `out`, and says where to send it.
    ///
    /// # Errors
    ///
    /// [`SealError::NoConsent`] when the peer consents to no path, else what the connection refuses. Nothing is sealed.
    pub fn seal(
        &mut self,
        now: Instant,
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<Transmit, SealError> {
        let path = self.send_path().ok_or(SealError::NoConsent)?;
        let len = self.dtls.current_mut().seal(now, plaintext, out)?;
        Ok(Transmit { path, len })
    }

    /// Where media goes. `None`: nowhere, the peer does not consent (RFC 7675 §5.1), or is not proven to be there: a lite
    /// transport's first path is proven by its handshake, the next by own checks.
    #[must_use]
    pub fn send_path(&self) -> Option<FiveTuple> {
        self.ice.send_path().filter(|path| !self.is_metered(path))
    }

    /// The SRTP keys of the association in use, once it is connected and if it negotiated SRTP.
    #[must_use]
    pub fn srtp_keys(&self) -> Option<SrtpKeys> {
        self.dtls.current().srtp_keys()
    }

    /// Changes the longest DTLS datagram, in bytes of UDP payload.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Dtls`] outside 256 to the configured MTU, or where the peer's connection id has no room in it.
    pub fn set_mtu(&mut self, mtu: usize) -> Result<(), ApiMisuse> {
        if mtu > self.mtu() {
            return Err(dtls::ApiMisuse::MtuOutOfRange.into());
        }
        Ok(self.dtls.set_mtu(mtu)?)
    }

    /// The caller has verified SRTP or SRTCP from the peer: a sign of life that keeps off a false `disconnected`. It
    /// does not renew consent.
    pub fn note_authenticated_traffic(&mut self, now: Instant) {
        self.ice.note_authenticated_traffic(now);
    }
}

/// What there is to read.
impl Transport {
    /// The ICE agent.
    #[must_use]
    pub fn ice(&self) -> &Agent {
        &self.ice
    }

    /// The DTLS connection in use.
    #[must_use]
    pub fn dtls(&self) -> &Connection {
        self.dtls.current()
    }

    /// ICE state and DTLS state.
    #[must_use]
    pub fn states(&self) -> (ice::State, dtls::State) {
        (self.ice.state(), self.dtls.current().state())
    }

    /// Counters of the transport itself.
    #[must_use]
    pub fn stats(&self) -> TransportStats {
        self.counters.report()
    }
}
