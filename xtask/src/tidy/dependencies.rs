//! Which crate may be linked with what, directly or through others.

use super::Violation;

/// What one of our crates is never linked with.
struct Boundary {
    package: &'static str,
    never: &'static [&'static [&'static str]],
    because: &'static str,
}

const FRAMEWORKS: &[&str] = &[
    "axum",
    "axum-core",
    "actix-web",
    "actix-http",
    "warp",
    "rocket",
    "poem",
    "salvo",
    "tonic",
    "tower",
    "tower-http",
    "tower-layer",
    "tower-service",
];
const SERVERS: &[&str] = &["hyper", "hyper-util", "h2", "mio", "socket2"];
const RUNTIMES: &[&str] = &[
    "tokio",
    "async-std",
    "async-executor",
    "async-io",
    "smol",
    "futures-executor",
    "actix-rt",
    "compio",
    "glommio",
    "monoio",
    "embassy-executor",
];
const ADAPTERS: &[&str] = &["keyward-tower", "keyward-axum", "keyward-actix", "keyward-warp"];
const DRIVERS: &[&str] = &["sqlx", "sqlx-core", "rusqlite", "libsqlite3-sys", "tokio-postgres", "redis", "fred"];

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        package: "keyward",
        never: &[FRAMEWORKS, SERVERS, RUNTIMES, DRIVERS, ADAPTERS],
        because: "the core decides for every framework, and its host lends it time, threads and sockets",
    },
    Boundary {
        package: "keyward-tower",
        never: &[&["axum", "axum-core", "warp", "actix-web", "actix-http"]],
        because: "it serves whatever speaks tower, and knows no framework built on it",
    },
    Boundary {
        package: "keyward-axum",
        never: &[&["actix-web", "actix-http", "warp", "keyward-actix", "keyward-warp"]],
        because: "an adapter knows one framework",
    },
    Boundary {
        package: "keyward-warp",
        never: &[&["axum", "axum-core", "actix-web", "actix-http", "keyward-axum", "keyward-actix"]],
        because: "an adapter knows one framework",
    },
    Boundary {
        package: "keyward-actix",
        never: &[&["axum", "axum-core", "warp", "keyward-tower", "keyward-axum", "keyward-warp"]],
        because: "an adapter knows one framework, and actix-web speaks another version of `http` than tower does",
    },
    Boundary {
        package: "keyward-sql",
        never: &[ADAPTERS, &["axum", "actix-web", "warp", "redis", "keyward-redis"]],
        because: "a store knows its driver, and nothing of who asks",
    },
    Boundary {
        package: "keyward-file",
        never: &[FRAMEWORKS, SERVERS, RUNTIMES, DRIVERS, ADAPTERS],
        because: "it needs the standard library and a disk, and no service becomes a larger one by it",
    },
    Boundary {
        package: "keyward-redis",
        never: &[ADAPTERS, &["axum", "actix-web", "warp", "sqlx", "keyward-sql"]],
        because: "a store knows its driver, and nothing of who asks",
    },
    Boundary {
        package: "keyward-admin",
        never: &[ADAPTERS, DRIVERS, &["axum", "axum-core", "actix-web", "warp"]],
        because: "it is a request in and a response out, over the storage traits",
    },
];

/// The behaviour suite brings a test runtime and every adapter with it.
const ONLY_FOR_TESTS: &str = "keyward-behaviour";

/// Judges what `cargo tree -p PACKAGE -e normal --prefix none` printed.
pub(super) fn check(package: &str, tree: &str) -> Vec<Violation> {
    let linked = linked_packages(tree);
    let mut found = Vec::new();
    for boundary in BOUNDARIES.iter().filter(|boundary| boundary.package == package) {
        for never in boundary.never.iter().copied().flatten() {
            if linked.contains(never) {
                found.push(violation(package, never, boundary.because));
            }
        }
    }
    if linked.contains(&ONLY_FOR_TESTS) && package != ONLY_FOR_TESTS {
        found.push(violation(package, ONLY_FOR_TESTS, "the behaviour suite is a development dependency"));
    }
    found
}

fn violation(package: &str, never: &str, because: &str) -> Violation {
    Violation { place: package.to_owned(), line: None, message: format!("must not be linked with `{never}`: {because}") }
}

fn linked_packages(tree: &str) -> Vec<&str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(package: &str, dependencies: &[&str]) -> String {
        let mut text = format!("{package} v0.1.0 (/somewhere/{package})\n");
        for dependency in dependencies {
            text.push_str(&format!("{dependency} v1.2.3\n{dependency} v1.2.3 (*)\n"));
        }
        text
    }

    #[test]
    fn what_a_crate_may_be_linked_with_is_let_through() {
        for (package, dependencies) in [
            ("keyward", &["http", "governor", "pollster", "futures-channel", "tokio-like"][..]),
            ("keyward-tower", &["keyward", "tower-layer", "tower-service", "tokio"]),
            ("keyward-axum", &["keyward", "keyward-tower", "axum", "axum-core", "tokio"]),
            ("keyward-behaviour", &["keyward-axum", "axum", "tokio"]),
            ("xtask", &["clap"]),
        ] {
            assert_eq!(check(package, &tree(package, dependencies)), []);
        }
    }

    #[test]
    fn every_forbidden_crate_is_found_under_every_boundary() {
        for boundary in BOUNDARIES {
            for never in boundary.never.iter().copied().flatten() {
                let found = check(boundary.package, &tree(boundary.package, &["http", never]));
                assert_eq!(found.len(), 1, "{} with {never}", boundary.package);
                assert!(found[0].to_string().contains(&format!("`{never}`")));
            }
        }
    }

    #[test]
    fn the_boundaries_that_matter_most_are_drawn() {
        for (package, never) in [
            ("keyward", "tokio"),
            ("keyward", "async-std"),
            ("keyward", "smol"),
            ("keyward", "futures-executor"),
            ("keyward", "hyper"),
            ("keyward", "axum"),
            ("keyward", "actix-web"),
            ("keyward", "warp"),
            ("keyward-tower", "axum"),
            ("keyward-tower", "warp"),
            ("keyward-axum", "actix-web"),
            ("keyward-axum", "warp"),
            ("keyward-actix", "keyward-tower"),
            ("keyward-file", "tokio"),
        ] {
            assert_eq!(check(package, &tree(package, &[never])).len(), 1, "{package} with {never}");
        }
    }

    #[test]
    fn nothing_is_linked_with_the_behaviour_suite() {
        for package in ["keyward", "keyward-server", "keyward-examples", "xtask"] {
            let found = check(package, &tree(package, &["keyward-behaviour"]));
            assert_eq!(found.len(), 1, "{package}");
        }
    }
}
