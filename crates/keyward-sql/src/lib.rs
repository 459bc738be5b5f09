//! Keys in SQLite and PostgreSQL.
