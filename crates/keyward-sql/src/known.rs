//! What must not come twice: the same checks as in memory, over what the database has of it.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use keyward::key::{KeyDigest, KeyId, StoredSecret};
use keyward::store::{Insertion, Refused};

use crate::connection::values;
use crate::failure::{Failure, Outcome};
use crate::insert::handle_of;
use crate::writing::Writing;

/// Of what somebody wants to add: what is in the database, or added in this transaction.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: HashSet<KeyId>,
    digests: HashSet<KeyDigest>,
    /// In order: one that begins another is beside it.
    handles: BTreeSet<String>,
    /// The digests of the bound prefixes.
    bound: HashSet<KeyDigest>,
    /// Whether there is any handle at all. Mostly there is none, and nothing to look for.
    has_handles: bool,
}

impl Known {
    /// What is the same for all insertions.
    pub(crate) async fn of_store(writing: &mut Writing) -> Outcome<Self> {
        let bound = writing.rows("SELECT digest FROM keyward_prefixes", Vec::new()).await?;
        let handles = writing.rows("SELECT handle FROM keyward_secrets WHERE handle IS NOT NULL LIMIT 1", Vec::new()).await?;
        Ok(Self {
            bound: bound.iter().map(|row| digest(row.get(0)?, 0)).collect::<Outcome<_>>()?,
            has_handles: !handles.is_empty(),
            ..Self::default()
        })
    }

