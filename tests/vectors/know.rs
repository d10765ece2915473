//! Knowing the server: the search for its metadata, or for a resource's and then its server's. Where must be asked, and
//! how, is computed here once more, by cutting text. What is found is stored, read back, and logged in with.

use std::collections::VecDeque;

use http::{Response, StatusCode};
use proofkey_core::{BearerChallenge, Client, Discovery, Error, Quirks, ResourceDiscovery, Server, Step, Violation};
use serde_json::{Value, json};
use url::Url;

use crate::app::{App, BROWSER, Fail, Outcome, printed};
use crate::case::Case;
use crate::wire;

/// A search under way.
pub(crate) struct Search {
    quest: Quest,
    /// Where it must ask from here on.
    places: VecDeque<String>,
    /// Whether what is asked for now is a resource's own document, and where.
    resource_at: Option<String>,
}

enum Quest {
    Server(Discovery),
    Resource(Box<ResourceDiscovery>),
}

impl App {
    /// Begins to look for the server of the fixture's issuer.
    pub(crate) fn seek_server(&mut self) -> Result<(), Fail> {
        let issuer = self.fixture.server("issuer").to_owned();
        let discovery = Discovery::new(issuer.as_str()).quirks(self.quirks());
        let search = Search { quest: Quest::Server(discovery), places: places(&issuer), resource_at: None };
        self.look(search)
    }

    /// Begins to look for the fixture's resource: where its challenge says, or in its own place.
    pub(crate) fn seek_resource(&mut self, challenge: Option<&BearerChallenge>) -> Result<(), Fail> {
        let resource = self.fixture.resource.clone();
        let discovery = match challenge {
            Some(challenge) => ResourceDiscovery::from_challenge(resource.as_str(), challenge),
            None => ResourceDiscovery::new(resource.as_str()),
        };
        let place = challenge.and_then(|challenge| challenge.resource_metadata.clone());
        let place = place.unwrap_or_else(|| well_known(&resource, "oauth-protected-resource"));
        let quest = Quest::Resource(Box::new(discovery.quirks(self.quirks())));
        self.look(Search { quest, places: [place.clone()].into(), resource_at: Some(place) })
    }

    fn quirks(&self) -> Quirks {
        if self.fixture.slash { Quirks::none().issuer_with_trailing_slash() } else { Quirks::none() }
    }

    /// The next request of a search.
    fn look(&mut self, mut search: Search) -> Result<(), Fail> {
        let asked = match &mut search.quest {
            Quest::Server(discovery) => self.ask(discovery),
            Quest::Resource(discovery) => self.ask(discovery),
        };
        let sent = asked.map_err(Fail::Document)?;
        self.faults.extend(wire::document(search.places.pop_front().as_deref(), &sent));
        self.looked.push(sent);
        self.search = Some(search);
        Ok(())
    }

    /// Whether an OpenID document is asked for now.
    pub(crate) fn wants_openid(&self) -> bool {
        self.looked.last().is_some_and(|sent| sent.uri.contains("openid-configuration"))
    }

    /// What a place says to the search.
    pub(crate) fn hear(&mut self, response: Response<Vec<u8>>) -> Outcome {
        let Some(mut search) = self.search.take() else {
            self.faults.push("nothing was looked for".to_owned());
            return Outcome::Emitted;
        };
        self.heard += 1;
        let document: Value = read(response.body());
        let step = match &mut search.quest {
            Quest::Server(discovery) => self.tell(discovery, response),
            Quest::Resource(discovery) => match self.tell(discovery.as_mut(), response) {
                Ok(Step::Done(found)) => {
                    self.printed.extend(printed(&found));
                    if found.resource != self.fixture.resource {
                        self.faults.push("the resource has another name now".to_owned());
                    }
                    let knows = self.scopes_supported.as_array().into_iter().flatten().filter_map(Value::as_str);
                    if !found.scopes_supported.iter().map(String::as_str).eq(knows) {
                        self.faults.push("the resource knows other scopes".to_owned());
                    }
                    self.fixture.resources = vec![found.resource];
                    Ok(Step::Done(found.server))
                }
                Ok(Step::Again { after }) => Ok(Step::Again { after }),
                Err(error) => Err(error),
            },
        };
        match step {
            Ok(Step::Done(server)) => self.know(server, &document),
            Ok(Step::Again { after }) => {
                if !after.is_zero() {
                    self.faults.push("a search waits".to_owned());
                }
                if search.resource_at.take().is_some() {
                    let issuer = document["authorization_servers"][0].as_str().unwrap_or_default();
                    self.fixture.server["issuer"] = issuer.into();
                    search.places = places(issuer);
                    self.scopes_supported = document["scopes_supported"].clone();
                }
                self.look(search).map_or_else(Outcome::Fail, |()| Outcome::Again)
            }
            Err(error) => Outcome::Fail(Fail::Document(error)),
        }
    }

