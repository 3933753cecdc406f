//! Public keys and signature files, in minisign's format.
//!
//! A signature file has four lines: an untrusted comment, the signature over the component, the trusted comment (here the
//! manifest), the signature over the two before.
//!
//! Invariant: a [`Signature`] is well formed and its manifest is strict, but nothing in it is true before
//! [`Signature::verify`] said so. Unhashed signatures of old tools are refused.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pilothouse_core::id::Digest;
use pilothouse_core::trust::KeyId;

use crate::manifest::{Manifest, ManifestError};

/// Largest signature file, bytes; a real one has some 700.
pub const SIGNATURE_BYTES_MAX: usize = 8_192;
/// Longest text of a public key, bytes; a real one has some 120.
const KEY_BYTES_MAX: usize = 1_024;
/// How the signature of a hashed component begins.
const HASHED: [u8; 2] = *b"ED";

/// Why a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the text of a key.
    #[error(
        "not a public key of minisign: give the .pub file that `pilothouse policy keygen` wrote, or its second line"
    )]
    Form,
    /// The text of a secret.
    #[error("that is a secret key; give the .pub file beside it, and keep the secret where it is")]
    Secret,
}

/// Why a signature is no good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Longer than [`SIGNATURE_BYTES_MAX`].
    #[error("the signature has {0} bytes, at most {SIGNATURE_BYTES_MAX} are read; give the .sig file")]
    TooLong(usize),
    /// Not four lines of a signature.
    #[error("not a signature: {0}; `pilothouse policy sign FILE --key KEY` makes one")]
    Form(&'static str),
    /// Its trusted comment is not a manifest.
    #[error("the signature's trusted comment is no manifest of Pilothouse: {0}")]
    Manifest(#[from] ManifestError),
    /// Made with another key.
    #[error("the signature was made with key {signed}, not with {given}")]
    OtherKey {
        /// Id in the signature.
        signed: KeyId,
        /// Id of the key.
        given: KeyId,
    },
    /// The component is not what was signed, or the signature was changed.
    #[error("the signature by key {0} does not fit the component: one of them was changed")]
    Tampered(KeyId),
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: KeyId,
    text: String,
    key: minisign_verify::PublicKey,
}

impl PublicKey {
    /// Reads a key: its line of base64, or a `.pub` file with a comment above it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.contains("secret key") {
            return Err(KeyError::Secret);
        }
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let line = match *lines.as_slice() {
            _ if text.len() > KEY_BYTES_MAX => return Err(KeyError::Form),
            [line] => line,
            [comment, line] if comment.starts_with("untrusted comment:") => line,
            _ => return Err(KeyError::Form),
        };
        let bytes = BASE64_STANDARD.decode(line).map_err(|_| KeyError::Form)?;
        let id = key_id(&bytes).ok_or(KeyError::Form)?;
        let key = minisign_verify::PublicKey::from_base64(line).map_err(|_| KeyError::Form)?;
        Ok(Self { id, text: line.to_owned(), key })
    }

    /// What it calls itself.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Its line of base64.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The id in a key or a signature: after two bytes for the algorithm.
fn key_id(bytes: &[u8]) -> Option<KeyId> {
    let id = bytes.get(2..10)?;
    Some(KeyId(u64::from_le_bytes(id.try_into().ok()?)))
}

/// A signature file.
#[derive(Clone)]
pub struct Signature {
    key: KeyId,
    manifest: Manifest,
    text: String,
    parts: minisign_verify::Signature,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature").field("key", &self.key).field("manifest", &self.manifest).finish()
    }
}

