//! Keys in a JSON file.
