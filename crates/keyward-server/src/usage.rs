//! Wrong usage, as clap tells it, without what may be a secret.

use keyward::key;

use crate::output::tell;

/// Tells it and ends the program: with status 2, or with 0 for `--help` and `--version`.
pub(crate) fn tell_and_exit(error: &clap::Error) -> ! {
    let told = error.to_string();
    let without = without_secrets(&told, std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()));
    if !error.use_stderr() || without == told {
        // In colours, where those are taken.
        error.exit();
    }
    tell(&without);
    std::process::exit(error.exit_code());
}

/// clap quotes an argument that stands in the wrong place: one that is a URL, which may hold a password, or a key is left out.
fn without_secrets(told: &str, arguments: impl Iterator<Item = String>) -> String {
    let values = arguments.map(|argument| match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => value.to_owned(),
        _ => argument,
    });
    let is_secret = |value: &String| value.contains("://") || key::parse(value).is_some();
    values.filter(is_secret).fold(told.to_owned(), |told, value| told.replace(&value, "…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_keys_are_left_out_and_the_rest_is_not() {
        let key = key::generate(&"acme".parse().unwrap(), &keyward::SystemRandom).unwrap();
        let told = format!("unexpected argument 'postgres://me:pw@db/keys' found, nor '{}', nor 'x'", key.expose());
        let arguments = ["--database=postgres://me:pw@db/keys", key.expose(), "x"].map(str::to_owned);
        assert_eq!(without_secrets(&told, arguments.into_iter()), "unexpected argument '…' found, nor '…', nor 'x'");
    }
}
