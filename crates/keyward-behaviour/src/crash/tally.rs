//! What became of many kills.

use std::fmt;

use serde_json::json;

/// Counts of one store.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How often the workload was killed.
    pub kills: u64,
    /// Of those, while it opened the store: what it does first with a new one is made then, too.
    pub while_opening: u64,
    /// While it made a change.
    pub within_changes: u64,
    /// Between an acknowledgement and the next change.
    pub between_changes: u64,
    /// Of all kills, those in which the database's server was killed as well.
    pub with_server: u64,
    /// How many stores were begun.
    pub stores: u64,
    /// How often the store opened again after a kill.
    pub good_restarts: u64,
    /// How many changes were acknowledged.
    pub acknowledged: u64,
    /// How many acknowledged changes all checks together looked at.
    pub looked_at: u64,
    /// Of the changes under way, how many had been made.
    pub under_way_made: u64,
    /// And how many had not.
    pub under_way_not_made: u64,
    /// How many changes were lost, or are there without having been made.
    pub lost: u64,
    /// How often what was left could not be opened or read.
    pub damaged: u64,
    /// How often the workload ended by itself, which it has no reason to.
    pub ended_by_itself: u64,
    /// What went wrong, in words.
    pub complaints: Vec<String>,
}

impl Tally {
    /// Whether nothing went wrong.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.damaged == 0 && self.ended_by_itself == 0 && self.complaints.is_empty()
    }

    /// As JSON.
    pub fn as_json(&self) -> serde_json::Value {
        json!({
            "kills": self.kills,
            "while_opening": self.while_opening,
            "within_changes": self.within_changes,
            "between_changes": self.between_changes,
            "with_server": self.with_server,
            "stores": self.stores,
            "good_restarts": self.good_restarts,
            "acknowledged": self.acknowledged,
            "looked_at": self.looked_at,
            "under_way_made": self.under_way_made,
            "under_way_not_made": self.under_way_not_made,
            "lost": self.lost,
            "damaged": self.damaged,
            "ended_by_itself": self.ended_by_itself,
            "complaints": self.complaints,
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { kills, while_opening, within_changes, between_changes, with_server, .. } = self;
        writeln!(
            f,
            "{kills} kills: {while_opening} while it opened, {within_changes} within a change, {between_changes} between"
        )?;
        if *with_server > 0 {
            writeln!(f, "  the server was killed as well in {with_server} of them")?;
        }
        writeln!(f, "  {} good restarts, {} stores begun", self.good_restarts, self.stores)?;
        let Tally { acknowledged, looked_at, under_way_made, under_way_not_made, .. } = self;
        writeln!(f, "  {acknowledged} changes acknowledged, looked at {looked_at} times in all")?;
        writeln!(f, "  of those under way, {under_way_made} had been made and {under_way_not_made} not")?;
        write!(f, "  {} lost, {} damaged", self.lost, self.damaged)?;
        if self.ended_by_itself > 0 {
            write!(f, ", and the workload ended by itself {} times", self.ended_by_itself)?;
        }
        Ok(())
    }
}
