//! Who signed it.

use super::*;

#[test]
fn every_flipped_bit_is_noticed() {
    for sort in Sort::BOTH {
        let good = sort.good().into_bytes();
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(sort.verify(&flipped).is_err(), "{sort:?} bit {bit}: {}", String::from_utf8_lossy(&flipped));
        }
    }
}

#[test]
fn a_signature_is_32_bytes_and_the_right_ones() {
    for sort in Sort::BOTH {
        let good = sort.good();
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let with = |signature: &[u8]| format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        let right = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(with(&right), good);
        sort.refuses(BadTicket::Malformed, (0..32).map(|length| with(&right[..length])));
        sort.refuses(BadTicket::Malformed, (1..32).map(|length| with(&[&right[..], &right[..length]].concat())));
        sort.refuses(BadTicket::Malformed, [with(&[0; 64]), with(&right.repeat(2)), with(&[0; 31]), with(&[0; 33])]);
        sort.refuses(BadTicket::Unknown, [0, 1, 0x7f, 0x80, 0xff].map(|byte| with(&[byte; 32])));
        let reversed: Vec<u8> = right.iter().rev().copied().collect();
        sort.refuses(BadTicket::Unknown, [with(&reversed)]);
        for at in 0..32 {
            let mut other = right.clone();
            other[at] = other[at].wrapping_add(1);
            sort.refuses(BadTicket::Unknown, [with(&other)]);
        }
    }
}

#[test]
fn nobody_elses_key_signs() {
    let (header, claims) = (Keyed.header(), Keyed.claims_with(&[]));
    let derived = |secret: &[u8], key: &str, epoch: [u8; 16]| {
        keyed::signing_key(&ServerSecret::from_bytes(secret).unwrap(), key.parse().unwrap(), Epoch::from_bytes(epoch)).to_vec()
    };
    assert_eq!(Keyed.verify(forge(&header, &claims, &derived(SECRET, KEY, EPOCH))), Ok(()));
    let mut other_epoch = EPOCH;
    other_epoch[15] ^= 1;
    let mut longer = SECRET.to_vec();
    longer.push(b'x');
    let keys = [
        derived(SECRET, OTHER_KEY, EPOCH),
        derived(SECRET, KEY, other_epoch),
        derived(SECRET, KEY, [0; 16]),
        derived(&longer, KEY, EPOCH),
        derived(&SECRET[..43], KEY, EPOCH),
        SECRET.to_vec(),
        KEY.as_bytes().to_vec(),
        EPOCH.to_vec(),
        Vec::new(),
        vec![0],
        vec![0; 32],
        vec![0; 64],
    ];
    Keyed.refuses(BadTicket::Unknown, keys.iter().map(|key| forge(&header, &claims, key)));
    let keys = [&SECRET[..43], &longer, b"", &[0; 32], b"null", b"undefined", Keyed.signing_key().as_slice()].map(<[u8]>::to_vec);
    Plain.refuses(BadTicket::Unknown, keys.iter().map(|key| forge(&Plain.header(), &Plain.claims_with(&[]), key)));
}

/// The length before the id: without it, an id that ends where an epoch begins would be another key's.
#[test]
fn a_key_and_its_epoch_cannot_be_cut_otherwise() {
    let derived = |key: &str, epoch: &[u8; 16]| *keyed::signing_key(&secret(), key.parse().unwrap(), Epoch::from_bytes(*epoch));
    assert_ne!(derived("ab", b"cdefghijklmnopqr"), derived("abc", b"defghijklmnopqrs"));
    let all = [("a", b"0123456789abcdef"), ("a0", b"123456789abcdef0"), ("A", b"0123456789abcdef"), ("a", b"0123456789abcdeg")];
    let keys: std::collections::BTreeSet<[u8; 32]> = all.iter().map(|(key, epoch)| derived(key, epoch)).collect();
    assert_eq!(keys.len(), all.len());
}

#[test]
fn one_sort_is_never_the_other() {
    // Even where the server's secret and the configured key are the same.
    let forged = |header: Sort, claims: Sort, key: Sort| forge(&header.header(), &claims.claims_with(&[]), &key.signing_key());
    for header in Sort::BOTH {
        for claims in Sort::BOTH {
            for key in Sort::BOTH {
                for verifier in Sort::BOTH {
                    let good = [header, claims, key] == [verifier; 3];
                    assert_eq!(
                        verifier.verify(forged(header, claims, key)).is_ok(),
                        good,
                        "{header:?} {claims:?} {key:?} for {verifier:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn claims_and_headers_cannot_be_exchanged_under_a_signature() {
    for sort in Sort::BOTH {
        let good = sort.good();
        let parts: Vec<&str> = good.split('.').collect();
        let later = sort.with_claims(&[("exp", &(MADE + 299).to_string())]);
        let other = later.split('.').nth(1).unwrap();
        sort.refuses(BadTicket::Unknown, [format!("{}.{other}.{}", parts[0], parts[2])]);
        let spaced = URL_SAFE_NO_PAD.encode(sort.header().replacen('{', "{ ", 1));
        sort.refuses(BadTicket::Unknown, [format!("{spaced}.{}.{}", parts[1], parts[2])]);
    }
}

#[test]
fn secrets_are_changed_one_after_the_other() {
    let (old, new) = (secret(), ServerSecret::from_bytes(b"Zq3vT8mLk1RxN6yWb0HsJ4pUcE9gDfA7oI2tVnYwQXk=").unwrap());
    let epoch = Epoch::from_bytes(EPOCH);
    let holder = Holder { key: key(), epoch, through: Through::Current };
    let verify = |ticket: &str, secrets: &[&ServerSecret]| {
        keyed::Presented::parse(ticket.as_bytes())
            .unwrap()
            .verify(secrets.iter().copied(), epoch, TERMS, NOW)
            .map(|ticket| ticket.id)
    };
    let (by_old, by_new) = (keyed::mint(&old, TERMS, holder, &id(), NOW), keyed::mint(&new, TERMS, holder, &id(), NOW));
    assert_eq!(verify(&by_old, &[&new, &old]), Ok(id()));
    assert_eq!(verify(&by_new, &[&new, &old]), Ok(id()));
    assert_eq!(verify(&by_old, &[&new]), Err(BadTicket::Unknown));
    assert_eq!(verify(&by_new, &[]), Err(BadTicket::Unknown));
    // A second secret changes nothing about what else is checked.
    let expired = Timestamp::from_unix_seconds(i64::try_from(MADE).unwrap() + 300);
    let presented = keyed::Presented::parse(by_old.as_bytes()).unwrap();
    assert_eq!(presented.verify([&new, &old], epoch, TERMS, expired), Err(BadTicket::Expired));
}
