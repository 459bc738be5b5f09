//! R4: the policy's networks.

use super::{Case, allowed, anonymous, case, denied};

const BEHIND_PROXY: &str = "
[network]
allow = ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1']
deny = ['10.9.0.0/16']
trusted_proxies = ['127.0.0.9']
client_address_header = 'X-Forwarded-For'
";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("R4 who is not allowed is refused before the key is looked at", "[network]\nallow = ['127.0.0.2']")
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha", denied("address").without_header("WWW-Authenticate"))
            .ask("GET /a\nX-API-Key: wrong", denied("address"))
            .ask("GET /a\nX-API-Key: a\nX-API-Key: b", denied("address"))
            .ask("GET /a", denied("address"))
            .from("127.0.0.2")
            .ask("GET /a\nX-API-Key: alpha", allowed()),
        case("R4 who is denied is refused", "[network]\ndeny = ['127.0.0.2']")
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .from("127.0.0.2")
            .ask("GET /a\nX-API-Key: alpha", denied("address")),
        case("R4 deny outweighs allow", "[network]\nallow = ['127.0.0.0/8']\ndeny = ['127.0.0.2']")
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .from("127.0.0.2")
            .ask("GET /a\nX-API-Key: alpha", denied("address")),
        case("R4 a star allows anybody", "[network]\nallow = ['*']").key("alpha").ask("GET /a\nX-API-Key: alpha", allowed()),
        case("R4 an open path is open to everybody", "[access]\nopen_paths = ['/open']\n[network]\nallow = ['127.0.0.2']")
            .ask("GET /open", super::unguarded())
            .ask("GET /a", denied("address")),
        case("R4 an optional route is not open to everybody", "[network]\nallow = ['127.0.0.2']")
            .ask("GET /optional/a", denied("address"))
            .from("127.0.0.2")
            .ask("GET /optional/a", anonymous()),
        case("R4 the peer's allowance does not speak for the client", BEHIND_PROXY)
            .from("127.0.0.2")
            .ask("GET /optional/a\nX-Forwarded-For: 10.0.0.1", denied("address")),
    ];
    for (name, address, inside) in [
        ("R4 the first address of a network is in it", "10.0.0.0", true),
        ("R4 the last address of a network is in it", "10.255.255.255", true),
        ("R4 the address before a network is not in it", "9.255.255.255", false),
        ("R4 the address after a network is not in it", "11.0.0.0", false),
        ("R4 the first address of a denied network is denied", "10.9.0.0", false),
        ("R4 the last address of a denied network is denied", "10.9.255.255", false),
        ("R4 the address before a denied network is not denied", "10.8.255.255", true),
        ("R4 the address after a denied network is not denied", "10.10.0.0", true),
        ("R4 an address alone is a network of one", "192.0.2.1", true),
        ("R4 the neighbour of an address alone is outside", "192.0.2.2", false),
        ("R4 the last address of an IPv6 network is in it", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("R4 the address after an IPv6 network is not in it", "2001:db9::", false),
        ("R4 a mapped address is judged as the address that it maps", "::ffff:10.9.0.1", false),
    ] {
        let expected = if inside { anonymous().body("/client_ip", address) } else { denied("address") };
        cases.push(
            case(name, BEHIND_PROXY).from("127.0.0.9").ask(&format!("GET /optional/a\nX-Forwarded-For: {address}"), expected),
        );
    }
    cases
}
