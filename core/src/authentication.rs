//! How the client proves who it is at the server's endpoints (RFC 6749 section 2.3). One method per request.
//!
//! ```text
//! none     client_id=s6BhdRkqt3                                  in the body
//! basic    Authorization: Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIx..    id and secret percent-encoded, then base64
//! post     client_id=s6BhdRkqt3&client_secret=7Fjfp0ZBr1..        in the body
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::Usage;
use crate::form::{self, Form};
use crate::parameter::is_printable;
use crate::secret::Secret;

/// How a client authenticates. A secret shipped inside an application is no secret: such a client has
/// [`none`](Self::none) (RFC 8252 section 8.5).
#[derive(Clone, Debug)]
pub struct Authentication(Method);

#[derive(Clone, Debug)]
enum Method {
    None,
    Basic(Secret),
    Post(Secret),
}

impl Authentication {
    /// A public client: it only names itself, and PKCE protects it.
    pub const fn none() -> Self {
        Self(Method::None)
    }

    /// `client_secret_basic`: id and secret in the `Authorization` header (RFC 6749 section 2.3.1), the method that every
    /// server must know. Both are percent-encoded first, a space as `%20`.
    pub fn basic(secret: impl Into<Secret>) -> Self {
        Self(Method::Basic(secret.into()))
    }

    /// `client_secret_post`: id and secret in the body, for servers that do not decode the header as they should.
    pub fn post(secret: impl Into<Secret>) -> Self {
        Self(Method::Post(secret.into()))
    }

    /// The secret, if there is one.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match &self.0 {
            Method::None => None,
            Method::Basic(secret) | Method::Post(secret) => Some(secret),
        }
    }

    /// RFC 6749 appendix A.2: `client-secret = *VSCHAR`.
    pub(crate) fn vet(&self) -> Result<(), Usage> {
        let fits = |secret: &Secret| !secret.expose().is_empty() && is_printable(secret.expose());
        if self.secret().is_none_or(fits) { Ok(()) } else { Err(Usage::ClientSecret) }
    }

    /// The method's name in metadata.
    pub(crate) const fn name(&self) -> &'static str {
        match self.0 {
            Method::None => "none",
            Method::Basic(_) => "client_secret_basic",
            Method::Post(_) => "client_secret_post",
        }
    }

    /// The value of the `Authorization` header, where the method has one; with id and secret as they are for servers that
    /// do not decode them.
    pub(crate) fn header(&self, client_id: &str, raw: bool) -> Result<Option<HeaderValue>, Usage> {
        let Method::Basic(secret) = &self.0 else { return Ok(None) };
        if raw && client_id.contains(':') {
            return Err(Usage::ClientId);
        }
        let write = |text: &str, pair: &mut Vec<u8>| {
            if raw { pair.extend_from_slice(text.as_bytes()) } else { form::encode(text, pair) }
        };
        let mut pair = Zeroizing::new(Vec::new());
        write(client_id, &mut pair);
        pair.push(b':');
        write(secret.expose(), &mut pair);
        let mut value = Zeroizing::new("Basic ".to_owned());
        STANDARD.encode_string(&*pair, &mut value);
        // Base64 is always a legal header value.
        let mut header = HeaderValue::from_str(&value).map_err(|_| Usage::ClientSecret)?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// The parameters in the body, where the method has some.
    pub(crate) fn write(&self, client_id: &str, form: &mut Form) {
        if !matches!(self.0, Method::Basic(_)) {
            form.pair("client_id", client_id);
        }
        self.write_secret(form);
    }

    /// The same for a body that names the client already.
    pub(crate) fn write_secret(&self, form: &mut Form) {
        if let Method::Post(secret) = &self.0 {
            form.pair("client_secret", secret.expose());
        }
    }
}
