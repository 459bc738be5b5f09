//! Signing secrets that look as good as others and stand in specifications, manuals, tutorials and the defaults of programs.
//!
//! Only what the other rules let through has to be here. The public lists of tens of thousands that were found in the wild are
//! not: no package with a licence that would allow it has them (0013).

use std::collections::HashSet;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

/// Where each is published, and the secret.
const PUBLISHED: &[(&str, &str)] = &[
    ("RFC 7515, A.1", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
    ("RFC 7520, 3.5", "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"),
    ("RFC 9421, B.1.5", "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="),
    ("the manual of FastAPI", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
    ("the manual of Flask", "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf"),
    ("jwt.io", "a-string-secret-at-least-256-bits-long"),
    ("jwt.io", "a-valid-string-secret-that-is-at-least-384-bits-long"),
    ("jwt.io", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long"),
    ("tutorials of Spring Boot", "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b"),
    ("tutorials of Spring Boot", "@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkYp"),
    ("tutorials of Spring Boot", "======================BezKoder=Spring==========================="),
    ("tutorials of ASP.NET", "db3OIsj+BXE9NZDy0t8W3TcNekrF+2d/1sFnWG4HnV8TZY30iTOdtVWJG8abWvB1GlOgJuQZdcF2Luqm/hccMw=="),
    ("tutorials of ASP.NET", "IxrAjDoa2FqElO7IhrSrUJELhUckePEPVpaePlS_Xaw"),
    ("tutorials of ASP.NET", "PDv7DrqznYL6nv7DrqzjnQYO9JxIsWdcjnQYL6nu0f"),
    ("tutorials of .NET", "b14ca5898a4e4133bbce2ea2315a1916"),
    (
        "tutorials of .NET",
        "401b09eab3c013d4ca54922bb802bec8fd5318192b0a75f201d8b3727429090fb337591abd3e44453b954555b7a0812e1081c39b740293f765eae731f5a65ed1",
    ),
    ("IdentityServer's samples", "511536EF-F270-4058-80CA-1C89C192F69A"),
    ("IdentityServer's samples", "49C1A7E1-0C79-4A89-A3D6-A37998FB86B0"),
    ("the manual of OpenIddict", "DRjd/GnduI3Efzen9V9BvbNUfc/VKgXltV7Kbk9sMkY="),
    ("tutorials of Node.js", "my-32-character-ultra-secure-and-ultra-long-secret"),
    ("JHipster", "my-secret-token-to-change-in-production"),
    ("the manual of PostgREST", "reallyreallyreallyreallyverysafe"),
    ("the manual of Hasura", "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R"),
    ("the manual of Kong", "e71829c351aa4242c2719cbfbe671c09"),
    ("the manual of Centrifugo", "bbe7d157-a253-4094-9759-06a8236543f9"),
    ("the manual of Authelia", "you_must_generate_a_random_string_of_more_than_twenty_chars_and_configure_this"),
    ("the manual of Kibana", "something_at_least_32_characters"),
    ("the manual of Kibana", "fhjskloppd678ehkdfdlliverpoolfcr"),
    ("oauth2-proxy's samples", "OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w="),
    ("Directus' samples", "6116487b-cda1-52c2-b5b5-c8022c45e263"),
    ("Directus' samples", "255d861b-5ea1-5996-9aa3-922530ec40b1"),
    ("NocoDB's samples", "569a1821-0a93-45e8-87ab-eb857f20a010"),
    ("LibreChat's samples", "16f8c0ef4a5d391b26034086c628469d3f9f497f08163ab9b40137092f2909ef"),
    ("LibreChat's samples", "eaa5191f2914e30b9387fd84e254e4ba6fc51b4654968a9b0803b456a54b8418"),
    ("LibreChat's samples", "f34be427ebb29de8d88c107a71546019685ed8b241d8f2ed00c3df97ad2566f0"),
    ("Infisical's samples", "6c1fe4e407b8911c104518103505b218"),
    ("Infisical's samples", "5lrMXKKWCVocS/uerPsl7V+TX/aaUaI7iDkgl3tSmLE="),
    ("Dify's samples", "sk-9f73s3ljTXVcMT3Blb3ljTqtsKiGHXVcMT3BlbkFJLK7U"),
    ("NetBox' samples", "r8OwDznj!!dci#P9ghmRfdu1Ysxm0AiPeDCQhKE+N_rClfWNj"),
    ("Redash, CVE-2021-41192", "c292a0a3aa32397cdb050e233733900f"),
    ("Label Studio, CVE-2023-47117", "$(fefwefwef13;LFK{P!)@#*!)kdsjfWF2l+i5e3t(8a1n"),
    ("APISIX, CVE-2020-13945", "edd1c9f034335f136f87ad84b625c8f1"),
    ("APISIX, CVE-2020-13945", "4054f7cf07e344346cd3f287985e76a2"),
    ("Tyk", "352d20ee67be67f6340b4c0605b044b7"),
    ("BigBlueButton's test server", "8cd8ef52e8e101574e400365b55e11a6"),
];

/// What people take the hash of when they want something that looks random.
const HASHED: &[&str] = &[
    "",
    "secret",
    "password",
    "admin",
    "test",
    "key",
    "token",
    "jwt",
    "changeme",
    "123456",
    "12345678",
    "1234567890",
    "hello",
    "hello world",
    "root",
    "user",
    "api",
    "apikey",
    "jwtsecret",
    "mysecret",
];

/// The same by MD5, in the same order: for twenty texts, without a crate.
const BY_MD5: &[&str] = &[
    "d41d8cd98f00b204e9800998ecf8427e",
    "5ebe2294ecd0e0f08eab7690d2a6ee69",
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "21232f297a57a5a743894a0e4a801fc3",
    "098f6bcd4621d373cade4e832627b4f6",
    "3c6e0b8a9c15224a8228b9a98ca1531d",
    "94a08da1fecbb6e8b46990538c7b50b2",
    "cfd61b8a7397fa7c10b2ae548f5bfaef",
    "4cb9c8a8048fd02294477fcb1a41191a",
    "e10adc3949ba59abbe56e057f20f883e",
    "25d55ad283aa400af464c76d713c07ad",
    "e807f1fcf82d132f9bb018ca6738a19f",
    "5d41402abc4b2a76b9719d911017c592",
    "5eb63bbbe01eeed093cb22bb8f5acdc3",
    "63a9f0ea7bb98050796b649e85481845",
    "ee11cbb19052e40b07aac0ca060c23ee",
    "8a5da52ed126447d359e70c05721a8aa",
    "9af4d8381781baccb0f915e554f8798d",
    "3baa2d1cc92797f836f90b47e6eea575",
    "06c219e5bc8378f3a8a3f83b4b7e4649",
];

/// Whether it is published, or the hash of a common word, however it is written: in any case of its letters, with any signs between
/// its words, in either alphabet of base64, or as the bytes of which the published text is the base64 or hexadecimal form.
pub(super) fn is_known(secret: &[u8]) -> bool {
    let is = |written: &[u8]| KNOWN.contains(&*letters(written));
    is(secret) || is(as_hexadecimal(secret).as_bytes()) || is(as_base64(secret).as_bytes())
}

/// All of them, by their letters and digits.
static KNOWN: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let hashes = |word| [Sha1::digest(word).to_vec(), Sha256::digest(word).to_vec(), Sha512::digest(word).to_vec()];
    let hashed = HASHED.iter().flat_map(hashes).flat_map(|hash| [as_hexadecimal(&hash), as_base64(&hash)]);
    let published = PUBLISHED.iter().map(|(_, published)| published).chain(BY_MD5);
    published.map(|text| letters(text.as_bytes()).to_vec()).chain(hashed.map(|text| letters(text.as_bytes()).to_vec())).collect()
});

/// Letters and digits alone, small.
fn letters(text: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect())
}

