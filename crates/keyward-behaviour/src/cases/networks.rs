//! R4: the policy's networks.

use super::{Case, allowed, anonymous, case, denied};

const BEHIND_PROXY: &str = "
[network]
allow = ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1']
deny = ['10.9.0.0/16']
trusted_proxies = ['127.0.0.9']
client_address_header = 'X-Forwarded-For'
";

const ROUTES: &str = "
[limits]
per_key = ['2/minute']
failures = '2/minute'
[network]
deny = ['127.0.0.7']
trusted_proxies = ['127.0.0.9']
client_address_header = 'X-Forwarded-For'
[[routes]]
path = '/inside/*'
methods = ['GET']
allow = ['127.0.0.2', '127.0.0.7', '10.0.0.0/8', '2001:db8::/32']
[[routes]]
path = '/inside/*'
methods = ['POST']
deny = ['127.0.0.2']
[[routes]]
path = '/outside'
deny = ['127.0.0.2', '10.9.0.0/16']
[[routes]]
path = '/both'
optional = true
allow = ['10.0.0.0/8']
deny = ['10.9.0.0/16']
[[routes]]
path = '/anybody'
allow = ['*']
";

/// Without rules that need everybody's address.
const ROUTE_ALONE: &str = "
[[routes]]
path = '/inside'
allow = ['127.0.0.1']
[[routes]]
path = '/outside'
deny = ['127.0.0.2']
[[routes]]
path = '/anybody'
allow = ['*']
";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = routes();
    cases.extend(of_the_policy());
    cases
}

