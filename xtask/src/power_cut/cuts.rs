//! Cuts the power after every event, and tells every different thing that may be found afterwards.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::check::Case;
use super::disk::Disk;
use super::kernel::{Effect, Event};
use super::loss::{Loss, Random};
use super::state::State;

/// How often the power is cut, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// So many instants, and all if there is no number. Those right after an acknowledgement are always among them.
    pub(crate) points: Option<usize>,
    /// How often each random loss is tried at each of them.
    pub(crate) repetitions: usize,
    pub(crate) seed: u64,
    /// The disk is one that makes the first name of a new file durable together with the file.
    pub(crate) syncing_keeps_the_first_name: bool,
}

/// How often that was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) points: usize,
    pub(super) losses: usize,
    /// States that differ in what is in the folder or in what was acknowledged.
    pub(super) distinct: usize,
}

/// Hands on each different state once.
pub(super) fn cut(initial: &State, events: &[Event], plan: &Plan, judge: &mut dyn FnMut(Case)) -> Counts {
    let points = choose(events, plan);
    let mut counts = Counts::default();
    let mut seen = HashSet::new();
    let mut disk = Disk::new(initial);
    disk.syncing_keeps_the_first_name = plan.syncing_keeps_the_first_name;
    let mut acknowledged = 0;
    for point in 0..=events.len() {
        let event = point.checked_sub(1).map(|index| &events[index]);
        match event.map(|event| (event.line, &event.effect)) {
            Some((line, Effect::Disk(change))) => disk.apply(line, change),
            Some((_, Effect::Acknowledged)) => acknowledged += 1,
            None => {}
        }
        if !points.contains(&point) {
            continue;
        }
        counts.points += 1;
        // The same losses at this point, whichever others were chosen.
        let mut random = Random::of(plan.seed, point);
        // Where nothing can be lost, every loss is the same.
        let losses = if disk.is_certain() { 1 } else { usize::MAX };
        for loss in Loss::all(plan.repetitions).take(losses) {
            let state = disk.after(loss, &mut random);
            counts.losses += 1;
            if seen.insert(fingerprint(&state, acknowledged)) {
                counts.distinct += 1;
                judge(Case { state, acknowledged, told: tell(event, acknowledged, loss) });
            }
        }
    }
    counts
}

fn tell(event: Option<&Event>, acknowledged: usize, loss: Loss) -> String {
    let when = match event {
        None => "before anything happened".to_owned(),
        Some(event) => format!("after line {} of the trace, {}", event.line, event.call),
    };
    format!("{when}, with {acknowledged} acknowledged: {loss}")
}

/// A point is how many of the events have happened.
fn choose(events: &[Event], plan: &Plan) -> BTreeSet<usize> {
    let all = 0..=events.len();
    let Some(wanted) = plan.points else { return all.collect() };
    let (mut chosen, mut others): (Vec<_>, Vec<_>) =
        all.partition(|point| *point > 0 && events[point - 1].effect == Effect::Acknowledged);
    let mut random = Random::of(plan.seed, 0);
    while chosen.len() < wanted && !others.is_empty() {
        chosen.push(others.swap_remove(random.below(others.len())));
    }
    chosen.into_iter().collect()
}

/// Two states among millions have the same one with a probability of less than one in a million.
fn fingerprint(state: &State, acknowledged: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (state, acknowledged).hash(&mut hasher);
    hasher.finish()
}

/// The classic mistakes, each in a trace of its own: a model of the disk that misses one of them proves nothing.
#[cfg(test)]
mod tests {
    use super::super::kernel::{Surroundings, replay};
    use super::super::state::Content;
    use super::super::trace::Trace;
    use super::*;

    const PLAN: Plan = Plan { points: None, repetitions: 20, seed: 1, syncing_keeps_the_first_name: false };

    /// `keys` holds `0` in the beginning, and `N` once change N was acknowledged.
    fn initial() -> State {
        State([("keys".to_owned(), Content::File(b"0".to_vec()))].into())
    }

    /// Cuts the power in a workload that makes two changes: in the lines, `NEW` is what `keys` shall hold.
    fn losses(change: &str, plan: &Plan) -> (Counts, Vec<String>) {
        let mut text = "1 open(\"/d\", O_RDONLY|O_DIRECTORY) = 9</d>\n".to_owned();
        for new in ["1", "2"] {
            text.push_str(&change.replace("NEW", new));
            text.push_str(&format!("1 write(1</out>, \"ack {new}\\x0a\", 6) = 6\n"));
        }
        let surroundings = Surroundings { folder: "/d", output: "/out", working_folder: "/d" };
        let happened = replay(&Trace::read(&text).unwrap(), &initial(), &surroundings).unwrap();
        let mut lost = Vec::new();
        let counts = cut(&initial(), &happened.events, plan, &mut |case| {
            if !holds(&case) {
                lost.push(case.told);
            }
        });
        (counts, lost)
    }

    /// What was acknowledged is there, or the next change, which was under way.
    fn holds(case: &Case) -> bool {
        let Some(Content::File(bytes)) = case.state.0.get("keys") else { return false };
        [case.acknowledged, case.acknowledged + 1].iter().any(|number| number.to_string().as_bytes() == bytes)
    }

    #[track_caller]
    fn assert_lost(change: &str, loss: Loss) {
        // A random loss may have come upon the same state before, and a state is told once.
        let (_, lost) = losses(change, &Plan { repetitions: 0, ..PLAN });
        assert!(lost.iter().any(|told| told.ends_with(&loss.to_string())), "{loss} is not among {lost:#?}");
    }

