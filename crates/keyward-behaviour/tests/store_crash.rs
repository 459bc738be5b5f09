//! What a store acknowledged outlives the process, whenever that is killed. `cargo xtask crash` does it more often.

use std::path::PathBuf;

use keyward_behaviour::crash::{Crash, Kind, Tally};

fn crash(kind: Kind, kills: u64, acknowledge_early: bool) -> (Tally, String) {
    let workload = PathBuf::from(env!("CARGO_BIN_EXE_store-workload"));
    // Other changes in each run.
    let seed = u64::from(std::process::id());
    let tally = Crash { workload, kind, kills, seed, acknowledge_early }.run(|_| {}).unwrap();
    let told = format!("{tally}\n{}\nseed {seed}", tally.complaints.join("\n"));
    (tally, told)
}

#[track_caller]
fn assert_nothing_is_lost(kind: Kind, kills: u64) {
    let (tally, told) = crash(kind, kills, false);
    assert!(tally.is_good(), "{told}");
    assert_eq!((tally.kills, tally.good_restarts), (kills, kills), "{told}");
    assert!(tally.acknowledged > kills && tally.looked_at > tally.acknowledged, "{told}");
    assert!(tally.while_opening > 0 && tally.within_changes > 0, "{told}");
}

#[test]
fn a_sqlite_database_loses_nothing() {
    assert_nothing_is_lost(Kind::Sqlite, 25);
}

#[test]
fn a_json_file_loses_nothing() {
    assert_nothing_is_lost(Kind::Json, 25);
}

/// Less often: each time several programs have to connect.
#[test]
fn a_postgresql_database_loses_nothing() {
    assert_nothing_is_lost(Kind::Postgres, 15);
}

#[test]
fn what_is_acknowledged_before_it_is_made_is_reported_as_lost() {
    let (tally, told) = crash(Kind::Sqlite, 25, true);
    assert!(tally.lost > 0 && !tally.is_good(), "{told}");
    assert_eq!((tally.damaged, tally.ended_by_itself), (0, 0), "{told}");
}
