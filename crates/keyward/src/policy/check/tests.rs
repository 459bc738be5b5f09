//! Faults and how they are told.

use super::*;

fn told(text: &str) -> String {
    from_toml("p.toml", text).map_or_else(|error| error.to_string(), |_| "good".to_owned())
}

#[test]
fn every_fault_names_file_line_field_and_mend() {
    for (text, starts) in [
        ("", "good"),
        ("[access]\nnope = 1", "p.toml:2: access.nope: unknown field `nope`"),
        ("[access]\nrealm = 7", "p.toml:2: access.realm: invalid type"),
        ("sources = [\n { bearer = true },\n { headr = \"X\" },\n]", "p.toml:3: sources[1].headr: unknown field"),
        ("[limits", "p.toml:1: "),
        ("\n\n[network]\nallow = []", "p.toml:4: network.allow: an empty list admits nobody; leave it out"),
        ("[[routes]]\npath = \"/a\"\n[[routes]]\npath = \"b\"", "p.toml:4: routes[1].path: `b` does not start with `/`"),
        ("sources = []", "p.toml:1: sources: no key could ever be found"),
        ("resolution = \"any\"", "p.toml:1: resolution: `any` is not known; write \"reject-conflict\""),
    ] {
        assert!(told(text).starts_with(starts), "{text}: {}", told(text));
    }
    let all = told("resolution = \"any\"\n[limits]\nper_key = [\"x\"]\nfailures = \"y\"");
    assert_eq!(all.lines().count(), 3, "{all}");
}

#[test]
fn contradictions_are_refused() {
    for contradictory in [
        "sources = [{ bearer = true }, { header = \"Authorization\" }]",
        "sources = [{ cookie = \"a\" }, { cookie = \"a\" }]",
        "sources = [{ bearer = true, header = \"X\" }]",
        "sources = [{ bearer = false }]",
        "sources = [{ header = \"Host\" }]",
        "sources = [{ query = \"\" }]",
        "sources = [{ bearer = true, only = \"http\" }]",
        "authenticators = []",
        "authenticators = [\"store\", \"store\"]",
        "[[routes]]\npath = \"/a\"\noptional = true\nscopes = [\"x\"]",
        "[[routes]]\npath = \"/a\"\noptional = true\nkinds = [\"x\"]",
        "[[routes]]\npath = \"/a\"\nscopes = [\"x:*\"]",
        "[[routes]]\npath = \"/a\"\nscopes = [\"x\"]\nany_scope = [\"y\"]",
        "[[routes]]\npath = \"/a/*\"\n[[routes]]\npath = \"/a/b\"",
        "[[routes]]\npath = \"/a\"\nmethods = [\"get\"]",
        "[access]\nopen_paths = [\"/docs/*\"]\n[[routes]]\npath = \"/docs/secret\"\nscopes = [\"x\"]",
        "[access]\npublic_url = \"https://a/b\"",
        "[access]\nrealm = 'a\"b'",
        "[network]\nallow = [\"*\", \"10.0.0.0/8\"]",
        "[network]\nallow = [\"::ffff:10.0.0.0/90\"]",
        "[network]\ntrusted_proxies = [\"0.0.0.0/0\"]",
        "[network]\ntrusted_proxies = [\"10.0.0.0/8\"]\ninsecure_trust_all_proxies = true",
        "[network]\nclient_address_header = \"CF-Connecting-IP\"",
        "[limits]\nper_key = [\"1/hour\", \"2/60m\"]",
        "[limits]\nper_key = [\"a=1/hour\"]\nper_owner = [\"a=2/day\"]",
        "[[routes]]\npath = \"/a\"\ncost = 0",
        "[[routes]]\npath = \"/a\"\nallow = []",
        "[access]\nopen_paths = [\"/docs/*\"]\n[[routes]]\npath = \"/docs/secret\"\ndeny = [\"10.0.0.0/8\"]",
        "[response]\nhsts = \"\\u0007\"",
        "[response]\nrate_limit_headers = [\"new\"]",
        "[response]\nchallenge = \"\"",
        "[response]\nchallenge = 'Please send the API key'",
        "[websocket]\nclose_code = 1006",
        "[tickets]\nlifetime = \"301s\"",
        "[audit]\nmode = \"always\"",
    ] {
        let told = told(contradictory);
        assert!(told.starts_with("p.toml:") && told.contains(": "), "{contradictory}: {told}");
    }
}

