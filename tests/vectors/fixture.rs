//! The fixtures that a `ctx` names: a server, a client at it, what a login asks for, and the tokens that an earlier one
//! left.

use proofkey_core::{Authentication, Client, Server};
use serde_json::{Value, json};

use crate::app::{Fail, NOW};
use crate::know;

const SECRET: &str = "7Fjfp0ZBr1KtDRbnfVdmIw";
pub(crate) const PORT: &str = "51004";

/// What a `ctx` names, and a `config` case changes.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Fixture {
    /// The server's RFC 8414 document.
    pub(crate) server: Value,
    pub(crate) client_id: String,
    pub(crate) secret: Option<String>,
    /// Methods of client authentication, set one after another.
    pub(crate) auth: Vec<String>,
    pub(crate) redirect_uri: Option<String>,
    /// Whether the redirect URI is the login's and not the client's.
    pub(crate) redirect_late: bool,
    pub(crate) scope: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) form_post: bool,
    /// Rich authorization requests (RFC 9396).
    pub(crate) details: Vec<Value>,
    /// The login's parameters are pushed (RFC 9126).
    pub(crate) push: bool,
    /// S256 must be advertised, as MCP wants it.
    pub(crate) strict: bool,
    /// An issuer's trailing slash is forgiven.
    pub(crate) slash: bool,
    /// The login goes by another device (RFC 8628).
    pub(crate) device: bool,
    /// The resource whose metadata is looked for.
    pub(crate) resource: String,
    /// A verifier of the caller's own.
    pub(crate) verifier: Option<String>,
    /// The tokens of an earlier login, as stored.
    pub(crate) tokens: Value,
    /// Scope that a refresh asks to be left with.
    pub(crate) narrowed: Vec<String>,
    /// The request for a protected resource.
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Fixture {
    /// The fixture of this name. A new context is a new arm.
    pub(crate) fn of(ctx: &str) -> Result<Self, String> {
        let mut fixture = Self {
            server: json!({
                "issuer": "https://as.example.com",
                "authorization_endpoint": "https://as.example.com/authorize",
                "token_endpoint": "https://as.example.com/token",
                "pushed_authorization_request_endpoint": "https://as.example.com/par",
                "revocation_endpoint": "https://as.example.com/revoke",
                "introspection_endpoint": "https://as.example.com/introspect",
                "device_authorization_endpoint": "https://as.example.com/device",
                "registration_endpoint": "https://as.example.com/register",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true,
            }),
            client_id: "s6BhdRkqt3".to_owned(),
            secret: None,
            auth: Vec::new(),
            redirect_uri: Some("https://client.example.org/cb".to_owned()),
            redirect_late: false,
            scope: vec!["read".to_owned(), "write".to_owned()],
            resources: Vec::new(),
            params: Vec::new(),
            form_post: false,
            details: Vec::new(),
            push: false,
            strict: false,
            slash: false,
            device: false,
            resource: "https://rs.example.com/mcp".to_owned(),
            verifier: None,
            tokens: json!({
                "v": 1, "access_token": "AT1", "token_type": "Bearer", "issued_at": NOW, "expires_at": NOW + 3600,
                "refresh_token": "RT1", "scope": "read write", "issuer": "https://as.example.com",
                "token_endpoint": "https://as.example.com/token", "client_id": "s6BhdRkqt3",
            }),
            narrowed: Vec::new(),
            method: "GET".to_owned(),
            target: "https://api.example.com/photos?page=1".to_owned(),
            headers: Vec::new(),
            body: String::new(),
        };
        let flag = "authorization_response_iss_parameter_supported";
        match ctx {
            "base" | "public" | "revocation" | "introspection" | "resource" | "refresh_valid" | "refresh_fresh"
            | "refresh_unexpired" | "many_grants" => {}
            "confidential" | "confidential_basic" => fixture.confidential("basic"),
            "confidential_post" => fixture.confidential("post"),
            // Due for renewal, and good for half a minute more.
            "refresh" | "refresh_due" | "refresh_public" => fixture.expires(30),
            "refresh_expired" | "resource_expired" => fixture.expires(-1),
            "refresh_no_expiry" => fixture.never_had("expires_at"),
            "refresh_no_rt" | "refresh_none" | "refresh_no_token" | "refresh_no_refresh_token" | "no_refresh_token" => {
                fixture.expires(-1);
                fixture.never_had("refresh_token");
            }
            "resource_no_rt" | "resource_no_refresh" | "resource_no_refresh_token" => {
                fixture.never_had("refresh_token");
            }
            "refresh_confidential" | "refresh_basic" | "refresh_confidential_basic" => {
                fixture.expires(30);
                fixture.confidential("basic");
            }
            "refresh_post" | "refresh_confidential_post" => {
                fixture.expires(30);
                fixture.confidential("post");
            }
            "refresh_resource" | "refresh_resources" => {
                fixture.expires(30);
                fixture.resources = vec!["https://api.example.com/".to_owned()];
            }
            "no_iss_flag" | "iss_flag_absent" => drop(fixture.server.as_object_mut().map(|server| server.remove(flag))),
            "iss_flag_false" => fixture.server[flag] = Value::Bool(false),
            "iss_flag_string" | "iss_flag_string_true" => fixture.server[flag] = json!("true"),
            "iss_flag_number" => fixture.server[flag] = json!(1),
            "iss_flag_null" => fixture.server[flag] = Value::Null,
            "redirect_with_query" => fixture.redirect_uri = Some("https://client.example.org/cb?tenant=1".to_owned()),
            "loopback" | "loopback_ipv4" | "loopback_v4" | "native" => fixture.loopback("127.0.0.1"),
            "loopback_ipv6" | "loopback_v6" => fixture.loopback("[::1]"),
            "loopback_localhost" | "localhost" => fixture.loopback("localhost"),
            "private_scheme" | "custom_scheme" => fixture.redirect_uri = Some("org.example.client:/cb".to_owned()),
            "form_post" => fixture.form_post = true,
            "no_scope" => fixture.scope.clear(),
            ctx if fixture.is_known_from(ctx) => {}
            _ => return Err(format!("cannot be played: unknown ctx {ctx:?}")),
        }
        Ok(fixture)
    }

    fn confidential(&mut self, method: &str) {
        self.secret = Some(SECRET.to_owned());
        self.auth = vec![method.to_owned()];
    }

    /// The contexts of a server that is looked for, and of logins that say more to it than others; `false` for all others.
    fn is_known_from(&mut self, ctx: &str) -> bool {
        match ctx {
            "discover" | "discover_untrusted" | "discover_oidc" | "discover_public" | "prm" => {}
            "discover_confidential" | "discover_basic" => self.confidential("basic"),
            "discover_trailing_slash" => self.slash = true,
            "discover_strict" | "mcp" | "mcp_public" | "mcp_untrusted" => self.strict = true,
            "mcp_confidential" => {
                self.strict = true;
                self.confidential("basic");
            }
            "par" | "par_public" => self.push = true,
            "par_confidential" | "par_basic" | "par_confidential_basic" => {
                self.push = true;
                self.confidential("basic");
            }
            "par_post" | "par_confidential_post" => {
                self.push = true;
                self.confidential("post");
            }
            "par_required" | "par_require" => self.server["require_pushed_authorization_requests"] = true.into(),
            "par_resource" | "par_resources" => {
                self.push = true;
                self.resources = vec!["https://api.example.com/".to_owned()];
            }
            "device" | "device_public" => self.device = true,
            "device_confidential" | "device_basic" => {
                self.device = true;
                self.confidential("basic");
            }
            "device_post" => {
                self.device = true;
                self.confidential("post");
            }
            "rar" => self.rich(),
            "par_rar" | "rar_par" => {
                self.push = true;
                self.rich();
            }
            _ => return false,
        }
        true
    }

    fn rich(&mut self) {
        self.details = vec![json!({"type": "payment", "amount": "2"}), json!({"type": "account", "actions": ["read"]})];
    }

    /// Whether a login leaves by a push.
    pub(crate) fn pushes(&self) -> bool {
        self.push || self.server["require_pushed_authorization_requests"] == true
    }

    /// A client that learns of a server authenticates as the server says: by `client_secret_basic` where it says nothing
    /// (RFC 8414 section 2), and as a public client where it may.
    pub(crate) fn authenticate_as_listed(&mut self) {
        if self.secret.is_some() || !self.auth.is_empty() {
            return;
        }
        let listed = self.server["token_endpoint_auth_methods_supported"].as_array();
        let lists = |method: &str| listed.is_some_and(|listed| listed.iter().any(|own| own == method));
        if listed.is_none() || lists("client_secret_basic") && !lists("none") {
            self.confidential("basic");
        } else if lists("client_secret_post") && !lists("none") {
            self.confidential("post");
        }
    }

    /// The tokens were good for an hour, of which this is left.
    fn expires(&mut self, left: i64) {
        let at = NOW.saturating_add_signed(left);
        self.tokens["expires_at"] = at.into();
        self.tokens["issued_at"] = (at - 3600).into();
    }

    fn never_had(&mut self, name: &str) {
        if let Some(tokens) = self.tokens.as_object_mut() {
            tokens.remove(name);
        }
    }

    fn loopback(&mut self, host: &str) {
        self.redirect_uri = Some(format!("http://{host}:{PORT}/cb"));
        self.redirect_late = true;
    }

    /// The tokens as stored: of a grant for the resources.
    pub(crate) fn stored(&self) -> String {
        let mut tokens = self.tokens.clone();
        tokens["resource"] = self.resources.clone().into();
        tokens.to_string()
    }

    pub(crate) fn server(&self, name: &str) -> &str {
        self.server[name].as_str().unwrap_or_default()
    }

    /// The methods to set: what the case says, or what its secret asks for.
    pub(crate) fn methods(&self) -> Vec<&str> {
        match (&self.secret, self.auth.as_slice()) {
            (None, []) => vec!["none"],
            (Some(_), []) => vec!["basic"],
            (_, methods) => methods.iter().map(String::as_str).collect(),
        }
    }

    pub(crate) fn client(&self) -> Result<Result<Client, Fail>, String> {
        let server: Server = match serde_json::from_value(self.server.clone()) {
            Ok(server) => server,
            Err(error) => return Ok(Err(Fail::Metadata(error))),
        };
        let mut builder = Client::builder(server, self.client_id.as_str());
        if let (Some(redirect_uri), false) = (&self.redirect_uri, self.redirect_late) {
            builder = builder.redirect_uri(redirect_uri.as_str());
        }
        let secret = self.secret.as_deref().unwrap_or_default();
        for method in self.methods() {
            builder = builder.authentication(match method {
                "none" => Authentication::none(),
                "basic" | "client_secret_basic" => Authentication::basic(secret),
                "post" | "client_secret_post" => Authentication::post(secret),
                _ => return Err(format!("cannot be played: unknown method of authentication {method:?}")),
            });
        }
        Ok(know::strict(builder, self.strict).map_err(Fail::Error))
    }
}
