//! What the claims may say.

use super::*;

/// Values that are no NumericDate here, whatever they would be elsewhere.
const NO_TIMES: &[&str] = &[
    "\"1800000300\"",
    "\"\"",
    "\"never\"",
    "\"2027-01-15T08:05:00Z\"",
    "1800000300.0",
    "1800000300.5",
    "1.8e9",
    "18e8",
    "1.8E+9",
    "-1",
    "-0",
    "-0.0",
    "0.0",
    "null",
    "true",
    "false",
    "[]",
    "[1800000300]",
    "{}",
    "{\"$numberLong\":\"1800000300\"}",
    "18446744073709551616",
    "99999999999999999999999999",
    "1e30",
    "-9223372036854775808",
    "-1800000300",
];

#[test]
fn times_are_whole_numbers() {
    for sort in Sort::BOTH {
        for name in ["exp", "iat"] {
            let count = sort.refuses(BadTicket::Malformed, NO_TIMES.iter().map(|written| sort.with_claims(&[(name, written)])));
            assert_eq!(count, NO_TIMES.len());
            sort.refuses(BadTicket::Malformed, [sort.with_claims(&[(name, "")])]);
            // Not JSON at all.
            let broken = [
                "NaN",
                "Infinity",
                "0x6b49d200",
                "01800000300",
                "+1800000300",
                "1800000300n",
                "1_800_000_300",
                "1e999",
                "undefined",
                "--1",
            ];
            sort.refuses(BadTicket::Malformed, broken.map(|written| sort.with_claims(&[(name, written)])));
        }
    }
    Plain.refuses(BadTicket::Malformed, NO_TIMES.iter().map(|written| Plain.with_claims(&[("nbf", written)])));
}

/// All that is neither the text that is asked for nor another text.
const NO_TEXTS: &[&str] = &[
    "null",
    "true",
    "0",
    "1",
    "1.5",
    "[]",
    "{}",
    "[\"websocket\"]",
    "[\"keyward\"]",
    "[[\"websocket\"]]",
    "[\"websocket\",\"other\"]",
    "{\"websocket\":true}",
];

const OTHER_TEXTS: &[&str] = &[
    "\"\"",
    "\" \"",
    "\"other\"",
    "\"websocket \"",
    "\" websocket\"",
    "\"WebSocket\"",
    "\"websockets\"",
    "\"websocket,other\"",
    "\"websocket other\"",
    "\"web\"",
    "\"websocket\\u0000\"",
    "\"ｗebsocket\"",
    "\"*\"",
    "\"keyward \"",
    "\"Keyward\"",
    "\"keywarden\"",
    "\"key\"",
    "\"https://keyward\"",
    "\"keyward/\"",
    "\"keyward\\n\"",
];

#[test]
fn issuer_audience_and_subject_are_exactly_ours() {
    for name in ["iss", "aud", "sub"] {
        Keyed.refuses(BadTicket::Malformed, NO_TEXTS.iter().map(|written| Keyed.with_claims(&[(name, written)])));
        Keyed.refuses(BadTicket::Malformed, [Keyed.with_claims(&[(name, "")])]);
        Keyed.refuses(BadTicket::Unknown, OTHER_TEXTS.iter().map(|written| Keyed.with_claims(&[(name, written)])));
    }
    let subjects = [OTHER_KEY.to_owned(), KEY.to_uppercase(), format!("{KEY} "), KEY[1..].to_owned()];
    Keyed.refuses(BadTicket::Unknown, subjects.iter().map(|subject| Keyed.with_claims(&[("sub", &format!("{subject:?}"))])));
    Keyed.refuses(BadTicket::Unknown, [Keyed.with_claims(&[("iss", "\"websocket\""), ("aud", "\"keyward\"")])]);
    // The same text written otherwise is the same text.
    assert_eq!(Keyed.verify(Keyed.with_claims(&[("aud", "\"web\\u0073ocket\"")])), Ok(()));
}

#[test]
fn a_ticket_id_is_32_bytes_written_in_one_way() {
    let id = id().to_string();
    let mut written: Vec<String> = [
        "",
        "1",
        &id[1..],
        &format!("{id}A"),
        &format!("{id}="),
        &format!("{id} "),
        &id.repeat(2),
        &"+".repeat(43),
        &"/".repeat(43),
    ]
    .iter()
    .map(|id| format!("{id:?}"))
    .collect();
    written.extend(NO_TEXTS.iter().map(|text| (*text).to_owned()));
    // Loose bits behind the last byte.
    written.extend(["F", "G", "H"].map(|last| format!("\"{}{last}\"", "A".repeat(42))));
    Keyed.refuses(BadTicket::Malformed, written.iter().map(|written| Keyed.with_claims(&[("jti", written)])));
    Keyed.refuses(BadTicket::Malformed, [Keyed.with_claims(&[("jti", "")])]);
}

#[test]
fn the_slot_is_the_previous_one_or_none() {
    let others =
        ["\"\"", "\"current\"", "\"Previous\"", "\"previous \"", "\"next\"", "null", "true", "0", "[]", "[\"previous\"]", "{}"];
    Keyed.refuses(BadTicket::Malformed, others.map(|written| Keyed.with_claims(&[("slot", written)])));
    let ticket = Keyed.with_claims(&[("slot", "\"previous\"")]);
    assert_eq!(verify_keyed(ticket.as_bytes(), NOW).unwrap().through, Through::Previous);
}

