//! The workspace that comes with this program, and what is in it.

/// A file, with its path within the workspace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

/// The one that the document's requests name.
pub(crate) const ID: &str = "workspace-123";

const FILES: [File; 5] = [
    File { path: "README.md", text: include_str!("workspace/README.md") },
    File { path: "docs/errors.md", text: include_str!("workspace/docs/errors.md") },
    File { path: "src/carrier.js", text: include_str!("workspace/src/carrier.js") },
    File { path: "src/server.js", text: include_str!("workspace/src/server.js") },
    File { path: "src/store.js", text: include_str!("workspace/src/store.js") },
];

/// The files of a workspace. Its name is looked up here, and never on a disk.
pub(crate) fn files(id: &str) -> Option<&'static [File]> {
    (id == ID).then_some(&FILES)
}