#[test]
fn lists_that_let_nobody_in_are_refused() {
    for (written, told_of, problem) in [
        ("[network]\nallow = ['0.0.0.0']", "p:2: network.allow[0]: `0.0.0.0` is nobody's address; ", "write \"0.0.0.0/0\""),
        ("[network]\nallow = ['10.0.0.1', '::']", "p:2: network.allow[1]: `::` is nobody's address; ", "write \"::/0\""),
        ("[network]\ndeny = ['::/128']", "p:2: network.deny[0]: `::` is nobody's address; ", "write \"::/0\""),
        (
            "[network]\ntrusted_proxies = ['0.0.0.0']",
            "p:2: network.trusted_proxies[0]: `0.0.0.0` is nobody's address; ",
            "insecure_trust_all_proxies = true",
        ),
        ("[network]\ntrusted_proxies = ['*']", "p:2: network.trusted_proxies[0]: `*` ", "insecure_trust_all_proxies = true"),
        ("[network]\nallow = ['::/80']", "p:2: network.allow[0]: `::/80` covers more than", "write the IPv4 network"),
        ("[network]\nallow = ['10.1.0.0/16']\ndeny = ['10.0.0.0/8']", "p:2: network.allow: is wholly inside `deny`", ""),
        (
            "[network]\nallow = ['10.0.0.0/8', '2001:db8::1']\ndeny = ['10.0.0.0/9', '::/0', '10.128.0.0/9']",
            "p:2: network.allow: is wholly inside `deny`",
            "take out of `deny`",
        ),
        ("[network]\nallow = ['*']\ndeny = ['::/0', '0.0.0.0/1', '128.0.0.0/1']", "p:3: network.deny: keeps everybody out", ""),
        ("[[routes]]\npath = '/a'\nallow = ['0.0.0.0']", "p:3: routes[0].allow[0]: `0.0.0.0` is nobody's address", ""),
        ("[[routes]]\npath = '/a'\nallow = ['10.1.1.1']\ndeny = ['10.0.0.0/8']", "p:3: routes[0].allow: is wholly inside", ""),
        (
            "[network]\nallow = ['192.0.2.0/24']\n[[routes]]\npath = '/a'\nallow = ['198.51.100.7']",
            "p:5: routes[0].allow: and the lists of `[network]` together let nobody in",
            "",
        ),
        (
            "[network]\ndeny = ['192.0.2.0/25']\n[[routes]]\npath = '/a'\nallow = ['192.0.2.0/24']\ndeny = ['192.0.2.128/25']",
            "p:5: routes[0].allow: and the lists of",
            "",
        ),
        (
            "[network]\nallow = ['192.0.2.0/24']\n[[routes]]\npath = '/a'\ndeny = ['192.0.0.0/16']",
            "p:5: routes[0].deny: and the lists of",
            "",
        ),
        ("[report_only.network]\nallow = ['10.1.1.1']\ndeny = ['10.0.0.0/8']", "p:2: report_only.network.allow: is wholly", ""),
    ] {
        let told = from_toml("p", written).unwrap_err().to_string();
        assert!(told.starts_with(told_of) && told.contains(problem) && told.lines().count() == 1, "{written}: {told}");
    }
    for good in [
        "[network]\nallow = ['0.0.0.0/0']\ndeny = ['10.0.0.0/8']",
        "[network]\nallow = ['192.0.2.0/24']\n[[routes]]\npath = '/a'\nallow = ['192.0.0.0/16', '198.51.100.7']",
        "[network]\ndeny = ['192.0.2.0/25']\n[[routes]]\npath = '/a'\nallow = ['192.0.2.0/24']",
        "[network]\nallow = ['10.0.0.0/8']\ndeny = ['10.0.0.0/9']",
        "[network]\nallow = ['10.0.0.0/8', '192.0.2.1']\ndeny = ['10.0.0.0/8']",
        "[network]\ndeny = ['0.0.0.0/0']",
        "[network]\nallow = ['10.1.2.3/8', '::/0']",
    ] {
        assert_eq!(told(good), "good", "{good}");
    }
}

