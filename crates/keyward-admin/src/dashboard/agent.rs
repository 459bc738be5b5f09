//! What people call the browser and the system that a `User-Agent` names.
//!
//! A few words out of what browsers have written there for years, so that somebody recognises their own. It proves nothing: whoever
//! signs in may write what they like. Refused: a library with tables of every device, for two words on one page.

/// By the first of these that is in it. Most browsers also name those that they want to be taken for, so that the order matters.
const BROWSERS: [(&str, &str); 9] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// `Firefox on Linux`, or the agent's own first word.
pub(super) fn called(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| names.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name);
    match (first(&BROWSERS), first(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        _ => agent.split_whitespace().next().map_or_else(|| "Unknown".to_owned(), |word| word.chars().take(40).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_systems() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, expected) in [
            (format!("Mozilla/5.0 (X11; Linux x86_64) {webkit} Chrome/156.0.0.0 Safari/537.36"), "Chrome on Linux"),
            (
                format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/156.0.0.0 Safari/537.36 Edg/156.0"),
                "Edge on Windows",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0".to_owned(), "Firefox on Linux"),
            (format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {webkit} Version/19.0 Safari/605.1.15"), "Safari on macOS"),
            (
                format!("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) {webkit} Version/19.0 Mobile Safari/604.1"),
                "Safari on iPhone",
            ),
            (format!("Mozilla/5.0 (Linux; Android 16; K) {webkit} Chrome/156.0.0.0 Mobile Safari/537.36"), "Chrome on Android"),
            ("curl/8.5.0".to_owned(), "curl"),
            ("python-requests/2.32 x".to_owned(), "python-requests/2.32"),
            (String::new(), "Unknown"),
        ] {
            assert_eq!(called(&agent), expected, "{agent}");
        }
        assert_eq!(called(&"x".repeat(500)).len(), 40);
    }
}
