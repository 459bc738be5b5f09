//! Why a service does not do what a test asks of it.

use std::{error::Error, fmt, io, path::Path};

/// What went wrong with a service, and how to mend it.
pub struct ServiceError {
    message: String,
}

impl ServiceError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// The message as it is: this is what `unwrap` shows, and a server's log is unreadable with its line breaks escaped.
impl fmt::Debug for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Error for ServiceError {}

/// A file of a service could not be read, written, moved.
pub(super) fn failed(what: &str, file: &Path, error: &io::Error) -> ServiceError {
    ServiceError::new(format!("cannot {what} {}: {error}; check the temporary folder's room and permissions", file.display()))
}