#[test]
fn hops_are_trusted_alone_and_with_a_header() {
    let header = "client_address_header = 'X-Forwarded-For'";
    for (written, problem) in [
        (format!("trusted_hops = 1\n{header}\ntrusted_proxies = ['10.0.0.1']"), "contradicts `trusted_proxies`"),
        (format!("trusted_hops = 1\n{header}\ninsecure_trust_all_proxies = true"), "contradicts `trusted_proxies`"),
        ("trusted_hops = 1".to_owned(), "says how many proxies name the client, and not where"),
        (format!("trusted_hops = 0\n{header}"), "is not from 1 to 16"),
        (format!("trusted_hops = 17\n{header}"), "is not from 1 to 16"),
        (format!("trusted_hops = 300\n{header}"), "is not from 1 to 16"),
        ("trusted_hops = 2\nclient_address_header = 'x-real-ip'".to_owned(), "`X-Real-IP` holds one address"),
    ] {
        let told = told(&format!("[network]\n{written}"));
        assert!(told.starts_with(&format!("p.toml:2: network.trusted_hops: {problem}")), "{written}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    for good in [
        format!("trusted_hops = 1\n{header}"),
        format!("trusted_hops = 16\n{header}\ninsecure_trust_all_proxies = false\ntrusted_proxies = []"),
        "trusted_hops = 1\nclient_address_header = 'X-Real-IP'".to_owned(),
    ] {
        assert_eq!(told(&format!("[network]\n{good}")), "good", "{good}");
    }
    assert!(told("[network]\ntrusted_hops = -1").contains("network.trusted_hops: "));
    assert!(Policy::builder().trusted_hops(2).client_address_header("Forwarded").build().is_ok());
}

#[test]
fn what_is_written_twice_is_named() {
    for (text, told_as) in [
        ("[limits]\nfailures = 'off'\nfailures = '1/s'", "p.toml:3: `failures` is there twice; "),
        ("[limits]\n[network]\n[limits]", "p.toml:3: `limits` is there twice; "),
        ("[[routes]]\npath = '/a'\n\"path\" = '/b'", "p.toml:3: `path` is there twice; "),
    ] {
        assert!(told(text).starts_with(told_as), "{}", told(text));
    }
}

#[test]
fn what_is_wrong_with_a_quota_is_told() {
    for (text, told_as) in [
        ("per_key = ['0/hour']", "limits.per_key[0]: `0/hour` gives nothing: write a COUNT of at least 1, like 1/hour"),
        ("per_key = ['00/hour']", "limits.per_key[0]: `00/hour` gives nothing"),
        ("per_key = ['-1/hour']", "limits.per_key[0]: `-1/hour` is no quota: write COUNT/unit"),
        ("per_key = ['key-60s=1/hour']", "limits.per_key[0]: `key-60s` is reserved: a quota without a name is called so"),
        (
            "failures = '0/hour'",
            "limits.failures: `0/hour` gives nothing: write a COUNT of at least 1, like 1/hour; or \"off\", for no budget",
        ),
        ("failures = 'OFF'", "limits.failures: `OFF` is no quota: "),
        ("failures = ''", "limits.failures: `` is no quota: "),
        (
            "failures = 20",
            "limits.failures: invalid type: integer `20`, expected a string; write a quota, like \"20/minute\", or \"off\", for no budget",
        ),
        ("failures = false", "limits.failures: invalid type: boolean `false`, expected a string; write a quota"),
    ] {
        let told = told(&format!("[limits]\n{text}"));
        assert!(told.starts_with(&format!("p.toml:2: {told_as}")), "{text}: {told}");
        assert!(!text.starts_with("failures") || told.contains("or \"off\", for no budget"), "{told}");
    }
}
