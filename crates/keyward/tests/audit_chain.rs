//! Chained audit lines: whatever is done to a file of them, the first line that is broken is named.

use std::cell::RefCell;
use std::io::{self, Cursor, Write};
use std::rc::Rc;

use keyward::Timestamp;
use keyward::audit::AuditEvent;
use keyward::audit::chain::{Broken, BrokenKind, Chain, ChainEnd, ChainHash, ChainKey, ChainReader, ChainedLines, Entry, Linked};

const KEY: &str = "kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOqZtVxNs=";
const OTHER_KEY: &str = "Zq4mT9xW1sLkV7yBnE2cRgU8hJd0fPaO5iXwN3vKzMs=";

fn keys() -> [Option<ChainKey>; 2] {
    [None, Some(KEY.parse().unwrap())]
}

fn entry(number: i64) -> Entry {
    let reason = ["local", "deny", "open"][usize::try_from(number % 3).unwrap()];
    let event =
        AuditEvent::of_limits(number % 2 == 0, reason, Timestamp::from_unix_seconds(number), number.unsigned_abs().into());
    Entry::of(&event).unwrap()
}

/// A chain of so many lines.
fn chained(key: Option<ChainKey>, lines: i64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut chain = Chain::new(&mut file, key);
    (1..=lines).for_each(|number| chain.append(&entry(number)).unwrap());
    file
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// All lines, and the end.
fn verify(file: &[u8], key: Option<ChainKey>) -> Result<(Vec<Linked>, ChainEnd), Broken> {
    let mut reader = ChainReader::new(Cursor::new(file), key);
    let mut linked = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        linked.push(line?);
    }
    Ok((linked, reader.end()?))
}

/// Which line is broken, and how.
fn broken(file: &[u8], key: Option<ChainKey>) -> (u64, BrokenKind) {
    let broken = verify(file, key).expect_err("the file is broken");
    (broken.line, broken.kind)
}

fn end_to_go_on_from(file: &[u8], key: Option<ChainKey>) -> ChainEnd {
    let mut reader = ChainReader::new(Cursor::new(file), key);
    while let Some(line) = reader.next_line().unwrap() {
        line.unwrap();
    }
    reader.end_to_go_on_from().unwrap()
}

