//! Starts the workload, kills it, and has what is left checked.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::{chance::Chance, open::Kind, place::Place, tally::Tally};
use crate::{services::postgres::Postgres, stores::Problem};

/// The environment variable by which the workload is told its store: a command line can be read by everybody.
pub const STORE_VARIABLE: &str = "KEYWARD_CRASH_STORE";

/// How long the workload may say nothing, a check may take, or a server may be busy with a client that is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of how many stores with which something is wrong what is left is kept.
const KEPT: usize = 5;

/// Kills to carry out.
#[derive(Clone, Debug)]
pub struct Crash {
    /// The program `store-workload`.
    pub workload: PathBuf,
    /// The kind of store.
    pub kind: Kind,
    /// How many kills.
    pub kills: u64,
    /// Chooses the changes. It chooses the instants, too, but no run meets the same ones again.
    pub seed: u64,
    /// Let the workload acknowledge before it changes anything, so that tests can see the loss found.
    pub acknowledge_early: bool,
}

/// When a workload is killed.
enum Moment {
    AfterStart(Duration),
    AfterAcknowledgements(u64, Duration),
}

/// How long things take on this machine, so that instants fall into all of them alike.
struct Typical {
    opening_new: Duration,
    opening: Duration,
    change: Duration,
}

/// What was seen of one run of the workload.
struct Killed {
    /// What it printed, without a line that it did not print whole.
    output: String,
    /// If it was not the kill that ended it.
    ended_by_itself: Option<ExitStatus>,
    opened_after: Option<Duration>,
    first_acknowledged_after: Option<Duration>,
    last_acknowledged_after: Option<Duration>,
    acknowledged: u64,
}

/// What a check printed.
#[derive(Default)]
struct Checked {
    settled: Option<String>,
    looked_at: u64,
    /// The numbers of changes, with words.
    wrong: Vec<(String, String)>,
    damaged: Option<String>,
}

impl Crash {
    /// Kills until there were enough, and goes on where something is wrong. `progress` is told after each kill.
    ///
    /// # Errors
    /// If it cannot be carried out; what went wrong with the store is in the tally.
    pub fn run(&self, mut progress: impl FnMut(&Tally)) -> Result<Tally, Problem> {
        let server = if self.kind == Kind::Postgres { Some(Postgres::start()?) } else { None };
        let mut chance = Chance::new(self.seed, 0);
        let mut typical = Typical {
            opening_new: Duration::from_millis(40),
            opening: Duration::from_millis(20),
            change: Duration::from_millis(4),
        };
        let mut tally = Tally::default();
        let mut kept = 0;
        let mut place = self.new_place(server.as_ref(), &mut tally)?;
        while tally.kills + tally.ended_by_itself < self.kills {
            if chance.one_in(8) && !place.log.is_empty() {
                place = self.new_place(server.as_ref(), &mut tally)?;
            }
            let complaints = self.round(&mut place, server.as_ref(), &mut chance, &mut typical, &mut tally)?;
            if !complaints.is_empty() {
                let next = self.new_place(server.as_ref(), &mut tally)?;
                let wrong = std::mem::replace(&mut place, next);
                tally.complaints.extend(complaints);
                // Where loss was asked for, nobody wants to look at it.
                if kept < KEPT && !self.acknowledge_early {
                    kept += 1;
                    let told = format!("what is left of that store, and its log, are in {}", wrong.keep().display());
                    tally.complaints.push(told);
                }
            }
            progress(&tally);
        }
        Ok(tally)
    }

    /// Another store, and other changes.
    fn new_place(&self, server: Option<&Postgres>, tally: &mut Tally) -> Result<Place, Problem> {
        tally.stores += 1;
        Place::new(self.kind, server, self.seed.wrapping_add(tally.stores))
    }

