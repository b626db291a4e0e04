//! Why a session ended, and what its participant is told.
