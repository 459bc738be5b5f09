//! Parts, base64url and size.

use super::*;

#[test]
fn three_parts() {
    for sort in Sort::BOTH {
        let good = sort.good();
        let parts: Vec<&str> = good.split('.').collect();
        let (header, claims, signature) = (parts[0], parts[1], parts[2]);
        let joined = |parts: &[&str]| parts.join(".");
        let mut tickets = vec![
            String::new(),
            header.to_owned(),
            joined(&[header, claims]),
            joined(&[claims, signature]),
            joined(&[header, claims, signature, ""]),
            joined(&["", header, claims, signature]),
            joined(&[header, claims, signature, signature]),
            joined(&[header, claims, "", signature]),
            joined(&[header, "", claims, signature, ""]),
            joined(&[header, claims, signature, signature, signature]),
            joined(&["", claims, signature]),
            joined(&[header, "", signature]),
            joined(&[header, claims, ""]),
            joined(&["", "", signature]),
            joined(&["", "", ""]),
            joined(&[claims, header, signature]),
            joined(&[header, signature, claims]),
            good.replacen('.', ",", 1),
            good.replace('.', ":"),
            good.replacen('.', "%2E", 1),
            format!("Bearer {good}"),
            format!("\"{good}\""),
            good.replacen('.', "..", 1),
        ];
        tickets.extend((1..40).map(|dots| ".".repeat(dots)));
        sort.refuses(BadTicket::Malformed, tickets);
        // Signed as they stand: an empty header and an empty payload.
        let key = sort.signing_key();
        sort.refuses(
            BadTicket::Malformed,
            [sign(&format!(".{claims}"), &key), sign(&format!("{header}."), &key), sign(".", &key)],
        );
    }
}

#[test]
fn one_way_to_write_each_part() {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).collect();
    for sort in Sort::BOTH {
        let good = sort.good();
        let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        let mut count = 0;
        for at in 0..3 {
            let part = &parts[at];
            let mut written: Vec<String> = Vec::new();
            for foreign in ["=", "==", " ", "\n", "\r\n", "\t", "+", "/", "%", "\0", "é", "~", "*", "A=", "%3D"] {
                written.extend([format!("{part}{foreign}"), format!("{foreign}{part}")]);
                written.push(format!("{}{foreign}{}", &part[..part.len() / 2], &part[part.len() / 2..]));
            }
            // A last character whose loose bits are not zero: other libraries read the same bytes.
            let last = alphabet.iter().position(|&symbol| part.ends_with(symbol)).unwrap();
            let loose = match part.len() % 4 {
                2 => 16,
                3 => 4,
                _ => 1,
            };
            written.extend((1..loose).map(|bits| format!("{}{}", &part[..part.len() - 1], alphabet[last + bits])));
            // A single character behind whole groups stands for no byte.
            written.push(format!("{part}{}", &"AAAA"[..(5 - part.len() % 4) % 4]));
            written.retain(|written| written != part);
            for written in written {
                let mut parts = parts.clone();
                parts[at] = written;
                let unsigned = parts.join(".");
                let signed = sign(&format!("{}.{}", parts[0], parts[1]), &sort.signing_key());
                for ticket in [Some(unsigned), (at < 2).then_some(signed)].into_iter().flatten() {
                    let verdict = sort.verify(&ticket);
                    assert!(matches!(verdict, Err(BadTicket::Malformed)), "{sort:?} {verdict:?} {ticket:?}");
                    count += 1;
                }
            }
        }
        assert!(count > 200, "{count}");
    }
}

#[test]
fn at_most_1024_bytes() {
    // Claims of plain tickets may be more than are looked at.
    let with = |padding: usize| Plain.with_claims(&[("note", &format!("\"{}\"", "n".repeat(padding)))]);
    let fitting = (0..1024).map(with).find(|ticket| ticket.len() >= 1023).unwrap();
    let sized = |size: usize| (0..1024).map(with).find(|ticket| ticket.len() == size);
    // Base64 has no text of some lengths; whichever of these there are.
    let tried: Vec<usize> = (1020..1030).filter(|&size| sized(size).is_some()).collect();
    assert!(tried.contains(&fitting.len()) && tried.iter().any(|&size| size > 1024), "{tried:?}");
    for size in tried {
        let expected = if size <= 1024 { Ok(()) } else { Err(BadTicket::Malformed) };
        assert_eq!(Plain.verify(sized(size).unwrap()), expected, "{size}");
    }
    // Exactly: a header written with one blank more moves every length there is.
    let header = |blanks: usize| format!("{{{}\"alg\":\"HS256\"}}", " ".repeat(blanks));
    for (size, expected) in [(1024, Ok(())), (1025, Err(BadTicket::Malformed))] {
        let shapes = (0..8).flat_map(|blanks| (600..760).map(move |padding| (blanks, padding)));
        let ticket = shapes
            .map(|(blanks, padding)| {
                let claims = Plain.claims_with(&[("note", &format!("\"{}\"", "n".repeat(padding)))]);
                forge(&header(blanks), &claims, SECRET)
            })
            .find(|ticket| ticket.len() == size)
            .unwrap();
        assert_eq!(Plain.verify(ticket), expected, "{size}");
    }
}

#[test]
fn a_million_dots_cost_nothing() {
    let dots = ".".repeat(1 << 20);
    let mut refused = (false, false);
    let memory = allocation_counter::measure(|| {
        refused = (keyed::Presented::parse(dots.as_bytes()).is_err(), plain::Presented::parse(dots.as_bytes()).is_err());
    });
    assert_eq!((refused, memory.count_total), ((true, true), 0));
    for sort in Sort::BOTH {
        let long = format!("{}.{}.{}", "e".repeat(1 << 20), "e".repeat(1 << 20), "e".repeat(1 << 20));
        sort.refuses(BadTicket::Malformed, [long, "A".repeat(1025), format!("{}{}", sort.good(), "A".repeat(1024))]);
    }
}

#[test]
fn bytes_that_are_no_text() {
    for sort in Sort::BOTH {
        let good = sort.good();
        for at in [0, good.len() / 2, good.len()] {
            for byte in [0, 0x7f, 0x80, 0xc0, 0xff] {
                let mut ticket = good.clone().into_bytes();
                ticket.insert(at, byte);
                assert_eq!(sort.verify(&ticket), Err(BadTicket::Malformed));
            }
        }
        let invalid = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let (header, claims) = (invalid(sort.header().as_bytes()), invalid(sort.claims_with(&[]).as_bytes()));
        let not_utf_8 = sort
            .claims_with(&[("note", "\"?\"")])
            .into_bytes()
            .iter()
            .map(|&byte| if byte == b'?' { 0xff } else { byte })
            .collect::<Vec<_>>();
        let key = sort.signing_key();
        let tickets = [format!("{header}.{}", invalid(&not_utf_8)), format!("{}.{claims}", invalid(b"{\"alg\":\"HS256\xff\"}"))];
        sort.refuses(BadTicket::Malformed, tickets.map(|signed| sign(&signed, &key)));
    }
}