    /// What a place says of which the case says nothing: a document to a search that a challenge began, or that has found
    /// its resource; nothing where another server's document has failed.
    pub(crate) fn hear_more(&mut self) -> Outcome {
        let Some(search) = &self.search else { return Outcome::Emitted };
        let document = match (&search.quest, &search.resource_at) {
            (Quest::Resource(_), Some(place)) => {
                // A document names the resource that its place comes from.
                let resource = if place.contains("/.well-known/oauth-protected-resource") {
                    place.replacen("/.well-known/oauth-protected-resource", "", 1)
                } else {
                    self.fixture.resource.clone()
                };
                json!({"resource": resource, "authorization_servers": [self.fixture.server("issuer")]})
            }
            (Quest::Resource(_), None) => server_at(self.fixture.server("issuer")),
            (Quest::Server(_), _) => return self.hear(status(StatusCode::NOT_FOUND)),
        };
        self.hear(Response::new(document.to_string().into_bytes()))
    }

    /// A server that was found: stored as text, read back, and made the client's.
    fn know(&mut self, server: Server, document: &Value) -> Outcome {
        self.printed.extend(printed(&server));
        let mut faults = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("metadata: {what}"));
            }
        };
        let said = document["issuer"].as_str();
        must(server.issuer.as_deref() == said, "issuer is not the document's own text");
        must(said == Some(self.fixture.server("issuer")) || self.fixture.slash, "it is another issuer");
        let stored = serde_json::to_string(&server).unwrap_or_default();
        let again: Option<Server> = serde_json::from_str(&stored).ok();
        let mut bare = server.clone();
        bare.cache_control = None;
        must(again == Some(bare), "it is not the same once stored");
        let kept: Value = read(stored.as_bytes());
        for (name, value) in document.as_object().into_iter().flatten() {
            let is_said = !(value.is_null() || *value == Value::Bool(false));
            must(!is_said || kept[name] == *value, &format!("{name} is not kept"));
        }
        self.faults.append(&mut faults);
        self.fixture.server = kept;
        self.fixture.authenticate_as_listed();
        self.found = Some(server);
        match self.fixture.client() {
            Ok(Ok(client)) => {
                self.client = client;
                Outcome::Emitted
            }
            Ok(Err(fail)) => Outcome::Fail(fail),
            Err(why) => {
                self.faults.push(why);
                Outcome::Emitted
            }
        }
    }

    /// Another server's answer to a login here is refused.
    pub(crate) fn refuses_another_issuer(&mut self) {
        let Some(issuer) = self.found.as_ref().and_then(|server| server.issuer.clone()) else { return };
        if self.begin(BROWSER).is_err() {
            return;
        }
        for other in ["https%3A%2F%2Fevil.example".to_owned(), format!("{issuer}%2F"), format!("{issuer}.evil.example")]
        {
            let way_back = self.way_back();
            let way_back = format!("{}&iss={other}", way_back.split("&iss=").next().unwrap_or_default());
            match self.returns(BROWSER, &way_back) {
                Err(Fail::Error(Error::Violation(Violation::Issuer))) => {}
                other => self.faults.push(format!("another issuer's answer: {other:?}")),
            }
            if self.begin(BROWSER).is_err() {
                self.faults.push("a login can be begun once only".to_owned());
            }
        }
    }

    /// Whether a login can be begun with this document, from a cache, say, that nothing was asked of.
    pub(crate) fn is_good(&self, document: &[u8]) -> bool {
        let Ok(server) = serde_json::from_slice::<Server>(document) else { return false };
        let mut fixture = self.fixture.clone();
        fixture.server = serde_json::to_value(&server).unwrap_or_default();
        fixture.authenticate_as_listed();
        match fixture.client() {
            Ok(Ok(_)) => App::open(&fixture).is_ok_and(|app| app.is_ok_and(|mut app| app.begin(BROWSER).is_ok())),
            _ => false,
        }
    }

    /// Whether everything that was asked for is of the origin it is about.
    pub(crate) fn stays_home(&self) -> bool {
        let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
        let homes = [origin(&self.fixture.resource), origin(self.fixture.server("issuer"))];
        self.looked.iter().all(|sent| homes.contains(&origin(&sent.uri)))
    }
}

