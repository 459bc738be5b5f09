//! What the header may say: `alg`, `typ` and `kid`.

use super::*;

#[test]
fn no_other_algorithm() {
    let mut written: Vec<String> = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        " ",
        "null",
        "HS256 ",
        " HS256",
        "hs256",
        "Hs256",
        "hS256",
        "HS-256",
        "HS256\u{0}",
        "HS256,none",
        "HS25",
        "HS2560",
        "ＨS256",
        "HS384",
        "HS512",
        "RS256",
        "RS384",
        "RS512",
        "ES256",
        "ES256K",
        "ES384",
        "ES512",
        "PS256",
        "PS384",
        "PS512",
        "EdDSA",
        "Ed25519",
        "dir",
        "A128KW",
        "A256GCM",
        "RSA-OAEP",
        "PBES2-HS256+A128KW",
        "SHA256",
        "HMAC",
        "HMACSHA256",
        "HmacSHA256",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    ]
    .iter()
    .map(|name| serde_json::Value::from(*name).to_string())
    .collect();
    written.extend(
        [
            "null",
            "true",
            "false",
            "0",
            "1",
            "256",
            "-1",
            "1.5",
            "[]",
            "{}",
            r#"["HS256"]"#,
            r#"{"alg":"HS256"}"#,
            r#"{"HS256":true}"#,
        ]
        .map(str::to_owned),
    );
    for sort in Sort::BOTH {
        let headers = written.iter().map(|algorithm| sort.header().replacen(r#""HS256""#, algorithm, 1));
        let count = sort.refuses(BadTicket::Malformed, headers.map(|header| sort.with_header(&header)));
        assert_eq!(count, written.len());
        for name in ["Alg", "ALG", "alg ", "", "algorithm"] {
            let header = sort.header().replacen(r#""alg""#, &format!("{name:?}"), 1);
            sort.refuses(BadTicket::Malformed, [sort.with_header(&header)]);
        }
    }
}

/// Unsigned ones too, as who tries `none` would send them.
#[test]
fn no_algorithm_and_no_signature() {
    for sort in Sort::BOTH {
        let parts = |algorithm: &str| {
            let header = sort.header().replacen("HS256", algorithm, 1);
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(sort.claims_with(&[])))
        };
        let tickets = ["none", "None", "NONE", "nOnE", "HS256"].map(|algorithm| format!("{}.", parts(algorithm)));
        sort.refuses(BadTicket::Malformed, tickets);
    }
}

#[test]
fn no_other_parameter_whatever_it_holds() {
    let names = [
        "jku",
        "jwk",
        "x5u",
        "x5c",
        "x5t",
        "x5t#S256",
        "crit",
        "cty",
        "zip",
        "enc",
        "b64",
        "url",
        "nonce",
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "epk",
        "apu",
        "apv",
        "iv",
        "tag",
        "p2s",
        "p2c",
        "ppt",
        "svt",
        "trust_chain",
        "Typ",
        "TYP",
        "Kid",
        "KID",
        "kid ",
        "key",
        "secret",
        "k",
        "",
        "__proto__",
        "constructor",
        "unknown",
        "\\u0000",
    ];
    let values = [
        "null",
        "true",
        "false",
        "0",
        "\"\"",
        "\"DEF\"",
        "\"https://attacker.example/keys\"",
        "[]",
        r#"["exp"]"#,
        r#"["b64"]"#,
        "{}",
        r#"{"kty":"oct","k":"kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOqZtVxNs"}"#,
    ];
    for sort in Sort::BOTH {
        let with = |name: &str, value: &str| sort.header().replacen('{', &format!("{{\"{name}\":{value},"), 1);
        let tickets = names.iter().flat_map(|name| values.iter().map(move |value| (name, value)));
        let count = sort.refuses(BadTicket::Malformed, tickets.map(|(name, value)| sort.with_header(&with(name, value))));
        assert_eq!(count, names.len() * values.len());
    }
}

#[test]
fn the_type_is_that_of_the_sort() {
    let keyed = |typ: &str| Keyed.with_header(&format!(r#"{{"alg":"HS256",{typ}"kid":"{KEY}"}}"#));
    let plain = |typ: &str| Plain.with_header(&format!(r#"{{{typ}"alg":"HS256"}}"#));
    let typ = |typ: &str| format!(r#""typ":{typ},"#);
    for written in
        ["\"JWT\"", "\"jwt\"", "\"at+jwt\"", "\"keyward-ticket\"", "\"KEYWARD-TICKET+JWT\"", "\"keyward-ticket+jwt \"", "\"\""]
    {
        Keyed.refuses(BadTicket::Malformed, [keyed(&typ(written))]);
    }
    Keyed.refuses(BadTicket::Malformed, [keyed("")]);
    for written in ["\"keyward-ticket+jwt\"", "\"at+jwt\"", "\"JWE\"", "\"JWT \"", "\"application/jwt\"", "\"\""] {
        Plain.refuses(BadTicket::Malformed, [plain(&typ(written))]);
    }
    for written in ["null", "1", "true", "[\"JWT\"]", "{}"] {
        Keyed.refuses(BadTicket::Malformed, [keyed(&typ(written))]);
        Plain.refuses(BadTicket::Malformed, [plain(&typ(written))]);
    }
    for good in ["".to_owned(), typ("\"JWT\""), typ("\"jwt\""), typ("\"Jwt\"")] {
        assert_eq!(Plain.verify(plain(&good)), Ok(()), "{good}");
    }
    assert_eq!(Keyed.verify(keyed(&typ("\"keyward-ticket+jwt\""))), Ok(()));
}

#[test]
fn the_key_id_is_that_of_the_key_it_is_signed_for() {
    let keyed = |kid: &str| Keyed.with_header(&format!(r#"{{"alg":"HS256","typ":"keyward-ticket+jwt"{kid}}}"#));
    let kid = |kid: &str| format!(r#","kid":{kid}"#);
    let long = format!("\"{}\"", "k".repeat(37));
    let shapeless = [
        "\"\"",
        "\" \"",
        "\"../../../../dev/null\"",
        "\"/dev/null\"",
        "\"a' OR '1'='1\"",
        "\"a;b\"",
        "\"ä\"",
        "\"a\\u0000\"",
        "\"http://attacker.example\"",
        &long,
        "null",
        "0",
        "1",
        "true",
        "[]",
        "{}",
        "[\"0190b3c4d5e6f708192a3b4c5d6e7f80\"]",
    ];
    Keyed.refuses(BadTicket::Malformed, shapeless.map(|written| keyed(&kid(written))));
    Keyed.refuses(BadTicket::Malformed, [keyed("")]);
    // A key's id, and not this one's: another record is looked for, whose tickets are signed otherwise.
    let other = keyed(&kid(&format!("{OTHER_KEY:?}")));
    assert_eq!(keyed::Presented::parse(other.as_bytes()).unwrap().key().as_str(), OTHER_KEY);
    Keyed.refuses(BadTicket::Unknown, [other, keyed(&kid(&format!("{:?}", KEY.to_uppercase())))]);
    // In plain mode there is one key, and it has no name.
    let plain = |kid: &str| Plain.with_header(&format!(r#"{{"alg":"HS256","typ":"JWT","kid":{kid}}}"#));
    Plain.refuses(BadTicket::Malformed, ["\"\"", "\"1\"", "null", &format!("{KEY:?}")].map(plain));
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    for sort in Sort::BOTH {
        let mut headers: Vec<String> = Vec::new();
        for twice in [
            r#""alg":"HS256""#,
            r#""alg":"none""#,
            r#""typ":"JWT""#,
            r#""typ":"keyward-ticket+jwt""#,
            r#""\u0061lg":"HS256""#,
            r#""al\u0067":"none""#,
        ] {
            headers.push(sort.header().replacen('{', &format!("{{{twice},"), 1));
            headers.push(sort.header().replacen('}', &format!(",{twice}}}"), 1));
        }
        if sort == Keyed {
            headers.push(sort.header().replacen('}', &format!(r#","kid":"{KEY}"}}"#), 1));
            headers.push(sort.header().replacen('}', &format!(r#","\u006bid":"{OTHER_KEY}"}}"#), 1));
        }
        sort.refuses(BadTicket::Malformed, headers.iter().map(|header| sort.with_header(header)));
    }
}

#[test]
fn the_header_is_one_object() {
    for sort in Sort::BOTH {
        let good = sort.header();
        let headers = [
            "",
            "{}",
            "[]",
            "null",
            "\"HS256\"",
            "1",
            "{\"alg\":\"HS256\"",
            "\u{feff}{\"alg\":\"HS256\"}",
            &format!("[{good}]"),
            &format!("{good}{good}"),
            &format!("{good},"),
            &format!("{good}\0"),
            &format!("{good}x"),
            &good.replace('"', "'"),
            &good.replacen('}', ",}", 1),
            &good.replacen('{', "{/**/", 1),
            &good.replacen(':', "=", 1),
        ];
        sort.refuses(BadTicket::Malformed, headers.map(|header| sort.with_header(header)));
        let spaced = good.replace(',', " ,\r\n\t").replace(':', " : ");
        assert_eq!(sort.verify(sort.with_header(&spaced)), Ok(()), "blanks within mean nothing");
    }
}
