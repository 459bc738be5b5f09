//! Whom journals name.

/// What does it, and for whom. Who runs this can write to the database anyway, so the variable is trusted as far as they are.
pub(crate) fn by_user(what: &str) -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.trim().is_empty()));
    match user {
        Some(user) => format!("{what} ({})", user.trim().chars().take(64).collect::<String>()),
        None => what.to_owned(),
    }
}
