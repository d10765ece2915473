//! RFC 6749, The OAuth 2.0 Authorization Framework: the sentences that bind a client, each with the test that holds the
//! library to it.
#![allow(clippy::doc_markdown)] // the sentences stand as the RFC prints them

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proofkey_core::{
    Authentication, Callback, CallbackError, Client, Error, Exchange, Pending, Remedy, Server, TokenType, UnixTime,
    Usage, Violation,
};

mod support;

use support::{
    CODE, NOW, Octets, REDIRECT_URI, STATE, answered, client, grant, outcome, pairs, request, response, server, stored,
    token_request, values,
};

const BASIC: fn(&str) -> Authentication = |secret| Authentication::basic(secret);
const POST: fn(&str) -> Authentication = |secret| Authentication::post(secret);

fn confidential(client_id: &str, authentication: Authentication) -> Client {
    let builder = Client::builder(server(), client_id).redirect_uri(REDIRECT_URI);
    builder.authentication(authentication).build().expect("a client")
}

/// The query that a login of [`client`]'s sends the browser with.
fn query(client: &Client) -> String {
    let (url, _) = client.authorize().scope(["photos"]).redirect(NOW, &mut Octets::appendix_b()).expect("a URL");
    url.query().expect("a query").to_owned()
}

fn pending() -> Pending {
    client().authorize().redirect(NOW, &mut Octets::appendix_b()).expect("a URL").1
}

const TOKENS: &str = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600}"#;

/// Section 2.3: "The client MUST NOT use more than one authentication method in each request."
#[test]
fn s2_3_one_authentication_method() {
    for (authentication, in_header, in_body) in
        [(Authentication::none(), 0, 0), (BASIC("secret"), 1, 0), (POST("secret"), 0, 1)]
    {
        let request = token_request(&confidential("s6BhdRkqt3", authentication));
        assert_eq!(request.headers().get_all("authorization").iter().count(), in_header);
        assert_eq!(values(request.body(), "client_secret").len(), in_body);
    }
}

/// Section 2.3.1: "The client identifier is encoded using the "application/x-www-form-urlencoded" encoding algorithm per
/// Appendix B, and the encoded value is used as the username; the client password is encoded using the same algorithm and
/// used as the password."
#[test]
fn s2_3_1_id_and_password_are_encoded_before_base64() {
    for (id, password) in
        [("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"), ("id:with/colon", "p@ss:w%rd+ /~*"), ("a b", "&=?#")]
    {
        let request = token_request(&confidential(id, BASIC(password)));
        let header = request.headers()["authorization"].to_str().unwrap();
        let pair = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
        let (user, word) = str::from_utf8(&pair).unwrap().split_once(':').unwrap();
        // Read by a form decoder, as the sentence says.
        assert_eq!(pairs(format!("{user}={word}").as_bytes()), [(id.to_owned(), password.to_owned())]);
        // And where a server knows percent-encoding only, no plus sign misleads it.
        assert!(!user.contains('+') && !word.contains('+'), "{user}:{word}");
    }
}

/// Section 2.3.1: "The parameters can only be transmitted in the request-body and MUST NOT be included in the request
/// URI."
#[test]
fn s2_3_1_credentials_stay_out_of_uris() {
    let client = confidential("s6BhdRkqt3", POST("7Fjfp0ZBr1KtDRbnfVdmIw"));
    assert!(!query(&client).contains("secret") && !query(&client).contains("7Fjfp0ZBr1KtDRbnfVdmIw"));
    let request = token_request(&client);
    assert_eq!(request.uri(), "https://as.example.com/token");
    assert_eq!(values(request.body(), "client_id"), ["s6BhdRkqt3"]);
    assert_eq!(values(request.body(), "client_secret"), ["7Fjfp0ZBr1KtDRbnfVdmIw"]);
}

/// Section 3.1: "The endpoint URI MAY include an "application/x-www-form-urlencoded" formatted (per Appendix B) query
/// component ([RFC3986] Section 3.4), which MUST be retained when adding additional query parameters."
#[test]
fn s3_1_the_query_of_the_authorization_endpoint_is_retained() {
    for (endpoint, begins) in [
        ("https://as.example.com/authorize?tenant=a%20b&v=2", "tenant=a%20b&v=2&response_type=code&"),
        ("https://as.example.com/authorize?tenant=1&", "tenant=1&response_type=code&"),
        ("https://as.example.com/authorize?", "response_type=code&"),
        ("https://as.example.com?a", "a&response_type=code&"),
    ] {
        let server = Server::new(endpoint, "https://as.example.com/token");
        let client = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().unwrap();
        assert!(query(&client).starts_with(begins), "{endpoint}: {}", query(&client));
    }
}

