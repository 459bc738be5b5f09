//! A disk that forgets: what was not synced may be lost when the power is cut, all of it or any part of it.
//!
//! 1. What is in a file survives for certain if it was written before an `fsync` or `fdatasync` of that file began, and
//!    that sync has ended. Its size counts as what is in it.
//! 2. A name (made, moved, linked or removed) survives for certain if a sync of the folder that holds it began after it
//!    and has ended; an `fdatasync` will do, as it does on Linux. A move between two folders needs both. That the file was synced is not enough, unless the disk is
//!    told to be one of those where it is ([`Disk::syncing_keeps_the_first_name`]).
//! 3. Of everything else anything may survive, see [`Loss`]. Only a single change of names is never torn: a file that
//!    was moved has its old name or its new one.
//!
//! Permissions, times and owners are not modelled.

use std::collections::{BTreeMap, BTreeSet};

use super::loss::{Loss, Random};
use super::state::{Content, State};

/// Disks keep or lose whole pages.
const PAGE: usize = 4_096;

/// A file, whatever its names. The number is never given out again.
pub(super) type FileNumber = usize;

/// What happens to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Written {
        file: FileNumber,
        at: usize,
        bytes: Vec<u8>,
    },
    Resized {
        file: FileNumber,
        size: usize,
    },
    Named(NameChange),
    /// A sync that covers what had ended before the given line.
    FileSynced {
        file: FileNumber,
        before: usize,
    },
    FolderSynced {
        folder: String,
        before: usize,
    },
}

/// One change of names, which survives as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameChange {
    pub(super) removed: Option<String>,
    pub(super) added: Option<(String, Entry)>,
    /// It is the first name of a new file.
    pub(super) is_first: bool,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    File(FileNumber),
    Folder,
}

/// What is on the disk for certain, and what may be.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    synced_names: Names,
    /// In order; those that are certain are among them if an earlier one is not.
    name_changes: Vec<UnsyncedName>,
    live_names: Names,
    /// Rule 2's exception.
    pub(super) syncing_keeps_the_first_name: bool,
}

/// Names below the disk's folder, `/` between them.
type Names = BTreeMap<String, Entry>;

#[derive(Debug, Clone, Default)]
struct File {
    synced: Vec<u8>,
    changes: Vec<UnsyncedData>,
    live: Vec<u8>,
}

#[derive(Debug, Clone)]
struct UnsyncedData {
    line: usize,
    change: DataChange,
}

#[derive(Debug, Clone)]
enum DataChange {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Clone)]
struct UnsyncedName {
    line: usize,
    change: NameChange,
    /// Folders whose sync it still needs.
    needs: BTreeSet<String>,
}

impl Disk {
    /// A disk on which all of this is certain.
    pub(super) fn new(initial: &State) -> Self {
        let mut disk = Self::default();
        for (name, content) in &initial.0 {
            let entry = match content {
                Content::Folder => Entry::Folder,
                Content::File(bytes) => {
                    disk.files.push(File { synced: bytes.clone(), changes: Vec::new(), live: bytes.clone() });
                    Entry::File(disk.files.len() - 1)
                }
            };
            disk.synced_names.insert(name.clone(), entry);
        }
        disk.live_names = disk.synced_names.clone();
        disk
    }

