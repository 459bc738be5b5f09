//! Asking the authenticators about the candidates (R6.3, R7), and what is charged for the bad ones (R3).
//!
//! Authenticators are the outer order, candidates the inner: the first authenticator is asked about every candidate before the
//! second is. A record that is found decides its candidate.

use smallvec::SmallVec;

use crate::answer::Answer;
use crate::authenticator::{Ambient, Verdict as Word};
use crate::decision::Kind;
use crate::guard::{Asked, NamedAuthenticator, Parts};
use crate::head::Head;
use crate::key;
use crate::order::{Patience, Stop};
use crate::proof::{AuthenticatorName, Shut, Verdict, Verified};
use crate::resolve::{Candidate, Candidates};
use crate::store::Presented;
use crate::ticket::{Signing, Spent, keyed, plain};
use crate::trail::Trail;

/// What has come of one candidate so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    NotAsked,
    /// No authenticator that was asked knows it. Damaged: it begins like a key that was generated here, and is not one (R7.1).
    Unknown {
        is_damaged: bool,
    },
    /// An authenticator knows it, and it is dead; or it is malformed.
    Dead(Kind),
}

struct Tried<'r> {
    candidate: Candidate<'r>,
    digests: SmallVec<[key::KeyDigest; 1]>,
    standing: Standing,
}

/// `None`: there was nothing to verify. The gate's proof is only shown: nothing is looked up before it.
pub(crate) async fn authenticate<'r, H: Head + ?Sized>(
    guard: &'r Parts,
    trail: &mut Trail<'r, H>,
    _shut: &Shut<'_>,
    candidates: Candidates<'r>,
    patience: Patience,
) -> Result<Option<Verified>, Stop> {
    let mut tried: SmallVec<[Tried<'r>; 1]> = SmallVec::new();
    for candidate in candidates {
        tried.push(Tried { candidate, digests: SmallVec::new(), standing: Standing::NotAsked });
    }
    // At most one Argon2id verification a request (R7.3).
    let mut may_be_slow = true;
    for authenticator in &guard.authenticators {
        if let Asked::Own(own) = &authenticator.asked {
            let ambient = guard.plan.ambient(&**own, trail.head, trail.now);
            let by_cookie = ambient.holds_cookies();
            let found = ask_ambient(&**own, authenticator, &ambient, by_cookie, patience).await;
            if found.is_err() {
                charge_bad(trail, &tried, usize::MAX);
            }
            if let Some(verified) = found? {
                trail.source = None;
                trail.presented = Some(true);
                trail.note("authentication", || {
                    format!("{}: valid, without a credential of the sources", authenticator.name.as_str())
                });
                return Ok(Some(finish(trail, &tried, usize::MAX, verified)));
            }
        }
        for index in 0..tried.len() {
            let verdict = match try_one(guard, trail, authenticator, &mut tried[index], &mut may_be_slow, patience).await {
                Ok(verdict) => verdict,
                Err(stop) => {
                    // What ends the decision says nothing about this candidate; those before it were bad (R3.1).
                    charge_bad(trail, &tried, index);
                    return Err(stop);
                }
            };
            let kind = tried[index].candidate.kind;
            trail.note("authentication", || {
                let outcome = match (&verdict, tried[index].standing) {
                    (Some(_), _) => "valid".to_owned(),
                    (None, Standing::Dead(kind)) => kind.to_string(),
                    (None, _) => "unknown".to_owned(),
                };
                format!("{} asked about {kind}: {outcome}", authenticator.name.as_str())
            });
            if let Some(verified) = verdict {
                trail.source = Some(kind);
                return Ok(Some(finish(trail, &tried, index, verified)));
            }
        }
    }
    let Some(first) = tried.first() else { return Ok(None) };
    let kind = match first.standing {
        Standing::Dead(kind) => kind,
        Standing::Unknown { is_damaged: true } => Kind::Malformed,
        Standing::NotAsked | Standing::Unknown { .. } => Kind::Unknown,
    };
    charge_bad(trail, &tried, usize::MAX);
    tell_candidates(trail, &tried, usize::MAX);
    Err(kind.into())
}

/// Somebody won: the others that were asked about and found bad are charged all the same (R3.1).
fn finish<H: Head + ?Sized>(trail: &mut Trail<'_, H>, tried: &[Tried<'_>], winner: usize, verified: Verified) -> Verified {
    charge_bad(trail, tried, winner);
    trail.dead = None;
    tell_candidates(trail, tried, winner);
    verified
}

