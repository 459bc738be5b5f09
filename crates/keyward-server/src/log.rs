//! The program's own log, to standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;
use crate::output;

/// Starts it. `KEYWARD_LOG` chooses what is told, as `RUST_LOG` does elsewhere; without it, what has this level.
pub(crate) fn start(level: &str) -> Result<(), Failure> {
    let wanted = std::env::var("KEYWARD_LOG").unwrap_or_default();
    tracing_subscriber::fmt()
        .with_env_filter(filter(if wanted.trim().is_empty() { level } else { &wanted })?)
        .with_writer(std::io::stderr)
        .with_ansi(output::takes_colours(&std::io::stderr()))
        // Telling on standard error that standard error is closed would panic.
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// A word alone has to be a level. `EnvFilter` takes any other for the name of a module and turns everything else off, so that a
/// slip of the pen would silence every warning.
fn filter(wanted: &str) -> Result<EnvFilter, Failure> {
    let refused = |problem: String| {
        let mend = "write a level, like \"debug\", or MODULE=LEVEL, like \"keyward=debug\"; several are separated by commas";
        Failure::Configuration(format!("KEYWARD_LOG: {problem}; {mend}"))
    };
    let words = wanted.split(',').map(str::trim).filter(|word| !word.is_empty() && !word.contains(['=', '[', ']', '{', '}']));
    for word in words {
        if word.parse::<LevelFilter>().is_err() {
            return Err(refused(format!("`{}` is no level", output::visible(word))));
        }
    }
    EnvFilter::try_new(wanted).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_a_level() {
        for good in ["debug", "WARN", "off", "keyward=debug", "info,keyward_axum=trace", "warn,a=off", "a[span{b=1}]=debug"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["verbose", "info,verbose", "keyward", "keyward=verbose", "a=b=c"] {
            let told = filter(bad).unwrap_err().to_string();
            assert!(told.starts_with("KEYWARD_LOG: ") && told.contains("write a level"), "{told}");
        }
    }
}
