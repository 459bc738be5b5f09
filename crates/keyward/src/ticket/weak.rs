//! Secrets that somebody could guess. A ticket can be tried against guesses offline, as often as one likes, so that a signing
//! secret has to withstand more than a key that is only presented.

use std::ops::Range;

use zeroize::Zeroizing;

use super::known::is_known;
use super::words::{TELLING, WORDS};

/// What a signing secret has at least, in bytes (RFC 7518 §3.2).
const SHORTEST: usize = 32;

/// How many different bytes it has at least. Of 32 random hexadecimal digits, one secret in twenty million has fewer.
const FEWEST_DIFFERENT: usize = 8;

/// How many bytes have to be left over once words, runs and repetitions are taken out. Of three million random secrets of 32
/// base62 characters, the fewest were left of one with 16.
const FEWEST_LEFT: usize = 14;

/// How many of a hundred bytes have to be left over at least: a long sentence is no better than a short one.
const LEAST_SHARE_LEFT: usize = 45;

/// How much of a secret is looked at.
const LOOKED_AT: usize = 1024;

/// How many bytes of a key that signs by itself are neither in a run nor in a repetition, at least. Its words may be its owner's own.
const FEWEST_BESIDE_PATTERNS: usize = 8;

/// A run or repetition counts from this length on.
const SHORTEST_RUN: usize = 4;

/// Explained pieces count from this length on. Shorter ones stand in random secrets by chance.
const SHORTEST_EXPLAINED: usize = 5;

/// Why a secret must not sign anything. The texts go on from what the secret is called, and tell nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Weakness {
    /// Fewer than 32 bytes.
    #[error("has fewer than 32 bytes")]
    Short,
    /// Fewer than 8 different bytes.
    #[error("has fewer than 8 different bytes")]
    Monotonous,
    /// One piece again and again.
    #[error("is one piece repeated")]
    Repeated,
    /// A UUID: RFC 9562 §8 warns of taking those for secrets. Many come from generators that do not even try.
    #[error("is a UUID, which is an identifier and no secret (RFC 9562)")]
    Uuid,
    /// A UUID of another kind than the random one: of a time, a name or a machine.
    #[error("is a UUID of a time or a name, which can be guessed (RFC 9562)")]
    Named,
    /// A token or a hash, which has been shown to others, or was made to be kept where others read it.
    #[error("is a token or the hash of a password, and no secret")]
    Token,
    /// It says of itself that it is to be replaced.
    #[error("calls itself an example, a password, or to be replaced")]
    Telling,
    /// Next to nothing of it is neither a run nor a repetition.
    #[error("is runs of letters, digits or keys, or repetitions")]
    Patterned,
    /// Little of it is neither a word nor a run nor a repetition.
    #[error("is words, runs or repetitions for the most part")]
    Guessable,
    /// It stands in a specification, a manual or a program.
    #[error("is published")]
    Known,
}

/// Why a secret must not sign anything, if it must not.
///
/// A secret that is the base64 or hexadecimal form of a text is judged by that text too.
pub(crate) fn weakness(secret: &[u8]) -> Option<Weakness> {
    if secret.len() < SHORTEST {
        return Some(Weakness::Short);
    }
    weak_as_it_stands(secret).or_else(|| {
        let text = decoded_text(secret)?;
        weak_as_it_stands(&text)
    })
}

/// The same for a key that signs its own tickets (R14.3), which its owner chose and others present. It is refused for what is
/// certain: too short, published, runs and repetitions, a token, a UUID that is not random, or a text that says it is to be
/// replaced. A random UUID or a sentence may sign; [`doubt_of_key`] has what to warn of.
pub(crate) fn weakness_of_key(key: &[u8]) -> Option<Weakness> {
    weakness(key).filter(|weakness| !matches!(weakness, Weakness::Uuid | Weakness::Guessable))
}

/// Why a key that may sign its own tickets had better not.
pub(crate) fn doubt_of_key(key: &[u8]) -> Option<Weakness> {
    weakness(key).filter(|weakness| matches!(weakness, Weakness::Uuid | Weakness::Guessable))
}

