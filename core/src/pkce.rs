//! Proof Key for Code Exchange (RFC 7636): a secret that stays here, and its hash that travels.
//!
//! ```text
//! code_verifier         = high-entropy cryptographic random string      -> the token request, only
//! code_challenge        = BASE64URL-ENCODE(SHA256(ASCII(code_verifier))) -> the authorization request
//! code_challenge_method = S256                                           always; `plain` does not exist here
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::error::{Error, Usage};
use crate::form::is_unreserved;
use crate::secret::Secret;

/// A code verifier (RFC 7636 section 4.1): 256 bits from the caller's generator, or text that was kept.
///
/// Deliberately not `Clone`: it belongs to one login.
///
/// ```
/// use proofkey_core::Verifier;
///
/// // RFC 7636 appendix B
/// let verifier = Verifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?;
/// assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
/// # Ok::<(), proofkey_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Verifier(Secret);

impl Verifier {
    /// A fresh verifier of 43 characters, from 32 octets of `rng`.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut octets = [0; 32];
        rng.fill_bytes(&mut octets);
        let verifier = Self::from_octets(&octets);
        octets.zeroize();
        verifier
    }

    /// A verifier that was kept. [`Usage::Verifier`] unless it has 43 to 128 unreserved characters.
    pub fn new(text: impl Into<Secret>) -> Result<Self, Error> {
        let text = text.into();
        let fits = (43..=128).contains(&text.expose().len()) && text.expose().bytes().all(is_unreserved);
        if fits { Ok(Self(text)) } else { Err(Usage::Verifier.into()) }
    }

    /// The text to send as `code_verifier`, once, in the token request.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What to send as `code_challenge` of the method `S256` (RFC 7636 section 4.2): 43 characters of base64url, public.
    pub fn challenge(&self) -> String {
        base64url(&Sha256::digest(self.expose()).into())
    }

    /// RFC 7636 section 4.1: "It is RECOMMENDED that the output of a suitable random number generator be used to create
    /// a 32-octet sequence. The octet sequence is then base64url-encoded".
    pub(crate) fn from_octets(octets: &[u8; 32]) -> Self {
        Self(Secret::from(base64url(octets)))
    }
}

/// The text of 32 octets: 43 characters. On the stack first, for `encode` asks for zeroed memory, for which allocators have no
/// short way.
pub(crate) fn base64url(octets: &[u8; 32]) -> String {
    let mut text = [0; 43];
    let written = URL_SAFE_NO_PAD.encode_slice(octets, &mut text);
    let encoded = match (written, str::from_utf8(&text)) {
        (Ok(43), Ok(text)) => text.to_owned(),
        _ => URL_SAFE_NO_PAD.encode(octets),
    };
    text.as_mut_slice().zeroize();
    encoded
}
