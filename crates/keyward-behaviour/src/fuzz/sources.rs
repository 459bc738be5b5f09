//! One request against a policy with every kind of source: the core must find the candidates that the model finds.
//!
//! Seen through the public interface: `explain` tells the sources that held something, and an authenticator of ours is asked
//! about each credential that is none of the malformed ones.

use keyward::{Guard, Policy};

use super::{recorder::Recorder, step::at_once, written};
use crate::{
    in_process,
    model::{
        candidates::{self, Presented},
        policy::ModelPolicy,
        request::ModelRequest,
        target,
    },
};

const POLICY: &str = r#"
resolution = "first-valid"
sources = [
  { bearer = true },
  { header = "X-API-Key" },
  { header = "Authorization", scheme = "ApiKey" },
  { cookie = "k" },
  { cookie = "session-key" },
  { query = "api_key" },
  { query = "ws key", only = "websocket" },
  { header = "X-Job-Key", paths = ["/jobs/*"] },
  { subprotocol = "auth" },
]
"#;

/// A guard of which nobody is a user, and its policy as the model reads it.
pub(super) struct Observed {
    pub(super) guard: Guard,
    pub(super) asked: Recorder,
    pub(super) policy: ModelPolicy,
}

impl Observed {
    pub(super) fn new(policy: &str) -> Observed {
        let asked = Recorder::default();
        let read = Policy::from_toml("policy.toml", policy).expect("the target's own policy is a good one");
        let guard = Guard::builder(read).authenticator(asked.clone()).build().expect("the target's own guard has all its parts");
        Observed { guard, asked, policy: ModelPolicy::from_toml(policy).expect("the model knows the target's own policy") }
    }

    /// Panics if the core finds other candidates than the model. Gives what each authenticator would have been asked about;
    /// `None` where the request is none that a parser would let through.
    pub(super) fn compare(&self, request: &ModelRequest) -> Option<Vec<String>> {
        let head = in_process::in_http_types(request).filter(|_| written::is_kept(&request.target))?;
        let explanation = at_once(self.guard.explain(&head));
        let asked = self.asked.take();
        let expected = expectation(&self.policy, request);
        let told: Vec<(&str, bool)> = explanation
            .candidates
            .iter()
            .map(|candidate| (candidate.source.as_str(), candidate.outcome == "malformed"))
            .collect();
        match expected {
            Err(kinds) => assert!(
                explanation.denial.is_some_and(|kind| kinds.contains(&kind)),
                "expected one of {kinds:?}, got {:?}\n{request:?}\n{explanation:?}",
                explanation.denial
            ),
            Ok(expected) => {
                let words: Vec<(&str, bool)> = expected
                    .iter()
                    .map(|candidate| (candidate.source.word(), matches!(candidate.presented, Presented::Malformed(_))))
                    .collect();
                assert_eq!(words, told, "expected and found candidates\n{request:?}\n{explanation:?}");
                let mut credentials: Vec<&str> = Vec::new();
                for candidate in &expected {
                    if let Presented::Credential(text) = &candidate.presented
                        && !credentials.contains(&text.as_str())
                    {
                        credentials.push(text);
                    }
                }
                assert_eq!(credentials, asked, "expected and found credentials\n{request:?}\n{explanation:?}");
                assert_eq!(explanation.status, 401, "nobody is let in\n{request:?}\n{explanation:?}");
            }
        }
        Some(asked)
    }
}

thread_local! {
    static OBSERVED: Observed = Observed::new(POLICY);
}

/// Runs one input: a request, as [`written::request`] reads it.
pub fn run(data: &[u8]) {
    OBSERVED.with(|observed| observed.compare(&written::request(data, None)));
}

fn expectation(policy: &ModelPolicy, request: &ModelRequest) -> Result<Vec<candidates::Candidate>, Vec<&'static str>> {
    let target = target::target(request).ok_or(["path"])?;
    let path = if policy.has_path_rules() { target::path_for_rules(&target.path).ok_or(["path"])? } else { target.path.clone() };
    candidates::find(policy, request, &target, &path).map_err(|unreadable| unreadable.0)
}
