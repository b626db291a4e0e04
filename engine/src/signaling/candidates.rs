//! Remote candidates that came before their description.