/// The faults of a case that says where to look: what its detail names was asked for, in that order.
pub(crate) fn details(case: &Case, app: Option<&App>) -> Vec<String> {
    let detail = case.expected.detail.as_deref().unwrap_or_default();
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '(' | ')' | '>' | '<');
    let named: Vec<&str> =
        detail.split(ends).filter(|word| word.starts_with("https://") || word.starts_with("http://")).collect();
    let asked: Vec<&str> = app.iter().flat_map(|app| &app.looked).map(|sent| sent.uri.as_str()).collect();
    if case.kind() != "discover_url" || case.expected.verdict != "emit" {
        return Vec::new();
    }
    let mut left = asked.iter();
    let mut wrong = Vec::new();
    for place in &named {
        if !left.any(|asked| asked == place) {
            wrong.push(format!("{place} is not asked in its turn; asked were {asked:?}"));
        }
    }
    // RFC 8414 comes first; OpenID's places follow.
    let is_first = |algorithm: &str| !["oidc", "openid", "oidc_append", "oidc_insert"].contains(&algorithm);
    if case.text("algorithm").is_none_or(is_first) && !named.is_empty() && asked.first() != named.first() {
        wrong.push("it is not asked first".to_owned());
    }
    wrong
}

/// RFC 8414 section 3.1, and OpenID Connect Discovery section 4.1, in the order that MCP gives.
fn places(issuer: &str) -> VecDeque<String> {
    let mut places = VecDeque::from([
        well_known(issuer, "oauth-authorization-server"),
        well_known(issuer, "openid-configuration"),
        format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer)),
    ]);
    if places[1] == places[2] {
        places.pop_back();
    }
    places
}

/// The well-known place of this name, between host and path.
fn well_known(uri: &str, name: &str) -> String {
    let host = uri.find("://").map_or(0, |at| at + 3);
    let path = uri[host..].find(['/', '?']).map_or(uri.len(), |at| host + at);
    let (path, query) =
        uri[path..].split_once('?').map_or((&uri[path..], String::new()), |(path, query)| (path, format!("?{query}")));
    let origin = &uri[..uri.len() - path.len() - query.len()];
    format!("{origin}/.well-known/{name}{}{query}", path.strip_suffix('/').unwrap_or(path))
}

/// A document without faults, of this issuer.
fn server_at(issuer: &str) -> Value {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

pub(crate) fn status(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

fn read(text: &[u8]) -> Value {
    serde_json::from_slice(text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)).unwrap_or_default()
}

/// Whether a document that is refused for what it says, and not for who says it, must be refused from a cache as well.
pub(crate) fn is_about_itself(error: &Error) -> bool {
    matches!(error, Error::Violation(Violation::Metadata(..) | Violation::Missing(_) | Violation::Invalid(_)))
}

/// A client that a document makes; kept here so that what a client is built of is seen in one place.
pub(crate) fn strict(builder: proofkey_core::ClientBuilder, is_strict: bool) -> Result<Client, Error> {
    if is_strict { builder.require_advertised_s256().build() } else { builder.build() }
}