fn routes() -> Vec<Case> {
    let not_here = || denied("address").without_header("WWW-Authenticate").without_header("RateLimit");
    vec![
        case("R4 a route's networks are judged before the key is looked at", ROUTES)
            .key("alpha")
            .ask("GET /inside/a\nX-API-Key: alpha", not_here())
            .ask("GET /inside/a\nX-API-Key: a\nX-API-Key: b", not_here())
            .ask("GET /inside/a", not_here())
            .ask_times(4, "GET /inside/a\nX-API-Key: wrong", &not_here())
            // Neither a failure nor a permission was charged for it.
            .ask_times(2, "GET /elsewhere\nX-API-Key: wrong", &denied("unknown"))
            .ask_times(2, "GET /elsewhere\nX-API-Key: alpha", &allowed())
            .ask("GET /elsewhere\nX-API-Key: alpha", denied("limited"))
            .ask("GET /inside/a\nX-API-Key: alpha", not_here()),
        case("R4 a route lets in whom it allows, and denies nobody elsewhere", ROUTES)
            .key("alpha")
            .from("127.0.0.2")
            .ask("GET /inside/a\nX-API-Key: alpha", allowed())
            .ask("GET /inside/a", denied("missing"))
            .ask("GET /inside\nX-API-Key: alpha", allowed())
            .ask("GET /inside/a\nX-API-Key: wrong", denied("unknown")),
        case("R4 a route's networks are those of its method", ROUTES)
            .key("alpha")
            .ask("HEAD /inside/a\nX-API-Key: alpha", not_here())
            .ask("POST /inside/a\nX-API-Key: alpha", allowed())
            .ask("PUT /inside/a\nX-API-Key: alpha", denied("route"))
            .from("127.0.0.2")
            .ask("POST /inside/a\nX-API-Key: alpha", not_here())
            .ask("HEAD /inside/a\nX-API-Key: alpha", allowed())
            .ask("DELETE /inside/a\nX-API-Key: alpha", denied("route")),
        case("R4 whom a route denies is refused there alone", ROUTES)
            .key("alpha")
            .from("127.0.0.2")
            .ask("GET /outside\nX-API-Key: alpha", not_here())
            .ask("GET /outside/\nX-API-Key: alpha", not_here())
            .ask("GET /%6futside\nX-API-Key: alpha", not_here())
            .ask("GET /elsewhere\nX-API-Key: alpha", allowed())
            .from("127.0.0.1")
            .ask("GET /outside\nX-API-Key: alpha", allowed()),
        case("R4 a route's allowance does not speak against the policy's networks", ROUTES)
            .key("alpha")
            .from("127.0.0.7")
            .ask("GET /inside/a\nX-API-Key: alpha", not_here())
            .ask("GET /anybody\nX-API-Key: alpha", not_here()),
        case("R4 nobody comes to an optional route past its networks", ROUTES)
            .ask("GET /both", not_here())
            .from("127.0.0.9")
            .ask("GET /both\nX-Forwarded-For: 10.8.0.1", anonymous())
            .ask("GET /both\nX-Forwarded-For: 10.9.0.1", not_here())
            .ask("GET /both\nX-Forwarded-For: ::ffff:10.9.0.1", not_here())
            .ask("GET /both\nX-Forwarded-For: 11.0.0.1", not_here()),
        case("R4 a route's networks are asked about the client, not about the proxy", ROUTES)
            .key("alpha")
            .from("127.0.0.9")
            .ask("GET /inside/a\nX-API-Key: alpha\nX-Forwarded-For: 127.0.0.2", allowed())
            .ask("GET /inside/a\nX-API-Key: alpha\nX-Forwarded-For: 203.0.113.9", not_here())
            .ask("GET /inside/a\nX-API-Key: alpha\nX-Forwarded-For: 2001:db8::9", allowed())
            .ask("GET /inside/a\nX-API-Key: alpha\nX-Forwarded-For: 2001:db9::9", not_here())
            .ask("GET /inside/a\nX-API-Key: alpha", not_here())
            .from("127.0.0.1")
            .ask("GET /inside/a\nX-API-Key: alpha\nX-Forwarded-For: 127.0.0.2", not_here()),
        case("R2.2 an unreadable hop fails a route's lists, and no other route", ROUTE_BEHIND_PROXY)
            .key("alpha")
            .from("127.0.0.9")
            .ask("GET /inside\nX-API-Key: alpha\nX-Forwarded-For: rubbish", denied("address"))
            .ask("GET /inside\nX-API-Key: alpha\nX-Forwarded-For: 10.0.0.1, unknown", denied("address"))
            .ask("GET /outside\nX-API-Key: alpha\nX-Forwarded-For: rubbish", denied("address"))
            .ask("GET /outside\nX-API-Key: alpha\nX-Forwarded-For: 10.0.0.1", allowed())
            .ask("GET /elsewhere\nX-API-Key: alpha\nX-Forwarded-For: rubbish", allowed())
            .ask("GET /inside\nX-API-Key: alpha\nX-Forwarded-For: 10.0.0.1", allowed()),
        case("R2.3 who has no address is a fault on routes that ask for one", ROUTE_ALONE)
            .key("alpha")
            .without_peer()
            .ask("GET /inside\nX-API-Key: alpha", denied("unavailable").without_header("WWW-Authenticate"))
            .ask("GET /inside", denied("unavailable"))
            .ask("GET /outside\nX-API-Key: wrong", denied("unavailable"))
            .ask("GET /anybody\nX-API-Key: alpha", allowed())
            .ask("GET /elsewhere\nX-API-Key: alpha", allowed())
            .ask("GET /elsewhere", denied("missing")),
        case("R1.4 a preflight is asked for no network", ROUTES)
            .ask("OPTIONS /both\nOrigin: https://page.test\nAccess-Control-Request-Method: GET", super::unguarded()),
    ]
}

const ROUTE_BEHIND_PROXY: &str = "
[network]
trusted_proxies = ['127.0.0.9']
client_address_header = 'X-Forwarded-For'
[[routes]]
path = '/inside'
allow = ['0.0.0.0/0', '::/0']
[[routes]]
path = '/outside'
deny = ['198.51.100.1']
";

fn of_the_policy() -> Vec<Case> {
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
