//! Providers that people look for: where their servers are, what has to be forgiven them, and what to know beforehand.
//!
//! ```text
//! google      https://accounts.google.com                 an issuer: its metadata says the rest
//! keycloak    https://{domain}/realms/{realm}             an issuer with holes to fill
//! spotify     https://accounts.spotify.com/authorize ..   endpoints, for want of metadata
//! ```
//!
//! All of it is data, and none of it is needed: a [`Server`] of one's own does as well. Facts were looked up on the date
//! in [`looked_up`](Provider::looked_up), in documentation, published metadata, source code and what users report; what
//! could not be confirmed there says "unconfirmed". Providers change: a preset is a start and no promise.
//!
//! Refused: a hole that is left open, and a value that is more than a host or a single path segment.

use crate::error::{Error, Usage};
use crate::quirks::Quirks;
use crate::server::Server;
use crate::uri;

/// A provider, as it was when it was looked up.
///
/// ```
/// use proofkey_core::Provider;
///
/// let keycloak = Provider::named("keycloak").expect("it is in the table");
/// let issuer = keycloak.issuer(&[("domain", "login.example.com"), ("realm", "staff")])?;
/// assert_eq!(issuer.as_deref(), Some("https://login.example.com/realms/staff"));
/// # Ok::<(), proofkey_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Provider {
    /// What [`named`](Self::named) finds it by: lower case, `google`.
    pub name: &'static str,
    /// What to show to people.
    pub title: &'static str,
    /// Where its server is.
    pub place: Place,
    /// What has to be forgiven; each switch is explained by a note.
    pub quirks: Quirks,
    /// How clients may authenticate, by their metadata names; what suits most applications comes first.
    pub authentication: &'static [&'static str],
    /// Whether S256 challenges are known to be checked. Elsewhere one is sent all the same, and may protect nothing.
    pub s256: bool,
    /// What a developer should know before the first login.
    pub notes: &'static [&'static str],
    /// The provider's own documentation.
    pub documentation: &'static str,
    /// When it was looked up, as a date.
    pub looked_up: &'static str,
}

/// Where a provider's server is. `{domain}` and the like are holes: each installation, tenant or region has its own.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Place {
    /// It has metadata, which [`Discovery`](crate::Discovery) finds by this issuer.
    Issuer(&'static str),
    /// It has none, or none that serves logins.
    Endpoints(Endpoints),
}

/// The endpoints of a provider without metadata.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Endpoints {
    /// Where the browser goes.
    pub authorization: &'static str,
    /// Where codes become tokens.
    pub token: &'static str,
    /// Where tokens are given back, as RFC 7009 has it. Ways of a provider's own are left out.
    pub revocation: Option<&'static str>,
    /// Where a token's state is asked for, as RFC 7662 has it.
    pub introspection: Option<&'static str>,
    /// Where devices begin, as RFC 8628 has it.
    pub device: Option<&'static str>,
    /// The name it gives itself in `iss`.
    pub issuer: Option<&'static str>,
}

impl Endpoints {
    const NONE: Self =
        Self { authorization: "", token: "", revocation: None, introspection: None, device: None, issuer: None };
}

impl Provider {
    /// Every provider, in no order that means anything.
    pub const fn all() -> &'static [Self] {
        PROVIDERS
    }

    /// The provider of this name, upper or lower case.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name.eq_ignore_ascii_case(name))
    }

    /// The holes to fill, each once: `domain` is a host, perhaps with a port; any other is a word in a path or a host.
    pub fn holes(&self) -> impl Iterator<Item = &'static str> {
        let mut holes = Vec::new();
        for text in self.texts() {
            for hole in text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
                if !holes.contains(&hole) {
                    holes.push(hole);
                }
            }
        }
        holes.into_iter()
    }

    /// The issuer to [discover](crate::Discovery), its holes filled by name; `None` where there is nothing to discover,
    /// and [`server`](Self::server) knows the endpoints. Pairs for holes that it does not have are ignored.
    ///
    /// [`Usage::Endpoint`](crate::Usage) with the hole's name if one is left open or filled with more than it can hold.
    pub fn issuer(&self, fill: &[(&str, &str)]) -> Result<Option<String>, Error> {
        match self.place {
            Place::Issuer(template) => Ok(Some(filled("issuer", template, fill)?)),
            Place::Endpoints(_) => Ok(None),
        }
    }

    /// The server, where it is known by its endpoints; `None` where they are to be [discovered](Self::issuer).
    ///
    /// [`Usage::Endpoint`](crate::Usage) as for [`issuer`](Self::issuer).
    pub fn server(&self, fill: &[(&str, &str)]) -> Result<Option<Server>, Error> {
        let Place::Endpoints(endpoints) = self.place else { return Ok(None) };
        let required = |member, template| filled(member, template, fill);
        let optional =
            |member, template: Option<_>| template.map(|template| filled(member, template, fill)).transpose();
        let mut server = Server::new(
            required("authorization_endpoint", endpoints.authorization)?,
            required("token_endpoint", endpoints.token)?,
        );
        server.revocation_endpoint = optional("revocation_endpoint", endpoints.revocation)?;
        server.introspection_endpoint = optional("introspection_endpoint", endpoints.introspection)?;
        server.issuer = optional("issuer", endpoints.issuer)?;
        server.device_authorization_endpoint = optional("device_authorization_endpoint", endpoints.device)?;
        let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        server.token_endpoint_auth_methods_supported = texts(self.authentication);
        if self.s256 {
            server.code_challenge_methods_supported = texts(&["S256"]);
        }
        Ok(Some(server))
    }

    /// Every text with holes.
    fn texts(&self) -> Vec<&'static str> {
        match &self.place {
            Place::Issuer(issuer) => vec![issuer],
            Place::Endpoints(Endpoints { authorization, token, revocation, introspection, device, issuer }) => {
                let optional = [revocation, introspection, device, issuer];
                [*authorization, *token].into_iter().chain(optional.into_iter().copied().flatten()).collect()
            }
        }
    }
}

