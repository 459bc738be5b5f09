//! Telling of changes that others made.
//!
//! A round reads the counter and the keys behind it in one statement, tells of them, and says when that was. It holds by itself;
//! PostgreSQL's notifications only make the next round come sooner, so it does no harm if one is lost, or anybody sends them.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use keyward::key::KeyId;
use keyward::store::News;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use crate::connection::{Pools, Row, Session, values};
use crate::database::{Shared, read_prefixes};
use crate::failure::{Failure, Outcome};

/// More changed keys than this are told as "anything".
const MOST: usize = 10_000;
/// The least time between two rounds, however many notifications there are.
const LEAST: Duration = Duration::from_millis(50);
/// The most time between two tries while the database is away.
const AWAY: Duration = Duration::from_secs(1);

/// How far the database was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    identity: String,
    revision: i64,
    /// The number of the latest row in the journal, which alone knows of keys that were purged.
    journalled: i64,
}

impl Seen {
    pub(crate) async fn read(session: &mut Session) -> Outcome<Self> {
        let rows = session.rows("SELECT identity, revision, journalled FROM keyward_store", Vec::new()).await?;
        let row = rows.first().ok_or_else(no_row)?;
        Self::of(row)
    }

    fn of(row: &Row) -> Outcome<Self> {
        Ok(Self { identity: row.get(0)?, revision: row.get(1)?, journalled: row.get(2)? })
    }
}

fn no_row() -> Failure {
    Failure::fault("keyward_store has no row: restore a backup")
}

/// From now on tells somebody, until they are gone, or the store is.
pub(crate) fn watch(shared: &Arc<Shared>, news: Weak<dyn News>) {
    let wake = Arc::new(Notify::new());
    let watcher = Watcher { seen: shared.opened.clone(), session: None, data_version: None, was_away: false };
    let watching = watcher.run(Arc::downgrade(shared), news, wake.clone(), shared.settings.watch_every);
    match shared.pools.clone() {
        Pools::Sqlite { .. } => shared.spawn(watching),
        Pools::Postgres { pool, .. } => shared.spawn(async move {
            tokio::select! {
                () = watching => {}
                () = listen(pool, wake) => {}
            }
        }),
    }
}

struct Watcher {
    seen: Seen,
    /// One of its own: SQLite counts the changes of others for each connection, and rounds must not wait behind lookups.
    session: Option<Session>,
    data_version: Option<i64>,
    was_away: bool,
}

impl Watcher {
    async fn run(mut self, shared: Weak<Shared>, news: Weak<dyn News>, wake: Arc<Notify>, every: Duration) {
        loop {
            let begun = Instant::now();
            // Held by nobody while it waits, or store and listener would never be gone.
            let (Some(shared), Some(news)) = (shared.upgrade(), news.upgrade()) else { return };
            if shared.pools.is_closed() {
                return;
            }
            let mut wait = every;
            match self.round(&shared, &*news).await {
                Ok(()) => self.was_away = false,
                Err(failure) => {
                    if !self.was_away {
                        tracing::error!(target: "keyward", fault = %failure.into_fault(), "changes of others cannot be read; records that grow older than max_staleness are not used meanwhile");
                    }
                    (self.session, self.data_version, self.was_away) = (None, None, true);
                    wait = every.min(AWAY);
                }
            }
            drop((shared, news));
            tokio::time::sleep(LEAST).await;
            let _ = tokio::time::timeout(wait.saturating_sub(begun.elapsed()), wake.notified()).await;
        }
    }

    async fn round(&mut self, shared: &Shared, news: &dyn News) -> Outcome<()> {
        let time = news.now();
        let mut session = match self.session.take() {
            Some(session) => session,
            None => shared.pools.reader(shared.settings.deadline).await?,
        };
        if let Pools::Sqlite { place, .. } = &shared.pools {
            place.check()?;
            let version = session.rows("PRAGMA data_version", Vec::new()).await?;
            let version: i64 = version.first().ok_or_else(no_row)?.get(0)?;
            if self.data_version != Some(version) {
                self.tell(&mut session, shared, news).await?;
                self.data_version = Some(version);
            }
        } else {
            self.tell(&mut session, shared, news).await?;
        }
        self.session = Some(session);
        news.verified(time);
        Ok(())
    }

    async fn tell(&mut self, session: &mut Session, shared: &Shared, news: &dyn News) -> Outcome<()> {
        // The counter and what is behind it, from one snapshot.
        let rows = session
            .rows(
                "SELECT s.identity, s.revision, s.journalled, c.id, c.revoked FROM keyward_store s LEFT JOIN \
                 (SELECT id, revoked FROM keyward_keys WHERE revision > $1 \
                 UNION ALL SELECT key_id, NULL FROM keyward_journal WHERE number > $2 AND action = 'purge' LIMIT $3) c ON TRUE",
                values![self.seen.revision, self.seen.journalled, MOST as i64 + 1],
            )
            .await?;
        let now = Seen::of(rows.first().ok_or_else(no_row)?)?;
        if now == self.seen && !self.was_away {
            return Ok(());
        }
        let is_another = now.identity != self.seen.identity || now.revision < self.seen.revision;
        if is_another {
            tracing::error!(
                target: "keyward",
                seen = self.seen.revision,
                now = now.revision,
                "the database is another one, or an older copy: it was restored, or failed over to a server that had missed changes; all records are read again, and keys that were known to be revoked stay so in this process"
            );
        }
        if is_another && let Some(file) = &shared.revocations {
            // As when it is opened. Until this is done nothing is verified, and what is kept grows old.
            let failed = |error: &dyn std::fmt::Display| Failure::fault(format!("revocations could not be made again: {error}"));
            let named = file.read().map_err(|error| failed(&error))?;
            if named.identity.as_ref() != Some(&now.identity) {
                return Err(failed(
                    &"the file of revocations beside the database is another one's; put the right one in its place",
                ));
            }
            crate::sqlite::revoke_again(shared, named.revocations).await.map_err(|error| failed(&error))?;
        }
        shared.prefixes.store(Arc::new(read_prefixes(session).await?));
        if is_another || self.was_away || rows.len() > MOST {
            news.all_changed();
        } else {
            let (mut changed, mut revoked) = (Vec::new(), Vec::new());
            for row in &rows {
                // None: only the counter has moved.
                let Some(id) = row.get::<Option<String>>(3)? else { continue };
                let id: KeyId = id.parse().map_err(|_| Failure::fault("an id in keyward_keys is none"))?;
                let into = if row.get::<Option<i64>>(4)?.is_some() { &mut revoked } else { &mut changed };
                into.push(id);
            }
            if !revoked.is_empty() {
                news.revoked(&revoked);
            }
            if !changed.is_empty() {
                news.changed(&changed);
            }
        }
        self.seen = now;
        Ok(())
    }
}

/// Wakes somebody when PostgreSQL says that there is something to see.
async fn listen(pool: PgPool, wake: Arc<Notify>) {
    loop {
        if let Ok(mut listener) = PgListener::connect_with(&pool).await
            && listener.listen("keyward").await.is_ok()
        {
            // Ends when the connection is lost. What was sent meanwhile is found by the next round.
            while let Ok(Some(_)) = listener.try_recv().await {
                wake.notify_one();
            }
        }
        tokio::time::sleep(AWAY).await;
    }
}
