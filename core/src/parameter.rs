//! Parameters by name: the protocol's own, and whatever a provider understands beyond it (RFC 6749 section 8.2).

use std::fmt;

use crate::error::Usage;
use crate::form::Form;

/// Parameters the caller adds to a request. Mistakes show when it is [written](Self::write).
#[derive(Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// RFC 6749 section 3.1: "Parameters sent without a value MUST be treated as if they were omitted".
    pub(crate) fn add(&mut self, name: String, value: String) {
        if !value.is_empty() {
            self.0.push((name, value));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes them behind the library's own; those may not be among them, and none may stand twice or without a name.
    pub(crate) fn write(&self, form: &mut Form) -> Result<(), Usage> {
        for (index, (name, value)) in self.0.iter().enumerate() {
            // RFC 6749 section 8.2: "param-name = 1*name-char". Which characters, providers see otherwise.
            if name.is_empty() {
                return Err(Usage::UnnamedParameter);
            }
            if is_owned(name) {
                return Err(Usage::OwnedParameter(name.clone()));
            }
            if self.0.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(Usage::RepeatedParameter(name.clone()));
            }
            form.foreign_pair(name, value);
        }
        Ok(())
    }
}

/// Names only: a value may be anything.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Whether all characters are `VSCHAR = %x20-7E` (RFC 6749 appendix A).
pub(crate) fn is_printable(text: &str) -> bool {
    // Without an early exit it is compiled to wide instructions: tokens are long.
    let (least, most) = text.bytes().fold((b' ', b'~'), |(least, most), byte| (least.min(byte), most.max(byte)));
    least == b' ' && most == b'~'
}

/// Whether the library sets this parameter itself, in this request or another, or could be made to betray the login by it.
pub(crate) fn is_owned(name: &str) -> bool {
    OWNED.contains(&name)
}

/// Whether an authorization response could have this parameter.
pub(crate) fn is_response(name: &str) -> bool {
    RESPONSE.contains(&name) || FOREIGN.contains(&name)
}

/// The parameters of an authorization response (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).
pub(crate) const RESPONSE: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// Those of responses that are never asked for: tokens belong to the token endpoint (RFC 9700 section 2.1.2), and
/// `response` to JARM.
pub(crate) const FOREIGN: [&str; 4] = ["access_token", "id_token", "refresh_token", "response"];

const OWNED: [&str; 26] = [
    // the authorization request
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "authorization_details",
    "request",
    "request_uri",
    // the token request
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "device_code",
    // revocation and introspection
    "token",
    "token_type_hint",
    // credentials that belong in no request of this kind
    "access_token",
    "id_token",
    "username",
    "password",
];