fn charge_bad<H: Head + ?Sized>(trail: &mut Trail<'_, H>, tried: &[Tried<'_>], winner: usize) {
    let losers = tried.iter().enumerate().filter(|(index, _)| *index != winner);
    trail.bad.extend(losers.filter_map(|(_, tried)| match tried.standing {
        Standing::NotAsked => None,
        Standing::Unknown { is_damaged } => Some(if is_damaged { Kind::Malformed } else { Kind::Unknown }),
        Standing::Dead(kind) => Some(kind),
    }));
}

fn tell_candidates<H: Head + ?Sized>(trail: &mut Trail<'_, H>, tried: &[Tried<'_>], winner: usize) {
    let Some(trace) = &mut trail.trace else { return };
    for (index, tried) in tried.iter().enumerate() {
        let outcome = match tried.standing {
            _ if index == winner => "valid",
            Standing::NotAsked => "not asked",
            Standing::Unknown { is_damaged: true } => "malformed",
            Standing::Unknown { .. } => "unknown",
            Standing::Dead(kind) => kind.as_str(),
        };
        trace.came_to(tried.candidate.source, outcome);
    }
}

async fn ask_ambient(
    own: &dyn crate::authenticator::Authenticator,
    authenticator: &NamedAuthenticator,
    ambient: &Ambient<'_>,
    by_cookie: bool,
    patience: Patience,
) -> Result<Option<Verified>, Stop> {
    match patience.get(own.ambient(ambient)).await? {
        Word::Is(identity) => Ok(Some(Verified::by_identity(*identity, &authenticator.name, None, by_cookie))),
        // A dead session is absent (R6.4).
        Word::NotMine | Word::Refused(_) => Ok(None),
    }
}

/// Asks one authenticator about one candidate, unless it is decided already.
async fn try_one<'r, H: Head + ?Sized>(
    guard: &'r Parts,
    trail: &mut Trail<'r, H>,
    authenticator: &NamedAuthenticator,
    tried: &mut Tried<'r>,
    may_be_slow: &mut bool,
    patience: Patience,
) -> Result<Option<Verified>, Stop> {
    if matches!(tried.standing, Standing::Dead(_)) {
        return Ok(None);
    }
    let Tried { candidate, digests, standing } = tried;
    if candidate.credential.is_malformed() {
        *standing = Standing::Dead(Kind::Malformed);
        return Ok(None);
    }
    if *standing == Standing::NotAsked {
        *standing = Standing::Unknown { is_damaged: false };
    }
    if guard.policy.sources[candidate.source].holds_tickets {
        return try_ticket(guard, trail, authenticator, candidate, standing, patience).await;
    }
    if digests.is_empty() {
        *digests = guard.peppers.digests(candidate.credential.expose());
    }
    let presented = Presented::new(&candidate.credential, digests, trail.now);
    let store = match &authenticator.asked {
        Asked::Own(own) => {
            let answer = untried_if_spent(guard, trail, own.authenticate(&presented, trail.now))?;
            return Ok(match patience.get(answer).await? {
                Word::Is(identity) => Some(Verified::by_identity(*identity, &authenticator.name, Some(candidate.kind), false)),
                Word::Refused(refusal) => {
                    *standing = Standing::Dead(refusal.kind());
                    None
                }
                Word::NotMine => None,
            });
        }
        Asked::Store(store) => &**store,
    };
    // In memory, looking first costs a good key nothing; a wrong check must not cost a trip (R7.1).
    let is_damaged = || key::is_damaged(presented.expose(), |prefix| store.binds(prefix));
    let record = match store.find(&presented) {
        Answer::Ready(found) => found?,
        Answer::Pending(_) if is_damaged() => None,
        pending @ Answer::Pending(_) => patience.get(untried_if_spent(guard, trail, pending)?).await?,
    };
    let Some(record) = record else {
        // Not dead: a configured key may look like a generated one, and is asked about in its turn.
        if is_damaged() {
            *standing = Standing::Unknown { is_damaged: true };
        }
        return Ok(None);
    };
    let mut verdict = Verified::by_record(&presented, record, &authenticator.name, candidate.kind, trail.now.wall);
    if let Verdict::Slow(slow) = verdict {
        let answer = slow.ask(&guard.verifications, || trail.abandoned(guard));
        // What is remembered takes no time.
        if matches!(answer, Answer::Pending(_)) && !std::mem::take(may_be_slow) {
            return Ok(None);
        }
        let matches = patience.get(untried_if_spent(guard, trail, answer)?).await?;
        verdict = slow.settle(matches, trail.now.wall);
    }
    match verdict {
        Verdict::Genuine(verified) => return Ok(Some(verified)),
        Verdict::Dead(kind, record) => {
            *standing = Standing::Dead(kind);
            trail.dead.get_or_insert(record);
        }
        Verdict::NotIts | Verdict::Slow(_) => {}
    }
    Ok(None)
}