#[test]
fn a_whole_chain_is_whole_and_each_line_is_json_of_the_event() {
    for key in keys() {
        let file = chained(key.clone(), 7);
        let (linked, end) = verify(&file, key.clone()).unwrap();
        assert_eq!(linked.iter().map(|line| line.sequence).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
        assert_eq!((end.lines(), end.head()), (7, linked[6].hash));
        for (line, linked) in lines(&file).iter().zip(&linked) {
            let told: serde_json::Value = serde_json::from_slice(line).unwrap();
            let field = if key.is_some() { "hmac" } else { "hash" };
            assert_eq!((&told["sequence"], &told[field]), (&linked.sequence.into(), &linked.hash.to_string().into()), "{told}");
            assert!(told["event"].as_str().unwrap().starts_with("limits_") && told["torn_bytes"].is_null(), "{told}");
        }
        let previous: serde_json::Value = serde_json::from_slice(&lines(&file)[3]).unwrap();
        assert_eq!(previous["previous"], linked[2].hash.to_string());
    }
    let (linked, end) = verify(b"", None).unwrap();
    assert_eq!((linked, end.lines(), end.head().to_string()), (vec![], 0, "0".repeat(64)));
}

/// What the documents say of a line's bytes, computed anew.
#[test]
fn a_line_can_be_checked_by_counting_bytes() {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for key in keys() {
        let mut previous = "0".repeat(64);
        for line in lines(&chained(key.clone(), 3)) {
            let line = line.strip_suffix(b"\n").unwrap();
            let (body, rest) = line.split_at(line.len() - 75);
            let hash = match key {
                None => text(&Sha256::digest(body)),
                Some(_) => {
                    text(&Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap().chain_update(body).finalize().into_bytes())
                }
            };
            let field = if key.is_some() { "hmac" } else { "hash" };
            assert_eq!(std::str::from_utf8(rest).unwrap(), format!(",\"{field}\":\"{hash}\"}}"));
            assert!(body.ends_with(format!(",\"previous\":\"{previous}\"").as_bytes()));
            previous = hash;
        }
    }
}

#[test]
fn every_changed_byte_breaks_its_line() {
    for key in keys() {
        let file = chained(key.clone(), 4);
        for at in 0..file.len() {
            let line = 1 + file[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = file.clone();
                changed[at] ^= flip;
                if file[at] == b'\n' {
                    // Two lines are one by it; behind the last one there is no line to join.
                    let told = verify(&changed, key.clone()).map(|(linked, _)| linked.len());
                    assert!(told.is_err_and(|broken| broken.line == line), "{at}");
                } else {
                    assert_eq!(broken(&changed, key.clone()).0, line, "{at} of {}", String::from_utf8_lossy(&changed));
                }
            }
        }
    }
}

#[test]
fn lines_that_are_taken_out_put_in_or_moved_break_the_first_that_does_not_follow() {
    for key in keys() {
        let whole = lines(&chained(key.clone(), 6));
        let of = |lines: &[Vec<u8>]| broken(&lines.concat(), key.clone());
        for at in 0..5 {
            let mut taken = whole.clone();
            taken.remove(at);
            let place = at as u64 + 1;
            assert_eq!(of(&taken), (place, BrokenKind::OutOfPlace { expected: place, found: place + 1 }));
            let mut swapped = whole.clone();
            swapped.swap(at, at + 1);
            assert_eq!(of(&swapped), (place, BrokenKind::OutOfPlace { expected: place, found: place + 1 }));
            let mut doubled = whole.clone();
            doubled.insert(at + 1, whole[at].clone());
            assert_eq!(of(&doubled), (place + 1, BrokenKind::OutOfPlace { expected: place + 1, found: place }));
            for (foreign, kind) in
                [(&b"{\"event\":\"api_key_accepted\"}\n"[..], BrokenKind::Unchained), (b"\n", BrokenKind::Piece)]
            {
                let mut put_in = whole.clone();
                put_in.insert(at, foreign.to_vec());
                assert_eq!(of(&put_in), (place, kind));
            }
            let mut shortened = whole.clone();
            shortened[at] = [&whole[at][..100], b"\n"].concat();
            assert_eq!(of(&shortened), (place, BrokenKind::Piece), "{at}");
        }
        let another = lines(&chained(key.clone(), 9));
        assert_eq!(of(&[whole.clone(), another[7..].to_vec()].concat()), (7, BrokenKind::OutOfPlace { expected: 7, found: 8 }));
    }
}

/// Who can write the file can compute a plain chain anew from some line on; it shows only by a hash that was kept elsewhere.
#[test]
fn a_line_that_was_forged_with_a_right_hash_breaks_the_next_one() {
    let whole = lines(&chained(None, 4));
    let (_, end) = verify(&whole[..1].concat(), None).unwrap();
    let mut forged = whole[..1].concat();
    Chain::going_on(&mut forged, None, end.clone()).append(&entry(40)).unwrap();
    let spliced = [&forged[..], &whole[2..].concat()].concat();
    assert_eq!(broken(&spliced, None), (3, BrokenKind::OutOfPlace { expected: 3, found: 3 }));

    // With the key nobody but its owner can write even the one line.
    let key = || Some(KEY.parse().unwrap());
    let keyed = lines(&chained(key(), 4));
    for forger in [None, Some(OTHER_KEY.parse().unwrap())] {
        let is_keyed = forger.is_some();
        let mut forged = keyed[..1].concat();
        Chain::going_on(&mut forged, forger, end_to_go_on_from(&keyed[..1].concat(), key())).append(&entry(40)).unwrap();
        let kind = if is_keyed { BrokenKind::ChangedOrOtherKey } else { BrokenKind::NotKeyed };
        assert_eq!(broken(&forged, key()), (2, kind));
    }
}

#[test]
fn a_chain_without_its_key_or_with_one_that_it_has_not_is_told() {
    let key = || Some(KEY.parse().unwrap());
    assert_eq!(broken(&chained(key(), 2), None), (1, BrokenKind::Keyed));
    assert_eq!(broken(&chained(None, 2), key()), (1, BrokenKind::NotKeyed));
    assert_eq!(broken(&chained(key(), 2), Some(OTHER_KEY.parse().unwrap())), (1, BrokenKind::ChangedOrOtherKey));
}

/// Lines that were taken away at the end are seen only by a hash that was kept: it is in no line any more.
#[test]
fn a_file_that_ends_early_is_whole_and_its_old_head_is_gone() {
    let whole = lines(&chained(None, 5));
    let (linked, end) = verify(&whole.concat(), None).unwrap();
    let (shorter, _) = verify(&whole[..4].concat(), None).unwrap();
    assert!(!shorter.iter().any(|line| line.hash == end.head()));
    assert!(linked.iter().any(|line| line.hash == shorter[3].hash), "an earlier head is still there");
}

/// The file is cut off at every byte, as a kill would; the next start goes on with it.
#[test]
fn whatever_a_kill_left_is_told_by_the_next_line_and_the_chain_goes_on() {
    for key in keys() {
        let file = chained(key.clone(), 3);
        let ends: Vec<usize> = file.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
        for cut in 0..=file.len() {
            let mut after = file[..cut].to_vec();
            let whole = ends.iter().filter(|end| **end <= cut).count() as u64;
            let begin = ends.iter().rfind(|end| **end <= cut).map_or(0, |end| (end + 1).min(cut));
            let torn = (cut > begin).then(|| (cut - begin) as u64);
            if torn.is_some() {
                assert_eq!(broken(&after, key.clone()), (whole + 1, BrokenKind::CutOff), "{cut}");
            }
            let end = end_to_go_on_from(&after, key.clone());
            assert_eq!((end.lines(), end.torn_bytes()), (whole, torn.unwrap_or(0)), "{cut}");
            let mut chain = Chain::going_on(&mut after, key.clone(), end);
            (10..12).for_each(|number| chain.append(&entry(number)).unwrap());
            let (linked, end) = verify(&after, key.clone()).unwrap();
            assert_eq!(end.lines(), whole + 2, "{cut}");
            let told: Vec<_> = linked.iter().filter_map(|line| Some((line.sequence, line.torn_bytes?))).collect();
            assert_eq!(told, torn.map(|bytes| (whole + 1, bytes)).into_iter().collect::<Vec<_>>(), "{cut}");
        }
    }
}

#[test]
fn a_piece_that_was_vouched_for_cannot_be_changed_or_taken_out() {
    for key in keys() {
        let mut file = chained(key.clone(), 2);
        let piece = b"{\"timestamp\":\"2026-01-31T12:00:00.000Z\",\"lev";
        file.extend_from_slice(piece);
        let end = end_to_go_on_from(&file, key.clone());
        Chain::going_on(&mut file, key.clone(), end).append(&entry(3)).unwrap();
        let whole = lines(&file);
        assert_eq!(verify(&file, key.clone()).unwrap().1.lines(), 3);
        for (at, other) in [(3, &b""[..]), (3, b"{\"timestamp\":\"2026-01-31T12:00:00.000Z\",\"lex\n"), (3, b"{\n")] {
            let mut changed = whole.clone();
            changed[2] = other.to_vec();
            let line = if other.is_empty() { 3 } else { at + 1 };
            assert_eq!(broken(&changed.concat(), key.clone()), (line, BrokenKind::OtherPiece));
        }
        // One that nobody vouches for, at the same place.
        let mut untold = lines(&chained(key.clone(), 3));
        untold.insert(2, whole[2].clone());
        assert_eq!(broken(&untold.concat(), key.clone()), (3, BrokenKind::Piece));
    }
}

/// A file on a disk with room for so many bytes.
#[derive(Clone, Default)]
struct Disk(Rc<RefCell<(Vec<u8>, usize)>>);

impl Disk {
    fn file(&self) -> Vec<u8> {
        self.0.borrow().0.clone()
    }

    fn make_room(&self, room: usize) {
        self.0.borrow_mut().1 += room;
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, room) = &mut *self.0.borrow_mut();
        let taken = bytes.len().min(*room);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room -= taken;
        file.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// However much of several lines fits before the disk is full, again and again, and whether one process writes on or another one that
/// read what is there: what was acknowledged is there, and the file is whole.
#[test]
fn a_full_disk_tears_lines_and_no_chain() {
    for key in keys() {
        let length = chained(key.clone(), 1).len();
        for first in (0..length + 3).step_by(7).chain(length - 2..length + 3) {
            for second in [0, 1, 2, 40, length] {
                for is_restarted in [false, true] {
                    let disk = Disk::default();
                    disk.make_room(first);
                    let mut chain = Chain::new(disk.clone(), key.clone());
                    let mut acknowledged = 0;
                    for (number, room) in [(1, 0), (2, second), (3, 1), (4, 0), (5, 10 * length), (6, 0)] {
                        disk.make_room(room);
                        if is_restarted {
                            chain = Chain::going_on(disk.clone(), key.clone(), end_to_go_on_from(&disk.file(), key.clone()));
                        }
                        acknowledged += u64::from(chain.append(&entry(number)).is_ok());
                        let read = end_to_go_on_from(&disk.file(), key.clone());
                        assert_eq!((read.lines(), read.head()), (chain.lines(), chain.head()), "{first} {second} {number}");
                        assert_eq!(chain.lines(), acknowledged, "{first} {second} {number}");
                    }
                    assert!(acknowledged >= 2);
                    assert_eq!(verify(&disk.file(), key.clone()).unwrap().1.lines(), acknowledged, "{first} {second}");
                }
            }
        }
    }
}

#[test]
fn where_a_long_file_ends_is_known_from_its_last_lines() {
    for key in keys() {
        let mut file = chained(key.clone(), 3);
        file.extend_from_slice(b"{\"timestamp\":\"20");
        let end = end_to_go_on_from(&file, key.clone());
        let mut chain = Chain::going_on(&mut file, key.clone(), end);
        (4..7).for_each(|number| chain.append(&entry(number)).unwrap());
        file.extend_from_slice(b"{\"timestamp");
        let whole = end_to_go_on_from(&file, key.clone());
        let last = lines(&file).iter().rev().take(2).map(Vec::len).sum::<usize>();
        for begin in 1..file.len() - last {
            let behind = begin + file[begin..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let mut reader = ChainReader::within(Cursor::new(&file[behind..]), key.clone());
            while let Some(line) = reader.next_line().unwrap() {
                line.unwrap();
            }
            let end = reader.end_to_go_on_from().unwrap();
            assert_eq!((end.lines(), end.head(), end.torn_bytes()), (whole.lines(), whole.head(), whole.torn_bytes()), "{begin}");
        }
        let mut reader = ChainReader::within(Cursor::new(&file[file.len() - 5..]), key);
        assert!(reader.next_line().unwrap().is_none() && reader.end_to_go_on_from().is_none());
    }
}

#[test]
fn a_line_without_end_is_not_read_into_memory() {
    let mut reader = ChainReader::new(io::BufReader::new(io::repeat(b'a')), None);
    let broken = reader.next_line().unwrap().unwrap().unwrap_err();
    assert_eq!((broken.line, broken.kind), (1, BrokenKind::TooLong));
}

#[test]
fn keys_that_can_be_guessed_are_refused_and_none_is_shown() {
    for weak in ["hunter2", "abababababababababababababababababab"] {
        let told = weak.parse::<ChainKey>().unwrap_err().to_string();
        assert!(told.ends_with("`openssl rand -base64 32`") && !told.contains(weak), "{told}");
    }
    let key: ChainKey = format!("{KEY}\n").parse().unwrap();
    assert_eq!(format!("{key:?} {:?}", ChainReader::new(io::empty(), Some(key.clone()))).matches(KEY).count(), 0);
    assert_eq!(verify(&chained(Some(key), 2), Some(KEY.parse().unwrap())).unwrap().1.lines(), 2, "the line end is no part of it");
}

#[test]
fn hashes_are_read_as_they_are_printed() {
    let (_, end) = verify(&chained(None, 1), None).unwrap();
    assert_eq!(end.head().to_string().parse::<ChainHash>(), Ok(end.head()));
    for bad in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65)] {
        assert!(bad.parse::<ChainHash>().is_err(), "{bad}");
    }
}

/// T25: one line for each decision, whatever outsiders write, from many threads at once.
#[test]
fn every_decision_of_many_threads_is_one_line_of_one_chain() {
    const EACH: usize = 500;
    const PATHS: [&str; 5] = ["/a", "/%0A%0Dline", "/\u{e9}\u{2028}", "/\"}{\"sequence\":1", "/\\u0000"];
    let disk = Shared::default();
    let policy = keyward::Policy::from_toml("policy.toml", "[limits]\nfailures = \"off\"").unwrap();
    let store = keyward::MemoryStore::new();
    let guard = keyward::Guard::builder(policy).store(store).audit(ChainedLines::new(disk.clone(), None)).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let guard = &guard;
            scope.spawn(move || {
                for number in 0..EACH {
                    let path = PATHS[(thread + number) % PATHS.len()];
                    let head = Raw { path, id: format!("{thread}-{number}") };
                    let _ = guard.decide_blocking(&head);
                }
            });
        }
    });
    let file = disk.0.lock().unwrap().clone();
    let (linked, _) = verify(&file, None).unwrap();
    assert_eq!(linked.len(), 4 * EACH);
    let ids: std::collections::HashSet<String> = lines(&file)
        .iter()
        .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 4 * EACH);
}

#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request with a path that no parser lets through.
struct Raw {
    path: &'static str,
    id: String,
}

impl keyward::Head for Raw {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header<'a>(&'a self, wanted: keyward::Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        if wanted.name() == "x-request-id" {
            each(self.id.as_bytes());
        }
    }

    fn peer(&self) -> Option<std::net::IpAddr> {
        Some([192, 0, 2, 1].into())
    }
}
