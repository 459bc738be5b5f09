//! API-key authentication for HTTP services.
