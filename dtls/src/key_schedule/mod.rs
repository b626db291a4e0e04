//! From an agreed secret to the keys of an association; one file for each version.

pub(crate) mod v12;