fn weak_as_it_stands(secret: &[u8]) -> Option<Weakness> {
    let secret = &secret[..secret.len().min(LOOKED_AT)];
    if is_known(secret) {
        return Some(Weakness::Known);
    }
    let lower = Zeroizing::new(secret.to_ascii_lowercase());
    if different(secret) < FEWEST_DIFFERENT {
        Some(Weakness::Monotonous)
    } else if (1..=lower.len() / 2).any(|period| lower[period..] == lower[..lower.len() - period]) {
        Some(Weakness::Repeated)
    } else if let Some(uuid) = uuid(secret) {
        Some(if uuid.get_version() == Some(uuid::Version::Random) { Weakness::Uuid } else { Weakness::Named })
    } else if is_token(secret) {
        Some(Weakness::Token)
    } else {
        let letters = Letters::of(secret);
        if letters.hold_any(TELLING) {
            Some(Weakness::Telling)
        } else if beside_patterns(&lower) < FEWEST_BESIDE_PATTERNS {
            Some(Weakness::Patterned)
        } else if climbs_in_steps(secret) {
            // Whoever has that page has them all.
            Some(Weakness::Known)
        } else if left_over(secret, &lower, &letters) < FEWEST_LEFT.max(secret.len() * LEAST_SHARE_LEFT / 100) {
            Some(Weakness::Guessable)
        } else {
            None
        }
    }
}

fn different(secret: &[u8]) -> usize {
    let mut seen = [false; 256];
    secret.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|&&seen| seen).count()
}

fn uuid(secret: &[u8]) -> Option<uuid::Uuid> {
    let text = std::str::from_utf8(secret).ok().filter(|text| text.contains('-'))?;
    uuid::Uuid::try_parse(text).ok()
}

fn is_token(secret: &[u8]) -> bool {
    let is_of_a_jwt = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_jwt = secret.starts_with(b"eyJ") && secret.contains(&b'.') && secret.iter().all(is_of_a_jwt);
    is_jwt || [&b"$2a$"[..], b"$2b$", b"$2y$", b"$argon2", b"$pbkdf2"].iter().any(|hash| secret.starts_with(hash))
}

/// How many bytes are in no word, run or repetition.
fn left_over(secret: &[u8], lower: &[u8], letters: &Letters) -> usize {
    let mut marks = Marks(vec![false; secret.len()]);
    letters.mark_words(&mut marks);
    mark_spelled(secret, &mut marks);
    mark_runs(lower, &mut marks);
    mark_repetitions(lower, &mut marks);
    // Up to two letters, and three bytes in all, are explained by what stands on both sides of them.
    let letters_in = |gap: &[u8]| gap.iter().filter(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()).count();
    marks.set_where(false, |gap| gap.len() <= 3 && letters_in(&secret[gap]) <= 2);
    marks.set_where(true, |piece| piece.len() < SHORTEST_EXPLAINED);
    marks.0.iter().filter(|&&marked| !marked).count()
}

/// How many bytes are in no run and no repetition.
fn beside_patterns(lower: &[u8]) -> usize {
    let mut marks = Marks(vec![false; lower.len()]);
    mark_runs(lower, &mut marks);
    mark_repetitions(lower, &mut marks);
    marks.0.iter().filter(|&&marked| !marked).count()
}

/// Which bytes of a secret are explained.
struct Marks(Vec<bool>);

impl Marks {
    fn mark(&mut self, range: Range<usize>) {
        self.0[range].fill(true);
    }

    /// Turns over the stretches of one kind that are like that.
    fn set_where(&mut self, kind: bool, is_like_that: impl Fn(Range<usize>) -> bool) {
        let mut start = 0;
        while start < self.0.len() {
            let length = self.0[start..].iter().take_while(|&&mark| mark == self.0[start]).count();
            let stretch = start..start + length;
            if self.0[start] == kind && length < self.0.len() && is_like_that(stretch.clone()) {
                self.0[stretch].fill(!kind);
            }
            start += length;
        }
    }
}

