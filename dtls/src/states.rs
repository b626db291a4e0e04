//! The states that a connection goes through: no code, but the diagrams that the code follows.
//!
//! # A connection
//!
//! What [`Connection::state`](crate::Connection::state) says. Between a complete handshake and `Connected` stands the identity
//! gate, for as long as nobody has said which fingerprints to expect.
//!
//! ```text
//!                start, side known             handshake complete,
//!                                              fingerprint matched
//!    New ──────────────────────▶ Connecting ─────────────────────▶ Connected
//!     │                            │     │                          │     │
//!     │ close, abort   close, abort│     │ error,       close, abort│     │ fatal alert,
//!     │               close_notify │     │ time-out,   close_notify │     │ error,
//!     │                of the peer │     │ other        of the peer │     │ time-out
//!     ▼                            ▼     ▼ fingerprint              ▼     ▼
//!   Closed                      Closed   Failed                 Closed   Failed
//! ```
//!
//! # The client of a handshake
//!
//! Each state is named after the message that it waits for. The version is that of the first ServerHello; behind a
//! HelloVerifyRequest it is DTLS 1.2, behind a HelloRetryRequest DTLS 1.3. What stands behind an arrow is sent on that way.
//!
//! ```text
//!                              │ ClientHello ──▶
//!                              ▼
//!                         ServerHello ◀─────────┐ HelloVerifyRequest, HelloRetryRequest,
//!                              │  │             │ one of them and once: ClientHello ──▶
//!                              │  └─────────────┘
//!                DTLS 1.2      │      DTLS 1.3
//!              ┌───────────────┴───────────────┐
//!              ▼                               ▼
//!         Certificate                 EncryptedExtensions
//!              │                               │
//!              ▼                               ▼
//!      ServerKeyExchange             CertificateRequestV13
//!              │                               │           │
//!              ▼                         asked │           │ not asked: it is the Certificate
//!      CertificateRequest                      ▼           │
//!              │        │                CertificateV13    │
//!        asked │        │ not asked: it        │           │
//!              ▼        │ is the Done          ▼           │
//!       ServerHelloDone │              CertificateVerify ◀─┘
//!              │        │                      │
//!              │◀───────┘                      ▼
//!              │ Certificate*,            FinishedV13
//!              │ ClientKeyExchange,            │ Certificate*, CertificateVerify*,
//!              │ CertificateVerify*,           │ Finished ──▶
//!              │ ChangeCipherSpec,             │
//!              │ Finished ──▶                  │
//!              ▼                               │
//!          Finished ───────▶ Completed ◀───────┘
//! ```
//!
//! # The server of a handshake
//!
//! ```text
//!                                  ClientHello
//!                    DTLS 1.2  │                 │  DTLS 1.3
//!               ServerHello,   │                 │
//!               Certificate,   │                 │ no share: HelloRetryRequest ──▶
//!               …, Done ──▶    │                 ├─────────────┐
//!                ┌─────────────┤                 │             ▼
//!                │ asked       │ not asked       │ share  SecondClientHello
//!                ▼             │                 │             │
//!           Certificate        │                 │◀────────────┘
//!                │             │                 │ ServerHello, …, Finished ──▶
//!                ▼             │                 ├───────────────────────┐
//!        ClientKeyExchange ◀───┘                 │ asked                 │ not asked
//!                ├──────────────┐                ▼                       │
//!                │ certificate  │ none     CertificateV13                │
//!                ▼              │                ├───────────────┐       │
//!        CertificateVerify      │                │ certificate   │ none  │
//!                │              │                ▼               │       │
//!                ▼              │       CertificateVerifyV13     │       │
//!            Finished ◀─────────┘                │               │       │
//!                │ ChangeCipherSpec,             ▼               │       │
//!                │ Finished ──▶             FinishedV13 ◀────────┴───────┘
//!                │                               │ ACK ──▶
//!                └─────────▶ Completed ◀─────────┘
//! ```
//!
//! # Keys of DTLS 1.3
//!
//! One KeyUpdate of each end is in the air at a time ([`Connection::update_keys`](crate::Connection::update_keys)). What an end
//! writes changes with the ACK of its own, what it reads with the first record that the peer writes after its own.
//!
//! ```text
//!   write:           KeyUpdate ──▶                ACK ◀──
//!          Settled ──────────────▶ In the air ──────────────▶ Settled, next epoch
//!
//!   read:            KeyUpdate ◀──, ACK ──▶       first record of the next epoch
//!          Settled ──────────────▶ Announced ───────────────▶ Settled, next epoch; the one before for 4 minutes
//! ```