/// Section 3.1: "The endpoint URI MUST NOT include a fragment component."
#[test]
fn s3_1_the_authorization_endpoint_has_no_fragment() {
    for endpoint in ["https://as.example.com/authorize#x", "https://as.example.com/authorize#"] {
        let refused = Client::builder(Server::new(endpoint, "https://as.example.com/token"), "id").build();
        assert_eq!(refused.unwrap_err().to_string(), "authorization_endpoint must not have a fragment");
    }
}

/// Section 3.1: "Parameters sent without a value MUST be treated as if they were omitted from the request."
#[test]
fn s3_1_a_parameter_without_a_value_is_as_good_as_none() {
    let (url, _) = client().authorize().param("prompt", "").redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(pairs(url.query().unwrap().as_bytes()).iter().all(|(name, value)| name != "prompt" && !value.is_empty()));
    for query in ["code=", "code", "error=", "code=&error="] {
        let read = Callback::parse(&format!("{query}&state={STATE}"));
        assert!(matches!(read, Err(Error::Callback(CallbackError::Missing))), "{query}");
    }
    let code = Callback::parse(&format!("code={CODE}&error=&iss=&state={STATE}")).unwrap();
    assert!(pending().accept(code).is_ok());
}

/// Section 3.1: "Request and response parameters MUST NOT be included more than once."
#[test]
fn s3_1_each_parameter_is_there_once() {
    let sent = pairs(query(&client()).as_bytes());
    let mut names: Vec<_> = sent.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), sent.len());

    let twice = client().authorize().param("prompt", "login").param("prompt", "none");
    let refused = twice.redirect(NOW, &mut Octets::appendix_b());
    assert!(matches!(refused, Err(Error::Usage(Usage::RepeatedParameter(name))) if name == "prompt"));

    let taken = Server::new("https://as.example.com/authorize?state=x", "https://as.example.com/token");
    let refused = Client::builder(taken, "s6BhdRkqt3").build();
    assert!(matches!(refused, Err(Error::Usage(Usage::Endpoint("authorization_endpoint", _)))));

    for name in ["code", "state", "iss"] {
        let read = Callback::parse(&format!("code={CODE}&state={STATE}&iss=a&{name}=b"));
        assert!(matches!(read, Err(Error::Callback(CallbackError::Repeated(found))) if found == name), "{name}");
    }
    let encoded = Callback::parse(&format!("code={CODE}&c%6Fde=b&state={STATE}"));
    assert!(matches!(encoded, Err(Error::Callback(CallbackError::Repeated("code")))));
}

/// Section 3.1.2: "The redirection endpoint URI MUST be an absolute URI as defined by [RFC3986] Section 4.3."
#[test]
fn s3_1_2_the_redirect_uri_is_absolute() {
    for relative in ["", "/cb", "client.example.com/cb", "//client.example.com/cb", "?a"] {
        let refused = Client::builder(server(), "id").redirect_uri(relative).build();
        assert_eq!(refused.unwrap_err().to_string(), "redirect_uri must be an absolute URI", "{relative:?}");
    }
}

/// Section 3.1.2: "The endpoint URI MAY include an "application/x-www-form-urlencoded" formatted (per Appendix B) query
/// component ([RFC3986] Section 3.4), which MUST be retained when adding additional query parameters."
#[test]
fn s3_1_2_the_query_of_the_redirect_uri_is_retained() {
    let own = "https://client.example.com/cb?provider=a%2Fb";
    let client = Client::builder(server(), "s6BhdRkqt3").redirect_uri(own).build().unwrap();
    assert_eq!(values(query(&client), "redirect_uri"), [own]);
    let (_, pending) = client.authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    let callback = Callback::parse(&format!("{own}&code={CODE}&state={STATE}")).unwrap();
    assert!(pending.accept(callback).is_ok());
}

/// Section 3.1.2: "The endpoint URI MUST NOT include a fragment component."
#[test]
fn s3_1_2_the_redirect_uri_has_no_fragment() {
    let refused = Client::builder(server(), "id").redirect_uri("https://client.example.com/cb#x").build();
    assert_eq!(refused.unwrap_err().to_string(), "redirect_uri must not have a fragment");
}

/// Section 3.2: "The endpoint URI MAY include an "application/x-www-form-urlencoded" formatted (per Appendix B) query
/// component ([RFC3986] Section 3.4), which MUST be retained when adding additional query parameters."
#[test]
fn s3_2_the_query_of_the_token_endpoint_is_retained() {
    let endpoint = "https://as.example.com/token?tenant=a%20b&v=2";
    let server = Server::new("https://as.example.com/authorize", endpoint);
    let client = Client::builder(server, "s6BhdRkqt3").redirect_uri(REDIRECT_URI).build().unwrap();
    assert_eq!(token_request(&client).uri(), endpoint);
}