    /// What the name stands for as long as the power is on. The empty name is the disk's folder itself.
    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        if name.is_empty() { Some(Entry::Folder) } else { self.live_names.get(name).copied() }
    }

    pub(super) fn size(&self, file: FileNumber) -> usize {
        self.files[file].live.len()
    }

    /// The number for the next new file; its first name is the next thing that has to happen.
    pub(super) fn next_file(&self) -> FileNumber {
        self.files.len()
    }

    /// Lets a change happen that ended on that line of the trace.
    pub(super) fn apply(&mut self, line: usize, change: &Change) {
        match change {
            Change::Written { file, at, bytes } => {
                self.files[*file].change(line, DataChange::Write { at: *at, bytes: bytes.clone() });
            }
            Change::Resized { file, size } => self.files[*file].change(line, DataChange::Resize(*size)),
            Change::Named(change) => self.rename(line, change),
            Change::FileSynced { file, before } => self.sync_file(*file, *before),
            Change::FolderSynced { folder, before } => self.sync_folder(folder, *before),
        }
    }

    fn rename(&mut self, line: usize, change: &NameChange) {
        if let Some((_, Entry::File(file))) = change.added {
            self.files.resize_with(self.files.len().max(file + 1), File::default);
        }
        change.apply(&mut self.live_names);
        let names = change.removed.iter().chain(change.added.iter().map(|(name, _)| name));
        let needs = names.map(|name| folder_of(name).to_owned()).collect();
        self.name_changes.push(UnsyncedName { line, change: change.clone(), needs });
    }

    fn sync_file(&mut self, file: FileNumber, before: usize) {
        self.files[file].sync(before);
        if self.syncing_keeps_the_first_name {
            for name in &mut self.name_changes {
                let added = name.change.added.as_ref().map(|(_, entry)| *entry);
                if name.change.is_first && added == Some(Entry::File(file)) && name.line < before {
                    name.needs.clear();
                }
            }
            self.forget_certain_changes();
        }
    }

    fn sync_folder(&mut self, folder: &str, before: usize) {
        for name in &mut self.name_changes {
            if name.line < before {
                name.needs.remove(folder);
            }
        }
        self.forget_certain_changes();
    }

    fn forget_certain_changes(&mut self) {
        let certain = self.name_changes.iter().take_while(|name| name.is_certain()).count();
        for name in self.name_changes.drain(..certain) {
            name.change.apply(&mut self.synced_names);
        }
    }

    /// Whether there is nothing that could be lost.
    pub(super) fn is_certain(&self) -> bool {
        self.name_changes.is_empty() && self.files.iter().all(|file| file.changes.is_empty())
    }

    /// What is found as long as the power is on.
    pub(super) fn live(&self) -> State {
        self.state(&self.live_names, |file| file.live.clone())
    }

    /// What is found when the power is back.
    pub(super) fn after(&self, loss: Loss, random: &mut Random) -> State {
        let mut names = self.synced_names.clone();
        for name in &self.name_changes {
            let survives = match loss {
                Loss::Everything | Loss::Names => false,
                Loss::Nothing | Loss::Data | Loss::DataButSizes | Loss::EndOfData => true,
                Loss::Anything => random.coin(),
            };
            if survives || name.is_certain() {
                name.change.apply(&mut names);
            }
        }
        self.state(&names, |file| match loss {
            Loss::Everything | Loss::Data => file.synced.clone(),
            Loss::Nothing | Loss::Names => file.live.clone(),
            Loss::DataButSizes => file.zeroed(),
            Loss::EndOfData => file.cut(random),
            Loss::Anything => file.torn(random),
        })
    }

    /// A file in a folder that was lost is lost with it.
    fn state(&self, names: &Names, mut content: impl FnMut(&File) -> Vec<u8>) -> State {
        let mut state = State::default();
        for (name, entry) in names {
            let folder = folder_of(name);
            if folder.is_empty() || state.0.get(folder) == Some(&Content::Folder) {
                let content = match entry {
                    Entry::Folder => Content::Folder,
                    Entry::File(file) => Content::File(content(&self.files[*file])),
                };
                state.0.insert(name.clone(), content);
            }
        }
        state
    }
}

/// The folder that holds a name; the empty name is the disk's own.
fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl UnsyncedName {
    fn is_certain(&self) -> bool {
        self.needs.is_empty()
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        if let Some(removed) = &self.removed {
            names.remove(removed);
        }
        if let Some((name, entry)) = &self.added {
            names.insert(name.clone(), *entry);
        }
    }
}

impl File {
    fn change(&mut self, line: usize, change: DataChange) {
        change.apply(&mut self.live);
        self.changes.push(UnsyncedData { line, change });
    }

    fn sync(&mut self, before: usize) {
        let covered = self.changes.iter().take_while(|unsynced| unsynced.line < before).count();
        for unsynced in self.changes.drain(..covered) {
            unsynced.change.apply(&mut self.synced);
        }
    }

