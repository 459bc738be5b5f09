//! R8: networks, paths, kind and scopes of a verified key.

use super::{
    address::ClientAddress, networks, origin, policy::ModelPolicy, policy::Route, request::ModelRequest, target, verify::Verified,
};

/// What is demanded of a key, by a route and by the server around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Scopes that are all demanded.
    pub scopes: Vec<String>,
    /// Scopes of which one is demanded; empty for none.
    pub any_scope: Vec<String>,
    /// Kinds of which one is demanded; empty for any.
    pub kinds: Vec<String>,
    /// Whether a missing key passes as anonymous.
    pub optional: bool,
    /// How many permissions a request takes of each quota; 0 where nobody says so, which is one.
    pub cost: u32,
}

/// Why an authentic key may not do this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// R13.
    Origin,
    /// R8.1: the key's own networks.
    Address,
    /// R2.3: the key's own networks, and nobody said who the peer is.
    AddressUnknown,
    /// R8.4: the key's own paths.
    Elsewhere,
    /// R8.4: whether it is one of them depends on who reads the path.
    Ambiguous,
    /// R8.1: the route's kinds.
    Kind,
    /// R8.1: the scopes; which ones, if all of them are demanded.
    Scope(Option<String>),
}

impl Demands {
    /// What a route demands.
    pub fn of(route: &Route) -> Demands {
        Demands {
            scopes: route.scopes.clone(),
            any_scope: route.any_scope.clone(),
            kinds: route.kinds.clone(),
            optional: route.optional,
            cost: route.cost.unwrap_or(0),
        }
    }

    /// Both demands together.
    pub fn and(mut self, other: &Demands) -> Demands {
        for scope in &other.scopes {
            if !self.scopes.contains(scope) {
                self.scopes.push(scope.clone());
            }
        }
        self.any_scope.extend(other.any_scope.iter().cloned());
        self.kinds.extend(other.kinds.iter().cloned());
        self.optional |= other.optional;
        self.cost = self.cost.max(other.cost);
        self
    }

    /// R15: whether anything is demanded that an anonymous request cannot have.
    pub fn need_a_key(&self) -> bool {
        !self.scopes.is_empty() || !self.any_scope.is_empty() || !self.kinds.is_empty()
    }
}

/// R8.1: origin, networks, paths, kind, scopes, in this order.
///
/// # Errors
/// The first thing that stands in the way.
pub fn authorize(
    policy: &ModelPolicy,
    request: &ModelRequest,
    written_path: &str,
    client: Option<ClientAddress>,
    demands: &Demands,
    verified: &Verified,
) -> Result<(), Refusal> {
    if !origin::allows(policy, request, &verified.candidate.source) {
        return Err(Refusal::Origin);
    }
    if !verified.allowed_ips.is_empty() {
        let client = client.ok_or(Refusal::AddressUnknown)?;
        if !networks::passes(Some(&verified.allowed_ips), &[], client) {
            return Err(Refusal::Address);
        }
    }
    if let Some(pattern) = &verified.resource_pattern
        && !target::is_own_path(pattern, written_path).ok_or(Refusal::Ambiguous)?
    {
        return Err(Refusal::Elsewhere);
    }
    let principal = &verified.principal;
    if !demands.kinds.is_empty() && !principal.kind.as_ref().is_some_and(|kind| demands.kinds.contains(kind)) {
        return Err(Refusal::Kind);
    }
    let holds = |demanded: &String| principal.scopes.iter().any(|held| covers(held, demanded));
    if !demands.scopes.iter().all(holds) {
        return Err(Refusal::Scope(Some(demands.scopes.join(" "))));
    }
    if !demands.any_scope.is_empty() && !demands.any_scope.iter().any(holds) {
        return Err(Refusal::Scope(None));
    }
    Ok(())
}

/// R8.2: whether a held scope covers a demanded one.
fn covers(held: &str, demanded: &str) -> bool {
    match held.strip_suffix('*') {
        Some(lead) if lead.ends_with(':') => demanded.len() > lead.len() && demanded.starts_with(lead),
        _ => held == demanded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_what_is_below() {
        for (held, demanded, expected) in [
            ("a:b", "a:b", true),
            ("a:b", "a:b:c", false),
            ("a:b:*", "a:b:c", true),
            ("a:b:*", "a:b:c:d", true),
            ("a:b:*", "a:b", false),
            ("a:b:*", "a:bc", false),
            ("a:*", "b:c", false),
            ("A:b", "a:b", false),
        ] {
            assert_eq!(covers(held, demanded), expected, "{held} {demanded}");
        }
    }

    #[test]
    fn demands_add_up() {
        let all = |scopes: &[&str]| Demands { scopes: scopes.iter().map(|s| (*s).to_owned()).collect(), ..Demands::default() };
        assert_eq!(all(&["a", "b"]).and(&all(&["b", "c"])), all(&["a", "b", "c"]));
        assert!(all(&["a"]).need_a_key());
        assert!(!Demands { optional: true, ..Demands::default() }.need_a_key());
        let costing = |cost| Demands { cost, ..Demands::default() };
        assert_eq!((costing(2).and(&costing(5)).cost, costing(5).and(&costing(2)).cost), (5, 5));
    }
}