/// Section 3.2: "The endpoint URI MUST NOT include a fragment component."
#[test]
fn s3_2_the_token_endpoint_has_no_fragment() {
    let server = Server::new("https://as.example.com/authorize", "https://as.example.com/token#");
    assert_eq!(
        Client::builder(server, "id").build().unwrap_err().to_string(),
        "token_endpoint must not have a fragment"
    );
}

/// Section 3.2: "The client MUST use the HTTP "POST" method when making access token requests."
#[test]
fn s3_2_token_requests_are_posted() {
    for authentication in [Authentication::none(), BASIC("secret"), POST("secret")] {
        let request = token_request(&confidential("s6BhdRkqt3", authentication));
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    }
}

/// Section 3.2: "Request and response parameters MUST NOT be included more than once."
#[test]
fn s3_2_each_member_of_the_answer_is_there_once() {
    for name in ["access_token", "token_type", "expires_in", "refresh_token", "scope", "error"] {
        let body = format!(r#"{{"{name}":"1","access_token":"a","token_type":"Bearer","{name}":"1"}}"#);
        let refused = answered(&client(), 200, &[], body);
        assert!(matches!(refused, Err(Error::Violation(Violation::Duplicate(found))) if found == name), "{name}");
    }
    let sent = pairs(token_request(&client()).body().as_ref());
    let names: std::collections::BTreeSet<_> = sent.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), sent.len());
}

/// Section 3.2.1: "Confidential clients or other clients issued client credentials MUST authenticate with the
/// authorization server as described in Section 2.3 when making requests to the token endpoint."
#[test]
fn s3_2_1_a_client_with_a_secret_authenticates() {
    let request = token_request(&confidential("s6BhdRkqt3", BASIC("7Fjfp0ZBr1KtDRbnfVdmIw")));
    // The example of section 2.3.1.
    let example = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3";
    assert_eq!(request.headers()["authorization"], example);
}

/// Section 3.2.1: "In the "authorization_code" "grant_type" request to the token endpoint, an unauthenticated client MUST
/// send its "client_id" to prevent itself from inadvertently accepting a code intended for a client with a different
/// "client_id"."
#[test]
fn s3_2_1_a_public_client_names_itself() {
    assert_eq!(values(token_request(&client()).body(), "client_id"), ["s6BhdRkqt3"]);
}