    /// Its sizes were kept, and nothing of what was written.
    fn zeroed(&self) -> Vec<u8> {
        let mut content = self.synced.clone();
        for unsynced in &self.changes {
            match &unsynced.change {
                DataChange::Write { at, bytes } => content.resize(content.len().max(at + bytes.len()), 0),
                DataChange::Resize(size) => content.resize(*size, 0),
            }
        }
        content
    }

    /// Some byte was the last that was kept.
    fn cut(&self, random: &mut Random) -> Vec<u8> {
        let written = |unsynced: &UnsyncedData| match &unsynced.change {
            DataChange::Write { bytes, .. } => bytes.len(),
            DataChange::Resize(_) => 0,
        };
        let mut kept = random.below(self.changes.iter().map(written).sum::<usize>() + 1);
        let mut bytes = self.synced.clone();
        for unsynced in &self.changes {
            let all = written(unsynced);
            match &unsynced.change {
                DataChange::Write { at, bytes: new } if kept < all => {
                    write(&mut bytes, *at, &new[..kept]);
                    break;
                }
                change => change.apply(&mut bytes),
            }
            kept -= all;
        }
        bytes
    }

    /// Each page is kept as it was after some change, and so is the size: those that wrote a page may have been on their
    /// way to the disk while later ones had arrived.
    fn torn(&self, random: &mut Random) -> Vec<u8> {
        let mut sizes = vec![self.synced.len()];
        let mut largest = self.synced.len();
        let mut touching: BTreeMap<usize, Vec<&DataChange>> = BTreeMap::new();
        for UnsyncedData { change, .. } in &self.changes {
            let size = *sizes.last().unwrap_or(&0);
            let (touched, size) = match change {
                DataChange::Write { at, bytes } => (*at..at + bytes.len(), size.max(at + bytes.len())),
                DataChange::Resize(new) => (*new..size.max(*new), *new),
            };
            for page in touched.start / PAGE..touched.end.div_ceil(PAGE) {
                touching.entry(page).or_default().push(change);
            }
            sizes.push(size);
            largest = largest.max(size);
        }
        let mut bytes = self.synced.clone();
        bytes.resize(largest, 0);
        for (page, changes) in touching {
            let kept = random.below(changes.len() + 1);
            let start = page * PAGE;
            let end = largest.min(start + PAGE);
            for change in &changes[..kept] {
                change.apply_to_page(start, &mut bytes[start..end]);
            }
        }
        bytes.resize(sizes[random.below(sizes.len())], 0);
        bytes
    }
}