    /// One kill, and the check after it. What is wrong.
    fn round(
        &self,
        place: &mut Place,
        server: Option<&Postgres>,
        chance: &mut Chance,
        typical: &mut Typical,
        tally: &mut Tally,
    ) -> Result<Vec<String>, Problem> {
        let is_new = !place.log.contains("ack ");
        // By number, not by chance: a short run must have some of both, too.
        let opening = tally.kills.is_multiple_of(4);
        let moment = typical.moment(chance, is_new, opening);
        let with_server = server.filter(|_| chance.one_in(10));
        let killed = self.kill(place, &moment, with_server, chance)?;
        let mut complaints = Vec::new();
        match (killed.ended_by_itself, with_server) {
            // Without its server it cannot go on, and says so.
            (Some(_), Some(_)) | (None, _) => tally.kills += 1,
            (Some(status), None) => {
                tally.ended_by_itself += 1;
                let said = fs::read_to_string(place.path("errors")).unwrap_or_default();
                complaints.push(format!("the workload ended by itself ({status}): {}", said.trim()));
            }
        }
        match killed.output.lines().last() {
            None => tally.while_opening += 1,
            Some(line) if line.starts_with("try ") => tally.within_changes += 1,
            Some(_) => tally.between_changes += 1,
        }
        tally.acknowledged += killed.acknowledged;
        typical.learn(&killed, is_new);
        if opening && !killed.output.is_empty() {
            typical.opens_sooner(is_new);
        }
        place.log.push_str(&killed.output);
        place.write_log()?;
        if let Some(server) = server {
            if with_server.is_some() {
                tally.with_server += 1;
                server.start_again()?;
            }
            wait_until_nobody_is_connected(server, &place.url)?;
        }

        let checked = self.check(place, chance.one_in(2))?;
        if let Some(damaged) = checked.damaged {
            tally.damaged += 1;
            complaints.push(format!("damaged: {damaged}"));
            return Ok(complaints);
        }
        tally.good_restarts += 1;
        tally.looked_at += checked.looked_at;
        if let Some(settled) = checked.settled {
            *if settled.ends_with(" made") { &mut tally.under_way_made } else { &mut tally.under_way_not_made } += 1;
            place.log.push_str(&settled);
            place.log.push('\n');
            place.write_log()?;
        }
        let lost: std::collections::BTreeSet<&String> = checked.wrong.iter().map(|(change, _)| change).collect();
        tally.lost += u64::try_from(lost.len()).unwrap_or(u64::MAX);
        complaints.extend(checked.wrong.iter().map(|(change, what)| format!("change {change}: {what}")));
        Ok(complaints)
    }

    fn kill(
        &self,
        place: &Place,
        moment: &Moment,
        with_server: Option<&Postgres>,
        chance: &mut Chance,
    ) -> Result<Killed, Problem> {
        let mut workload = Command::new(&self.workload);
        workload.args(["run", "--seed", &place.seed.to_string(), "--changes", &u64::MAX.to_string()]);
        workload.arg("--after").arg(place.log_file());
        if self.acknowledge_early {
            workload.arg("--acknowledge-early");
        }
        let mut child = self.start(&mut workload, place, Stdio::piped())?;
        let began = Instant::now();
        let output = child.stdout.take().ok_or_else(|| Problem::new("the workload has no output"))?;
        let (sender, lines) = mpsc::channel();
        let reader = thread::spawn(move || read_lines(output, began, &sender));

        let mut seen = Vec::new();
        let patience = wait_for(moment, &lines, &mut seen);
        if let (Some(server), true) = (with_server, patience) {
            server.kill()?;
            thread::sleep(Duration::from_micros(chance.below(20_000)));
        }
        let ended_by_itself = child.try_wait()?;
        child.kill()?;
        child.wait()?;
        // All that it printed is in the pipe.
        seen.extend(lines.iter());
        let torn = reader.join().map_err(|_| Problem::new("the thread that reads the workload's output panicked"))?;
        torn?;
        if !patience {
            return Err(Problem::new(format!(
                "the workload said nothing for {PATIENCE:?}; it was working in {}",
                place.folder().display()
            )));
        }
        let mut killed = Killed {
            output: String::new(),
            ended_by_itself,
            opened_after: None,
            first_acknowledged_after: None,
            last_acknowledged_after: None,
            acknowledged: 0,
        };
        for (after, line) in seen {
            if line == "opened" {
                killed.opened_after = Some(after);
            }
            if line.starts_with("ack ") {
                killed.acknowledged += 1;
                killed.first_acknowledged_after.get_or_insert(after);
                killed.last_acknowledged_after = Some(after);
            }
            killed.output.push_str(&line);
            killed.output.push('\n');
        }
        Ok(killed)
    }

