//! What some servers do against the RFCs, and a client may forgive by name. All off; presets turn on what their provider
//! needs.
//!
//! What has no bearing on security is accepted always and is no quirk. What an attacker could use is refused always and
//! cannot be one.

/// Deviations to forgive at one server. Each is named for what the server does.
///
/// ```
/// use proofkey_core::Quirks;
///
/// let quirks = Quirks::none().token_type_missing().scope_separated_by_commas();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Quirks {
    pub(crate) token_type_missing: bool,
    pub(crate) token_response_form_encoded: bool,
    pub(crate) success_of_any_kind: bool,
    pub(crate) iss_missing_on_errors: bool,
    pub(crate) basic_not_encoded: bool,
    pub(crate) scope_separated_by_commas: bool,
    pub(crate) issuer_with_trailing_slash: bool,
    pub(crate) issuer_template: bool,
    pub(crate) authentication_unlisted: bool,
    pub(crate) verification_url: bool,
}

impl Quirks {
    /// The RFCs as they are.
    pub const fn none() -> Self {
        Self {
            token_type_missing: false,
            token_response_form_encoded: false,
            success_of_any_kind: false,
            iss_missing_on_errors: false,
            basic_not_encoded: false,
            scope_separated_by_commas: false,
            issuer_with_trailing_slash: false,
            issuer_template: false,
            authentication_unlisted: false,
            verification_url: false,
        }
    }

    /// The token answer has no `token_type`; the token is a bearer token (against RFC 6749 section 5.1).
    #[must_use]
    pub const fn token_type_missing(mut self) -> Self {
        self.token_type_missing = true;
        self
    }

    /// The token answer is a form instead of JSON (against RFC 6749 section 5.1), as GitHub's and Facebook's once were, and
    /// GitHub's still is for who does not ask for JSON.
    #[must_use]
    pub const fn token_response_form_encoded(mut self) -> Self {
        self.token_response_form_encoded = true;
        self
    }

    /// Success has another 2xx status than the one it should have (against RFC 6749 section 5.1, RFC 9126 section 2.2):
    /// some servers answer a pushed request with 200.
    #[must_use]
    pub const fn success_of_any_kind(mut self) -> Self {
        self.success_of_any_kind = true;
        self
    }

    /// `iss` is promised, and missing where the response is an error (against RFC 9207 section 2). No code can come of
    /// such a response; a login can be ended by it. Servers that leave it out of `access_denied` have been seen.
    #[must_use]
    pub const fn iss_missing_on_errors(mut self) -> Self {
        self.iss_missing_on_errors = true;
        self
    }

    /// HTTP Basic credentials are taken as they are, not decoded (against RFC 6749 section 2.3.1). An id with a colon
    /// cannot be sent then.
    #[must_use]
    pub const fn basic_not_encoded(mut self) -> Self {
        self.basic_not_encoded = true;
        self
    }

    /// The granted scope is separated by commas (against RFC 6749 section 3.3).
    #[must_use]
    pub const fn scope_separated_by_commas(mut self) -> Self {
        self.scope_separated_by_commas = true;
        self
    }

    /// The metadata's issuer differs from the one asked for by a slash at its end (against RFC 8414 section 3.3). The
    /// metadata's own text then counts.
    #[must_use]
    pub const fn issuer_with_trailing_slash(mut self) -> Self {
        self.issuer_with_trailing_slash = true;
        self
    }

    /// The metadata's issuer has a placeholder in braces for a tenant (against RFC 8414 section 3.3). Responses name the
    /// tenant, so `iss` cannot be compared with the text that was asked for and is not.
    #[must_use]
    pub const fn issuer_template(mut self) -> Self {
        self.issuer_template = true;
        self
    }

    /// The metadata does not list the method of authentication that the client was registered with. Public clients are
    /// often meant without being listed.
    #[must_use]
    pub const fn authentication_unlisted(mut self) -> Self {
        self.authentication_unlisted = true;
        self
    }

    /// The device authorization answer has `verification_url` for `verification_uri` (against RFC 8628 section 3.2), as
    /// Google's has.
    #[must_use]
    pub const fn verification_url(mut self) -> Self {
        self.verification_url = true;
        self
    }
}
