//! Noting in a store that digests are made with a pepper, so that of several secrets for one version at most one is ever used.

use super::{Keys, KeysError};
use crate::answer::Fault;
use crate::key::{Epoch, KeyId, PepperMarks, Record, Slot, StoredSecret};
use crate::store::{Insert, Insertion, PlainKey, Refused, WhereRefused};

impl Keys {
    /// Before the first digest is made with it: one that was stored and not noted could be lost without a word.
    pub(super) async fn note_newest_pepper(&self) -> Result<(), KeysError> {
        let Some(newest) = self.peppers.newest() else { return Ok(()) };
        let marks = PepperMarks::of(newest);
        if marks.taken.iter().all(|mark| self.store.binds(mark)) {
            return Ok(());
        }
        // Before this one leaves a mark: what comes too late does no harm to what is there.
        self.refuse_others(&marks).await?;
        for mark in &marks.tried {
            self.store.bind(mark).wait().await??;
        }
        // And again: another may have looked as early as we did. Both have left their marks by now, so the later look sees both.
        self.refuse_others(&marks).await?;
        for mark in &marks.taken {
            self.store.bind(mark).wait().await??;
        }
        Ok(())
    }

    async fn refuse_others(&self, marks: &PepperMarks) -> Result<(), KeysError> {
        let asked: Vec<&str> =
            marks.tried_by_others.iter().map(String::as_str).chain([&*marks.taken[0], marks.in_use()]).collect();
        let [others @ .., is_taken, is_in_use] = &self.bound_now(&asked).await?[..] else { return Ok(()) };
        // Once taken, nobody else's attempt can take it back.
        if *is_taken || !others.contains(&true) { Ok(()) } else { Err(marks.refused(*is_in_use).into()) }
    }

    /// Which prefixes are bound, as the store itself knows. [`KeyStore::binds`](crate::KeyStore::binds) tells what this process has
    /// read of that, which may be some time ago.
    async fn bound_now(&self, prefixes: &[&str]) -> Result<Vec<bool>, KeysError> {
        let (by, mut probes) = (self.attribution(), Vec::new());
        for prefix in prefixes {
            let id = KeyId::new(by.at, &*self.random);
            let key = PlainKey::probe(prefix, &id);
            let digest = *key.digests().first().ok_or_else(|| Fault::new("a key has no digest"))?;
            let slot = Slot::new(StoredSecret::Digest(digest), "");
            let record = Record::new(id, "", by.at, Epoch::random(&*self.random)?, slot);
            probes.push(Insertion { record, key: Some(key) });
        }
        let told = self.store.insert(Insert::many(probes, WhereRefused::OnlyTell), by).wait().await?;
        let mut bound = vec![false; prefixes.len()];
        for (place, refused) in told.refused {
            match (bound.get_mut(place), refused) {
                (Some(bound), Refused::LooksGenerated) => *bound = true,
                (_, refused) => {
                    return Err(Fault::new(format!("the store does not tell which prefixes are bound: {refused}")).into());
                }
            }
        }
        Ok(bound)
    }
}