/// Letters and digits without the signs between them, and where they stand: `ch@nge_Me` is `changeme`.
struct Letters {
    as_written: Zeroizing<Vec<u8>>,
    /// With digits and signs that stand for letters turned into those.
    as_meant: Zeroizing<Vec<u8>>,
    places: Vec<usize>,
}

impl Letters {
    fn of(secret: &[u8]) -> Self {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'$' || byte == b'@' || byte == b'!';
        let mut letters = Self { as_written: Zeroizing::default(), as_meant: Zeroizing::default(), places: Vec::new() };
        for (place, &byte) in secret.iter().enumerate().filter(|&(_, &byte)| is_letter(byte)) {
            let lower = byte.to_ascii_lowercase();
            letters.as_written.push(lower);
            letters.as_meant.push(match lower {
                b'0' => b'o',
                b'1' | b'!' => b'i',
                b'3' => b'e',
                b'4' | b'@' => b'a',
                b'5' | b'$' => b's',
                b'7' => b't',
                other => other,
            });
            letters.places.push(place);
        }
        letters
    }

    /// Whether one of these words stands in it.
    fn hold_any(&self, words: &[&str]) -> bool {
        let holds = |letters: &[u8]| (0..letters.len()).any(|at| longest_word(&letters[at..], words).is_some());
        holds(&self.as_written) || holds(&self.as_meant)
    }

    fn mark_words(&self, marks: &mut Marks) {
        // Nearly every digit means a letter, so that short words are in hexadecimal numbers by chance.
        for (letters, shortest) in [(&self.as_written, 3), (&self.as_meant, SHORTEST_EXPLAINED)] {
            for at in 0..letters.len() {
                let word = longest_word(&letters[at..], WORDS).filter(|&length| length >= shortest);
                self.places[at..at + word.unwrap_or(0)].iter().for_each(|&place| marks.mark(place..place + 1));
            }
        }
    }
}

/// The longest of these words that the letters begin with.
fn longest_word(letters: &[u8], words: &[&str]) -> Option<usize> {
    // No word is shorter than its first three letters, and few have them in common.
    let first = letters.get(..3)?;
    let from = words.partition_point(|word| word.as_bytes() < first);
    let alike = words[from..].iter().map(|word| word.as_bytes()).take_while(|word| word.starts_with(first));
    alike.filter(|word| letters.starts_with(word)).map(<[u8]>::len).max()
}

/// Words between signs, whatever they mean: letters of one case, or with a capital at the start. Not where many signs are
/// used, as by generators of passwords: what stands between those by chance looks so too.
fn mark_spelled(secret: &[u8], marks: &mut Marks) {
    let signs: Vec<u8> = secret.iter().copied().filter(u8::is_ascii_punctuation).collect();
    if different(&signs) > 2 {
        return;
    }
    let mut start = 0;
    for word in secret.split(|byte| b" -_.,:;/".contains(byte)) {
        let rest = word.get(1..).unwrap_or_default();
        let is_word = word.iter().all(u8::is_ascii_alphabetic)
            && (rest.iter().all(u8::is_ascii_lowercase) || word.iter().all(u8::is_ascii_uppercase));
        if is_word && (3..=14).contains(&word.len()) {
            marks.mark(start..start + word.len());
        }
        start += word.len() + 1;
    }
}

/// Rows and columns of keyboards. Those of digits and of the alphabet are found by their numbers.
const KEYBOARDS: [&[u8]; 9] = [
    b"qwertyuiop[]",
    b"asdfghjkl;'",
    b"zxcvbnm,./",
    b"!@#$%^&*()_+",
    b"1234567890-=",
    b"qwertzuiop",
    b"azertyuiop",
    b"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    b"1q2w3e4r5t6y7u8i9o0p",
];

fn mark_runs(lower: &[u8], marks: &mut Marks) {
    let numbers: Vec<i16> = lower.iter().map(|&byte| byte.into()).collect();
    [-1, 0, 1].iter().for_each(|&step| mark_steps(&numbers, step, marks));
    for keyboard in KEYBOARDS {
        let place = |byte| keyboard.iter().position(|&key| key == byte).and_then(|place| i16::try_from(place).ok());
        // What is not on the row is beside nothing that is.
        let places: Vec<i16> = lower.iter().map(|&byte| place(byte).unwrap_or(i16::MIN)).collect();
        [-1, 1].iter().for_each(|&step| mark_steps(&places, step, marks));
    }
}