impl DataChange {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(content, *at, bytes),
            Self::Resize(size) => content.resize(*size, 0),
        }
    }

    fn apply_to_page(&self, start: usize, page: &mut [u8]) {
        let end = start + page.len();
        match self {
            Self::Write { at, bytes } => {
                let (from, to) = (start.max(*at), end.min(at + bytes.len()));
                page[from - start..to - start].copy_from_slice(&bytes[from - at..to - at]);
            }
            Self::Resize(size) => page[(*size).clamp(start, end) - start..].fill(0),
        }
    }
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(files: &[(&str, &str)]) -> State {
        State(files.iter().map(|(name, text)| ((*name).to_owned(), Content::File(text.as_bytes().to_vec()))).collect())
    }

    fn created(name: &str, file: FileNumber) -> Change {
        Change::Named(NameChange { removed: None, added: Some((name.to_owned(), Entry::File(file))), is_first: true })
    }

    fn moved(from: &str, to: &str, file: FileNumber) -> Change {
        let added = Some((to.to_owned(), Entry::File(file)));
        Change::Named(NameChange { removed: Some(from.to_owned()), added, is_first: false })
    }

    fn written(file: FileNumber, at: usize, text: &str) -> Change {
        Change::Written { file, at, bytes: text.as_bytes().to_vec() }
    }

    fn folder_synced(before: usize) -> Change {
        Change::FolderSynced { folder: String::new(), before }
    }

    /// The changes happen on lines 1, 2, 3, …
    fn disk(initial: &[(&str, &str)], changes: &[Change]) -> Disk {
        changed(Disk::new(&state(initial)), changes)
    }

    fn changed(mut disk: Disk, changes: &[Change]) -> Disk {
        for (index, change) in changes.iter().enumerate() {
            disk.apply(index + 1, change);
        }
        disk
    }

    fn after(disk: &Disk, loss: Loss) -> State {
        disk.after(loss, &mut Random::new(1))
    }

    fn all_of(disk: &Disk, loss: Loss) -> BTreeSet<State> {
        (0..200).map(|seed| disk.after(loss, &mut Random::new(seed))).collect()
    }

    #[test]
    fn what_was_not_synced_is_lost_when_everything_is() {
        let disk = disk(&[("a", "old")], &[written(0, 0, "new"), written(0, 3, "er")]);
        assert_eq!(disk.live(), state(&[("a", "newer")]));
        assert_eq!(after(&disk, Loss::Nothing), disk.live());
        assert_eq!(after(&disk, Loss::Everything), state(&[("a", "old")]));
        assert_eq!(after(&disk, Loss::DataButSizes), state(&[("a", "old\0\0")]));
    }

    #[test]
    fn a_file_that_was_emptied_and_written_may_be_full_of_zeros() {
        let disk = disk(&[("a", "old")], &[Change::Resized { file: 0, size: 0 }, written(0, 0, "newer")]);
        assert_eq!(after(&disk, Loss::DataButSizes), state(&[("a", "\0\0\0\0\0")]));
        assert_eq!(after(&disk, Loss::Data), state(&[("a", "old")]));
    }

    #[test]
    fn a_sync_covers_what_had_ended_when_it_began() {
        let synced = |before| {
            let disk = disk(&[("a", "")], &[written(0, 0, "one"), written(0, 3, "two"), Change::FileSynced { file: 0, before }]);
            after(&disk, Loss::Everything)
        };
        assert_eq!(synced(1), state(&[("a", "")]));
        assert_eq!(synced(2), state(&[("a", "one")]));
        assert_eq!(synced(3), state(&[("a", "onetwo")]));
    }

    #[test]
    fn a_name_needs_its_folder() {
        let changes = [created("a", 0), written(0, 0, "one"), Change::FileSynced { file: 0, before: 3 }, folder_synced(4)];
        let unsynced = disk(&[], &changes[..3]);
        assert_eq!(after(&unsynced, Loss::Everything), state(&[]));
        assert_eq!(after(&unsynced, Loss::Data), state(&[("a", "one")]));
        assert_eq!(after(&disk(&[], &changes), Loss::Everything), state(&[("a", "one")]));

        let kinder = Disk { syncing_keeps_the_first_name: true, ..Disk::default() };
        assert_eq!(after(&changed(kinder, &changes[..3]), Loss::Everything), state(&[("a", "one")]));
    }

    #[test]
    fn a_sync_of_the_folder_covers_what_had_ended_when_it_began() {
        let synced = |before| after(&disk(&[], &[created("a", 0), created("b", 1), folder_synced(before)]), Loss::Everything);
        assert_eq!(synced(1), state(&[]));
        assert_eq!(synced(2), state(&[("a", "")]));
        assert_eq!(synced(3), state(&[("a", ""), ("b", "")]));
    }

    #[test]
    fn a_kind_disk_keeps_no_other_name_than_the_first() {
        let kind = || Disk { syncing_keeps_the_first_name: true, ..Disk::default() };
        let changes = [created("a", 0), moved("a", "b", 0), Change::FileSynced { file: 0, before: 3 }];
        assert_eq!(after(&changed(kind(), &changes), Loss::Everything), state(&[("a", "")]));
        let early = [created("a", 0), Change::FileSynced { file: 0, before: 1 }];
        assert_eq!(after(&changed(kind(), &early), Loss::Everything), state(&[]));
    }

    #[test]
    fn a_move_is_whole_and_needs_its_folder_even_if_syncing_keeps_first_names() {
        let changes = [created("b", 1), written(1, 0, "new"), Change::FileSynced { file: 1, before: 3 }, moved("b", "a", 1)];
        let mut disk = Disk::new(&state(&[("a", "old")]));
        disk.syncing_keeps_the_first_name = true;
        let mut disk = changed(disk, &changes);
        let (before, after_move) = (state(&[("a", "old"), ("b", "new")]), state(&[("a", "new")]));
        assert_eq!(after(&disk, Loss::Everything), before);
        assert_eq!(all_of(&disk, Loss::Anything), BTreeSet::from([before, after_move.clone()]));
        disk.apply(5, &folder_synced(5));
        assert_eq!(all_of(&disk, Loss::Anything), BTreeSet::from([after_move]));
    }

    #[test]
    fn a_file_that_was_moved_before_it_was_synced_may_be_empty() {
        let disk = disk(&[("a", "old")], &[created("b", 1), written(1, 0, "new"), moved("b", "a", 1)]);
        assert_eq!(all_of(&disk, Loss::Data), BTreeSet::from([state(&[("a", "")])]));
        assert_eq!(all_of(&disk, Loss::DataButSizes), BTreeSet::from([state(&[("a", "\0\0\0")])]));
        assert_eq!(all_of(&disk, Loss::Names), BTreeSet::from([state(&[("a", "old")])]));
    }

    #[test]
    fn a_name_that_was_given_out_again_leads_to_the_right_file() {
        let removed = Change::Named(NameChange { removed: Some("a".to_owned()), added: None, is_first: false });
        let mut disk = Disk::new(&state(&[("a", "old")]));
        disk.syncing_keeps_the_first_name = true;
        let changes = [removed, created("a", 1), written(1, 0, "new"), Change::FileSynced { file: 1, before: 4 }];
        let disk = changed(disk, &changes);
        // The removal is not certain, but what came after it is.
        assert_eq!(all_of(&disk, Loss::Anything), BTreeSet::from([state(&[("a", "new")])]));
    }

    #[test]
    fn a_move_between_folders_needs_both() {
        let folder = |name: &str| NameChange { removed: None, added: Some((name.to_owned(), Entry::Folder)), is_first: false };
        let changes = [
            Change::Named(folder("x")),
            folder_synced(2),
            moved("a", "x/a", 0),
            Change::FolderSynced { folder: "x".to_owned(), before: 4 },
            folder_synced(5),
        ];
        let unsynced = after(&disk(&[("a", "one")], &changes[..4]), Loss::Everything);
        assert!(unsynced.0.contains_key("a") && !unsynced.0.contains_key("x/a"));
        let synced = after(&disk(&[("a", "one")], &changes), Loss::Everything);
        assert!(!synced.0.contains_key("a") && synced.0.contains_key("x/a"));
    }

    #[test]
    fn a_file_in_a_lost_folder_is_lost() {
        let folder = NameChange { removed: None, added: Some(("x".to_owned(), Entry::Folder)), is_first: false };
        let synced = Change::FolderSynced { folder: "x".to_owned(), before: 3 };
        let disk = disk(&[], &[Change::Named(folder), created("x/a", 0), synced]);
        assert_eq!(after(&disk, Loss::Everything), state(&[]));
    }

    #[test]
    fn pages_are_kept_or_lost_each_by_itself() {
        let (old, new) = ("o".repeat(2 * PAGE), "n".repeat(2 * PAGE));
        let disk = disk(&[("a", &old)], &[written(0, 0, &new)]);
        let expected = [[&old, &old], [&old, &new], [&new, &old], [&new, &new]]
            .map(|[first, second]| state(&[("a", &format!("{}{}", &first[..PAGE], &second[..PAGE]))]));
        assert_eq!(all_of(&disk, Loss::Anything), BTreeSet::from(expected));
    }

    #[test]
    fn a_page_is_as_it_was_after_one_of_its_changes() {
        let disk = disk(&[("a", "")], &[written(0, 0, "one"), Change::Resized { file: 0, size: 1 }, written(0, 1, "NE!")]);
        let found = all_of(&disk, Loss::Anything);
        for (text, possible) in [("", true), ("one", true), ("oNE!", true), ("o", true), ("one!", false), ("\0NE!", false)] {
            assert_eq!(found.contains(&state(&[("a", text)])), possible, "{text}");
        }
    }

    #[test]
    fn the_end_of_what_was_written_may_be_missing() {
        let disk = disk(&[("a", "")], &[written(0, 0, "on"), written(0, 0, "tw")]);
        let expected = ["", "o", "on", "tn", "tw"].map(|text| state(&[("a", text)]));
        assert_eq!(all_of(&disk, Loss::EndOfData), BTreeSet::from(expected));
    }
}