    fn check(&self, place: &Place, abandon: bool) -> Result<Checked, Problem> {
        let mut check = Command::new(&self.workload);
        check.arg("check").arg("--acks-file").arg(place.log_file());
        if abandon {
            check.arg("--abandon");
        }
        let printed = place.path("checked");
        let mut child = self.start(&mut check, place, File::create(&printed)?.into())?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Ok(Checked { damaged: Some(format!("the check did not end within {PATIENCE:?}")), ..Checked::default() });
            }
            thread::sleep(Duration::from_millis(1));
        };
        let mut checked = Checked::default();
        for line in fs::read_to_string(&printed)?.lines() {
            match line.split_once(' ') {
                Some(("settled", _)) => checked.settled = Some(line.to_owned()),
                Some(("checked", number)) => checked.looked_at = number.parse()?,
                Some(("wrong", rest)) => {
                    let (change, what) = rest.split_once(' ').unwrap_or((rest, ""));
                    checked.wrong.push((change.to_owned(), what.to_owned()));
                }
                Some(("damaged", what)) => checked.damaged = Some(what.to_owned()),
                _ => return Err(Problem::new(format!("a check printed what is not understood: {line}"))),
            }
        }
        if status.success() != (checked.wrong.is_empty() && checked.damaged.is_none()) {
            let said = fs::read_to_string(place.path("errors")).unwrap_or_default();
            checked.damaged = Some(format!("the check ended with {status}: {}", said.trim()));
        }
        Ok(checked)
    }

    fn start(&self, command: &mut Command, place: &Place, output: Stdio) -> Result<Child, Problem> {
        let errors = File::create(place.path("errors"))?;
        let command = command.env(STORE_VARIABLE, &place.url).stdin(Stdio::null()).stdout(output).stderr(errors);
        command.spawn().map_err(|error| {
            Problem::new(format!(
                "cannot run {}: {error}; build it: `cargo build -p keyward-behaviour --bin store-workload`",
                self.workload.display()
            ))
        })
    }
}

impl Typical {
    fn moment(&self, chance: &mut Chance, is_new: bool, while_opening: bool) -> Moment {
        // Twice the usual time: not everything that is worth hitting takes no longer than usual.
        let mut within =
            |time: Duration| Duration::from_nanos(chance.below(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) * 2));
        let opening = within(if is_new { self.opening_new } else { self.opening });
        let behind = within(self.change);
        if while_opening || (is_new && chance.one_in(3)) {
            Moment::AfterStart(opening)
        } else {
            Moment::AfterAcknowledgements(chance.below(12), behind)
        }
    }

    /// A kill that was meant for the opening came too late. Halved, since the usual time moves slowly and a short run has few tries.
    fn opens_sooner(&mut self, is_new: bool) {
        let opening = if is_new { &mut self.opening_new } else { &mut self.opening };
        *opening /= 2;
    }

    fn learn(&mut self, killed: &Killed, is_new: bool) {
        let towards = |usual: &mut Duration, seen: Duration| *usual = (*usual * 7 + seen) / 8;
        if let Some(after) = killed.opened_after {
            towards(if is_new { &mut self.opening_new } else { &mut self.opening }, after);
        }
        if let (Some(first), Some(last), Some(changes)) = (
            killed.first_acknowledged_after,
            killed.last_acknowledged_after,
            u32::try_from(killed.acknowledged).ok().and_then(|acknowledged| acknowledged.checked_sub(1)),
        ) && changes > 0
        {
            towards(&mut self.change, (last - first) / changes);
        }
    }
}

/// Waits until a workload shall be killed, or has ended by itself. Whether it came so far: `false` if it did nothing for too long.
fn wait_for(moment: &Moment, lines: &Receiver<(Duration, String)>, seen: &mut Vec<(Duration, String)>) -> bool {
    match *moment {
        Moment::AfterStart(time) => thread::sleep(time),
        Moment::AfterAcknowledgements(number, time) => {
            let mut acknowledged = 0;
            // At least as far as that the store is open.
            while acknowledged < number || seen.is_empty() {
                match lines.recv_timeout(PATIENCE) {
                    Ok(line) => {
                        acknowledged += u64::from(line.1.starts_with("ack "));
                        seen.push(line);
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => return false,
                }
            }
            thread::sleep(time);
        }
    }
    true
}

/// Reads lines with the time at which each was seen, but for a last one that has no end.
fn read_lines(output: impl Read, began: Instant, sender: &mpsc::Sender<(Duration, String)>) -> std::io::Result<()> {
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        output.read_line(&mut line)?;
        let Some(whole) = line.strip_suffix('\n') else { return Ok(()) };
        let _ = sender.send((began.elapsed(), whole.to_owned()));
    }
}

/// A server goes on with what a client asked for, though the client is gone: only afterwards is it settled.
fn wait_until_nobody_is_connected(server: &Postgres, url: &str) -> Result<(), Problem> {
    let others = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let began = Instant::now();
    while server.query(url, others)? != "0" {
        if began.elapsed() > PATIENCE {
            return Err(Problem::new(format!("the server did not notice within {PATIENCE:?} that a client is gone")));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