fn as_hexadecimal(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    Zeroizing::new(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

fn as_base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use crate::ticket::weakness_of_key;

    #[test]
    fn published_ones_sign_nothing_however_they_are_written() {
        for published in [
            "6116487b-cda1-52c2-b5b5-c8022c45e263",
            "bbe7d157-a253-4094-9759-06a8236543f9",
            "edd1c9f034335f136f87ad84b625c8f1",
            "EDD1C9F034335F136F87AD84B625C8F1",
            "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R",
            // In the other alphabet of base64, and without its padding.
            "db3OIsj+BXE9NZDy0t8W3TcNekrF+2d/1sFnWG4HnV8TZY30iTOdtVWJG8abWvB1GlOgJuQZdcF2Luqm/hccMw==",
            "db3OIsj-BXE9NZDy0t8W3TcNekrF-2d_1sFnWG4HnV8TZY30iTOdtVWJG8abWvB1GlOgJuQZdcF2Luqm_hccMw",
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==",
            // Words, with other signs between them.
            "my-secret-token-to-change-in-production",
            "My Secret Token To Change In Production",
            "bXktc2VjcmV0LXRva2VuLXRvLWNoYW5nZS1pbi1wcm9kdWN0aW9u",
            "something_at_least_32_characters",
            "your-256-bit-secret-0000000000000",
            "your-512-bit-secret-for-the-tickets",
        ] {
            assert!(weakness_of_key(published.as_bytes()).is_some(), "{published}");
        }
    }

    #[test]
    fn digests_of_common_words_sign_nothing() {
        for digest in [
            // `secret` by MD5, SHA-1, SHA-256 in hexadecimal and in base64.
            "5ebe2294ecd0e0f08eab7690d2a6ee69",
            "e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
            "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
            "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            // Nothing at all.
            "d41d8cd98f00b204e9800998ecf8427e",
            "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        ] {
            assert!(weakness_of_key(digest.as_bytes()).is_some(), "{digest}");
        }
        use sha2::Digest;
        let as_bytes = sha2::Sha256::digest(b"secret");
        assert!(weakness_of_key(&as_bytes).is_some());
    }

    #[test]
    fn what_only_looks_like_them_signs() {
        for good in [
            "edd1c9f034335f136f87ad84b625c8f2",
            "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25c",
            "bbe7d157-a253-4094-9759-06a8236543f8",
            "a sentence that its owner has made up himself",
        ] {
            assert_eq!(weakness_of_key(good.as_bytes()), None, "{good}");
        }
    }
}
