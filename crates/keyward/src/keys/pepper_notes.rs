//! What a store notes of the peppers that digests are made with, so that of several secrets for one version at most one is ever
//! used.

use super::{Keys, KeysError};
use crate::answer::Fault;
use crate::key::{self, Epoch, KeyId, PepperMarks, PepperMismatch, Record, Slot, StoredSecret};
use crate::store::{Insert, Insertion, PlainKey, Refused, WhereRefused};

impl Keys {
    /// Whether digests in the store were made with peppers that are missing here, or are other ones here. A key that is stored
    /// under such a pepper would be unknown, which is a fault and no answer about it: ask before a guard is built. Waits for
    /// nothing, since every store has it in memory.
    ///
    /// A store knows of the peppers that [`Keys::create`], [`Keys::rotate`], [`Keys::import`] and [`Keys::note_peppers`] used on
    /// it; not of digests that were written into it by other ways, and of what another process begins to use only once it has
    /// read that.
    ///
    /// # Errors
    /// [`PepperMismatch`], with the versions.
    pub fn check_peppers(&self) -> Result<(), PepperMismatch> {
        key::compare_peppers(&self.peppers, |mark| self.store.binds(mark))
    }

    /// As [`Keys::check_peppers`], and notes in the store that the newest pepper is in use. To be called before a guard with these
    /// peppers is used: it lets the store put digests under the newest one.
    ///
    /// # Errors
    /// [`KeysError::Peppers`], or a fault.
    pub async fn note_peppers(&self) -> Result<(), KeysError> {
        self.check_peppers()?;
        self.note_newest_pepper().await
    }

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use pollster::block_on as wait;

    use super::*;
    use crate::NewKey;
    use crate::answer::Answer;
    use crate::import::ImportedKey;
    use crate::key::{Pepper, Peppers};
    use crate::memory::MemoryStore;
    use crate::store::{Attribution, Change, Filter, Journalled, RecordStore, SlotUsage};

    fn peppers(all: &[(u16, u8)]) -> Peppers {
        Peppers::new(all.iter().map(|(version, byte)| Pepper::new(*version, &[*byte; 32]).unwrap())).unwrap()
    }

    fn in_plain(key: &str) -> ImportedKey {
        crate::import::keys_file(&format!("{{\"key\":\"{key}\"}}")).next().unwrap().unwrap()
    }

    #[test]
    fn a_store_knows_which_peppers_its_digests_need() {
        let store = MemoryStore::new();
        let keys = |peppers: Peppers| Keys::new(store.clone()).peppers(peppers);
        let plain = wait(keys(Peppers::default()).create(NewKey::named("a"))).unwrap();
        assert!(keys(Peppers::default()).check_peppers().is_ok());
        wait(keys(peppers(&[(1, 1)])).rotate(&plain.record().id, Duration::ZERO)).unwrap();
        wait(keys(peppers(&[(1, 1), (2, 2)])).create(NewKey::named("b"))).unwrap();
        wait(keys(peppers(&[(1, 1), (2, 2), (3, 3)])).import(in_plain("a-key-of-somebody-else"))).unwrap();
        let missing = keys(peppers(&[(2, 2)])).check_peppers().unwrap_err();
        assert_eq!((missing.missing, missing.wrong), (vec![1, 3], vec![]));
        let wrong = keys(peppers(&[(1, 1), (2, 9), (3, 3)])).check_peppers().unwrap_err();
        assert_eq!((wrong.missing, wrong.wrong), (vec![], vec![2]));
        assert!(keys(peppers(&[(1, 1), (2, 2), (3, 3), (4, 4)])).check_peppers().is_ok(), "what is not used is not asked for");
        wait(keys(peppers(&[(1, 1), (2, 2), (3, 3), (4, 4)])).note_peppers()).unwrap();
        assert_eq!(keys(peppers(&[(1, 1), (2, 2), (3, 3)])).check_peppers().unwrap_err().missing, [4]);
        assert!(keys(peppers(&[(4, 4)]).retired([1, 2, 3]).unwrap()).check_peppers().is_ok());
        // It lasts as long as the store does.
        let read = Keys::new(MemoryStore::from_snapshot(&store.snapshot()).unwrap());
        assert_eq!(read.check_peppers().unwrap_err().missing, [1, 2, 3, 4]);
    }