/// The template with its holes filled. What comes of it is vetted as a whole too.
fn filled(member: &'static str, template: &'static str, fill: &[(&str, &str)]) -> Result<String, Usage> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, open)) = rest.split_once('{') {
        let (hole, after) = open.split_once('}').unwrap_or((open, ""));
        let value = fill.iter().find(|(name, _)| *name == hole).map(|(_, value)| *value);
        let value = value.ok_or(Usage::Endpoint(hole, "must be filled in for this provider"))?;
        vet(hole, value).map_err(|why| Usage::Endpoint(hole, why))?;
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    uri::secure(&text).map_err(|why| Usage::Endpoint(member, why))?;
    Ok(text)
}

/// Whether a value can fill this hole and stays inside it.
fn vet(hole: &str, value: &str) -> Result<(), &'static str> {
    if hole == "domain" {
        return if is_domain(value) {
            Ok(())
        } else {
            Err("must be a domain such as login.example.com, perhaps with a port")
        };
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    // Dots alone would climb out of the path.
    if value.bytes().all(fits) && value.bytes().any(|byte| byte != b'.') {
        Ok(())
    } else {
        Err("must be letters, digits and - . _ ~ only")
    }
}

/// A host name with at least two labels, or `localhost`; a port may follow.
fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse().is_ok_and(|port: u16| port > 0);
    host.len() <= 253
        && (host.contains('.') || host == "localhost")
        && host.split('.').all(is_label)
        && port.is_none_or(is_port)
}

const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";
const NONE: &str = "none";
const LOOKED_UP: &str = "2026-11-22";