/// Marks whatever goes on by this step for long enough.
fn mark_steps(numbers: &[i16], step: i16, marks: &mut Marks) {
    let mut start = 0;
    for end in 1..=numbers.len() {
        if end == numbers.len() || numbers[end - 1].checked_add(step) != Some(numbers[end]) {
            if end - start >= SHORTEST_RUN {
                marks.mark(start..end);
            }
            start = end;
        }
    }
}

/// Marks what has stood there before.
fn mark_repetitions(lower: &[u8], marks: &mut Marks) {
    for at in 1..lower.len() {
        let starts = (0..at).filter(|&before| lower[before] == lower[at]);
        let same = |before: usize| lower[before..].iter().zip(&lower[at..]).take_while(|(one, other)| one == other).count();
        let longest = starts.map(same).max().unwrap_or(0);
        if longest >= SHORTEST_RUN {
            marks.mark(at..at + longest);
        }
    }
}

/// Two alphabets climbed in turn, in small steps, as in `D(G+KbPeShVmYq3t6w9z$C&F)J@McQfT`: what a generator on the web has
/// given to thousands for their random key. All its keys are pieces of one text.
fn climbs_in_steps(secret: &[u8]) -> bool {
    let is_step = |pair: &[u8]| {
        let alike = [u8::is_ascii_digit as fn(&u8) -> bool, u8::is_ascii_lowercase, u8::is_ascii_uppercase];
        // The alphabet itself does not climb in turn.
        pair[1] != pair[0].wrapping_add(1)
            && alike.iter().any(|kind| kind(&pair[0]) && kind(&pair[2]))
            && (2..=5).contains(&pair[2].saturating_sub(pair[0]))
    };
    let steps = secret.windows(3).filter(|pair| is_step(pair)).count();
    secret.len() >= 16 && steps * 9 > secret.len() * 5
}