    #[test]
    fn no_digest_is_made_with_another_pepper_of_the_same_version() {
        let store = MemoryStore::new();
        let made = wait(Keys::new(store.clone()).peppers(peppers(&[(1, 1)])).create(NewKey::named("a"))).unwrap();
        let other = Keys::new(store.clone()).peppers(peppers(&[(1, 2)]));
        let id = made.record().id;
        for refused in [
            wait(other.create(NewKey::named("b"))).map(drop),
            wait(other.rotate(&id, Duration::ZERO)).map(drop),
            wait(other.import(in_plain("a-key-of-somebody-else"))).map(drop),
            wait(other.import_all(vec![in_plain("a-key-of-somebody-else")], WhereRefused::AddOthers, None)).map(drop),
            wait(other.note_peppers()),
        ] {
            assert!(matches!(refused, Err(KeysError::Peppers(_))), "{refused:?}");
        }
        assert_eq!(wait(other.list(&Filter::default(), None, 10)).unwrap().len(), 1);
        wait(other.revoke(&id)).unwrap();
    }

    /// What was purged is known by a digest alone, which nobody can make without its pepper.
    #[test]
    fn a_purged_key_does_not_come_back_where_its_pepper_is_missing() {
        let store = MemoryStore::new();
        let keys = Keys::new(store.clone()).peppers(peppers(&[(1, 1)]));
        let made = wait(keys.create(NewKey::named("a"))).unwrap();
        wait(keys.revoke(&made.record().id)).unwrap();
        wait(keys.purge(&made.record().id)).unwrap();
        let row = || in_plain(made.secret().expose());
        for lacking in [Peppers::default(), peppers(&[(2, 2)])] {
            let keys = Keys::new(store.clone()).peppers(lacking);
            assert!(matches!(wait(keys.import(row())), Err(KeysError::Peppers(_))));
            let all = wait(keys.import_all(vec![row()], WhereRefused::AddOthers, None));
            assert!(matches!(all, Err(KeysError::Peppers(_))));
        }
        let keys = Keys::new(store).peppers(peppers(&[(1, 1), (2, 2)]));
        assert_eq!(wait(keys.import(row())).unwrap_err(), Refused::SecretTaken.into());
    }

    /// The crossing of two first uses is made to happen: the second begins when the first has looked, and not yet at its mark.
    #[test]
    fn of_two_secrets_that_begin_a_version_at_once_at_most_one_is_used() {
        for steps in 0..40 {
            let gate = Arc::new(Gated { store: MemoryStore::new(), steps: std::sync::atomic::AtomicUsize::new(steps) });
            let keys = |byte| Keys::new(gate.clone()).peppers(peppers(&[(1, byte)]));
            let (one, other) = (keys(1), keys(2));
            let mut first = std::pin::pin!(one.create(NewKey::named("one")));
            // As far as the gate, then the other as far as it gets, then the rest.
            let early = {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                first.as_mut().poll(&mut context)
            };
            gate.steps.store(usize::MAX, std::sync::atomic::Ordering::SeqCst);
            let second = wait(other.create(NewKey::named("other")));
            let first = match early {
                std::task::Poll::Ready(done) => done,
                std::task::Poll::Pending => wait(first),
            };
            assert!(first.is_err() || second.is_err(), "{steps}");
            for (made, own) in [(&first, &one), (&second, &other)] {
                let checked = own.check_peppers();
                match made {
                    Ok(_) => assert!(checked.is_ok() && wait(own.create(NewKey::named("again"))).is_ok(), "{steps}"),
                    Err(error) => {
                        assert!(matches!(error, KeysError::Peppers(_)), "{error}");
                        assert!(matches!(wait(own.create(NewKey::named("again"))), Err(KeysError::Peppers(_))), "{steps}");
                    }
                }
            }
        }
    }

    /// A store that makes a caller wait once, before its so-many-th change.
    struct Gated {
        store: MemoryStore,
        steps: std::sync::atomic::AtomicUsize,
    }

