//! Beginning and ending sessions.

use keyward::Timestamp;
use keyward::account::{AccountId, AccountRefused, PasswordHash, Session, SessionDigest};

use super::Answered;
use super::row::session_values;
use super::writing::{end_sessions_of, locked};
use crate::connection::values;
use crate::database::Shared;
use crate::failure::{Failure, Outcome};

/// Those of an account behind the ones that were seen last: `$2` of these stay.
const END_OLDEST: &str = "DELETE FROM keyward_sessions WHERE account_id = $1 AND digest IN \
    (SELECT digest FROM keyward_sessions WHERE account_id = $1 ORDER BY last_seen DESC, created DESC, digest DESC LIMIT 1000 OFFSET $2)";
const ADD: &str = "INSERT INTO keyward_sessions (digest, account_id, created, last_seen, expires, network, agent) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";

impl Shared {
    /// The account is locked first: whoever changes or removes it is done with it, or sees this session and ends it.
    pub(super) async fn add_session(&self, session: &Session, verified: &PasswordHash) -> Outcome<Answered<()>> {
        let mut writing = self.begin_with(std::future::ready).await?;
        let account = locked(&mut writing, &session.account).await?;
        let refused = match account {
            None => Some(AccountRefused::NotFound),
            Some(account) if account.is_disabled => Some(AccountRefused::NotFound),
            Some(account) if account.password != *verified => Some(AccountRefused::PasswordChanged),
            Some(_) => None,
        };
        if let Some(refused) = refused {
            // If this fails, the connection is closed, which does it as well.
            let _ = writing.roll_back().await;
            return Ok(Err(refused));
        }
        let digest = session.digest.to_bytes().to_vec();
        if !writing.rows("SELECT digest FROM keyward_sessions WHERE digest = $1", values![digest]).await?.is_empty() {
            let _ = writing.roll_back().await;
            return Err(Failure::fault("the token of a new session is another one's: the random generator repeats itself"));
        }
        let others = Session::MOST_OF_AN_ACCOUNT as i64 - 1;
        writing.run(END_OLDEST, values![session.account.as_str(), others]).await?;
        writing.run(ADD, session_values(session)).await?;
        writing.commit().await?;
        Ok(Ok(()))
    }

    pub(super) async fn saw_session(&self, digest: SessionDigest, at: Timestamp) -> Outcome<()> {
        let mut writing = self.begin_with(std::future::ready).await?;
        let values = values![digest.to_bytes().to_vec(), at.unix_nanoseconds()];
        writing.run("UPDATE keyward_sessions SET last_seen = $2 WHERE digest = $1 AND last_seen < $2", values).await?;
        writing.commit().await
    }

    pub(super) async fn end_session(&self, digest: SessionDigest) -> Outcome<bool> {
        let mut writing = self.begin_with(std::future::ready).await?;
        let ended = writing.run("DELETE FROM keyward_sessions WHERE digest = $1", values![digest.to_bytes().to_vec()]).await?;
        writing.commit().await?;
        Ok(ended > 0)
    }

    pub(super) async fn end_sessions_of(&self, account: &AccountId, but: Option<SessionDigest>) -> Outcome<usize> {
        let mut writing = self.begin_with(std::future::ready).await?;
        let ended = match locked(&mut writing, account).await? {
            None => 0,
            Some(_) => end_sessions_of(&mut writing, account, but).await?,
        };
        writing.commit().await?;
        Ok(usize::try_from(ended).unwrap_or(usize::MAX))
    }
}
