//! Whether the media path is alive: a monitor for the server, and an earlier one for the client.