    impl Gated {
        fn pass<T: Send + 'static>(&self, answer: impl FnOnce(&MemoryStore) -> Answer<T> + Send + 'static) -> Answer<T> {
            let store = self.store.clone();
            let waits = self.steps.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 0;
            let mut waits = waits.then_some(());
            Answer::Pending(Box::pin(async move {
                std::future::poll_fn(|context| match waits.take() {
                    Some(()) => {
                        context.waker().wake_by_ref();
                        std::task::Poll::Pending
                    }
                    None => std::task::Poll::Ready(()),
                })
                .await;
                answer(&store).wait().await
            }))
        }
    }

    impl crate::store::KeyStore for Gated {
        fn find(&self, presented: &crate::store::Presented<'_>) -> Answer<Option<Arc<Record>>> {
            self.store.find(presented)
        }

        fn binds(&self, prefix: &str) -> bool {
            self.store.binds(prefix)
        }
    }

    impl RecordStore for Gated {
        fn insert(&self, insert: Insert, by: Attribution) -> Answer<crate::store::Inserted> {
            self.pass(move |store| store.insert(insert, by))
        }

        fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
            self.store.get(id)
        }

        fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
            self.store.list(filter, after, limit)
        }

        fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
            self.store.change(id, change, by)
        }

        fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
            self.store.purge(id, by)
        }

        fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
            let prefix = prefix.to_owned();
            self.pass(move |store| store.bind(&prefix))
        }

        fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
            self.store.usage(ids)
        }

        fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
            self.store.journal(after, limit)
        }
    }

    #[test]
    fn an_imported_key_keeps_no_pepper_out_and_no_pepper_a_key() {
        let texts = ["pepper__0001_aB3d", "pepper__00_aB3d", "pepper_0001_aB3d", "pepper_00_aB3d"];
        let rows = || texts.iter().map(|text| in_plain(text)).collect::<Vec<_>>();
        for peppers_first in [false, true] {
            let store = MemoryStore::new();
            let peppered = Keys::new(store.clone()).peppers(peppers(&[(1, 1)]));
            if peppers_first {
                wait(peppered.note_peppers()).unwrap();
            }
            let importing = if peppers_first { peppered.clone() } else { Keys::new(store.clone()) };
            let imported = wait(importing.import_all(rows(), WhereRefused::AddNone, None)).unwrap();
            assert_eq!((imported.count, imported.refused), (4, vec![]));
            wait(peppered.note_peppers()).unwrap();
            assert_eq!(Keys::new(store).check_peppers().unwrap_err().missing, [1]);
        }
    }

    #[test]
    fn a_crash_before_the_last_mark_asks_for_nothing_and_leaves_nothing_to_another_secret() {
        let marks = key::PepperMarks::of(peppers(&[(1, 1)]).newest().unwrap());
        let all: Vec<&String> = marks.tried.iter().chain(&marks.taken).collect();
        for count in 0..all.len() {
            let store = MemoryStore::new();
            all[..count].iter().for_each(|mark| wait(store.bind(mark).wait()).unwrap().unwrap());
            let keys = |peppers: Peppers| Keys::new(store.clone()).peppers(peppers);
            assert!(keys(Peppers::default()).check_peppers().is_ok(), "{count}");
            if count > 0 {
                let other = wait(keys(peppers(&[(1, 2)])).create(NewKey::named("a")));
                assert!(matches!(other, Err(KeysError::Peppers(_))), "{count}: {other:?}");
            }
            wait(keys(peppers(&[(1, 1)])).create(NewKey::named("a"))).unwrap();
            assert_eq!(keys(Peppers::default()).check_peppers().unwrap_err().missing, [1], "{count}");
        }
    }

    #[test]
    fn versions_are_told_apart_by_both_their_bytes() {
        let store = MemoryStore::new();
        for version in [1, 255, 256, 65_535] {
            wait(Keys::new(store.clone()).peppers(peppers(&[(version, 1)]).retired(earlier(version)).unwrap()).note_peppers())
                .unwrap();
        }
        let told = |all: &[(u16, u8)]| Keys::new(store.clone()).peppers(peppers(all)).check_peppers().unwrap_err();
        assert_eq!(told(&[]).missing, [1, 255, 256, 65_535]);
        let some = told(&[(1, 1), (255, 2), (65_535, 1), (7, 1)]);
        assert_eq!((some.missing, some.wrong), (vec![256], vec![255]));
    }

    fn earlier(version: u16) -> Vec<u16> {
        [1, 255, 256, 65_535].into_iter().filter(|other| *other < version).collect()
    }
}
