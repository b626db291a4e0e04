//! The four descriptions of a connection, pending and current, local and remote.