const PROVIDERS: &[Provider] = &[
    Provider {
        name: "google",
        title: "Google",
        place: Place::Issuer("https://accounts.google.com"),
        quirks: Quirks::none().authentication_unlisted().verification_url(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "a refresh token comes only with access_type=offline, a second one with prompt=consent (unconfirmed)",
            "desktop clients have a secret that must be sent, though it is none; iOS and Android clients have none",
            "the metadata does not list `none`, which those clients need",
            "devices get `verification_url` for `verification_uri`, and few scopes; their client type is a TV",
        ],
        documentation: "https://developers.google.com/identity/openid-connect/reference",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "github",
        title: "GitHub",
        place: Place::Endpoints(Endpoints {
            authorization: "https://github.com/login/oauth/authorize",
            token: "https://github.com/login/oauth/access_token",
            device: Some("https://github.com/login/device/code"),
            issuer: Some("https://github.com/login/oauth"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none().scope_separated_by_commas(),
        authentication: &[POST, NONE],
        s256: true,
        notes: &[
            "the granted scope is separated by commas, the requested one by spaces",
            "a login needs the secret even with PKCE; `none` is for the device flow, to be enabled in the settings",
            "tokens of OAuth Apps do not expire and cannot be renewed; those of GitHub Apps can, and have no scope",
            "tokens are revoked by GitHub's own API, not as RFC 7009 has it",
            "metadata exists under the issuer, as a preview meant for MCP clients",
        ],
        documentation: "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "microsoft",
        title: "Microsoft Entra, any tenant",
        place: Place::Issuer("https://login.microsoftonline.com/{audience}/v2.0"),
        quirks: Quirks::none().issuer_template().authentication_unlisted(),
        authentication: &[POST, NONE],
        s256: true,
        notes: &[
            "audience is common (all accounts) or organizations (work and school accounts)",
            "the metadata's issuer has a placeholder for the tenant; who may log in is for the application to check",
            "for personal accounts alone take microsoft-tenant with tenant 9188040d-6c67-4c5b-b112-36a304b66dad",
            "a refresh token comes only with the scope offline_access (unconfirmed)",
            "the metadata does not list `none`, which public clients need",
        ],
        documentation: "https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "microsoft-tenant",
        title: "Microsoft Entra, one tenant",
        place: Place::Issuer("https://login.microsoftonline.com/{tenant}/v2.0"),
        quirks: Quirks::none().authentication_unlisted(),
        authentication: &[POST, NONE],
        s256: true,
        notes: &[
            "tenant is a GUID: asked for by a domain, the metadata names another issuer (unconfirmed)",
            "a refresh token comes only with the scope offline_access (unconfirmed)",
            "the metadata does not list `none`, which public clients need",
        ],
        documentation: "https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "gitlab",
        title: "GitLab",
        place: Place::Issuer("https://gitlab.com"),
        quirks: Quirks::none().authentication_unlisted(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "each refresh ends both the access token and the refresh token before it",
            "the metadata does not list `none`, which public clients with PKCE need",
            "devices begin at https://gitlab.com/oauth/authorize_device",
        ],
        documentation: "https://docs.gitlab.com/api/oauth2/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "gitlab-self-managed",
        title: "GitLab, self-managed",
        place: Place::Issuer("https://{domain}"),
        quirks: Quirks::none().authentication_unlisted(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "each refresh ends both the access token and the refresh token before it",
            "the metadata does not list `none`, which public clients with PKCE need",
        ],
        documentation: "https://docs.gitlab.com/api/oauth2/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "slack",
        title: "Sign in with Slack",
        place: Place::Issuer("https://slack.com"),
        quirks: Quirks::none(),
        authentication: &[POST, BASIC],
        s256: false,
        notes: &[
            "this is for who somebody is (openid, profile, email); slack-app is for what an app may do",
            "PKCE is a setting of the app that cannot be undone, and makes it a public client",
        ],
        documentation: "https://docs.slack.dev/authentication/sign-in-with-slack",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "slack-app",
        title: "Slack app",
        place: Place::Endpoints(Endpoints {
            authorization: "https://slack.com/oauth/v2/authorize",
            token: "https://slack.com/api/oauth.v2.access",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none().scope_separated_by_commas(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &[
            "not yet: Slack calls the token's type bot or user, and such answers are refused",
            "the granted scope is separated by commas",
            "scope asks for the bot, user_scope for the person; the person's token comes inside authed_user",
            "PKCE is a setting of the app that cannot be undone; desktop redirects then have no bot scopes",
            "refresh tokens come with token rotation, and last 30 days where PKCE is on",
        ],
        documentation: "https://docs.slack.dev/authentication/installing-with-oauth",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "discord",
        title: "Discord",
        place: Place::Issuer("https://discord.com"),
        quirks: Quirks::none(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &[
            "a client without a secret needs the switch Public Client in the developer portal",
            "that the challenge of a client with a secret is checked is in the metadata only",
        ],
        documentation: "https://discord.com/developers/docs/topics/oauth2",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "auth0",
        title: "Auth0",
        place: Place::Issuer("https://{domain}/"),
        quirks: Quirks::none().authentication_unlisted(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "the issuer ends with a slash",
            "the parameter audience names the API to be called; without it tokens are for user info (unconfirmed)",
            "a refresh token comes only with the scope offline_access",
            "the metadata does not list `none`, which native applications need (unconfirmed)",
        ],
        documentation: "https://auth0.com/docs/get-started/applications/configure-applications-with-oidc-discovery",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "okta",
        title: "Okta, org authorization server",
        place: Place::Issuer("https://{domain}"),
        quirks: Quirks::none(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &[
            "its access tokens are for Okta itself; for an API of one's own take okta-custom",
            "a refresh token comes only with the scope offline_access",
        ],
        documentation: "https://developer.okta.com/docs/concepts/auth-servers/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "okta-custom",
        title: "Okta, custom authorization server",
        place: Place::Issuer("https://{domain}/oauth2/{server}"),
        quirks: Quirks::none(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &[
            "server is default for the one that comes with the org, else its id",
            "a refresh token comes only with the scope offline_access",
        ],
        documentation: "https://developer.okta.com/docs/concepts/auth-servers/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "keycloak",
        title: "Keycloak",
        place: Place::Issuer("https://{domain}/realms/{realm}"),
        quirks: Quirks::none().authentication_unlisted(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &[
            "where Keycloak lives under a path (/auth, before version 17), its issuer has that path before /realms",
            "the challenge is checked where one is sent, and a client's settings can insist on one (unconfirmed)",
            "refresh_expires_in=0 means that the refresh token does not expire (unconfirmed)",
            "the metadata does not list `none`, which public clients need",
        ],
        documentation: "https://www.keycloak.org/securing-apps/oidc-layers",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "cognito",
        title: "Amazon Cognito, by user pool",
        place: Place::Issuer("https://cognito-idp.{region}.amazonaws.com/{pool}"),
        quirks: Quirks::none().authentication_unlisted(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &[
            "the user pool must have a domain: without one there is no login page",
            "a refresh token always comes; asking for the scope offline_access is an error",
            "the metadata does not list `none`, which app clients without a secret need",
        ],
        documentation: "https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "cognito-domain",
        title: "Amazon Cognito, by domain",
        place: Place::Endpoints(Endpoints {
            authorization: "https://{domain}/oauth2/authorize",
            token: "https://{domain}/oauth2/token",
            revocation: Some("https://{domain}/oauth2/revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &["domain is the user pool's own, such as example.auth.eu-west-1.amazoncognito.com"],
        documentation: "https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "twitch",
        title: "Twitch",
        place: Place::Endpoints(Endpoints {
            authorization: "https://id.twitch.tv/oauth2/authorize",
            token: "https://id.twitch.tv/oauth2/token",
            revocation: Some("https://id.twitch.tv/oauth2/revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: false,
        notes: &[
            "PKCE is not documented; a client without a secret has the device flow instead",
            "requests to the API also need the header Client-Id (unconfirmed)",
        ],
        documentation: "https://dev.twitch.tv/docs/authentication/getting-tokens-oauth/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "linkedin",
        title: "LinkedIn",
        place: Place::Issuer("https://www.linkedin.com/oauth"),
        quirks: Quirks::none().token_type_missing(),
        authentication: &[POST],
        s256: false,
        notes: &[
            "the token answer has no token_type",
            "PKCE is for native apps only: LinkedIn enables it on request, at an authorization endpoint of its own",
            "tokens last 60 days; refresh tokens are for partners",
        ],
        documentation: "https://learn.microsoft.com/en-us/linkedin/shared/authentication/authorization-code-flow",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "spotify",
        title: "Spotify",
        place: Place::Endpoints(Endpoints {
            authorization: "https://accounts.spotify.com/authorize",
            token: "https://accounts.spotify.com/api/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[NONE, BASIC],
        s256: true,
        notes: &[
            "PKCE is documented for clients without a secret; their refresh tokens work once",
            "loopback redirects are to 127.0.0.1 or [::1], not to localhost (unconfirmed)",
        ],
        documentation: "https://developer.spotify.com/documentation/web-api/tutorials/code-pkce-flow",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "apple",
        title: "Sign in with Apple",
        place: Place::Endpoints(Endpoints {
            authorization: "https://appleid.apple.com/auth/authorize",
            token: "https://appleid.apple.com/auth/token",
            revocation: Some("https://appleid.apple.com/auth/revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: false,
        notes: &[
            "the client secret is a JWT, signed with a key from Apple, for six months at most (unconfirmed)",
            "asking for name or email needs response_mode=form_post",
            "the person's name comes once, beside the code of the first login",
            "PKCE is not documented",
        ],
        documentation: "https://developer.apple.com/documentation/signinwithapplerestapi",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "facebook",
        title: "Facebook",
        place: Place::Endpoints(Endpoints {
            authorization: "https://www.facebook.com/{version}/dialog/oauth",
            token: "https://graph.facebook.com/{version}/oauth/access_token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: false,
        notes: &[
            "version is that of the Graph API: v25.0 when this was looked up",
            "there are no refresh tokens; Facebook's own grant fb_exchange_token makes a token last 60 days",
            "PKCE is documented for logins with the scope openid, as a test",
            "a refusal is an object under `error` (unconfirmed), so it is reported as a violation",
        ],
        documentation: "https://developers.facebook.com/documentation/facebook-login/guides/advanced/manual-flow",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "dropbox",
        title: "Dropbox",
        place: Place::Endpoints(Endpoints {
            authorization: "https://www.dropbox.com/oauth2/authorize",
            token: "https://api.dropboxapi.com/oauth2/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[NONE, POST, BASIC],
        s256: true,
        notes: &[
            "a refresh token comes only with token_access_type=offline",
            "tokens are revoked by Dropbox's own API, not as RFC 7009 has it",
        ],
        documentation: "https://developers.dropbox.com/oauth-guide",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "bluesky",
        title: "Bluesky and other atproto servers",
        place: Place::Issuer("https://{domain}"),
        quirks: Quirks::none(),
        authentication: &[NONE],
        s256: true,
        notes: &[
            "not yet: every login must be pushed and every token bound by DPoP, which Proofkey does not have",
            "domain is the authorization server of the person's own host, bsky.social for most; its metadata names it",
            "the client id is the https address of the client's metadata, and the scope atproto is always asked for",
        ],
        documentation: "https://atproto.com/specs/auth",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "x",
        title: "X (Twitter)",
        place: Place::Endpoints(Endpoints {
            authorization: "https://x.com/i/oauth2/authorize",
            token: "https://api.x.com/2/oauth2/token",
            revocation: Some("https://api.x.com/2/oauth2/revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[NONE, BASIC],
        s256: true,
        notes: &[
            "a refresh token comes only with the scope offline.access; an access token lasts two hours",
            "clients with a secret send it by Basic",
        ],
        documentation: "https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "bitbucket",
        title: "Bitbucket Cloud",
        place: Place::Endpoints(Endpoints {
            authorization: "https://bitbucket.org/site/oauth2/authorize",
            token: "https://bitbucket.org/site/oauth2/access_token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[BASIC],
        s256: false,
        notes: &[
            "what a token may do is set on the consumer, not asked for at login",
            "PKCE is not documented",
            "an access token lasts two hours and comes with a refresh token",
        ],
        documentation: "https://developer.atlassian.com/cloud/bitbucket/oauth-2",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "atlassian",
        title: "Atlassian (Jira, Confluence)",
        place: Place::Endpoints(Endpoints {
            authorization: "https://auth.atlassian.com/authorize",
            token: "https://auth.atlassian.com/oauth/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: false,
        notes: &[
            "a login needs audience=api.atlassian.com, and prompt=consent (unconfirmed)",
            "a refresh token comes only with the scope offline_access, and works once",
            "PKCE is not documented",
        ],
        documentation: "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "reddit",
        title: "Reddit",
        place: Place::Endpoints(Endpoints {
            authorization: "https://www.reddit.com/api/v1/authorize",
            token: "https://www.reddit.com/api/v1/access_token",
            revocation: Some("https://www.reddit.com/api/v1/revoke_token"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[BASIC],
        s256: false,
        notes: &[
            "a refresh token comes only with duration=permanent; an access token lasts an hour",
            "installed apps send Basic with an empty password (unconfirmed), which Proofkey does not do",
            "every request needs a User-Agent of the application's own (unconfirmed)",
            "PKCE is not documented",
        ],
        documentation: "https://github.com/reddit-archive/reddit/wiki/OAuth2",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "notion",
        title: "Notion",
        place: Place::Endpoints(Endpoints {
            authorization: "https://api.notion.com/v1/oauth/authorize",
            token: "https://api.notion.com/v1/oauth/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[BASIC],
        s256: false,
        notes: &[
            "a login needs owner=user; what a token may do is set on the connection, not asked for (unconfirmed)",
            "the documentation sends JSON to the token endpoint; that a form does as well is from other clients",
            "PKCE is not documented",
        ],
        documentation: "https://developers.notion.com/guides/get-started/authorization",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "zoom",
        title: "Zoom",
        place: Place::Endpoints(Endpoints {
            authorization: "https://zoom.us/oauth/authorize",
            token: "https://zoom.us/oauth/token",
            revocation: Some("https://zoom.us/oauth/revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[BASIC, NONE],
        s256: true,
        notes: &["a refresh token works once: keep the new one that each refresh brings"],
        documentation: "https://developers.zoom.us/docs/integrations/oauth/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "salesforce",
        title: "Salesforce",
        place: Place::Issuer("https://login.salesforce.com"),
        quirks: Quirks::none(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "the answer has no expires_in: the org decides how long a token lasts (unconfirmed)",
            "the API of this org is at instance_url, among the answer's extra members (unconfirmed)",
            "a refresh token comes only with the scope refresh_token",
        ],
        documentation: "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_endpoints.htm&type=5",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "salesforce-domain",
        title: "Salesforce, My Domain",
        place: Place::Issuer("https://{domain}"),
        quirks: Quirks::none(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "domain is the org's login address, such as example.my.salesforce.com, or that of a sandbox",
            "the answer has no expires_in: the org decides how long a token lasts (unconfirmed)",
        ],
        documentation: "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_endpoints.htm&type=5",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "strava",
        title: "Strava",
        place: Place::Endpoints(Endpoints {
            authorization: "https://www.strava.com/oauth/authorize",
            token: "https://www.strava.com/api/v3/oauth/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none().scope_separated_by_commas(),
        authentication: &[POST],
        s256: false,
        notes: &[
            "scope is separated by commas, also in the request: ask for \"read,activity:read\" as one token",
            "people may grant less than was asked for; the callback's scope parameter says what",
            "PKCE is not documented",
        ],
        documentation: "https://developers.strava.com/docs/authentication/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "yahoo",
        title: "Yahoo",
        place: Place::Endpoints(Endpoints {
            authorization: "https://api.login.yahoo.com/oauth2/request_auth",
            token: "https://api.login.yahoo.com/oauth2/get_token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[BASIC, POST],
        s256: false,
        notes: &["PKCE is not documented"],
        documentation: "https://developer.yahoo.com/oauth2/guide/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "line",
        title: "LINE",
        place: Place::Endpoints(Endpoints {
            authorization: "https://access.line.me/oauth2/v2.1/authorize",
            token: "https://api.line.me/oauth2/v2.1/token",
            revocation: Some("https://api.line.me/oauth2/v2.1/revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: true,
        notes: &["the channel secret is needed with PKCE too (unconfirmed)"],
        documentation: "https://developers.line.biz/en/docs/line-login/integrate-pkce/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "kakao",
        title: "Kakao",
        place: Place::Endpoints(Endpoints {
            authorization: "https://kauth.kakao.com/oauth/authorize",
            token: "https://kauth.kakao.com/oauth/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST, NONE],
        s256: false,
        notes: &[
            "the client id is the app's REST API key; the secret is a setting of the app",
            "PKCE is not documented",
        ],
        documentation: "https://developers.kakao.com/docs/latest/en/kakaologin/rest-api",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "huggingface",
        title: "Hugging Face",
        place: Place::Issuer("https://huggingface.co"),
        quirks: Quirks::none(),
        authentication: &[BASIC, POST, NONE],
        s256: true,
        notes: &["an app without a secret is made a public one in its settings (unconfirmed)"],
        documentation: "https://huggingface.co/docs/hub/oauth",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "box",
        title: "Box",
        place: Place::Endpoints(Endpoints {
            authorization: "https://account.box.com/api/oauth2/authorize",
            token: "https://api.box.com/oauth2/token",
            revocation: Some("https://api.box.com/oauth2/revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: false,
        notes: &["PKCE is not documented", "a refresh token works once, and for 60 days (unconfirmed)"],
        documentation: "https://developer.box.com/reference/post-oauth2-token",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "asana",
        title: "Asana",
        place: Place::Endpoints(Endpoints {
            authorization: "https://app.asana.com/-/oauth_authorize",
            token: "https://app.asana.com/-/oauth_token",
            revocation: Some("https://app.asana.com/-/oauth_revoke"),
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: true,
        notes: &["an access token lasts an hour and comes with a refresh token (unconfirmed)"],
        documentation: "https://developers.asana.com/docs/oauth",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "linear",
        title: "Linear",
        place: Place::Endpoints(Endpoints {
            authorization: "https://linear.app/oauth/authorize",
            token: "https://api.linear.app/oauth/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: false,
        notes: &[
            "the documentation asks for scope with commas; other clients ask with spaces",
            "PKCE is supported (unconfirmed)",
            "with actor=app the application acts as itself instead of as the person",
        ],
        documentation: "https://linear.app/developers/oauth-2-0-authentication",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "digitalocean",
        title: "DigitalOcean",
        place: Place::Endpoints(Endpoints {
            authorization: "https://cloud.digitalocean.com/v1/oauth/authorize",
            token: "https://cloud.digitalocean.com/v1/oauth/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST, NONE],
        s256: true,
        notes: &["PKCE is documented for clients without a secret, which come by dynamic registration"],
        documentation: "https://docs.digitalocean.com/reference/api/oauth/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "heroku",
        title: "Heroku",
        place: Place::Endpoints(Endpoints {
            authorization: "https://id.heroku.com/oauth/authorize",
            token: "https://id.heroku.com/oauth/token",
            ..Endpoints::NONE
        }),
        quirks: Quirks::none(),
        authentication: &[POST],
        s256: false,
        notes: &["PKCE is not documented"],
        documentation: "https://devcenter.heroku.com/articles/oauth",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "mastodon",
        title: "Mastodon",
        place: Place::Issuer("https://{domain}/"),
        quirks: Quirks::none(),
        authentication: &[POST, BASIC],
        s256: true,
        notes: &[
            "the issuer ends with a slash",
            "an app is registered at each server by itself, by POST /api/v1/apps",
            "tokens do not expire and there are no refresh tokens",
            "metadata and PKCE came with version 4.3 (unconfirmed)",
        ],
        documentation: "https://docs.joinmastodon.org/spec/oauth/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "gitea",
        title: "Gitea",
        place: Place::Issuer("https://{domain}"),
        quirks: Quirks::none().issuer_with_trailing_slash(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &["before version 1.25 the issuer ends with a slash, since then it does not"],
        documentation: "https://docs.gitea.com/development/oauth2-provider",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "forgejo",
        title: "Forgejo",
        place: Place::Issuer("https://{domain}"),
        quirks: Quirks::none().issuer_with_trailing_slash(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "the issuer ends with a slash, as Gitea's did when Forgejo left it (unconfirmed)",
            "a token can do all that the person can: scope is not implemented",
        ],
        documentation: "https://forgejo.org/docs/latest/user/oauth2-provider/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "codeberg",
        title: "Codeberg",
        place: Place::Issuer("https://codeberg.org"),
        quirks: Quirks::none().issuer_with_trailing_slash(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &["it runs Forgejo: the issuer ends with a slash (unconfirmed)"],
        documentation: "https://forgejo.org/docs/latest/user/oauth2-provider/",
        looked_up: LOOKED_UP,
    },
    Provider {
        name: "authentik",
        title: "authentik",
        place: Place::Issuer("https://{domain}/application/o/{application}/"),
        quirks: Quirks::none().basic_not_encoded().authentication_unlisted(),
        authentication: &[POST, BASIC, NONE],
        s256: true,
        notes: &[
            "the issuer ends with a slash; application is the slug",
            "Basic credentials are not decoded (issue 20739), so id and secret go as they are",
            "a refresh token comes only with the scope offline_access, which the provider must also be set to allow",
            "the metadata does not list `none`, which public clients need",
        ],
        documentation: "https://docs.goauthentik.io/add-secure-apps/providers/oauth2/create-oauth2-provider",
        looked_up: LOOKED_UP,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Something for every hole in the table.
    const SAMPLES: &[(&str, &str)] = &[
        ("domain", "login.example.com"),
        ("audience", "common"),
        ("tenant", "9188040d-6c67-4c5b-b112-36a304b66dad"),
        ("server", "default"),
        ("realm", "staff"),
        ("region", "eu-west-1"),
        ("pool", "eu-west-1_AbCdEf123"),
        ("version", "v25.0"),
        ("application", "my-app"),
    ];

    fn why(result: Result<Option<String>, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn names_are_unique_and_lower_case() {
        let names: BTreeSet<_> = Provider::all().iter().map(|provider| provider.name).collect();
        assert_eq!(names.len(), Provider::all().len());
        for name in names {
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
            assert_eq!(Provider::named(&name.to_ascii_uppercase()).unwrap().name, name);
        }
        assert!(Provider::named("nobody").is_none());
    }

    #[test]
    fn every_place_is_secure_once_filled() {
        for provider in Provider::all() {
            for text in provider.texts() {
                uri::secure(&filled("issuer", text, SAMPLES).unwrap()).unwrap();
            }
            // One way or the other, never both.
            let issuer = provider.issuer(SAMPLES).unwrap();
            let server = provider.server(SAMPLES).unwrap();
            assert!(issuer.is_some() != server.is_some(), "{}", provider.name);
            if let Some(server) = server {
                server.vet(false).unwrap();
            }
        }
    }

    /// What follows a hole that is a whole host must not make the host longer.
    #[test]
    fn a_domain_fills_the_whole_host() {
        for text in Provider::all().iter().flat_map(Provider::texts) {
            if let Some((before, after)) = text.split_once("{domain}") {
                assert_eq!(before, "https://", "{text}");
                assert!(after.is_empty() || after.starts_with('/'), "{text}");
            }
        }
    }

    #[test]
    fn every_documentation_address_is_https() {
        for provider in Provider::all() {
            assert_eq!(uri::web(provider.documentation).unwrap().scheme(), "https", "{}", provider.name);
        }
    }

    #[test]
    fn rows_are_whole() {
        for provider in Provider::all() {
            let name = provider.name;
            assert!(!provider.title.is_empty() && provider.looked_up.len() == "2026-11-22".len(), "{name}");
            assert!(!provider.authentication.is_empty(), "{name}");
            assert!(provider.authentication.iter().all(|method| [BASIC, POST, NONE].contains(method)), "{name}");
            assert!(provider.notes.iter().all(|note| !note.is_empty() && !note.ends_with('.')), "{name}");
        }
    }

    #[test]
    fn every_quirk_has_a_note() {
        for provider in Provider::all() {
            let Quirks {
                token_type_missing,
                token_response_form_encoded,
                success_of_any_kind,
                iss_missing_on_errors,
                basic_not_encoded,
                scope_separated_by_commas,
                issuer_with_trailing_slash,
                issuer_template,
                authentication_unlisted,
                verification_url,
            } = provider.quirks;
            let explained = [
                (token_type_missing, "no token_type"),
                (token_response_form_encoded, "as a form"),
                (success_of_any_kind, "status"),
                (iss_missing_on_errors, "iss"),
                (basic_not_encoded, "not decoded"),
                (scope_separated_by_commas, "separated by commas"),
                (issuer_with_trailing_slash, "ends with a slash"),
                (issuer_template, "placeholder"),
                (authentication_unlisted, "does not list"),
                (verification_url, "verification_url"),
            ];
            for (on, words) in explained {
                let told = provider.notes.iter().any(|note| note.contains(words));
                assert!(!on || told, "{}: no note says {words:?}", provider.name);
            }
        }
    }

    #[test]
    fn holes_are_told_once() {
        let holes = |name| Provider::named(name).unwrap().holes().collect::<Vec<_>>();
        assert!(holes("google").is_empty());
        assert_eq!(holes("keycloak"), ["domain", "realm"]);
        assert_eq!(holes("cognito-domain"), ["domain"]);
        assert_eq!(holes("facebook"), ["version"]);
        // No sample is left over, and none is missing.
        let all: BTreeSet<_> = Provider::all().iter().flat_map(Provider::holes).collect();
        assert_eq!(all, SAMPLES.iter().map(|(hole, _)| *hole).collect());
    }

    #[test]
    fn a_value_stays_in_its_hole() {
        let keycloak = Provider::named("keycloak").unwrap();
        let issuer = |domain, realm| keycloak.issuer(&[("domain", domain), ("realm", realm)]);
        assert_eq!(
            issuer("sso.example.com:8443", "a_b~c.d").unwrap().unwrap(),
            "https://sso.example.com:8443/realms/a_b~c.d"
        );
        assert_eq!(issuer("localhost", "x").unwrap().unwrap(), "https://localhost/realms/x");
        assert_eq!(why(keycloak.issuer(&[("realm", "x")])), "domain must be filled in for this provider");
        for domain in [
            "",
            "example",
            "https://example.com",
            "example.com/",
            "user@example.com",
            "example.com?",
            "example.com#",
            "example.com:",
            "example.com:0",
            "example.com:+80",
            "example.com:65536",
            "example..com",
            ".example.com",
            "example.com.",
            "-a.example.com",
            "a b.example.com",
            "example.com\\",
            "bücher.example",
            "[::1]",
            "ex%61mple.com",
        ] {
            let expected = "domain must be a domain such as login.example.com, perhaps with a port";
            assert_eq!(why(issuer(domain, "x")), expected, "{domain}");
        }
        for realm in ["", ".", "..", "a/b", "a@b", "a?b", "a#b", "a b", "a%2fb", "a\\b", "a:b", "a\n", "ä", "{x}"] {
            assert_eq!(why(issuer("example.com", realm)), "realm must be letters, digits and - . _ ~ only", "{realm}");
        }
        // It looks like a domain, and a parser would read a number.
        assert_eq!(why(issuer("127.1", "x")), "issuer must write its host in the usual form");
    }

    #[test]
    fn a_server_knows_what_the_table_knows() {
        let github = Provider::named("GitHub").unwrap().server(&[]).unwrap().unwrap();
        assert_eq!(github.token_endpoint, "https://github.com/login/oauth/access_token");
        assert_eq!(github.issuer.as_deref(), Some("https://github.com/login/oauth"));
        assert_eq!(github.device_authorization_endpoint.as_deref(), Some("https://github.com/login/device/code"));
        assert_eq!(github.token_endpoint_auth_methods_supported.unwrap(), ["client_secret_post", "none"]);
        assert_eq!(github.code_challenge_methods_supported.unwrap(), ["S256"]);
        let reddit = Provider::named("reddit").unwrap().server(&[]).unwrap().unwrap();
        assert_eq!(reddit.code_challenge_methods_supported, None);
    }

    #[test]
    fn tokens_can_be_given_back_to_these() {
        let revoke = |provider: &&Provider| {
            provider.server(SAMPLES).unwrap().is_some_and(|server| server.revocation_endpoint.is_some())
        };
        let names: Vec<_> = Provider::all().iter().filter(revoke).map(|provider| provider.name).collect();
        assert_eq!(names, ["cognito-domain", "twitch", "apple", "x", "reddit", "zoom", "line", "box", "asana"]);
    }
}