/// R14.2: a ticket is its key's authenticator's to know, and nobody else is shown it.
async fn try_ticket<H: Head + ?Sized>(
    guard: &Parts,
    trail: &mut Trail<'_, H>,
    authenticator: &NamedAuthenticator,
    candidate: &Candidate<'_>,
    standing: &mut Standing,
    patience: Patience,
) -> Result<Option<Verified>, Stop> {
    let (Some(rules), Some(signing)) = (&guard.policy.tickets, &guard.signing) else { return Ok(None) };
    let (name, now) = (&authenticator.name, trail.now);
    let verdict = match (signing, &authenticator.asked) {
        (Signing::Plain { key, record }, Asked::Store(_)) if *name == AuthenticatorName::Configured => {
            let parsed = plain::Presented::parse(candidate.credential.expose());
            match parsed.and_then(|ticket| ticket.verify(key, rules.lifetime, now.wall)) {
                Ok(()) => Verified::by_plain_ticket(record.clone(), name, now.wall),
                Err(bad) => {
                    *standing = Standing::Dead(bad.kind());
                    return Ok(None);
                }
            }
        }
        (Signing::Keyed { secrets, used }, Asked::Store(store)) if *name == AuthenticatorName::Store => {
            // A ticket that is used up is used up, so a decision that may have to begin anew does not begin.
            if patience == Patience::GivesUp && used.is_some() {
                return Err(Stop::WouldWait);
            }
            let ticket = match keyed::Presented::parse(candidate.credential.expose()) {
                Ok(ticket) => ticket,
                Err(bad) => {
                    *standing = Standing::Dead(bad.kind());
                    return Ok(None);
                }
            };
            let found = untried_if_spent(guard, trail, store.find_by_id(&ticket.key(), now))?;
            let Some(record) = patience.get(found).await? else { return Ok(None) };
            let ticket = match ticket.verify(secrets, record.epoch, rules.terms(), now.wall) {
                Ok(ticket) => ticket,
                Err(bad) => {
                    *standing = Standing::Dead(bad.kind());
                    return Ok(None);
                }
            };
            let verdict = Verified::by_ticket(ticket, record.clone(), name, now.wall);
            match (verdict, used) {
                (Verdict::Genuine(verified), Some(used)) => {
                    let peek = trail.trace.is_some();
                    let spent = untried_if_spent(guard, trail, used.spend(&ticket.id, &record.id, rules.lifetime, now, peek))?;
                    match patience.get(spent).await? {
                        Spent::First => Verdict::Genuine(verified),
                        // Of the kinds that there are: using it has ended it.
                        Spent::Before => Verdict::Dead(Kind::Revoked, record),
                        Spent::Forgotten => Verdict::Dead(Kind::Expired, record),
                    }
                }
                (verdict, _) => verdict,
            }
        }
        _ => return Ok(None),
    };
    match verdict {
        Verdict::Genuine(verified) => return Ok(Some(verified)),
        Verdict::Dead(kind, record) => {
            *standing = Standing::Dead(kind);
            trail.dead.get_or_insert(record);
        }
        Verdict::NotIts | Verdict::Slow(_) => {}
    }
    Ok(None)
}

/// R3.2: where the client's failure budget is spent, whatever needs a trip or Argon2id is not tried.
fn untried_if_spent<H: Head + ?Sized, T>(guard: &Parts, trail: &mut Trail<'_, H>, answer: Answer<T>) -> Result<Answer<T>, Kind> {
    if let (Answer::Pending(_), Some(wait)) = (&answer, trail.budget_spent(guard)) {
        trail.retry_after = Some(wait);
        return Err(Kind::FailuresLimited);
    }
    Ok(answer)
}