/// Section 3.3: "The value of the scope parameter is expressed as a list of space-delimited, case-sensitive strings."
#[test]
fn s3_3_scope_is_a_list() {
    let login = client().authorize().scope(["photos", "Photos"]).scope(["https://api.example.com/videos", "photos"]);
    let (url, _) = login.redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert_eq!(values(url.query().unwrap(), "scope"), ["photos Photos https://api.example.com/videos"]);
    let tokens = answered(&client(), 200, &[], TOKENS.replace('}', r#","scope":"Photos videos"}"#)).unwrap();
    let granted = tokens.scope().unwrap();
    assert!(granted.contains("Photos") && granted.contains("videos") && !granted.contains("photos"));
    assert_eq!(granted.to_string(), "Photos videos");
}

/// Section 3.3: "scope-token = 1*( %x21 / %x23-5B / %x5D-7E )".
#[test]
fn s3_3_the_grammar_of_a_scope_token() {
    for byte in 0..=127_u8 {
        let token = format!("a{}", char::from(byte));
        let left = client().authorize().scope([&token]).redirect(NOW, &mut Octets::appendix_b());
        let fits = matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        assert_eq!(left.is_ok(), fits, "{token:?}");
    }
    for token in ["", "é"] {
        let refused = client().authorize().scope([token]).redirect(NOW, &mut Octets::appendix_b());
        assert!(matches!(refused, Err(Error::Usage(Usage::Scope))), "{token:?}");
    }
}

/// Section 3.3: "If the client omits the scope parameter when requesting authorization": it is omitted, not sent empty.
#[test]
fn s3_3_no_scope_is_no_parameter() {
    let (url, _) = client().authorize().redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(values(url.query().unwrap(), "scope").is_empty());
}

/// Section 4.1.1: "response_type REQUIRED. Value MUST be set to "code"."
#[test]
fn s4_1_1_the_response_type_is_code() {
    assert_eq!(values(query(&client()), "response_type"), ["code"]);
}

/// Section 4.1.1: "client_id REQUIRED. The client identifier as described in Section 2.2."
#[test]
fn s4_1_1_the_client_is_named() {
    for (id, authentication) in [("s6BhdRkqt3", Authentication::none()), ("id /+:&", BASIC("secret"))] {
        assert_eq!(values(query(&confidential(id, authentication)), "client_id"), [id]);
    }
}

/// Section 4.1.1: "state RECOMMENDED. An opaque value used by the client to maintain state between the request and
/// callback."
#[test]
fn s4_1_1_the_state_is_opaque() {
    let octets: Vec<u8> = (0..64).collect();
    let (url, pending) = client().authorize().scope(["photos"]).redirect(NOW, &mut Octets::new(octets)).unwrap();
    let state = values(url.query().unwrap(), "state").remove(0);
    assert_eq!(pending.state(), state);
    let expected: Vec<u8> = (32..64).collect();
    assert_eq!(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&state).unwrap(), expected);
}

/// Section 4.1.2: "The client MUST NOT use the authorization code more than once."
#[test]
fn s4_1_2_a_code_is_sent_once() {
    let client = client();
    for (status, body) in [(200, TOKENS), (400, "{}"), (401, "{}"), (429, ""), (500, ""), (503, "")] {
        let mut exchange = client.exchange(grant(&client));
        let _request = exchange.next_request(NOW, &mut Octets::appendix_b()).unwrap();
        let _outcome = exchange.handle_response(response(status, &[], body));
        let again = exchange.next_request(NOW, &mut Octets::appendix_b());
        assert!(matches!(again, Err(Error::Usage(Usage::OutOfTurn))), "{status}");
    }
}

/// Section 4.1.2: "state REQUIRED if the "state" parameter was present in the client authorization request. The exact
/// value received from the client."
#[test]
fn s4_1_2_the_state_comes_back_exactly() {
    let lower = STATE.to_lowercase();
    for wrong in ["", "x", &STATE[1..], &format!("{STATE}A"), &lower, &format!("{STATE}%00"), &format!("+{STATE}")] {
        let refused = pending().accept(Callback::parse(&format!("code={CODE}&state={wrong}")).unwrap());
        assert!(matches!(refused, Err(Error::Callback(CallbackError::State))), "{wrong:?}");
    }
    let missing = pending().accept(Callback::parse(&format!("code={CODE}")).unwrap());
    assert!(matches!(missing, Err(Error::Callback(CallbackError::State))));
    assert!(pending().accept(Callback::parse(&format!("code={CODE}&state=%41{}", &STATE[1..])).unwrap()).is_ok());
}

/// Section 4.1.2: "The client MUST ignore unrecognized response parameters."
#[test]
fn s4_1_2_unknown_parameters_are_ignored() {
    let query = format!("code={CODE}&session_state=a%2F%2B%3D&state={STATE}&scope=a&scope=b&%C3%BC=1&authuser=0");
    assert!(pending().accept(Callback::parse(&query).unwrap()).is_ok());
}

/// Section 4.1.2: "The client should avoid making assumptions about code value sizes."
#[test]
fn s4_1_2_a_code_may_have_any_size() {
    let client = client();
    for code in ["a".to_owned(), "4/0Ab+c=.~ :".repeat(400), "x".repeat(30_000)] {
        let sent: String = url::form_urlencoded::byte_serialize(code.as_bytes()).collect();
        let grant = pending().accept(Callback::parse(&format!("code={sent}&state={STATE}")).unwrap()).unwrap();
        let request = client.exchange(grant).next_request(NOW, &mut Octets::appendix_b()).unwrap();
        assert_eq!(values(request.body(), "code"), [code]);
    }
}

/// Section 4.1.2.1: "If the resource owner denies the access request .. the authorization server informs the client by
/// adding the following parameters to the query component of the redirection URI": error, error_description, error_uri.
#[test]
fn s4_1_2_1_a_denial_is_told() {
    let query = "error=access_denied&error_description=No+way&error_uri=https%3A%2F%2Fas.example.com%2Fe&state=";
    let refused = pending().accept(Callback::parse(&format!("{query}{STATE}")).unwrap());
    let Err(Error::Server(error)) = refused else { panic!("{refused:?}") };
    assert_eq!((error.code.as_str(), error.description.as_deref()), ("access_denied", Some("No way")));
    assert_eq!((error.uri.as_deref(), error.status), (Some("https://as.example.com/e"), None));
    assert_eq!(error.remedy(), Remedy::LogInAgain);
}

/// Section 4.1.2.1: "Values for the "error" parameter MUST NOT include characters outside the set %x20-21 / %x23-5B /
/// %x5D-7E."
#[test]
fn s4_1_2_1_an_error_has_these_characters_only() {
    for byte in 0..=127_u8 {
        let read = Callback::parse(&format!("error=a%{byte:02X}&state={STATE}"));
        let fits = matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        match read {
            Ok(_) => assert!(fits, "{byte:#x}"),
            Err(error) => {
                assert!(matches!(error, Error::Callback(CallbackError::Invalid("error"))) && !fits, "{byte:#x}");
            }
        }
    }
}

/// Section 4.1.3: "grant_type REQUIRED. Value MUST be set to "authorization_code"."
#[test]
fn s4_1_3_the_grant_type() {
    assert_eq!(values(token_request(&client()).body(), "grant_type"), ["authorization_code"]);
}

/// Section 4.1.3: "code REQUIRED. The authorization code received from the authorization server."
#[test]
fn s4_1_3_the_code() {
    assert_eq!(values(token_request(&client()).body(), "code"), [CODE]);
}

/// Section 4.1.3: "redirect_uri REQUIRED, if the "redirect_uri" parameter was included in the authorization request as
/// described in Section 4.1.1, and their values MUST be identical."
#[test]
fn s4_1_3_the_redirect_uris_are_identical() {
    for text in [
        "http://127.0.0.1:8080",
        "http://localhost:1/a/../b",
        "HTTPS://Client.Example.com:443/cb",
        "https://client.example.com/%7euser?a=b+c%20d&e",
        "com.example.app:/oauth2redirect/example-provider",
    ] {
        let client = Client::builder(server(), "s6BhdRkqt3").redirect_uri(text).build().unwrap();
        assert_eq!(values(query(&client), "redirect_uri"), [text]);
        assert_eq!(values(token_request(&client).body(), "redirect_uri"), [text]);
    }
}

/// Section 4.4: "The client credentials grant type MUST only be used by confidential clients."
#[test]
fn s4_4_client_credentials_are_for_confidential_clients() {
    let refused = client().credentials().next_request(NOW, &mut Octets::appendix_b());
    assert!(matches!(refused, Err(Error::Usage(Usage::PublicClient))));
}

/// Section 4.4.2: "grant_type REQUIRED. Value MUST be set to "client_credentials"."
#[test]
fn s4_4_2_the_grant_type() {
    let client = confidential("s6BhdRkqt3", BASIC("7Fjfp0ZBr1KtDRbnfVdmIw"));
    let sent = request(client.credentials());
    assert_eq!(pairs(sent.body().as_ref()), [("grant_type".to_owned(), "client_credentials".to_owned())]);
    assert_eq!((sent.method(), sent.uri().to_string().as_str()), (&http::Method::POST, "https://as.example.com/token"));
}

/// Section 4.4.2: "scope OPTIONAL. The scope of the access request as described by Section 3.3."
#[test]
fn s4_4_2_the_scope() {
    let client = confidential("s6BhdRkqt3", BASIC("secret"));
    let sent = request(client.credentials().scope(["photos", "videos"]).scope(["photos"]));
    assert_eq!(values(sent.body(), "scope"), ["photos videos"]);
    let tokens = outcome(client.credentials().scope(["photos"]), 200, &[], TOKENS).unwrap();
    assert_eq!(tokens.scope().unwrap().as_str(), "photos");
    assert!(outcome(client.credentials(), 200, &[], TOKENS).unwrap().scope().is_none());
}

/// Section 4.4.2: "The client MUST authenticate with the authorization server as described in Section 3.2.1."
#[test]
fn s4_4_2_the_client_authenticates() {
    let sent = request(confidential("s6BhdRkqt3", BASIC("7Fjfp0ZBr1KtDRbnfVdmIw")).credentials());
    assert_eq!(sent.headers()["authorization"], "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
    let sent = request(confidential("s6BhdRkqt3", POST("7Fjfp0ZBr1KtDRbnfVdmIw")).credentials());
    assert_eq!(values(sent.body(), "client_id"), ["s6BhdRkqt3"]);
    assert_eq!(values(sent.body(), "client_secret"), ["7Fjfp0ZBr1KtDRbnfVdmIw"]);
    assert!(!sent.headers().contains_key("authorization"));
}

/// Section 4.4.3: "A refresh token SHOULD NOT be included." Where one is, it works.
#[test]
fn s4_4_3_there_need_not_be_a_refresh_token() {
    let client = confidential("s6BhdRkqt3", BASIC("secret"));
    assert!(outcome(client.credentials(), 200, &[], TOKENS).unwrap().refresh_token().is_none());
    let body = TOKENS.replace('}', r#","refresh_token":"r"}"#);
    let tokens = outcome(client.credentials(), 200, &[], body).unwrap();
    assert_eq!(values(request(client.refresh(&tokens).unwrap()).body(), "refresh_token"), ["r"]);
}

/// Section 5.1: "constructs the response by adding the following parameters to the entity-body of the HTTP response with a
/// 200 (OK) status code".
#[test]
fn s5_1_success_is_a_200() {
    assert!(answered(&client(), 200, &[], TOKENS).is_ok());
    for status in [201, 202, 203, 206, 226] {
        let refused = answered(&client(), status, &[], TOKENS);
        assert!(matches!(refused, Err(Error::Violation(Violation::Status(_)))), "{status}");
    }
}

/// Section 5.1: "access_token REQUIRED. The access token issued by the authorization server."
#[test]
fn s5_1_there_is_an_access_token() {
    let tokens = answered(&client(), 200, &[], TOKENS).unwrap();
    assert_eq!(tokens.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
    let refused = answered(&client(), 200, &[], r#"{"token_type":"Bearer"}"#);
    assert!(matches!(refused, Err(Error::Violation(Violation::Missing("access_token")))));
}

/// Section 5.1: "token_type REQUIRED. The type of the token issued as described in Section 7.1. Value is case insensitive."
#[test]
fn s5_1_the_token_type_is_case_insensitive() {
    for spelled in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let tokens = answered(&client(), 200, &[], TOKENS.replace("Bearer", spelled)).unwrap();
        assert_eq!((tokens.token_type(), tokens.token_type().to_string().as_str()), (TokenType::Bearer, "Bearer"));
    }
    let refused = answered(&client(), 200, &[], r#"{"access_token":"a"}"#);
    assert!(matches!(refused, Err(Error::Violation(Violation::Missing("token_type")))));
}

/// Section 5.1: "expires_in RECOMMENDED. The lifetime in seconds of the access token. For example, the value "3600" denotes
/// that the access token will expire in one hour from the time the response was generated." (It is counted from when the
/// request was made, which is earlier.)
#[test]
fn s5_1_the_lifetime_is_in_seconds() {
    let tokens = answered(&client(), 200, &[], TOKENS).unwrap();
    assert_eq!(tokens.expires_at(), Some(UnixTime::from_secs(1_767_225_600 + 3600)));
    let unsaid = answered(&client(), 200, &[], r#"{"access_token":"a","token_type":"Bearer"}"#).unwrap();
    assert_eq!(unsaid.expires_at(), None);
}

/// Section 5.1: "refresh_token OPTIONAL."
#[test]
fn s5_1_a_refresh_token_may_come_along() {
    assert!(answered(&client(), 200, &[], TOKENS).unwrap().refresh_token().is_none());
    let tokens = answered(&client(), 200, &[], TOKENS.replace('}', r#","refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"}"#));
    assert_eq!(tokens.unwrap().refresh_token().unwrap().expose(), "tGzv3JOkF0XG5Qx2TlKWIA");
}

/// Section 5.1: "scope OPTIONAL, if identical to the scope requested by the client; otherwise, REQUIRED."
#[test]
fn s5_1_no_scope_is_the_scope_that_was_requested() {
    let as_requested = answered(&client(), 200, &[], TOKENS).unwrap();
    assert_eq!(as_requested.scope().unwrap().as_str(), "photos");
    let less = answered(&client(), 200, &[], TOKENS.replace('}', r#","scope":""}"#)).unwrap();
    assert!(less.scope().unwrap().is_empty());
}

/// Section 5.1: "The order of parameters does not matter and can vary."
#[test]
fn s5_1_the_order_does_not_matter() {
    let body = r#"{"expires_in":3600,"x":1,"token_type":"Bearer","scope":"photos","access_token":"a"}"#;
    assert_eq!(answered(&client(), 200, &[], body).unwrap().access_token().expose(), "a");
}

/// Section 5.1: "The client MUST ignore unrecognized value names in the response."
#[test]
fn s5_1_unknown_members_do_no_harm() {
    let body = TOKENS.replace('}', r#","example_parameter":"example_value","Access_Token":["x"],"":null}"#);
    let tokens = answered(&client(), 200, &[], body).unwrap();
    assert_eq!(tokens.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(tokens.extra().get::<String>("example_parameter").as_deref(), Some("example_value"));
}

/// Section 5.1: "The client should avoid making assumptions about value sizes."
#[test]
fn s5_1_a_token_may_have_any_size() {
    let long = "t".repeat(100_000);
    let tokens = answered(&client(), 200, &[], TOKENS.replace("2YotnFZFEjr1zCsicMWpAA", &long)).unwrap();
    assert_eq!(tokens.access_token().expose(), long);
}

/// Section 5.2: "The authorization server responds with an HTTP 400 (Bad Request) status code (unless specified otherwise)
/// and includes the following parameters with the response": each code, and what an application can do about it.
#[test]
fn s5_2_the_errors() {
    for (code, remedy) in [
        ("invalid_request", Remedy::FixConfiguration),
        ("invalid_client", Remedy::FixConfiguration),
        ("invalid_grant", Remedy::LogInAgain),
        ("unauthorized_client", Remedy::FixConfiguration),
        ("unsupported_grant_type", Remedy::FixConfiguration),
        ("invalid_scope", Remedy::FixConfiguration),
        ("vendor:new thing!", Remedy::Report),
    ] {
        for status in [400, 401, 403] {
            let error = answered(&client(), status, &[], format!(r#"{{"error":"{code}"}}"#)).unwrap_err();
            assert_eq!(error.remedy(), remedy, "{code}");
            let Error::Server(error) = error else { panic!("{error:?}") };
            assert_eq!((error.code.as_str(), error.status.unwrap().as_u16()), (code, status));
        }
    }
}

/// Section 5.2: "Values for the "error" parameter MUST NOT include characters outside the set %x20-21 / %x23-5B / %x5D-7E."
#[test]
fn s5_2_an_error_has_these_characters_only() {
    for code in [r"a\u0000", r"a\n", r#"a\""#, r"a\\", r"\u00e9", r"\u007f"] {
        let refused = answered(&client(), 400, &[], format!(r#"{{"error":"{code}"}}"#));
        assert!(matches!(refused, Err(Error::Violation(Violation::Invalid("error")))), "{code}");
    }
}

/// Section 6: "grant_type REQUIRED. Value MUST be set to "refresh_token"." and "refresh_token REQUIRED. The refresh token
/// issued to the client."
#[test]
fn s6_the_request() {
    let sent = request(client().refresh(&stored(r#","refresh_token":"a/b+c ~d""#)).unwrap());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let public =
        [pair("grant_type", "refresh_token"), pair("refresh_token", "a/b+c ~d"), pair("client_id", "s6BhdRkqt3")];
    assert_eq!(pairs(sent.body().as_ref()), public);
    assert_eq!((sent.method(), sent.uri().to_string().as_str()), (&http::Method::POST, "https://as.example.com/token"));
}

/// Section 6: "The requested scope MUST NOT include any scope not originally granted by the resource owner, and if omitted
/// is treated as equal to the scope originally granted by the resource owner."
#[test]
fn s6_the_scope_is_within_the_grant() {
    let tokens = stored(r#","refresh_token":"r","scope":"photos videos""#);
    let refused = client().refresh(&tokens).unwrap().scope(["photos", "mail"]).next_request(NOW, &mut Octets::new([]));
    assert!(matches!(refused, Err(Error::Usage(Usage::ScopeNotGranted))));
    assert!(values(request(client().refresh(&tokens).unwrap()).body(), "scope").is_empty());
    let renewed = outcome(client().refresh(&tokens).unwrap(), 200, &[], TOKENS).unwrap();
    assert_eq!(renewed.scope().unwrap().as_str(), "photos videos");
    let less = client().refresh(&tokens).unwrap().scope(["videos"]);
    assert_eq!(values(request(less).body(), "scope"), ["videos"]);
}

/// Section 6: "If the client type is confidential or the client was issued client credentials (or assigned other
/// authentication requirements), the client MUST authenticate with the authorization server as described in Section
/// 3.2.1."
#[test]
fn s6_a_client_with_a_secret_authenticates() {
    let tokens = stored(r#","refresh_token":"r""#);
    let sent = request(confidential("s6BhdRkqt3", BASIC("7Fjfp0ZBr1KtDRbnfVdmIw")).refresh(&tokens).unwrap());
    assert_eq!(sent.headers()["authorization"], "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
    assert!(values(sent.body(), "client_id").is_empty());
    let sent = request(confidential("s6BhdRkqt3", POST("7Fjfp0ZBr1KtDRbnfVdmIw")).refresh(&tokens).unwrap());
    assert_eq!(values(sent.body(), "client_secret"), ["7Fjfp0ZBr1KtDRbnfVdmIw"]);
}

/// Section 6: "The authorization server MAY issue a new refresh token, in which case the client MUST discard the old refresh
/// token and replace it with the new refresh token."
#[test]
fn s6_a_new_refresh_token_replaces_the_old_one() {
    let tokens = stored(r#","refresh_token":"old""#);
    for (member, kept) in [
        (r#","refresh_token":"new""#, "new"),
        ("", "old"),
        (r#","refresh_token":"""#, "old"),
        (r#","refresh_token":null"#, "old"),
    ] {
        let body = TOKENS.replace('}', &format!("{member}}}"));
        let renewed = outcome(client().refresh(&tokens).unwrap(), 200, &[], body).unwrap();
        assert_eq!(renewed.refresh_token().unwrap().expose(), kept, "{member}");
        let stored = serde_json::to_string(&renewed).unwrap();
        assert_eq!(stored.contains("old"), kept == "old", "{member}: {stored}");
    }
}

/// Section 6: "If a new refresh token is issued, the refresh token scope MUST be identical to that of the refresh token
/// included by the client in the request."
#[test]
fn s6_the_grant_keeps_its_scope() {
    let tokens = stored(r#","refresh_token":"old","scope":"photos videos""#);
    let body = TOKENS.replace('}', r#","refresh_token":"new"}"#);
    let narrow = outcome(client().refresh(&tokens).unwrap().scope(["photos"]), 200, &[], body).unwrap();
    assert_eq!(narrow.scope().unwrap().as_str(), "photos");
    let wide = outcome(client().refresh(&narrow).unwrap(), 200, &[], TOKENS).unwrap();
    assert_eq!(wide.scope().unwrap().as_str(), "photos videos");
}

/// Section 6: "If the request failed verification or is invalid, the authorization server returns an error response as
/// described in Section 5.2."
#[test]
fn s6_a_refusal_ends_the_grant_and_an_outage_does_not() {
    for (status, code, remedy) in [
        (400, "invalid_grant", Remedy::LogInAgain),
        (400, "invalid_scope", Remedy::FixConfiguration),
        (401, "invalid_client", Remedy::FixConfiguration),
        (429, "invalid_grant", Remedy::TryLater(None)),
        (500, "invalid_grant", Remedy::TryLater(None)),
        (503, "", Remedy::TryLater(None)),
    ] {
        let exchange = client().refresh(&stored(r#","refresh_token":"r""#)).unwrap();
        let error = outcome(exchange, status, &[], format!(r#"{{"error":"{code}"}}"#)).unwrap_err();
        assert_eq!(error.remedy(), remedy, "{status} {code}");
    }
}

/// Section 7.1: "The client MUST NOT use an access token if it does not understand the token type."
#[test]
fn s7_1_a_token_of_another_type_is_refused() {
    for other in ["mac", "example", "DPoP", "Bearer ", "bearertoken", "N_A"] {
        let refused = answered(&client(), 200, &[], TOKENS.replace("Bearer", other));
        assert!(matches!(refused, Err(Error::Violation(Violation::TokenType))), "{other}");
    }
}

/// Section 10.4: "Refresh tokens MUST be kept confidential in transit and storage, and shared only among the authorization
/// server and the client to whom the refresh tokens were issued."
#[test]
fn s10_4_a_refresh_token_is_shared_with_its_server_only() {
    let elsewhere = Server::new("https://evil.example/authorize", "https://evil.example/token");
    let elsewhere = Client::builder(elsewhere, "s6BhdRkqt3").build().unwrap();
    let another = Client::builder(server(), "another").build().unwrap();
    let tokens = answered(&client(), 200, &[], TOKENS.replace('}', r#","refresh_token":"r"}"#)).unwrap();
    assert!(matches!(elsewhere.refresh(&tokens), Err(Error::Usage(Usage::OtherServer))));
    assert!(matches!(another.refresh(&tokens), Err(Error::Usage(Usage::OtherClient))));
    assert!(client().refresh(&tokens).is_ok());
}

/// Section 10.10: "The probability of an attacker guessing generated tokens (and other credentials not intended for
/// handling by end-users) MUST be less than or equal to 2^(-128)": each bit of 32 octets is in the state.
#[test]
fn s10_10_a_state_has_256_bits() {
    let state =
        |octets: [u8; 64]| client().authorize().redirect(NOW, &mut Octets::new(octets)).unwrap().1.state().to_owned();
    let mut seen = std::collections::BTreeSet::from([state([0; 64])]);
    for bit in 0..256 {
        let mut octets = [0; 64];
        octets[32 + bit / 8] = 1 << (bit % 8);
        assert!(seen.insert(state(octets)), "bit {bit}");
    }
}

/// Section 10.12: "The client MUST implement CSRF protection for its redirection URI."
#[test]
fn s10_12_the_response_to_another_login_is_not_accepted() {
    let begin = |octet| client().authorize().redirect(NOW, &mut Octets::new([octet; 64])).unwrap().1;
    let (victim, attacker) = (begin(1), begin(2));
    let forged = Callback::parse(&format!("code={CODE}&state={}", attacker.state())).unwrap();
    assert!(!victim.is_for(&forged) && attacker.is_for(&forged));
    assert!(matches!(victim.accept(forged), Err(Error::Callback(CallbackError::State))));
}

/// Appendix B: "the value consisting of the six Unicode code points (1) U+0020 (SPACE), (2) U+0025 (PERCENT SIGN), (3)
/// U+0026 (AMPERSAND), (4) U+002B (PLUS SIGN), (5) U+00A3 (POUND SIGN), and (6) U+20AC (EURO SIGN) would be .. represented
/// in the payload as: +%25%26%2B%C2%A3%E2%82%AC".
#[test]
fn appendix_b_the_six_code_points() {
    let callback = format!("error=x&error_description=+%25%26%2B%C2%A3%E2%82%AC&state={STATE}");
    let refused = pending().accept(Callback::parse(&callback).unwrap());
    assert!(matches!(refused, Err(Error::Server(error)) if error.description.as_deref() == Some(" %&+£€")));
    // Written, the space is %20: the same to a form decoder, and right to a percent decoder too.
    let (url, _) = client().authorize().param("x", " %&+£€").redirect(NOW, &mut Octets::appendix_b()).unwrap();
    assert!(url.query().unwrap().contains("&x=%20%25%26%2B%C2%A3%E2%82%AC&"));
    assert_eq!(values(url.query().unwrap(), "x"), [" %&+£€"]);
}
