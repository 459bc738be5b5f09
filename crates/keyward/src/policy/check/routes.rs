//! Paths, and what they demand.

use super::Checker;
use crate::path::{BadPathPattern, PathPattern};
use crate::policy::file::Route;
use crate::policy::{NetworkRules, RouteRule};
use crate::scope::{Demand, Requirement};
use crate::source::is_token_byte;

impl Checker {
    pub(super) fn open_path(&mut self, field: &str, written: &str) -> Option<PathPattern> {
        let pattern = self.pattern(field, written)?;
        if pattern.covers_everything() {
            self.fault(field, "opens everything", "name the paths that need no key; to guard nothing, use no guard");
        }
        Some(pattern)
    }

    pub(super) fn routes(&mut self, field: &str, written: &[Route]) -> Vec<RouteRule> {
        let mut routes: Vec<RouteRule> = Vec::new();
        for (index, route) in written.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let Some(pattern) = self.pattern(&format!("{field}.path"), &route.path) else { continue };
            let methods = self.each(&format!("{field}.methods"), &route.methods, |checker, field, method| {
                if method.is_empty() || !method.bytes().all(|byte| is_token_byte(byte) && !byte.is_ascii_lowercase()) {
                    checker.fault(field, format!("`{method}` is no method"), "write it in capitals, like \"GET\"");
                    return None;
                }
                Some(method.into())
            });
            if !route.scopes.is_empty() && !route.any_scope.is_empty() {
                self.fault(
                    format!("{field}.any_scope"),
                    "stands beside `scopes`",
                    "demand all of `scopes`, or one of `any_scope`",
                );
            }
            if route.optional && !(route.scopes.is_empty() && route.any_scope.is_empty() && route.kinds.is_empty()) {
                self.fault(
                    format!("{field}.optional"),
                    "contradicts what the route demands",
                    "drop `optional`, or the scopes and kinds",
                );
            }
            let scopes = match (route.scopes.is_empty(), route.any_scope.is_empty()) {
                (false, _) => Demand::All(self.each(&format!("{field}.scopes"), &route.scopes, Self::demanded)),
                (true, false) => Demand::Any(self.each(&format!("{field}.any_scope"), &route.any_scope, Self::demanded)),
                (true, true) => Demand::Nothing,
            };
            if routes.iter().any(|earlier| earlier.methods.is_empty() && earlier.pattern.covers(&pattern)) {
                self.fault(
                    format!("{field}.path"),
                    "is never reached: an earlier route takes all of it",
                    "move it up, or give the earlier route methods",
                );
            }
            if route.cost == Some(0) {
                self.fault(
                    format!("{field}.cost"),
                    "takes nothing",
                    "write 1 or more; a path that is never limited is an open one",
                );
            }
            let kinds = route.kinds.iter().map(|kind| kind.as_str().into()).collect();
            let requirement = Requirement { scopes, kinds, cost: route.cost.unwrap_or(0) };
            let network = self.network(&field, route.allow.as_deref(), &route.deny);
            routes.push(RouteRule { pattern, methods, requirement, network, optional: route.optional });
        }
        routes
    }

    pub(super) fn routes_below_open_paths(&mut self, routes: &[RouteRule], open_paths: &[PathPattern]) {
        for (index, route) in routes.iter().enumerate() {
            if !(route.requirement.is_nothing() && route.network.is_anybody())
                && open_paths.iter().any(|open| open.covers(&route.pattern))
            {
                self.fault(
                    format!("routes[{index}].path"),
                    "demands something of a path that is open",
                    "take it out of `open_paths`, or drop the route",
                );
            }
        }
    }

    /// A route's lists hold beside the policy's: each may let somebody in, and both together nobody.
    pub(super) fn routes_for_nobody(&mut self, routes: &[RouteRule], network: &NetworkRules) {
        for (index, route) in routes.iter().enumerate() {
            if route.network.within(network).are_for_nobody() {
                let list = if route.network.allow.is_some() { "allow" } else { "deny" };
                self.fault(
                    format!("routes[{index}].{list}"),
                    "and the lists of `[network]` together let nobody in",
                    "name an address that both let in: a route's lists hold beside the policy's",
                );
            }
        }
    }

    pub(super) fn demanded(&mut self, field: &str, written: &str) -> Option<Box<str>> {
        if !crate::scope::is_demandable(written) {
            self.fault(
                field,
                format!("`{written}` cannot be demanded"),
                "write a scope without `*`: a wildcard is for keys to hold",
            );
            return None;
        }
        Some(written.into())
    }

    pub(super) fn pattern(&mut self, field: &str, written: &str) -> Option<PathPattern> {
        match written.parse() {
            Ok(pattern) => Some(pattern),
            Err(BadPathPattern { problem, mend }) => {
                self.fault(field, format!("`{written}` {problem}"), mend);
                None
            }
        }
    }
}
