//! `Forwarded`, `X-Forwarded-For` and `X-Real-IP`: the client's address must be the one that the model walks to.
//!
//! An input is lines. `peer ADDRESS`, `read HEADER` and `trust nobody|proxies|everybody|hops` say how the service stands; every other
//! line is the value of the header that is read. A peer that nobody trusts must be who it is, whatever it sends.

use std::{collections::HashMap, net::IpAddr};

use keyward::{Guard, Policy};

use super::{recorder::Recorder, step::at_once};
use crate::{
    in_process,
    model::{
        address::{self, ClientAddress},
        networks,
        policy::ModelPolicy,
        request::{ModelRequest, trim},
    },
};

const HEADERS: [&str; 3] = ["X-Forwarded-For", "Forwarded", "X-Real-IP"];
const TRUST: [(&str, &str); 4] = [
    ("nobody", ""),
    ("proxies", "trusted_proxies = ['127.0.0.1', '10.0.0.0/8', '2001:db8:1::/48', '::ffff:192.168.0.0/112']\n"),
    ("everybody", "insecure_trust_all_proxies = true\n"),
    ("hops", "trusted_hops = 2\n"),
];

/// Not empty, so that a flagged client shows by being denied.
const DENIED: &str = "198.51.100.0/24";

struct Service {
    guard: Guard,
    policy: ModelPolicy,
}

thread_local! {
    static SERVICES: HashMap<(&'static str, &'static str), Service> = services();
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let (mut header, mut trust) = (HEADERS[0], TRUST[1].0);
    let mut peer: IpAddr = [127, 0, 0, 1].into();
    let mut lines: Vec<&[u8]> = Vec::new();
    for line in data.split(|byte| *byte == b'\n').map(trim) {
        let text = std::str::from_utf8(line).unwrap_or_default();
        match text.split_once(' ') {
            Some(("read", name)) => header = HEADERS.into_iter().find(|known| *known == name).unwrap_or(header),
            Some(("trust", name)) => {
                trust = TRUST.into_iter().map(|(known, _)| known).find(|known| *known == name).unwrap_or(trust)
            }
            Some(("peer", name)) => peer = name.parse().unwrap_or(peer),
            _ => lines.push(line),
        }
    }
    SERVICES.with(|services| compare(&services[&(header, trust)], header, peer, &lines));
}

fn compare(service: &Service, header: &str, peer: IpAddr, lines: &[&[u8]]) {
    let request = request(header, peer, lines);
    let Some((address, denied)) = ask(service, &request) else { return };
    let expected = address::client(&service.policy, &request);
    assert_eq!(expected.map(|client| client.address), address, "{}{request:?}", service.policy.to_toml());
    let passes = expected.is_some_and(|client| networks::passes(None, &service.policy.network.deny, client));
    assert_eq!(passes, !denied, "whether {expected:?} passes\n{}{request:?}", service.policy.to_toml());

    let unproxied = ClientAddress { address: address::canonical(peer), flagged: false };
    if !service.policy.trusts(unproxied.address) {
        let without = ask(service, &self::request(header, peer, &[])).expect("a request without the header can be asked");
        assert_eq!(without, (address, denied), "the word of a peer that nobody trusts\n{}{request:?}", service.policy.to_toml());
        assert_eq!(Some(unproxied.address), address, "{request:?}");
    }
}

/// The client's address, and whether it is denied for it.
fn ask(service: &Service, request: &ModelRequest) -> Option<(Option<IpAddr>, bool)> {
    let head = in_process::in_http_types(request)?;
    let explanation = at_once(service.guard.explain(&head));
    match explanation.denial {
        Some("address") => Some((explanation.client_ip, true)),
        Some("missing") => Some((explanation.client_ip, false)),
        other => panic!("{other:?}, where only the address can be denied or the key be missing\n{request:?}"),
    }
}

fn request(header: &str, peer: IpAddr, lines: &[&[u8]]) -> ModelRequest {
    ModelRequest {
        method: "GET".to_owned(),
        target: b"/".to_vec(),
        headers: lines.iter().map(|line| (header.to_owned(), line.to_vec())).collect(),
        body: Vec::new(),
        peer: Some(peer),
    }
}

fn services() -> HashMap<(&'static str, &'static str), Service> {
    let mut services = HashMap::new();
    for header in HEADERS {
        for (name, trust) in TRUST {
            // No proxy adds to what X-Real-IP holds.
            let trust = if header == "X-Real-IP" { trust.replace("hops = 2", "hops = 1") } else { trust.to_owned() };
            let policy = format!("[network]\n{trust}client_address_header = '{header}'\ndeny = ['{DENIED}']\n");
            let read = Policy::from_toml("policy.toml", &policy).expect("the target's own policy is a good one");
            let guard = Guard::builder(read).authenticator(Recorder::default()).build().expect("the guard has all its parts");
            let policy = ModelPolicy::from_toml(&policy).expect("the model knows the target's own policy");
            services.insert((header, name), Service { guard, policy });
        }
    }
    services
}
