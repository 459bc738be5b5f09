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
