//! No text carries a path of somebody's machine: it would work there only, and tells who works where.

use std::env;
use std::path::Path;

use super::Violation;

/// Folders below which every machine keeps its users' own things. Each is followed by the user's name.
const HOMES: &[&str] = &["/home/", "/Users/", "C:\\Users\\"];

/// What has to stay out of every text.
pub(super) struct Private {
    folders: Vec<String>,
}

impl Private {
    /// Besides what is private on every machine: this checkout, and the home folder of whoever runs this.
    pub(super) fn of_this_machine(root: &Path) -> Self {
        let home = env::var_os("HOME");
        Self::folders([Some(root), home.as_deref().map(Path::new)].into_iter().flatten())
    }

    fn folders<'a>(folders: impl Iterator<Item = &'a Path>) -> Self {
        let mut folders: Vec<_> = folders
            .filter_map(Path::to_str)
            .map(|folder| folder.trim_end_matches('/').to_owned())
            // `/`, `/app` or `/src` stands in many a text that means something else.
            .filter(|folder| folder.matches('/').count() > 1)
            .collect();
        folders.push("/root".to_owned());
        folders.sort();
        folders.dedup();
        Self { folders }
    }

    /// Judges one text, and the name of the file that holds it.
    pub(super) fn check(&self, file: &str, text: &str) -> Vec<Violation> {
        text.lines()
            .enumerate()
            .filter(|(_, line)| self.is_told_in(line))
            .map(|(index, _)| Violation {
                place: file.to_owned(),
                line: Some(index + 1),
                message: "a path of somebody's machine".to_owned(),
            })
            .collect()
    }

    fn is_told_in(&self, line: &str) -> bool {
        let of_a_user = HOMES.iter().any(|home| {
            line.match_indices(home)
                .any(|(at, _)| starts_a_path(line, at) && line[at + home.len()..].starts_with(|c: char| c.is_alphanumeric()))
        });
        of_a_user
            || self.folders.iter().any(|folder| {
                line.match_indices(folder).any(|(at, _)| starts_a_path(line, at) && line[at + folder.len()..].starts_with('/'))
            })
    }
}

/// Not in the midst of a longer path or of a URL, where the same words mean something else.
fn starts_a_path(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~}*".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private() -> Private {
        Private::folders(["/srv/checkouts/keyward", "/app"].map(Path::new).into_iter())
    }

    #[test]
    fn paths_of_a_machine_are_found_with_their_line() {
        let home = "home";
        for line in [
            format!("see /{home}/somebody/keyward"),
            format!("`/{home}/somebody`"),
            format!("file:///{home}/somebody/x"),
            format!("/{}/somebody/keyward", "Users"),
            format!("C:\\{}\\somebody", "Users"),
            format!("/{}/.cargo/registry", "root"),
            "cd /srv/checkouts/keyward/crates".to_owned(),
        ] {
            let found = private().check("README.md", &format!("first\n{line}\n"));
            assert_eq!(found.len(), 1, "{line}");
            assert_eq!(found[0].line, Some(2));
        }
    }

    #[test]
    fn what_only_looks_like_one_is_let_through() {
        for line in [
            "GET /app/reports",
            "open_paths = [\"/home/*\"]",
            "https://example.com/home/page",
            "below /root there is nothing",
            "/rootless/x",
            "the root/ folder",
            "/srv/checkouts/keyward-other/x",
        ] {
            assert_eq!(private().check("README.md", line), [], "{line}");
        }
    }
}
