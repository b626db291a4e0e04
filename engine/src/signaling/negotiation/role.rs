//! Who yields when two offers cross, and how two sides come to differ in it.
//!
//! Two impolite sides would ignore each other's offers for ever, two polite ones would both give theirs up and drop both
//! answers. So the roles are settled before the first offer: each side sends its [`RoleClaim`], and both draw the same
//! conclusion from the two, or refuse the session.

use std::fmt;

/// What a side does when its own offer and the other's cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Role {
    /// Takes its own offer back, answers the other's, and offers again afterwards.
    Polite,
    /// Ignores the other's offer and waits for the answer to its own.
    Impolite,
}

impl Role {
    /// The role of the other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Polite => Self::Impolite,
            Self::Impolite => Self::Polite,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Polite => "polite",
            Self::Impolite => "impolite",
        })
    }
}

/// What a side says about its role when the session is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RoleClaim {
    /// This role and no other: of a server towards its clients, say.
    Fixed(Role),
    /// Either role: a number drawn at random decides, the larger one is [impolite](Role::Impolite).
    Drawn(u64),
}

impl RoleClaim {
    /// The role of the side that claims `self`, when the other claims `theirs`. Both sides come to opposite roles, or both to an error.
    ///
    /// # Errors
    ///
    /// Both insist on the same role, or both drew the same number: such a session must not begin.
    ///
    /// ```
    /// use floe::signaling::negotiation::{Role, RoleClaim};
    ///
    /// let (server, client) = (RoleClaim::Fixed(Role::Impolite), RoleClaim::Drawn(7));
    /// assert_eq!(server.settle(client), Ok(Role::Impolite));
    /// assert_eq!(client.settle(server), Ok(Role::Polite));
    /// assert!(server.settle(server).is_err());
    /// ```
    pub fn settle(self, theirs: Self) -> Result<Role, RoleConflict> {
        match (self, theirs) {
            (Self::Fixed(Role::Polite), Self::Fixed(Role::Polite)) => Err(RoleConflict::BothPolite),
            (Self::Fixed(Role::Impolite), Self::Fixed(Role::Impolite)) => {
                Err(RoleConflict::BothImpolite)
            }
            (Self::Fixed(role), _) => Ok(role),
            (Self::Drawn(_), Self::Fixed(role)) => Ok(role.other()),
            (Self::Drawn(ours), Self::Drawn(theirs)) if ours > theirs => Ok(Role::Impolite),
            (Self::Drawn(ours), Self::Drawn(theirs)) if ours < theirs => Ok(Role::Polite),
            (Self::Drawn(_), Self::Drawn(_)) => Err(RoleConflict::SameDraw),
        }
    }
}

/// Why two sides cannot negotiate with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RoleConflict {
    /// Both would take back their offers and drop both answers.
    #[error("both sides are polite")]
    BothPolite,
    /// Both would ignore the other's offer for ever.
    #[error("both sides are impolite")]
    BothImpolite,
    /// Draw again.
    #[error("both sides drew the same number")]
    SameDraw,
}
