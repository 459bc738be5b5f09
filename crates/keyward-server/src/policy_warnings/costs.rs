//! Costs that no quota can give.

use keyward::limit::Quota;

use super::{PolicyText, Warning};

impl PolicyText {
    /// A request that costs more than a quota ever holds takes all of it (R9): less than was asked for, and never nothing.
    pub(super) fn costs(&self) -> Vec<Warning> {
        let limits = &self.said.limits;
        let written = [&limits.per_key, &limits.per_owner, &limits.per_address, &limits.per_policy].into_iter().flatten();
        let Some(most) = written.filter_map(|text| text.parse::<Quota>().ok()).map(Quota::count).max() else { return Vec::new() };
        let costs = self.said.routes.iter().filter_map(|route| route.cost.as_ref());
        costs
            .filter(|cost| *cost.get_ref() > most)
            .map(|cost| Warning {
                line: self.line(cost),
                field: "routes.cost",
                problem: "is more than any quota of `[limits]` holds: a request takes all of it, and no more",
                mend: "write a cost of at most a quota's count, or a larger quota",
                is_said_by_guards: false,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_above_every_quota() {
        let told = |cost: u32, limits: &str| {
            let text = format!("[limits]\n{limits}\n[[routes]]\npath = \"/x\"\ncost = {cost}");
            PolicyText::read(&text).costs().iter().map(|warning| warning.line).collect::<Vec<_>>()
        };
        let limits = "per_key = [\"burst=5/minute\", \"100/hour\"]";
        assert_eq!(told(100, limits), []);
        assert_eq!(told(101, limits), [Some(5)]);
        // Keys have quotas of their own.
        assert_eq!(told(101, ""), []);
    }
}
