//! R3: the failure budget.

use super::{
    address::{ClientAddress, bucket},
    limits::{Quota, Quotas, Standing, Subject},
    policy::ModelPolicy,
    time::Moment,
};

/// R3.1: charges one failure to a client.
///
/// # Errors
/// How the budget stands, if it is spent.
pub fn charge(
    policy: &ModelPolicy,
    quotas: &mut Quotas,
    client: Option<ClientAddress>,
    now: Moment,
) -> Result<(), Vec<Standing>> {
    let Some(budget) = budget(policy) else { return Ok(()) };
    let Some(client) = client else { return Ok(()) };
    // A flagged address is that of the last good hop, most likely a proxy's. Who hides behind an unreadable element must not go
    // free for it, nor spend the budget of those whom the hop names: what is flagged has a budget of its own.
    if policy.names_as_proxy(client.address) && !client.flagged {
        return Ok(());
    }
    let subject = Subject::Failures { whose: bucket(client.address), flagged: client.flagged };
    quotas.take(&[(subject, vec![budget])], 1, now).map(|_| ())
}

/// The budget, unless it is off.
pub fn budget(policy: &ModelPolicy) -> Option<Quota> {
    policy.limits.failures.as_deref().filter(|written| *written != "off").map(Quota::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_its_own_and_proxies_have_none() {
        let policy =
            ModelPolicy::from_toml("[limits]\nfailures = '1/minute'\n[network]\ntrusted_proxies = ['10.0.0.1']").unwrap();
        let mut quotas = Quotas::default();
        let mut fail = |address: &str, flagged: bool| {
            let client = ClientAddress { address: address.parse().unwrap(), flagged };
            charge(&policy, &mut quotas, Some(client), 0).is_ok()
        };
        assert!(fail("2001:db8::1", false));
        assert!(!fail("2001:db8::2", false));
        assert!(fail("2001:db8:0:1::1", false));
        assert!(fail("192.0.2.1", false));
        assert!(!fail("192.0.2.1", false));
        assert!(fail("10.0.0.1", false));
        assert!(fail("10.0.0.1", false));
        assert!(fail("10.0.0.1", true));
        assert!(!fail("10.0.0.1", true));
        assert!(fail("10.0.0.1", false));
    }

    #[test]
    fn off_is_no_budget() {
        let policy = ModelPolicy::from_toml("[limits]\nfailures = 'off'").unwrap();
        assert_eq!(budget(&policy), None);
        assert_eq!(budget(&ModelPolicy::default()), None);
    }
}