    /// Looks for what insertions bring.
    pub(crate) async fn look<'i>(
        &mut self,
        writing: &mut Writing,
        insertions: impl Iterator<Item = &'i Insertion> + Clone,
    ) -> Outcome<()> {
        (self.ids, self.digests, self.handles) = Default::default();
        let ids = insertions.clone().map(|insertion| values![insertion.record.id.as_str()]).collect();
        for row in given(writing, "keyward_keys", &["id"], ids).await? {
            self.ids.insert(row.get::<String>(0)?.parse().map_err(|_| Failure::fault("an id in keyward_keys is none"))?);
        }
        let of_keys =
            insertions.clone().filter_map(|insertion| insertion.key.as_ref()).flat_map(|key| key.digests().iter().copied());
        let of_slots = insertions.clone().flat_map(|insertion| insertion.record.slots()).filter_map(|slot| match &slot.secret {
            StoredSecret::Digest(digest) => Some(*digest),
            StoredSecret::Argon2(_) => None,
        });
        let digests: HashSet<KeyDigest> = of_keys.chain(of_slots).collect();
        self.look_for_digests(writing, digests).await?;
        let handles =
            insertions.clone().flat_map(|insertion| insertion.record.slots()).filter_map(|slot| handle_of(&slot.secret));
        let begun = insertions.filter_map(|insertion| insertion.key.as_ref()).flat_map(|key| key.handles());
        self.look_for_handles(writing, handles.collect(), begun.collect()).await
    }

    /// Looks for one secret.
    pub(crate) async fn look_for(&mut self, writing: &mut Writing, secret: &StoredSecret) -> Outcome<()> {
        match secret {
            StoredSecret::Digest(digest) => self.look_for_digests(writing, HashSet::from([*digest])).await,
            StoredSecret::Argon2(hash) => {
                self.has_handles = true;
                self.look_for_handles(writing, BTreeSet::from([hash.handle()]), BTreeSet::new()).await
            }
        }
    }

    async fn look_for_digests(&mut self, writing: &mut Writing, digests: HashSet<KeyDigest>) -> Outcome<()> {
        let wanted = digests.iter().map(|digest| values![digest.to_bytes().to_vec(), i64::from(digest.pepper())]).collect();
        for row in given(writing, "keyward_secrets", &["digest", "pepper"], wanted).await? {
            self.digests.insert(digest(row.get(0)?, row.get(1)?)?);
        }
        Ok(())
    }

    async fn look_for_handles(&mut self, writing: &mut Writing, handles: BTreeSet<&str>, begun: BTreeSet<&str>) -> Outcome<()> {
        if !self.has_handles && handles.is_empty() {
            return Ok(());
        }
        // Visible ASCII, so every end is a boundary.
        let begins = handles.iter().flat_map(|handle| (1..=handle.len()).filter_map(|end| handle.get(..end)));
        let wanted: BTreeSet<&str> = begins.chain(begun).collect();
        let wanted = wanted.into_iter().map(|handle| values![handle]).collect();
        for row in given(writing, "keyward_secrets", &["handle"], wanted).await? {
            self.handles.insert(row.get(0)?);
        }
        if handles.is_empty() {
            return Ok(());
        }
        self.has_handles = true;
        let places = writing.session.dialect().values(handles.len(), 2);
        // DEL is behind all that is visible. One of those that begin so is enough.
        let bounds = handles.iter().flat_map(|handle| values![*handle, format!("{handle}\x7f")]).collect();
        let sql = format!(
            "WITH given (low, high) AS ({places}) SELECT (SELECT min(s.handle) FROM keyward_secrets s \
             WHERE s.handle > given.low AND s.handle < given.high) FROM given"
        );
        for row in writing.rows(sql, bounds).await? {
            self.handles.extend(row.get::<Option<String>>(0)?);
        }
        Ok(())
    }

    /// Whether an insertion is good. If so, it is known from now on.
    pub(crate) fn admit(&mut self, insertion: &Insertion) -> Result<(), Refused> {
        let record = &insertion.record;
        if self.ids.contains(&record.id) {
            return Err(Refused::IdTaken);
        }
        if let Some(key) = &insertion.key {
            if key.digests().iter().any(|digest| self.digests.contains(digest)) {
                return Err(Refused::SecretTaken);
            }
            if key.foreign_prefix().is_some_and(|prefix| self.bound.contains(&prefix)) {
                return Err(Refused::LooksGenerated);
            }
            let own: Vec<&str> = record.slots().filter_map(|slot| handle_of(&slot.secret)).collect();
            if key.handles().any(|handle| !own.contains(&handle) && self.handles.contains(handle)) {
                return Err(Refused::HandleTaken);
            }
        }
        record.slots().try_for_each(|slot| self.check(&slot.secret))?;
        if record.previous.as_ref().is_some_and(|previous| previous.secret == record.current.secret) {
            return Err(Refused::SecretTaken);
        }
        self.ids.insert(record.id);
        for slot in record.slots() {
            match &slot.secret {
                StoredSecret::Digest(digest) => _ = self.digests.insert(*digest),
                StoredSecret::Argon2(hash) => _ = self.handles.insert(hash.handle().to_owned()),
            }
        }
        Ok(())
    }

    /// Whether a secret is new.
    pub(crate) fn check(&self, secret: &StoredSecret) -> Result<(), Refused> {
        match secret {
            StoredSecret::Digest(digest) if self.digests.contains(digest) => Err(Refused::SecretTaken),
            StoredSecret::Digest(_) => Ok(()),
            StoredSecret::Argon2(hash) => self.check_handle(hash.handle()),
        }
    }

    /// A handle is taken as it is, and begins no other one.
    fn check_handle(&self, handle: &str) -> Result<(), Refused> {
        if self.handles.contains(handle) {
            return Err(Refused::SecretTaken);
        }
        let begins_with_another = (1..handle.len()).filter_map(|end| handle.get(..end)).any(|begin| self.handles.contains(begin));
        let from_here = (Bound::Excluded(handle), Bound::Unbounded);
        let begins_another = self.handles.range::<str, _>(from_here).next().is_some_and(|next| next.starts_with(handle));
        if begins_with_another || begins_another { Err(Refused::HandleTaken) } else { Ok(()) }
    }
}

/// Which of these values are in a table's columns, that have an index. The values come first (SQLite takes `CROSS JOIN` for an
/// order), so it costs the same however many rows there are.
async fn given(
    writing: &mut Writing,
    table: &str,
    columns: &[&str],
    wanted: Vec<Vec<crate::connection::Value>>,
) -> Outcome<Vec<crate::connection::Row>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let places = writing.session.dialect().values(wanted.len(), columns.len());
    let listed = |of: &dyn Fn(&&str) -> String, between: &str| columns.iter().map(of).collect::<Vec<_>>().join(between);
    let sql = format!(
        "WITH given ({}) AS ({places}) SELECT {} FROM given CROSS JOIN {table} t WHERE {}",
        columns.join(", "),
        listed(&|column| format!("t.{column}"), ", "),
        listed(&|column| format!("t.{column} = given.{column}"), " AND "),
    );
    writing.rows(sql, wanted.into_iter().flatten().collect()).await
}

fn digest(bytes: Vec<u8>, pepper: i64) -> Outcome<KeyDigest> {
    let bad = || Failure::fault("a digest in the database is damaged: restore a backup");
    let bytes = bytes.try_into().map_err(|_| bad())?;
    Ok(KeyDigest::from_bytes(u16::try_from(pepper).map_err(|_| bad())?, bytes))
}