/// The text of which a secret is the base64 or hexadecimal form. Random bytes are hardly ever text.
fn decoded_text(secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let is_text =
        |bytes: &Vec<u8>| bytes.len() >= 16 && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    let hexadecimal = || {
        let digits = secret.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        (secret.len().is_multiple_of(2) && secret.iter().all(u8::is_ascii_hexdigit))
            .then(|| digits.collect::<Option<Vec<u8>>>())
            .flatten()
    };
    let base64 = || {
        let digits = |byte: &u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            &other => other,
        };
        let unpadded: Zeroizing<Vec<u8>> = Zeroizing::new(secret.iter().map(digits).collect());
        let end = unpadded.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD_NO_PAD, &unpadded[..end]).ok()
    };
    hexadecimal().filter(is_text).or_else(|| base64().filter(is_text)).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_ones_are_told_apart() {
        let repeated = |piece: &str, times| piece.repeat(times);
        let rows: &[(&str, Weakness)] = &[
            ("", Weakness::Short),
            ("kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6", Weakness::Short),
            (&repeated("a", 32), Weakness::Monotonous),
            ("abcabcabcabcabcabcabcabcabcabcabcabc", Weakness::Monotonous),
            (&repeated("00000001", 8), Weakness::Monotonous),
            (&repeated("x7Fq2mZk9wL", 3), Weakness::Repeated),
            ("x7Fq2mZk9wLx7fq2mzk9wlX7FQ2MZK9WLx7F", Weakness::Repeated),
            ("4a1b2c3d-5e6f-4a7b-8c9d-0e1f2a3b4c5d", Weakness::Uuid),
            ("{4A1B2C3D-5E6F-4A7B-8C9D-0E1F2A3B4C5D}", Weakness::Uuid),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.4tRh3eVlYVN5rc1b4LwujSTBhtb3Dkx4", Weakness::Token),
            ("$2b$10$Gg91pyMdkpIwT2MRMl7xxObPSOAQpS2Gnt29indH8Q4jxpiSfPup2", Weakness::Token),
            ("kJ8s0vLzQ2mXw7Rb4TnYc9-CHANGE_ME-HfD1pGeU6aK3iOq", Weakness::Telling),
            ("kJ8s0vLzQ2mXw7Rb4TnYc9HfD1p.P@ssw0rd.GeU6aK3iOq", Weakness::Telling),
            ("django-insecure-kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3", Weakness::Telling),
            ("your-256-bit-secret-your-256-bit-key", Weakness::Telling),
            ("a-string-secret-at-least-256-bits-long", Weakness::Known),
            ("your-super-secret-jwt-token-with-at-least-32-characters-long", Weakness::Telling),
            ("0123456789abcdef0123456789ABCDEFG", Weakness::Patterned),
            ("abcdefghijklmnopqrstuvwxyz0123456789", Weakness::Patterned),
            ("qwertyuiopasdfghjklzxcvbnm123456", Weakness::Patterned),
            ("1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", Weakness::Patterned),
            // Seven bytes are neither, and eight.
            ("abcdefghijklmnopqrstuvwxyz-x7Fq2m", Weakness::Patterned),
            ("abcdefghijklmnopqrstuvwxyz-x7Fq2mZ", Weakness::Guessable),
            // UUIDs that are not random: of a time, and of a name.
            ("c232ab00-9414-11ec-b3c8-9f6bdeced846", Weakness::Named),
            ("6116487b-cda1-52c2-b5b5-c8022c45e264", Weakness::Named),
            ("ThisIsMyVeryOwnJwtSigningKeyForProduction", Weakness::Guessable),
            ("correct horse battery staple and other words", Weakness::Guessable),
            (
                "how-do-i-tell-everybody-that-nobody-knows-which-words-these-are-i-know-not-and-so-i-go-on-and-on",
                Weakness::Guessable,
            ),
            ("D(G+KbPeShVmYq3t6w9z$C&F)J@McQfT", Weakness::Known),
            // What tutorials of Spring Boot sign with: in hexadecimal, as they have it, and what that stands for.
            ("404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970", Weakness::Known),
            ("404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970", Weakness::Known),
            ("@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkYp", Weakness::Known),
            // Base64 of `ThisIsMySecretKeyForSigningTokens`.
            ("VGhpc0lzTXlTZWNyZXRLZXlGb3JTaWduaW5nVG9rZW5z", Weakness::Telling),
            ("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", Weakness::Known),
            ("192B9BDD22AB9ED4D12E236C78AFCB9A393EC15F71BBF5DC987D54727823BCBF", Weakness::Known),
        ];
        for (secret, expected) in rows {
            assert_eq!(weakness(secret.as_bytes()), Some(*expected), "{secret}");
            let only_warned_of = matches!(expected, Weakness::Uuid | Weakness::Guessable);
            let of_key = Some(*expected).filter(|_| !only_warned_of);
            assert_eq!(doubt_of_key(secret.as_bytes()), Some(*expected).filter(|_| only_warned_of), "{secret}");
            assert_eq!(weakness_of_key(secret.as_bytes()), of_key, "{secret}");
        }
        // Published in base64url, and used as the bytes that it stands for.
        use base64::Engine;
        let of_the_rfc = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        assert_eq!(weakness(&of_the_rfc), Some(Weakness::Known));
    }

    #[test]
    fn strong_ones_are_taken_whatever_stands_before_them() {
        for good in [
            "kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6a",
            "kw_kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOq",
            "sk_live_kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6a",
            "secret-token:kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6a",
            "8f14e45fceea167a5a36dedd4bea2543d1f0c6b3",
        ] {
            assert_eq!(weakness(good.as_bytes()), None, "{good}");
        }
        let (long, longer) = ("kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6a".to_owned() + &"a".repeat(20), "a".repeat(10_000));
        assert_eq!(weakness(long.as_bytes()), None, "more is no worse as long as the rest is good");
        assert_eq!(weakness(longer.as_bytes()), Some(Weakness::Monotonous));
    }
}
