//! Every crate takes the workspace's lints, and those forbid `unsafe`: `forbid` is the one level that no attribute
//! inside a crate can lower again.

use toml::Table;

use super::Violation;

/// Judges the workspace's own `Cargo.toml`.
pub(super) fn check_workspace(file: &str, text: &str) -> Vec<Violation> {
    judge(file, text, |manifest| {
        let level = look_up(manifest, &["workspace", "lints", "rust", "unsafe_code"]);
        // A lint is written `"forbid"` or `{ level = "forbid", … }`.
        let level = level.and_then(|level| level.as_str().or_else(|| level.get("level")?.as_str()));
        (level != Some("forbid")).then_some("`[workspace.lints.rust]` has to say `unsafe_code = \"forbid\"`")
    })
}

/// Judges the `Cargo.toml` of a member.
pub(super) fn check_member(file: &str, text: &str) -> Vec<Violation> {
    judge(file, text, |manifest| {
        let inherited = look_up(manifest, &["lints", "workspace"]).and_then(toml::Value::as_bool);
        (inherited != Some(true)).then_some("`[lints]` has to say `workspace = true`")
    })
}

fn judge(file: &str, text: &str, complaint: impl Fn(&Table) -> Option<&'static str>) -> Vec<Violation> {
    let message = match text.parse::<Table>() {
        Ok(manifest) => complaint(&manifest).map(str::to_owned),
        Err(error) => Some(format!("is not TOML: {}", error.message())),
    };
    message.into_iter().map(|message| Violation { place: file.to_owned(), line: None, message }).collect()
}

fn look_up<'a>(table: &'a Table, names: &[&str]) -> Option<&'a toml::Value> {
    let (first, rest) = names.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_manifests_are_let_through() {
        for text in [
            "[workspace.lints.rust]\nunsafe_code = \"forbid\"",
            "[workspace.lints.rust]\nunsafe_code = { level = \"forbid\", priority = 1 }",
        ] {
            assert_eq!(check_workspace("Cargo.toml", text), []);
        }
        assert_eq!(check_member("Cargo.toml", "[lints]\nworkspace = true"), []);
    }

    #[test]
    fn a_workspace_that_does_not_forbid_unsafe_is_found() {
        for text in [
            "",
            "[workspace.lints.rust]\nmissing_docs = \"warn\"",
            "[workspace.lints.rust]\nunsafe_code = \"deny\"",
            "[workspace.lints.clippy]\nunsafe_code = \"forbid\"",
            "[workspace.lints.rust]\nunsafe_code = { level = \"warn\" }",
            "[[",
        ] {
            assert_eq!(check_workspace("Cargo.toml", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_member_that_goes_without_the_lints_is_found() {
        for text in [
            "",
            "[package]\nname = \"keyward\"",
            "[lints]\nworkspace = false",
            "[lints.rust]\nunsafe_code = \"forbid\"",
            "lints = 1",
        ] {
            assert_eq!(check_member("Cargo.toml", text).len(), 1, "{text}");
        }
    }
}