#[test]
fn a_keyed_ticket_has_no_other_claims() {
    let names = [
        "nbf",
        "type",
        "scope",
        "scopes",
        "kind",
        "owner",
        "admin",
        "role",
        "azp",
        "cnf",
        "Exp",
        "EXP",
        "exp ",
        "",
        "slots",
        "__proto__",
    ];
    let values = ["null", "0", "1", "\"\"", "\"websocket\"", "true", "[]", "{}"];
    let claims = names.iter().flat_map(|&name| values.iter().map(move |&value| (name, value)));
    Keyed.refuses(BadTicket::Malformed, claims.map(|claim| Keyed.with_claims(&[claim])));
}

#[test]
fn a_plain_ticket_is_of_the_type_websocket() {
    Plain.refuses(BadTicket::Malformed, NO_TEXTS.iter().map(|written| Plain.with_claims(&[("type", written)])));
    Plain.refuses(
        BadTicket::Malformed,
        [Plain.with_claims(&[("type", "")]), Plain.with_claims(&[("type", ""), ("Type", "\"websocket\"")])],
    );
    Plain.refuses(BadTicket::Unknown, OTHER_TEXTS.iter().map(|written| Plain.with_claims(&[("type", written)])));
    Plain.refuses(
        BadTicket::Unknown,
        ["\"access\"", "\"refresh\"", "\"http\""].map(|written| Plain.with_claims(&[("type", written)])),
    );
}

#[test]
fn a_plain_ticket_may_say_more_if_it_is_well_formed_and_for_everybody() {
    for (name, written) in [
        ("iss", "\"\""),
        ("iss", "\"somebody\""),
        ("sub", "\"user\""),
        ("jti", "\"1\""),
        ("nbf", "0"),
        ("nbf", "1800000000"),
        ("scope", "\"read\""),
        ("note", "null"),
        ("note", "1.5e3"),
        ("note", "{\"a\":[{\"a\":1},{\"a\":1}]}"),
        ("", "1"),
        ("Exp", "\"x\""),
    ] {
        assert_eq!(Plain.verify(Plain.with_claims(&[(name, written)])), Ok(()), "{name} {written}");
    }
    for name in ["iss", "sub", "jti"] {
        Plain.refuses(BadTicket::Malformed, NO_TEXTS.iter().map(|written| Plain.with_claims(&[(name, written)])));
    }
    // Whatever the audience is: none of it is us.
    let audiences = [
        "\"websocket\"",
        "\"keyward\"",
        "\"\"",
        "\"*\"",
        "[]",
        "[\"websocket\"]",
        "null",
        "1",
        "true",
        "{}",
        "[1]",
        "[null]",
        "[\"a\",\"websocket\"]",
    ];
    Plain.refuses(BadTicket::Unknown, audiences.map(|written| Plain.with_claims(&[("aud", written)])));
}

#[test]
fn a_name_that_stands_twice_is_refused_at_any_depth() {
    for sort in Sort::BOTH {
        let good = sort.claims_with(&[]);
        let mut claims = Vec::new();
        for (name, value) in sort.claims() {
            let escaped: String = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
            for twice in [
                format!("\"{name}\":{value}"),
                format!("\"{name}\":null"),
                format!("\"{escaped}\":{value}"),
                format!("\"{name}\":4102444800"),
            ] {
                claims.push(good.replacen('{', &format!("{{{twice},"), 1));
                claims.push(format!("{},{twice}}}", &good[..good.len() - 1]));
            }
        }
        for nested in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":{"exp":1,"exp":1}}"#,
            r#"[{"a":1,"a":1}]"#,
            r#"[[[{"a":{"a":1,"b":2,"a":3}}]]]"#,
            r#"{"":1,"":1}"#,
        ] {
            claims.push(sort.claims_with(&[("note", nested)]));
        }
        sort.refuses(BadTicket::Malformed, claims.iter().map(|claims| forge(&sort.header(), claims, &sort.signing_key())));
    }
}

#[test]
fn the_claims_are_one_object() {
    for sort in Sort::BOTH {
        let good = sort.claims_with(&[]);
        let deep = sort.claims_with(&[("note", &format!("{}{}", "[".repeat(200), "]".repeat(200)))]);
        let claims = [
            "",
            "null",
            "[]",
            "\"\"",
            "1",
            "{}",
            &format!("[{good}]"),
            &format!("{good}{good}"),
            &format!("{good}x"),
            &format!("{good}\0"),
            &format!("\u{feff}{good}"),
            &good.replace('"', "'"),
            &format!("{},}}", &good[..good.len() - 1]),
            &good[..good.len() - 1],
            &good[1..],
            &format!("{{\"a\":{good}"),
            &good.replacen('{', "{//\n", 1),
            &deep,
        ];
        sort.refuses(BadTicket::Malformed, claims.map(|claims| forge(&sort.header(), claims, &sort.signing_key())));
    }
}