    const SAFE: &str = "\
1 open(\"new\", O_WRONLY|O_CREAT|O_TRUNC, 0600) = 3</d/new>
1 write(3</d/new>, \"NEW\", 1) = 1
1 fsync(3</d/new>) = 0
1 close(3</d/new>) = 0
1 rename(\"new\", \"keys\") = 0
1 fsync(9</d>) = 0
";

    #[test]
    fn a_file_that_is_replaced_with_both_syncs_loses_nothing() {
        let (counts, lost) = losses(SAFE, &PLAN);
        assert_eq!(lost, [""; 0]);
        // Five events and an acknowledgement, twice, and the beginning. After three of them nothing is uncertain.
        assert_eq!((counts.points, counts.losses), (13, 8 * 45 + 5));
        // The new file may not be there, be empty, be a zero, be written or be moved; and then the same again.
        assert_eq!(counts.distinct, 5 + 5 + 1);
    }

    #[test]
    fn without_the_sync_of_the_file_it_is_empty() {
        let change = SAFE.replace("1 fsync(3</d/new>) = 0\n", "");
        assert_lost(&change, Loss::Data);
        assert_lost(&change, Loss::DataButSizes);
    }

    #[test]
    fn with_the_sync_of_the_file_after_the_move_it_is_empty_in_between() {
        let sync = "1 fsync(3</d/new>) = 0\n";
        assert_lost(&format!("{}{sync}", SAFE.replace(sync, "")), Loss::Data);
    }

    #[test]
    fn without_the_sync_of_the_folder_the_old_one_is_back() {
        let change = SAFE.replace("1 fsync(9</d>) = 0\n", "");
        assert_lost(&change, Loss::Everything);
        // Also on a disk that is kind to new files: this name is not the first.
        let (_, lost) = losses(&change, &Plan { syncing_keeps_the_first_name: true, ..PLAN });
        assert!(!lost.is_empty());
    }

    #[test]
    fn a_sync_that_failed_is_none() {
        assert_lost(&SAFE.replace("1 fsync(9</d>) = 0", "1 fsync(9</d>) = -1 EIO (Input/output error)"), Loss::Everything);
    }

    #[test]
    fn a_sync_that_began_too_early_is_none() {
        let change = "\
1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD} => {parent_tid=[NEW2]}, 88) = NEW2
1 open(\"keys\", O_RDWR) = 3</d/keys>
NEW2 fsync(3</d/keys> <unfinished ...>
1 write(3</d/keys>, \"NEW\", 1) = 1
NEW2 <... fsync resumed>) = 0
";
        assert_lost(change, Loss::Everything);
    }

    #[test]
    fn an_acknowledgement_before_the_sync_is_too_early() {
        let acknowledged_first = "1 write(1</out>, \"ack NEW\\x0a\", 6) = 6\n1 fsync(9</d>) = 0\n";
        let change = SAFE.replace("1 fsync(9</d>) = 0\n", "");
        let text = ["1", "2"].map(|new| format!("{change}{acknowledged_first}").replace("NEW", new)).concat();
        let text = format!("1 open(\"/d\", O_RDONLY|O_DIRECTORY) = 9</d>\n{text}");
        let surroundings = Surroundings { folder: "/d", output: "/out", working_folder: "/d" };
        let events = replay(&Trace::read(&text).unwrap(), &initial(), &surroundings).unwrap().events;
        let mut lost = 0;
        cut(&initial(), &events, &PLAN, &mut |case| lost += usize::from(!holds(&case)));
        assert!(lost > 0);
    }

    #[test]
    fn a_file_that_is_overwritten_in_place_is_empty_in_between() {
        let change = "\
1 open(\"keys\", O_WRONLY|O_TRUNC) = 3</d/keys>
1 write(3</d/keys>, \"NEW\", 1) = 1
1 fsync(3</d/keys>) = 0
";
        assert_lost(change, Loss::Nothing);
        assert_lost(change, Loss::DataButSizes);
    }

    #[test]
    fn a_new_file_whose_folder_was_never_synced_is_lost_unless_the_disk_is_kind() {
        let change = "\
1 unlink(\"keys\") = 0
1 fsync(9</d>) = 0
1 open(\"keys\", O_WRONLY|O_CREAT, 0600) = 3</d/keys>
1 write(3</d/keys>, \"NEW\", 1) = 1
1 fsync(3</d/keys>) = 0
";
        let after_acknowledgements = |plan| losses(change, plan).1.into_iter().filter(|told| told.contains(" ack ")).count();
        assert!(after_acknowledgements(&PLAN) > 0);
        assert_eq!(after_acknowledgements(&Plan { syncing_keeps_the_first_name: true, ..PLAN }), 0);
    }

    #[test]
    fn fewer_points_are_chosen_by_the_seed_and_those_after_acknowledgements_stay() {
        let few = |points, seed| losses(SAFE, &Plan { points: Some(points), seed, ..PLAN }).0;
        assert_eq!(few(0, 1).points, 2);
        assert_eq!(few(7, 1).points, 7);
        assert_eq!(few(100, 1), losses(SAFE, &PLAN).0);
        let acknowledgement = Event { line: 1, call: String::new(), effect: Effect::Acknowledged };
        let synced = || Effect::Disk(super::super::disk::Change::FolderSynced { folder: String::new(), before: 1 });
        let mut events: Vec<_> = (0..100).map(|line| Event { line, call: String::new(), effect: synced() }).collect();
        events[49] = acknowledgement;
        let chosen = |seed| choose(&events, &Plan { points: Some(10), seed, ..PLAN });
        assert!(chosen(1).contains(&50) && chosen(2).contains(&50));
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
    }
}