impl Signature {
    /// Reads a signature file.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        if bytes.len() > SIGNATURE_BYTES_MAX {
            return Err(SignatureError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| SignatureError::Form("it is no text"))?;
        let lines: Vec<&str> = text.lines().collect();
        let &[_, signed, _, _] = lines.as_slice() else {
            return Err(SignatureError::Form("it has not four lines"));
        };
        let malformed = || SignatureError::Form("its lines are not those of minisign");
        let parts = minisign_verify::Signature::decode(text).map_err(|_| malformed())?;
        let signed = BASE64_STANDARD.decode(signed).map_err(|_| malformed())?;
        if !signed.starts_with(&HASHED) {
            return Err(SignatureError::Form("it is of the old kind without a hash"));
        }
        let key = key_id(&signed).ok_or_else(malformed)?;
        let manifest = Manifest::parse(parts.trusted_comment())?;
        Ok(Self { key, manifest, text: text.to_owned(), parts })
    }

    /// The key that it says it was made with.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What it is about.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The file as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the key made it, over this component (whose SHA-256 is `digest`) and this manifest.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &PublicKey, component: &[u8], digest: Digest) -> Result<(), SignatureError> {
        if key.id != self.key {
            return Err(SignatureError::OtherKey { signed: self.key, given: key.id });
        }
        key.key.verify(component, &self.parts, false).map_err(|_| SignatureError::Tampered(self.key))?;
        if self.manifest.digest != digest {
            let (signed, found) = (self.manifest.digest.to_string(), digest.to_string());
            return Err(ManifestError::Other { field: "digest", signed, found }.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use minisign::KeyPair;

    use super::*;

    const COMPONENT: &[u8] = b"\0asm and the rest";
    const DIGEST: Digest = Digest([7; 32]);

    fn manifest() -> String {
        let limits = r#"{"fuel":1,"deadline_ms":2,"memory_mib":3}"#;
        format!(
            r#"{{"name":"mine","version":"1.0.0","family":"balancing","digest":"{DIGEST}","limits":{limits}}}"#
        )
    }

    fn pair() -> (KeyPair, PublicKey) {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let key = PublicKey::parse(&pair.pk.to_box().unwrap().to_string()).unwrap();
        (pair, key)
    }

    fn signed(pair: &KeyPair, bytes: &[u8], comment: &str) -> String {
        let made = minisign::sign(None, &pair.sk, Cursor::new(bytes), Some(comment), Some("hello"));
        made.unwrap().to_string()
    }

    #[test]
    fn a_signature_is_good_for_its_component_and_key_only() {
        let ((pair, key), (_, other)) = (pair(), self::pair());
        let signature = Signature::parse(signed(&pair, COMPONENT, &manifest()).as_bytes()).unwrap();
        assert_eq!(signature.key(), key.id());
        assert_eq!(signature.verify(&key, COMPONENT, DIGEST), Ok(()));
        assert_eq!(signature.verify(&key, b"other", DIGEST), Err(SignatureError::Tampered(key.id())));
        let said = signature.verify(&other, COMPONENT, DIGEST).unwrap_err().to_string();
        assert!(said.contains(&key.id().to_string()) && said.contains(&other.id().to_string()), "{said}");
        let elsewhere = signature.verify(&key, COMPONENT, Digest([8; 32])).unwrap_err().to_string();
        assert!(elsewhere.contains("digest"), "{elsewhere}");
    }

    /// Every byte of the file but those of the untrusted comment: changed, it is refused or does not verify.
    #[test]
    fn no_byte_that_counts_can_be_changed() {
        let (pair, key) = pair();
        let good = signed(&pair, COMPONENT, &manifest()).trim_end().to_owned();
        let comment = good.find('\n').unwrap();
        for place in comment + 1..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[place] ^= 1;
            let verified = Signature::parse(&bytes).and_then(|read| read.verify(&key, COMPONENT, DIGEST));
            assert!(verified.is_err(), "byte {place} of {good}");
        }
    }

    #[test]
    fn what_is_no_signature_is_refused_with_the_reason() {
        let (pair, _) = pair();
        let good = signed(&pair, COMPONENT, &manifest());
        let lines: Vec<&str> = good.lines().collect();
        let swapped = [lines[0], lines[3], lines[2], lines[1]].join("\n");
        for (bad, wanted) in [
            (Vec::new(), "four lines"),
            (b"\xff\xfe".to_vec(), "no text"),
            (lines[..3].join("\n").into_bytes(), "four lines"),
            (format!("{good}\nmore").into_bytes(), "four lines"),
            (swapped.into_bytes(), "lines are not those"),
            (good.replacen("trusted comment: {", "trusted comment:{", 2).into_bytes(), "lines are not those"),
            (vec![b'x'; SIGNATURE_BYTES_MAX + 1], "at most 8192"),
            (signed(&pair, COMPONENT, "timestamp:1").into_bytes(), "no manifest"),
            (signed(&pair, COMPONENT, &format!("{} ", manifest())).into_bytes(), "canonical"),
            (good.replacen("\nRU", "\nRW", 1).into_bytes(), "old kind"),
        ] {
            let said = Signature::parse(&bad).unwrap_err().to_string();
            assert!(said.contains(wanted), "{} said {said}", String::from_utf8_lossy(&bad));
        }
    }

    #[test]
    fn keys_are_read_from_their_line_or_their_file() {
        let (pair, key) = pair();
        assert_eq!(PublicKey::parse(key.as_str()).unwrap(), key);
        let secret = pair.sk.to_box(None).unwrap().to_string();
        assert_eq!(PublicKey::parse(&secret), Err(KeyError::Secret));
        let cut = &key.as_str()[..40];
        for bad in ["", "RW", cut, &format!("{0}\n{0}", key.as_str()), &"A".repeat(KEY_BYTES_MAX + 1)] {
            assert_eq!(PublicKey::parse(bad), Err(KeyError::Form), "{bad}");
        }
    }
}
